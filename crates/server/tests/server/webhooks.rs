//! Webhooks, with a receiver over real TLS.

use crate::common::device::TestDevice;
use crate::common::{Served, issue};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use wardein_client::{Connection, v1};
use wardein_crypto::{MacKey, Secret, hex};
use wardein_ddkg::message::{from_text, to_text};
use wardein_domain::Role;
use wardein_engine::{Engine, Ports, found};
use wardein_testkit::{MemoryCustody, MemoryStore, TestClock};

/// What came to a receiver.
#[derive(Debug)]
pub(crate) struct Posted {
    path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Posted {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Verdicts by device.
    fn verdicts(&self) -> Vec<(String, String)> {
        let json = self.json();
        assert_eq!(
            (json["type"].as_str(), json["data"]["tenant"].as_str()),
            (Some("device.verdicts"), Some("t"))
        );
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let devices = json["data"]["devices"].as_array().unwrap();
        devices.iter().map(|device| (text(&device["deviceId"]), text(&device["verdict"]))).collect()
    }
}

/// A receiver of another PKI, which answers as it is told, and otherwise 204.
struct Receiver {
    address: SocketAddr,
    ca_pem: String,
    posted: mpsc::UnboundedReceiver<Posted>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
}

/// The CA of another PKI, PEM, and TLS with a certificate of it.
pub(crate) async fn other_pki() -> (String, TlsAcceptor) {
    let ports = Ports::new(Arc::new(MemoryStore::new()), TestClock::at(crate::common::now()));
    let founded = found(&ports, Secret::copied_from(&[9; 32]), "other.test".parse().unwrap()).await.unwrap();
    let engine = Engine::open(ports, MemoryCustody::of([9; 32]).root_keys()).await.unwrap();
    let server = engine.issue_server_identity(&["localhost".parse().unwrap()]).await.unwrap();
    let chain = server.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server.key.expose().to_vec()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let tls = tls.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
    (founded.infrastructure_pem, TlsAcceptor::from(Arc::new(tls)))
}

impl Receiver {
    async fn new() -> Self {
        let (ca_pem, tls) = other_pki().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, posted) = mpsc::unbounded_channel();
        let answers: Arc<Mutex<VecDeque<&'static str>>> = Arc::default();
        let queue = answers.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, tell, queue) = (tls.clone(), tell.clone(), queue.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = tls.accept(stream).await else { return };
                    while let Some(posted) = take(&mut stream).await {
                        let answer = queue.lock().unwrap().pop_front().unwrap_or(TAKEN);
                        tell.send(posted).ok();
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, ca_pem, posted, answers }
    }

    async fn next(&mut self) -> Posted {
        timeout(Duration::from_secs(30), self.posted.recv()).await.expect("in time").unwrap()
    }

    async fn nothing(&mut self, seconds: u64) {
        let more = timeout(Duration::from_secs(seconds), self.posted.recv()).await;
        assert!(more.is_err(), "{more:?}");
    }

    fn answers(&self, answers: impl IntoIterator<Item = &'static str>) {
        self.answers.lock().unwrap().extend(answers);
    }
}

pub(crate) async fn take(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<Posted> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let path = lines.next()?.strip_prefix("POST ")?.split(' ').next()?.to_owned();
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some(Posted { path, headers, body })
}

const TAKEN: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

/// An authority with tenant `t` and devices `pump-1` and `pump-2`, whose webhook goes to a receiver.
struct World {
    served: Served,
    admin: Connection,
    receiver: Receiver,
    secret: [u8; 32],
}

impl World {
    async fn new() -> Self {
        let served = Served::start().await;
        let admin = served.connect(Some(served.admin())).await.unwrap();
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        let station = issue(&admin, Role::Station).await;
        let line = served.connect(Some(station)).await.unwrap();
        for id in ["pump-1", "pump-2"] {
            TestDevice::enrolled(&line, id).await;
        }
        let receiver = Receiver::new().await;
        let mut world = Self { served, admin, receiver, secret: [0; 32] };
        let put = world.put(&world.receiver.ca_pem.clone(), "/hook?of=t").await;
        world.secret = put.secret[..].try_into().unwrap();
        world
    }

    async fn put(&self, ca_pem: &str, path: &str) -> v1::PutWebhookResponse {
        let request = v1::PutWebhookRequest {
            tenant: "t".into(),
            name: "iot".into(),
            url: format!("https://localhost:{}{path}", self.receiver.address.port()),
            ca_pem: ca_pem.to_owned(),
            renew_secret: false,
        };
        self.admin.webhooks().put_webhook(request).await.unwrap().into_inner()
    }

    async fn set(&self, device_id: &str, state: v1::DeviceState) {
        let set = v1::SetDeviceStateRequest {
            tenant: "t".into(),
            device_id: device_id.into(),
            state: state.into(),
            reason: "test".into(),
            ..Default::default()
        };
        self.admin.admin().set_device_state(set).await.unwrap();
    }

    async fn standing(&self) -> v1::Webhook {
        let asked = v1::ListWebhooksRequest { tenant: "t".into() };
        let mut listed = self.admin.webhooks().list_webhooks(asked).await.unwrap().into_inner();
        listed.webhooks.remove(0)
    }
}

/// Whether openssl takes a signature by Ed25519.
fn openssl_verifies(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = place.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    // The SubjectPublicKeyInfo (RFC 8410 §4).
    let spki = [&hex::decode("302a300506032b6570032100").unwrap(), public_key].concat();
    let mut verify = std::process::Command::new("openssl");
    verify.args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin", "-inkey"]);
    verify.arg(file("key", &spki)).arg("-in").arg(file("message", message));
    verify.arg("-sigfile").arg(file("signature", signature)).output().unwrap().status.success()
}

fn verdict(device: &str, verdict: &str) -> Vec<(String, String)> {
    vec![(device.to_owned(), verdict.to_owned())]
}

#[tokio::test]
async fn a_change_is_posted_signed_and_in_order() {
    let mut world = World::new().await;
    world.set("pump-1", v1::DeviceState::Suspended).await;
    let first = world.receiver.next().await;
    assert_eq!(
        (first.path.as_str(), first.headers["content-type"].as_str()),
        ("/hook?of=t", "application/json")
    );
    assert_eq!(first.verdicts(), verdict("pump-1", "VERDICT_NOT_TRUSTED"));
    assert!(!first.json()["data"]["revision"].as_str().unwrap().is_empty());
    // Standard Webhooks.
    let (id, at) = (&first.headers["webhook-id"], &first.headers["webhook-timestamp"]);
    assert!(at.parse::<u64>().unwrap().abs_diff(crate::common::now()) < 60, "{at}");
    let signed = [id.as_bytes(), b".", at.as_bytes(), b".", &first.body].concat();
    let tag = MacKey::new(Secret::copied_from(&world.secret)).tag(&signed);
    let (symmetric, asymmetric) = first.headers["webhook-signature"].split_once(" v1a,").unwrap();
    assert_eq!(symmetric, format!("v1,{}", to_text(&tag.0)));
    let (public_key, signature) = (world.standing().await.public_key, from_text(asymmetric, 64).unwrap());
    assert!(openssl_verifies(&public_key, &signed, &signature));
    assert!(!openssl_verifies(&public_key, b"something else", &signature));

    world.set("pump-1", v1::DeviceState::Active).await;
    let second = world.receiver.next().await;
    assert_eq!(second.verdicts(), verdict("pump-1", "VERDICT_TRUSTED"));
    assert_ne!(second.headers["webhook-id"], *id);
    world.set("pump-2", v1::DeviceState::Suspended).await;
    assert_eq!(world.receiver.next().await.verdicts(), verdict("pump-2", "VERDICT_NOT_TRUSTED"));
    let standing = world.standing().await;
    assert!(standing.taken_at.is_some() && standing.failing_since.is_none(), "{standing:?}");
    // Removed, it is told nothing more.
    let removed = v1::RemoveWebhookRequest { tenant: "t".into(), name: "iot".into(), reason: "over".into() };
    world.admin.webhooks().remove_webhook(removed).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.set("pump-1", v1::DeviceState::Suspended).await;
    world.receiver.nothing(3).await;
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_and_then_as_it_is_by_then() {
    let mut world = World::new().await;
    world.receiver.answers([BUSY, BUSY]);
    world.set("pump-1", v1::DeviceState::Suspended).await;
    let (one, two, three) =
        (world.receiver.next().await, world.receiver.next().await, world.receiver.next().await);
    assert_eq!((&one.headers["webhook-id"], &one.body), (&two.headers["webhook-id"], &two.body));
    assert_eq!((&one.headers["webhook-id"], &one.body), (&three.headers["webhook-id"], &three.body));
    // Three times in vain: what has changed in the meantime is told as it is by then, once.
    world.receiver.answers([BUSY, BUSY, BUSY]);
    world.set("pump-1", v1::DeviceState::Active).await;
    for _ in 0..3 {
        assert_eq!(world.receiver.next().await.verdicts(), verdict("pump-1", "VERDICT_TRUSTED"));
    }
    let standing = world.standing().await;
    assert_eq!(standing.failure, "it answered 503");
    assert!(standing.failing_since.is_some());
    for state in [v1::DeviceState::Suspended, v1::DeviceState::Active, v1::DeviceState::Suspended] {
        world.set("pump-1", state).await;
    }
    assert_eq!(world.receiver.next().await.verdicts(), verdict("pump-1", "VERDICT_NOT_TRUSTED"));
    world.receiver.nothing(2).await;
    assert_eq!(world.standing().await.failing_since, None);
}

#[tokio::test]
async fn a_redirection_is_not_followed_and_a_long_answer_not_read() {
    let mut world = World::new().await;
    let elsewhere =
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://localhost/other\r\ncontent-length: 0\r\n\r\n";
    world.receiver.answers([elsewhere]);
    let test = v1::TestWebhookRequest { tenant: "t".into(), name: "iot".into() };
    let said = world.admin.webhooks().test_webhook(test.clone()).await.unwrap().into_inner();
    assert_eq!((said.is_taken, said.said.as_str()), (false, "it answered 307"));
    let posted = world.receiver.next().await;
    assert_eq!((posted.path.as_str(), posted.json()["type"].as_str()), ("/hook?of=t", Some("webhook.test")));
    world.receiver.answers(["HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n"]);
    let answered = timeout(Duration::from_secs(9), world.admin.webhooks().test_webhook(test)).await;
    assert!(answered.expect("the rest is not waited for").unwrap().into_inner().is_taken);
}

#[tokio::test]
async fn a_receiver_of_another_ca_or_name_is_told_nothing() {
    let mut world = World::new().await;
    // The authority's own CA did not certify it.
    world.put(&world.served.founded.infrastructure_pem.clone(), "/").await;
    let test = v1::TestWebhookRequest { tenant: "t".into(), name: "iot".into() };
    let said = world.admin.webhooks().test_webhook(test.clone()).await.unwrap().into_inner();
    assert!(!said.is_taken && said.said.contains("UnknownIssuer"), "{}", said.said);
    // By an address that its certificate does not name.
    let request = v1::PutWebhookRequest {
        tenant: "t".into(),
        name: "iot".into(),
        url: format!("https://127.0.0.1:{}/", world.receiver.address.port()),
        ca_pem: world.receiver.ca_pem.clone(),
        renew_secret: false,
    };
    world.admin.webhooks().put_webhook(request).await.unwrap();
    let said = world.admin.webhooks().test_webhook(test.clone()).await.unwrap().into_inner();
    assert!(!said.is_taken && said.said.contains("not valid for name"), "{}", said.said);
    let cloud = v1::PutWebhookRequest {
        tenant: "t".into(),
        name: "iot".into(),
        url: "https://169.254.169.254/".into(),
        ca_pem: world.receiver.ca_pem.clone(),
        renew_secret: false,
    };
    world.admin.webhooks().put_webhook(cloud).await.unwrap();
    let said = world.admin.webhooks().test_webhook(test).await.unwrap().into_inner();
    assert_eq!(said.said, "169.254.169.254 is not an address of a receiver");
    world.receiver.nothing(1).await;
}

/// A receiver that takes nothing holds up nobody who changes something.
#[tokio::test]
async fn a_slow_receiver_holds_up_no_change() {
    let world = World::new().await;
    // It reads nothing: a listener that never accepts.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = v1::PutWebhookRequest {
        tenant: "t".into(),
        name: "iot".into(),
        url: format!("https://localhost:{}/", listener.local_addr().unwrap().port()),
        ca_pem: world.receiver.ca_pem.clone(),
        renew_secret: false,
    };
    world.admin.webhooks().put_webhook(request).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let began = std::time::Instant::now();
    for round in 0..50 {
        let state = if round % 2 == 0 { v1::DeviceState::Suspended } else { v1::DeviceState::Active };
        world.set("pump-1", state).await;
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn another_secret_comes_with_another_key_and_neither_changes_by_itself() {
    let world = World::new().await;
    let before = world.standing().await.public_key;
    let again = world.put(&world.receiver.ca_pem, "/hook").await;
    assert_eq!((again.secret.len(), again.webhook.unwrap().public_key), (0, before.clone()));
    let request = v1::PutWebhookRequest {
        tenant: "t".into(),
        name: "iot".into(),
        url: format!("https://localhost:{}/hook", world.receiver.address.port()),
        ca_pem: world.receiver.ca_pem.clone(),
        renew_secret: true,
    };
    let renewed = world.admin.webhooks().put_webhook(request).await.unwrap().into_inner();
    assert!(renewed.secret.len() == 32 && renewed.secret[..] != world.secret);
    let after = renewed.webhook.unwrap().public_key;
    assert!(after.len() == 32 && after != before);
    assert_ne!(after, renewed.secret, "what signs is told to nobody");
}
