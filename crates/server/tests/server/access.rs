//! Who may call what, over real TLS.

use crate::common::{Served, issue};
use std::collections::BTreeSet;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use wardein_client::{Connection, Refusal, v1};
use wardein_domain::{Access, Method, Role};

/// Calls by path with an empty message, which every method can read.
pub(crate) async fn call(connection: &Connection, path: &'static str) -> Result<(), Refusal> {
    let mut grpc = tonic::client::Grpc::<Channel>::new(connection.channel());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<(), ()>::default();
    grpc.unary(Request::new(()), PathAndQuery::from_static(path), codec)
        .await
        .map(|_| ())
        .map_err(Refusal::from)
}

#[tokio::test]
async fn each_method_takes_its_roles_and_no_others() {
    let served = Served::start().await;
    let nobody = served.connect(None).await.unwrap();
    let operators = served.operators().await;
    for method in Method::ALL {
        for (role, connection) in &operators {
            let result = call(connection, method.path()).await;
            let is_refused = result.as_ref().is_err_and(|refusal| {
                refusal.status == Code::PermissionDenied && refusal.code == "role-denied"
            });
            assert_eq!(is_refused, !method.allows(Some(*role)), "{role} {}: {result:?}", method.path());
        }
        let result = call(&nobody, method.path()).await;
        let is_refused = result.as_ref().is_err_and(|refusal| {
            refusal.status == Code::Unauthenticated && refusal.code == "certificate-required"
        });
        assert_eq!(is_refused, method.access() != Access::Open, "{}: {result:?}", method.path());
    }
}

#[tokio::test]
async fn what_has_no_row_is_nobodys() {
    let served = Served::start().await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    for path in ["/wardein.v1.AdminService/Unheard", "/grpc.channelz.v1.Channelz/GetServers"] {
        let refusal = call(&admin, path).await.unwrap_err();
        assert_eq!(
            (refusal.status, refusal.code.as_str()),
            (Code::Unimplemented, "method-unknown"),
            "{path}"
        );
        assert!(refusal.request_id.is_some());
    }
}

#[test]
fn every_method_that_is_described_has_a_row_and_the_other_way_round() {
    let descriptors: prost_types::FileDescriptorSet =
        prost::Message::decode(wardein_proto::DESCRIPTORS).unwrap();
    let described: BTreeSet<String> = descriptors
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file.package(), service)))
        .flat_map(|(package, service)| {
            service
                .method
                .iter()
                .map(move |method| format!("/{package}.{}/{}", service.name(), method.name()))
        })
        .collect();
    assert_eq!(described, Method::ALL.iter().map(|method| method.path().to_owned()).collect());
}

#[tokio::test]
async fn a_refusal_of_an_operator_is_in_the_audit_log_under_its_request_id() {
    let served = Served::start().await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let station = served.connect(Some(issue(&admin, Role::Station).await)).await.unwrap();
    let by_role = call(&station, Method::CreateTenant.path()).await.unwrap_err();
    let by_field: Refusal =
        station.provisioning().enroll(v1::EnrollRequest::default()).await.unwrap_err().into();
    assert_eq!((by_field.status, by_field.code.as_str()), (Code::InvalidArgument, "malformed"));
    assert!(by_field.message.starts_with("device_id: "), "{by_field}");
    let entries = admin.audit().list_entries(v1::ListEntriesRequest::default()).await.unwrap().into_inner();
    for refusal in [by_role, by_field] {
        let id = refusal.request_id.unwrap();
        let entry: Vec<_> = entries.entries.iter().filter(|entry| entry.request_id == id).collect();
        assert_eq!(entry.len(), 1, "{id}");
        assert_eq!((entry[0].event.as_str(), &entry[0].outcome), ("call.refuse", &refusal.code));
        assert_eq!(entry[0].actor, "station/t/test-station");
    }
}

#[tokio::test]
async fn a_revoked_operator_is_refused_from_then_on_on_the_same_connection() {
    let served = Served::start().await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let auditor = served.connect(Some(issue(&admin, Role::Auditor).await)).await.unwrap();
    auditor.admin().get_status(v1::GetStatusRequest {}).await.unwrap();
    let operators =
        admin.admin().list_operators(v1::ListOperatorsRequest::default()).await.unwrap().into_inner();
    let serial = operators
        .operators
        .iter()
        .find(|operator| operator.role() == v1::Role::Auditor)
        .unwrap()
        .serial
        .clone();
    let revoke = v1::RevokeOperatorRequest { serial, reason: "test".into(), with_issued: false };
    admin.admin().revoke_operator(revoke).await.unwrap();
    let refused: Status = auditor.admin().get_status(v1::GetStatusRequest {}).await.unwrap_err();
    let refusal = Refusal::from(refused);
    assert_eq!((refusal.status, refusal.code.as_str()), (Code::Unauthenticated, "operator-revoked"));
}
