//! Time at the edge: calls that take too long, streams that fall silent, a certificate that is renewed, a stop with calls in hand.

use crate::common::{Served, issue};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use v1::enroll_stream_request::Step;
use v1::enroll_stream_response::Result as Outcome;
use wardein_client::{Connection, Refusal, v1};
use wardein_crypto::{Entropy, EphemeralKey, SystemEntropy};
use wardein_domain::Role;
use wardein_server::Limits;

const SHORT: Duration = Duration::from_millis(200);

async fn create(connection: &Connection, tenant: &str) -> Result<(), Refusal> {
    let request = v1::CreateTenantRequest { tenant: tenant.into() };
    connection.admin().create_tenant(request).await.map(|_| ()).map_err(Refusal::from)
}

async fn tenants(connection: &Connection) -> Vec<String> {
    let listed =
        connection.admin().list_tenants(v1::ListTenantsRequest::default()).await.unwrap().into_inner();
    listed.tenants.into_iter().map(|tenant| tenant.tenant).collect()
}

/// Waits until so many commits wait.
async fn held(served: &Served, count: usize) {
    while served.store.waiting() < count {
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_answered_and_what_it_began_is_finished() {
    let served = Served::with(Limits { request_time: SHORT, ..Limits::default() }, 0).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    served.store.hold();
    let refusal = create(&admin, "t").await.unwrap_err();
    assert_eq!((refusal.status, refusal.code.as_str()), (Code::Unavailable, "request-timeout"));
    assert!(refusal.may_retry() && refusal.request_id.is_some());
    assert!(tenants(&admin).await.is_empty());
    served.store.release();
    while tenants(&admin).await.is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(tenants(&admin).await, ["t"]);
    assert!(create(&admin, "u").await.is_ok());
}

#[tokio::test]
async fn calls_beyond_the_limit_are_turned_away_until_there_is_room() {
    let served = Served::with(Limits { calls: 1, ..Limits::default() }, 0).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    served.store.hold();
    let other = admin.clone();
    let first = tokio::spawn(async move { create(&other, "t").await });
    held(&served, 1).await;
    let refusal = create(&admin, "u").await.unwrap_err();
    assert_eq!((refusal.status, refusal.code.as_str()), (Code::Unavailable, "overloaded"));
    assert!(refusal.may_retry());
    served.store.release();
    first.await.unwrap().unwrap();
    assert!(create(&admin, "u").await.is_ok());
    assert_eq!(tenants(&admin).await, ["t", "u"]);
}

fn enroll(correlation: u64) -> v1::EnrollStreamRequest {
    let request = v1::EnrollRequest {
        device_id: format!("pump-{correlation}"),
        suite: 1,
        device_nonce: SystemEntropy::default().array::<32>().unwrap().to_vec(),
        device_share: EphemeralKey::generate(&mut SystemEntropy::default()).unwrap().public().to_vec(),
        ..Default::default()
    };
    v1::EnrollStreamRequest { correlation, step: Some(Step::Enroll(request)) }
}

#[tokio::test]
async fn a_stream_is_ended_when_nothing_comes_and_not_while_it_waits_for_us() {
    let served = Served::with(Limits { stream_idle_time: SHORT, ..Limits::default() }, 0).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    create(&admin, "t").await.unwrap();
    let station = served.connect(Some(issue(&admin, Role::Station).await)).await.unwrap();
    let (send, messages) = mpsc::channel(4);
    let mut answers =
        station.provisioning().enroll_stream(ReceiverStream::new(messages)).await.unwrap().into_inner();
    served.store.hold();
    send.send(enroll(1)).await.unwrap();
    held(&served, 1).await;
    sleep(3 * SHORT).await;
    served.store.release();
    let answer = answers.next().await.unwrap().unwrap();
    assert!(matches!(answer.result, Some(Outcome::Enrolled(_))), "{answer:?}");
    send.send(enroll(2)).await.unwrap();
    assert!(matches!(answers.next().await.unwrap().unwrap().result, Some(Outcome::Enrolled(_))));
    // Now it is the station that says nothing.
    let ended: Refusal = answers.next().await.unwrap().unwrap_err().into();
    assert_eq!((ended.status, ended.code.as_str()), (Code::Unavailable, "stream-idle"));
    assert!(answers.next().await.is_none());
}

/// The certificate that a new connection is shown.
async fn shown(served: &Served) -> CertificateDer<'static> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(served.founded.infrastructure_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap();
    let mut configuration = builder.with_root_certificates(roots).with_no_client_auth();
    configuration.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(served.grpc).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(configuration)).connect(name, socket).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn the_servers_certificate_is_renewed_while_it_serves() {
    const DAY: u64 = 86_400;
    let renewal_check = Duration::from_millis(20);
    // It begins to serve 25 days ago, so that its first certificate is near its end today.
    let served =
        Served::founded(Limits { renewal_check, ..Limits::default() }, crate::common::now() - 25 * DAY, 0)
            .await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    create(&admin, "t").await.unwrap();
    let first = shown(&served).await;
    served.clock.pass(19 * DAY);
    sleep(10 * renewal_check).await;
    assert_eq!(shown(&served).await, first, "two thirds of 30 days are not over");
    served.clock.pass(6 * DAY);
    let begun = Instant::now();
    while shown(&served).await == first {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is not renewed");
        sleep(renewal_check).await;
    }
    let second = shown(&served).await;
    // Who was connected notices nothing.
    create(&admin, "u").await.unwrap();
    sleep(10 * renewal_check).await;
    assert_eq!(shown(&served).await, second, "renewed once");
    let entries = v1::ListEntriesRequest { page_size: 1000, ..Default::default() };
    let entries = admin.audit().list_entries(entries).await.unwrap().into_inner().entries;
    assert_eq!(entries.iter().filter(|entry| entry.event == "authority.certify-server").count(), 2);
}

#[tokio::test]
async fn a_stop_finishes_the_calls_in_hand() {
    let mut served = Served::start().await;
    let (address, store) = (served.grpc, served.store.clone());
    let admin = served.connect(Some(served.admin())).await.unwrap();
    store.hold();
    let call = tokio::spawn(async move { create(&admin, "t").await });
    held(&served, 1).await;
    let stopping = tokio::task::spawn_blocking(move || served.stop());
    while TcpStream::connect(address).await.is_ok() {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(!call.is_finished() && !stopping.is_finished());
    store.release();
    call.await.unwrap().unwrap();
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_it_may() {
    let mut served = Served::with(Limits { shutdown_time: SHORT, ..Limits::default() }, 0).await;
    let store = served.store.clone();
    let admin = served.connect(Some(served.admin())).await.unwrap();
    store.hold();
    let call = tokio::spawn(async move { create(&admin, "t").await });
    held(&served, 1).await;
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || served.stop()).await.unwrap().unwrap();
    assert!((SHORT..10 * SHORT).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    let refusal = call.await.unwrap().unwrap_err();
    assert!(refusal.code == Refusal::TRANSPORT && refusal.may_retry(), "{refusal:?}");
}
