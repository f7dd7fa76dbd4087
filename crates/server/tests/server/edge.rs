//! Transport and limits, over real TLS.

use crate::common::full::{FullStore, PANICS};
use crate::common::{Served, now};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, NamedGroup, RootCertStore, SupportedProtocolVersion};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::{Code, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};
use wardein_client::{ConnectError, Connection, Identity, Refusal, v1};
use wardein_crypto::P256SigningKey;
use wardein_engine::Ports;
use wardein_pki::pem;
use wardein_server::{Limits, Rate};

async fn handshake(
    served: &Served,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(served.founded.infrastructure_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // A client that can do better is to say so first: a server takes what a client has sent a share for.
    provider.kx_groups.sort_by_key(|group| group.name() != NamedGroup::X25519MLKEM768);
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let mut configuration = builder.with_root_certificates(roots).with_no_client_auth();
    configuration.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(served.grpc).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(configuration)).connect(name, socket).await
}

#[tokio::test]
async fn tls_1_3_with_the_hybrid_group_and_nothing_older() {
    let served = Served::start().await;
    let stream = handshake(&served, &rustls::version::TLS13).await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    assert!(handshake(&served, &rustls::version::TLS12).await.is_err());
}

/// The code of a call that takes an operator, and of one that takes anybody.
async fn answers(connection: &Connection) -> [Option<String>; 2] {
    let code = |status| Refusal::from(status).code;
    let status = connection.admin().get_status(v1::GetStatusRequest {}).await;
    let ask = v1::GetChallengeRequest { tenant: "t".into(), device_id: "d".into() };
    let challenge = connection.device().get_challenge(ask).await;
    [status.err().map(code), challenge.err().map(code)]
}

/// A device has one TLS context for all its servers. What it offers identifies nobody here, and stands in the way of nothing.
#[tokio::test]
async fn a_certificate_of_another_authority_identifies_nobody() {
    let (served, other) = (Served::start().await, Served::start().await);
    let connection = served.connect(Some(other.admin())).await.unwrap();
    assert_eq!(answers(&connection).await, [Some("identity-unknown".into()), None]);
    let connection = served.connect(None).await.unwrap();
    assert_eq!(answers(&connection).await, [Some("certificate-required".into()), None]);
}

/// Name and serial are the administrator's, and the key is the forger's: all but the CA's signature is right.
#[tokio::test]
async fn an_operators_certificate_with_another_key_identifies_nobody() {
    let served = Served::start().await;
    let real = served.admin();
    let chain = pem::decode_certificates(std::str::from_utf8(&real.certificates).unwrap()).unwrap();
    let forgers = P256SigningKey::generate_pkcs8().unwrap();
    let point = |pkcs8| P256SigningKey::from_pkcs8(pkcs8).unwrap().verifying_key().0;
    let (of_real, of_forger) = (point(&served.founded.admin_key), point(&forgers));
    let mut leaf = chain[0].clone();
    let at = leaf.windows(of_real.len()).position(|bytes| bytes == of_real).unwrap();
    leaf[at..at + of_forger.len()].copy_from_slice(&of_forger);
    let forged = Identity {
        certificates: pem::encode_certificates([&leaf[..], &chain[1][..]]).unwrap().into_bytes(),
        key: pem::encode_private_key(forgers.expose()).unwrap(),
    };
    let connection = served.connect(Some(forged)).await.unwrap();
    assert_eq!(answers(&connection).await, [Some("identity-unknown".into()), None]);
    let connection = served.connect(Some(real)).await.unwrap();
    assert_eq!(answers(&connection).await, [None, None]);
}

/// In TLS 1.3 a client learns with its first call, not at the handshake, that its certificate was refused.
async fn is_refused(connected: Result<Connection, ConnectError>) -> bool {
    let Ok(connection) = connected else { return true };
    let answer = connection.certificates().get_trust_bundle(v1::GetTrustBundleRequest::default()).await;
    answer.is_err_and(|status| Refusal::from(status).code == Refusal::TRANSPORT)
}

#[tokio::test]
async fn a_certificate_whose_time_is_over_gets_no_connection() {
    let served = Served::with(Limits::default(), 400 * 86_400).await;
    assert!(is_refused(served.connect(Some(served.admin())).await).await);
    assert!(!is_refused(served.connect(None).await).await);
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    let served = Served::start().await;
    let device = served.connect(None).await.unwrap();
    let ask = |length| v1::GetChallengeRequest { tenant: "t".repeat(length), device_id: "d".into() };
    let refusal: Refusal = device.device().get_challenge(ask(1100)).await.unwrap_err().into();
    assert_eq!((refusal.status, refusal.code.as_str()), (Code::InvalidArgument, "too-large"));
    assert!(!refusal.may_retry() && refusal.request_id.is_some());
    let refusal: Refusal = device.device().get_challenge(ask(64)).await.unwrap_err().into();
    assert_eq!(refusal.message, "tenant: tenant has 64 bytes; it takes 1 to 63");
}

#[tokio::test]
async fn a_peer_beyond_its_rate_is_refused_and_may_come_again() {
    let open = Rate { per_second: 1, burst: 2 };
    let served = Served::with(Limits { open, ..Limits::default() }, 0).await;
    let device = served.connect(None).await.unwrap();
    let mut bundle = device.certificates();
    for _ in 0..2 {
        bundle.get_trust_bundle(v1::GetTrustBundleRequest::default()).await.unwrap();
    }
    let refusal: Refusal =
        bundle.get_trust_bundle(v1::GetTrustBundleRequest::default()).await.unwrap_err().into();
    assert_eq!((refusal.status, refusal.code.as_str()), (Code::ResourceExhausted, "rate-limited"));
    assert!(refusal.may_retry());
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_let_go() {
    let handshake_time = std::time::Duration::from_millis(100);
    let served = Served::with(Limits { handshake_time, ..Limits::default() }, 0).await;
    let mut socket = TcpStream::connect(served.grpc).await.unwrap();
    let closed = tokio::time::timeout(std::time::Duration::from_secs(5), socket.read(&mut [0; 1])).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))));
}

#[tokio::test]
async fn health_and_http_tell_how_it_goes() {
    let served = Served::start().await;
    let connection = served.connect(None).await.unwrap();
    let mut health = HealthClient::new(connection.channel());
    for service in ["", "wardein.v1.TrustService"] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }
    for (path, status, text) in [
        ("/healthz", "200", "ok"),
        ("/readyz", "200", "ready"),
        ("/spiffe-bundle", "200", "\"use\":\"x509-svid\""),
        ("/trust-bundle", "200", served.founded.bundle_pem.lines().nth(1).unwrap()),
        ("/metrics", "200", "wardein_requests_total{code=\"ok\",method=\"/grpc.health.v1.Health/Check\"} 2"),
        ("/other", "404", "/metrics"),
    ] {
        let answer = get(&served, "GET", path).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(text),
            "{path}: {answer}"
        );
    }
}

/// HTTP/1.1 wants GET and HEAD of every server, and `Allow` with 405 (RFC 9110 §9.1, §9.3.2, §15.5.6).
#[tokio::test]
async fn http_takes_head_as_get_without_a_body_and_names_both_to_others() {
    let served = Served::start().await;
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/trust-bundle", 200), ("/other", 404)] {
        let got = get(&served, "GET", path).await;
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")) && !body.is_empty(), "{path}: {got}");
        assert_eq!(headers(&get(&served, "HEAD", path).await), (headers(&got).0, ""), "{path}");
    }
    // What it counts has gone on between two calls.
    let metrics = get(&served, "HEAD", "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200") && headers(&metrics).1.is_empty(), "{metrics}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = get(&served, method, "/readyz").await;
        let (head, _) = headers(&answer);
        assert!(head[0].starts_with("HTTP/1.1 405") && head.contains(&"allow: GET, HEAD"), "{answer}");
    }
}

/// The lines of an answer's head but its date, and the body.
fn headers(answer: &str) -> (Vec<&str>, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().filter(|line| !line.starts_with("date:")).collect(), body)
}

/// It ends that call, with an id under which the log has it, and nothing else.
#[tokio::test]
async fn a_handler_that_panics_answers_internal_and_the_others_go_on() {
    let served = Served::serve(Limits::default(), now(), 0, |ports| Ports {
        store: Arc::new(FullStore::new(ports.store.clone(), Arc::default())),
        ..ports
    })
    .await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    let create = |tenant: &str| v1::CreateTenantRequest { tenant: tenant.into() };
    for _ in 0..3 {
        let status = admin.admin().create_tenant(create(PANICS)).await.unwrap_err();
        let id = status.metadata().get("wardein-request-id").unwrap().to_str().unwrap().to_owned();
        assert_eq!(status.message(), format!("internal error, request {id}"));
        let refusal: Refusal = status.into();
        assert_eq!((refusal.status, refusal.code.as_str()), (Code::Internal, "internal"));
    }
    admin.admin().create_tenant(create("t")).await.unwrap();
    let metrics = get(&served, "GET", "/metrics").await;
    assert!(
        metrics.contains("code=\"internal\",method=\"/wardein.v1.AdminService/CreateTenant\"} 3"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_store_that_takes_no_change_is_told_by_readiness_and_by_health_until_it_does() {
    let is_full = Arc::new(AtomicBool::new(false));
    let of_store = is_full.clone();
    let served = Served::serve(Limits::default(), now(), 0, |ports| Ports {
        store: Arc::new(FullStore::new(ports.store.clone(), of_store)),
        ..ports
    })
    .await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    let create = || v1::CreateTenantRequest { tenant: "t".into() };
    let mut told = Vec::new();
    for service in ["", "wardein.v1.DeviceService"] {
        let watch = HealthCheckRequest { service: service.into() };
        told.push(HealthClient::new(admin.channel()).watch(watch).await.unwrap().into_inner());
    }
    for told in &mut told {
        assert_eq!(next(told).await, ServingStatus::Serving);
    }

    is_full.store(true, Ordering::SeqCst);
    let ready = get(&served, "GET", "/readyz").await;
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("cannot be written to: the disk is full"),
        "{ready}"
    );
    assert!(get(&served, "GET", "/healthz").await.starts_with("HTTP/1.1 200"), "it is alive");
    let refusal: Refusal = admin.admin().create_tenant(create()).await.unwrap_err().into();
    assert_eq!((refusal.status, refusal.code.as_str()), (Code::Unavailable, "store-unavailable"));
    for told in &mut told {
        assert_eq!(next(told).await, ServingStatus::NotServing);
    }

    is_full.store(false, Ordering::SeqCst);
    assert!(get(&served, "GET", "/readyz").await.starts_with("HTTP/1.1 200"));
    admin.admin().create_tenant(create()).await.unwrap();
    for told in &mut told {
        assert_eq!(next(told).await, ServingStatus::Serving);
    }
}

/// What a watcher is told next. The server looks every second.
async fn next(told: &mut Streaming<HealthCheckResponse>) -> ServingStatus {
    let answer = tokio::time::timeout(Duration::from_secs(10), told.message()).await;
    answer.expect("nothing is told").unwrap().expect("the stream has ended").status()
}

/// A probe is not kept waiting by others, and those of one address do not push out another's.
#[tokio::test]
async fn http_answers_though_its_places_are_taken() {
    let served = Served::start().await;
    let kept = TcpStream::connect(served.http).await.unwrap();
    let began = Instant::now();
    // Two addresses have 16 places each.
    let mut idle = idle_on_http(&served, 2).await;
    assert!(get(&served, "GET", "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(ask(kept, "GET", "/healthz").await.starts_with("HTTP/1.1 200"));
    // Ten have all of them.
    idle.extend(idle_on_http(&served, 10).await);
    assert!(get(&served, "GET", "/healthz").await.starts_with("HTTP/1.1 200"));
    // Those that ask nothing go by themselves only then.
    assert!(began.elapsed() < Duration::from_secs(5));
    let mut open = 0;
    for socket in &idle {
        let closed = tokio::time::timeout(Duration::from_millis(5), socket.peek(&mut [0])).await;
        open += usize::from(closed.is_err());
    }
    assert!(open <= 64, "{open}");
}

/// A hundred connections to the HTTP port that ask nothing, from so many addresses.
async fn idle_on_http(served: &Served, addresses: usize) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for number in 0..100 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("127.0.0.{}:0", 2 + number % addresses).parse().unwrap()).unwrap();
        idle.push(socket.connect(served.http).await.unwrap());
    }
    idle
}

async fn get(served: &Served, method: &str, path: &str) -> String {
    ask(TcpStream::connect(served.http).await.unwrap(), method, path).await
}

async fn ask(mut socket: TcpStream, method: &str, path: &str) -> String {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_stop_ends_in_order_though_a_connection_is_open() {
    let mut served = Served::start().await;
    let connection = served.connect(Some(served.admin())).await.unwrap();
    connection.admin().get_status(v1::GetStatusRequest {}).await.unwrap();
    let address = served.grpc;
    tokio::task::spawn_blocking(move || served.stop()).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_is_told_by_health() {
    let limits = Limits { shutdown_time: Duration::from_millis(500), ..Limits::default() };
    let mut served = Served::with(limits, 0).await;
    let connection = served.connect(None).await.unwrap();
    let watch = HealthCheckRequest { service: String::new() };
    let mut told = HealthClient::new(connection.channel()).watch(watch).await.unwrap().into_inner();
    assert_eq!(next(&mut told).await, ServingStatus::Serving);
    let stopped = tokio::task::spawn_blocking(move || served.stop());
    assert_eq!(next(&mut told).await, ServingStatus::NotServing);
    stopped.await.unwrap().unwrap();
}
