//! What is wrong with a call of any method.

use super::world::{VALIDITY, World, order};
use crate::common::device::TestDevice;
use crate::common::{copied, issue_as};
use tonic::Code;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use wardein_client::{Identity, Refusal, v1};
use wardein_crypto::{P256SigningKey, SecretBytes};
use wardein_domain::{Access, Method, Role};
use wardein_pki::{Csr, pem};

#[tokio::test]
async fn a_message_that_is_none_or_too_large_is_refused_by_every_method() {
    let world = World::new().await;
    for &method in Method::ALL {
        let (by, is_known) = (world.allowed(method), method.access() != Access::Open);
        let garbled = (Code::InvalidArgument, "malformed", "");
        let mut rows = vec![
            ("not protobuf", Some(vec![0xff; 32]), garbled),
            ("a field that is cut off", Some(vec![0x0a, 0x20, b't']), garbled),
            (
                "a message beyond the limit",
                Some(vec![0; 3 << 20]),
                (Code::InvalidArgument, "too-large", "3145728 bytes; the method takes at most"),
            ),
        ];
        // A stream may well have no message.
        if !matches!(method, Method::EnrollStream | Method::CheckStream) {
            rows.push(("no message", None, garbled));
        }
        for (what, message, expected) in rows {
            world.refuses_bytes(method, what, by, is_known, message, expected).await;
        }
    }
}

#[tokio::test]
async fn who_may_not_call_is_refused_by_every_method_that_asks_who_calls() {
    let world = World::new().await;
    for &method in Method::ALL.iter().filter(|method| method.access() != Access::Open) {
        let missing = (Code::Unauthenticated, "certificate-required", "client certificate");
        world.refuses_bytes(method, "no certificate", &world.nobody, false, Some(vec![]), missing).await;
        let wrong = (Code::PermissionDenied, "role-denied", method.path());
        for (role, by) in world.operators() {
            if !method.allows(Some(role)) {
                world.refuses_bytes(method, role.as_str(), by, true, Some(vec![]), wrong).await;
            }
        }
    }
}

#[tokio::test]
async fn an_operator_that_was_revoked_or_whose_time_is_over_is_refused_by_every_method() {
    let world = World::new().await;
    let gone = issue_as(&world.admin, order(Role::TenantAdmin, "t", "gone", 0)).await;
    let late = issue_as(&world.admin, order(Role::Station, "t", "late", 8)).await;
    let serial = world.serial(Role::TenantAdmin, "t", "gone").await;
    let revoke = v1::RevokeOperatorRequest { serial, reason: "left".into(), with_issued: false };
    world.admin.admin().revoke_operator(revoke).await.unwrap();
    world.served.clock.pass(VALIDITY + 1);
    for &method in Method::ALL.iter().filter(|method| method.access() != Access::Open) {
        for (what, identity, code) in
            [("revoked", &gone, "operator-revoked"), ("expired", &late, "operator-expired")]
        {
            // Each connection is closed after its answer.
            let by = world.served.connect(Some(copied(identity))).await.unwrap();
            let expected = (Code::Unauthenticated, code, "another");
            world.refuses_bytes(method, what, &by, true, Some(vec![]), expected).await;
        }
    }
}

#[tokio::test]
async fn a_devices_certificate_makes_no_client() {
    let world = World::new().await;
    let mut device = TestDevice::enrolled(&world.station, "pump-1").await;
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    let chain = device.prove(&world.nobody, "certificate", &csr).await.unwrap().body;
    let length = u32::from_be_bytes(*chain.first_chunk().unwrap()) as usize;
    let key: SecretBytes = pem::encode_private_key(pkcs8.expose()).unwrap();
    let certificates = pem::encode_certificates([&chain[4..4 + length]]).unwrap().into_bytes();
    let before = world.rows().await;
    let connection = world.served.connect(Some(Identity { certificates, key })).await.unwrap();
    connection
        .certificates()
        .get_trust_bundle(v1::GetTrustBundleRequest::default())
        .await
        .expect("open to all");
    let asked = v1::CheckRequest::default();
    let refusal = Refusal::from(connection.trust().check(asked).await.unwrap_err());
    assert_eq!((refusal.status, refusal.code.as_str()), (Code::Unauthenticated, "identity-unknown"));
    assert!(world.rows().await == before);
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let world = World::new().await;
    let answer = reflected(&world, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(listed) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = listed.service.iter().map(|service| service.name.as_str()).collect();
    for service in ["Admin", "Audit", "Certificate", "Device", "Provisioning", "Trust"] {
        let name = format!("wardein.v1.{service}Service");
        assert!(names.contains(&name.as_str()), "{name}: {names:?}");
    }
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
}

/// A client that knows nothing of Google's types can then write out what a refusal's details say.
#[tokio::test]
async fn reflection_describes_the_details_of_refusals() {
    let world = World::new().await;
    for detail in
        ["ErrorInfo", "BadRequest", "RetryInfo", "QuotaFailure", "PreconditionFailure", "ResourceInfo"]
    {
        let answer =
            reflected(&world, MessageRequest::FileContainingSymbol(format!("google.rpc.{detail}"))).await;
        assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{detail}: {answer:?}");
    }
}

async fn reflected(world: &World, message: MessageRequest) -> MessageResponse {
    let ask = ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let mut client = ServerReflectionClient::new(world.nobody.channel());
    let mut answers = client.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap().message_response.unwrap()
}
