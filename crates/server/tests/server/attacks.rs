//! Attacks of SECURITY-ATTACKS.md that no other test shows, over real TLS.

use crate::access::call;
use crate::common::device::TestDevice;
use crate::common::{Served, issue, issue_as};
use futures_util::future::join_all;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};
use wardein_client::{Connection, Refusal, number, time, v1};
use wardein_domain::Role;

#[tokio::test]
async fn no_other_spelling_of_a_path_is_a_method() {
    let served = Served::start().await;
    let nobody = served.connect(None).await.unwrap();
    let admin = served.connect(Some(served.admin())).await.unwrap();
    for path in [
        "/wardein.v1.adminservice/listtenants",
        "/WARDEIN.V1.AdminService/ListTenants",
        "//wardein.v1.AdminService/ListTenants",
        "/wardein.v1.AdminService//ListTenants",
        "/wardein.v1.AdminService/ListTenants/",
        "/wardein.v1.AdminService/%4cistTenants",
        "/wardein.v1.DeviceService/../wardein.v1.AdminService/ListTenants",
        "/wardein.v1.AdminService/ListTenants;x",
    ] {
        for caller in [&nobody, &admin] {
            let refusal = call(caller, path).await.unwrap_err();
            assert_eq!(refusal.code, "method-unknown", "{path}");
        }
    }
    // A query is no part of the path, and takes nothing off what the path asks for.
    let refusal = call(&nobody, "/wardein.v1.AdminService/ListTenants?x").await.unwrap_err();
    assert_eq!(refusal.code, "certificate-required");
}

/// The administrator of a tenant that is made here, and its station.
async fn tenant(served: &Served, admin: &Connection, name: &str) -> (Connection, Connection) {
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: name.into() }).await.unwrap();
    let order = |role: Role, quota| v1::IssueOperatorRequest {
        role: number::<v1::Role>(role.as_str()),
        tenant: name.into(),
        name: format!("{name}-{role}"),
        csr: Vec::new(),
        validity: time::span(3600),
        quota,
    };
    let of_tenant = issue_as(admin, order(Role::TenantAdmin, 0)).await;
    let station = issue_as(admin, order(Role::Station, 10)).await;
    (served.connect(Some(of_tenant)).await.unwrap(), served.connect(Some(station)).await.unwrap())
}

#[tokio::test]
async fn a_tenant_named_as_another_begins_sees_its_own_alone() {
    let served = Served::start().await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    let (short, of_short) = tenant(&served, &admin, "nord").await;
    let (long, of_long) = tenant(&served, &admin, "nord-2").await;
    for (station, id) in [(&of_short, "s-1"), (&of_short, "s-2"), (&of_long, "l-1"), (&of_long, "l-2")] {
        let request = TestDevice::begin(station, id).await.request();
        station.provisioning().enroll(request).await.unwrap();
    }
    let list = |page_size, page_token| v1::ListDevicesRequest { page_size, page_token, ..Default::default() };
    for (caller, tenant, ids) in [(&short, "nord", ["s-1", "s-2"]), (&long, "nord-2", ["l-1", "l-2"])] {
        let list = v1::ListDevicesRequest { tenant: tenant.into(), ..list(0, Vec::new()) };
        let devices = caller.admin().list_devices(list).await.unwrap().into_inner().devices;
        assert_eq!(devices.iter().map(|device| device.device_id.as_str()).collect::<Vec<_>>(), ids);
        let operators = caller.admin().list_operators(v1::ListOperatorsRequest::default()).await.unwrap();
        assert!(operators.into_inner().operators.iter().all(|operator| operator.tenant == tenant));
        let profiles = v1::ListProfilesRequest { tenant: tenant.into() };
        let profiles = caller.admin().list_profiles(profiles).await.unwrap().into_inner().profiles;
        assert!(profiles.iter().all(|profile| profile.tenant == tenant));
    }
    let of_long = v1::ListDevicesRequest { tenant: "nord-2".into(), ..list(1, Vec::new()) };
    let token = long.admin().list_devices(of_long).await.unwrap().into_inner().next_page_token;
    let spliced = v1::ListDevicesRequest { tenant: "nord".into(), ..list(1, token) };
    for caller in [&short, &admin] {
        let refusal: Refusal = caller.admin().list_devices(spliced.clone()).await.unwrap_err().into();
        assert_eq!(refusal.code, "malformed");
        assert!(refusal.message.starts_with("page_token: "), "{refusal}");
    }
}

#[tokio::test]
async fn a_session_is_resumed_without_early_data() {
    let served = Served::start().await;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(served.founded.infrastructure_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut configuration = builder.with_root_certificates(roots).with_no_client_auth();
    configuration.alpn_protocols = vec![b"h2".to_vec()];
    configuration.enable_early_data = true;
    configuration.resumption = Resumption::in_memory_sessions(4);
    let connector = TlsConnector::from(Arc::new(configuration));
    let connect = async || {
        let socket = TcpStream::connect(served.grpc).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut may_begin_early = false;
        let look = |session: &mut ClientConnection| may_begin_early = session.early_data().is_some();
        let mut stream = connector.connect_with(name, socket, look).await.unwrap();
        // The tickets come before the first answer.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        stream.flush().await.unwrap();
        assert_ne!(stream.read(&mut [0; 64]).await.unwrap(), 0);
        (stream.get_ref().1.handshake_kind().unwrap(), may_begin_early)
    };
    assert_eq!(connect().await, (HandshakeKind::Full, false));
    assert_eq!(connect().await, (HandshakeKind::Resumed, false));
}

#[tokio::test]
async fn what_is_compressed_or_has_swollen_headers_is_refused() {
    let served = Served::start().await;
    let connection = served.connect(None).await.unwrap();
    let ask = || Request::new(v1::GetTrustBundleRequest::default());
    let mut compressed = ask();
    compressed.metadata_mut().insert("grpc-encoding", MetadataValue::from_static("gzip"));
    let refusal: Refusal = connection.certificates().get_trust_bundle(compressed).await.unwrap_err().into();
    assert_eq!((refusal.status, refusal.code.as_str()), (Code::Unimplemented, "not-supported"));
    let mut swollen = ask();
    swollen.metadata_mut().insert("x", "x".repeat(17 * 1024).parse().unwrap());
    let refusal: Refusal = connection.certificates().get_trust_bundle(swollen).await.unwrap_err().into();
    assert!(refusal.message.contains("431"), "{refusal}");
    connection.certificates().get_trust_bundle(ask()).await.unwrap();
}

#[tokio::test]
async fn of_one_proof_that_comes_fifty_times_at_once_one_is_taken() {
    let served = Served::start().await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let station = served.connect(Some(issue(&admin, Role::Station).await)).await.unwrap();
    let mut device = TestDevice::enrolled(&station, "pump-1").await;
    let (request, _) = device.proof(&station, "authenticate", b"").await;
    let answers = join_all((0..50).map(|_| {
        let (mut client, request) = (station.device(), request.clone());
        async move { client.prove(request).await.map_err(|status| Refusal::from(status).code) }
    }));
    let answers = answers.await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let codes = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert_eq!(codes.filter(|code| *code == "replayed").count(), 49);
}

#[tokio::test]
async fn two_authorities_share_no_key() {
    let (one, other) = (Served::start().await, Served::start().await);
    assert_ne!(one.founded.identity_key, other.founded.identity_key);
    assert_ne!(one.founded.admin_key.expose(), other.founded.admin_key.expose());
}
