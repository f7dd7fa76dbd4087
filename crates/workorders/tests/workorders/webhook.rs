//! Orders of another system by signed webhooks, and events back.

use crate::authority::{Place, now, write_private};
use crate::stand_in::Request;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use wardein_client::v1::VisitState;
use wardein_crypto::Secret;
use wardein_ddkg::message::to_text;
use wardein_workorders::{Config, Desk, Listener, WebhookKey};

/// What came to the other system, and how it answers next.
#[derive(Default)]
struct Received {
    posts: Vec<(String, Value)>,
    /// 0 for no answer.
    answers: Vec<u16>,
}

struct World {
    place: Place,
    desk: Arc<Desk>,
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
    config: Config,
    restarts: usize,
}

fn incoming() -> WebhookKey {
    WebhookKey::new(Secret::copied_from(&[1; 32]))
}

impl World {
    async fn new() -> Self {
        let place = Place::new().await;
        let received = Arc::new(Mutex::new(Received::default()));
        let port = receive(&place, received.clone()).await;
        for (name, byte) in [("in.secret", 1), ("out.secret", 2)] {
            write_private(&place.path(name), format!("whsec_{}\n", to_text(&[byte; 32])).as_bytes());
        }
        let text = format!(
            "{}[webhook]\nlisten = \"127.0.0.1:0\"\nsecret_file = {:?}\nurl = \"https://localhost:{port}/events\"\nurl_secret_file = {:?}\n\
             roots = {:?}\n",
            place.general(),
            place.path("in.secret"),
            place.path("out.secret"),
            place.path("ca.pem"),
        );
        let config = Config::parse(&text).unwrap();
        let (desk, address) = open(&config).await;
        Self { place, desk, address, received, config, restarts: 0 }
    }

    /// As after a crash.
    async fn restart(&mut self) {
        // The listener holds the desk, and with it the lock: the state goes on in a copy, as on a disk that was cut off.
        let from = self.config.state.clone();
        self.restarts += 1;
        self.config.state = self.place.path(&format!("state-{}", self.restarts));
        copy(&from, &self.config.state);
        (self.desk, self.address) = open(&self.config).await;
    }

    async fn post(&self, id: &str, timestamp: u64, body: &str) -> (u16, String) {
        let signature = incoming().sign(id, timestamp, body.as_bytes());
        self.send(id, &timestamp.to_string(), &signature, body).await
    }

    async fn send(&self, id: &str, timestamp: &str, signature: &str, body: &str) -> (u16, String) {
        let head = format!(
            "POST /v1/work-orders HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nwebhook-id: {id}\r\nwebhook-timestamp: {timestamp}\r\n\
             webhook-signature: {signature}\r\n\r\n",
            body.len()
        );
        self.raw(&(head + body)).await
    }

    /// The status, and the code of a refusal.
    async fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // It may be refused before all of it is sent.
        stream.write_all(request.as_bytes()).await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        let body: Value = serde_json::from_str(answer.rsplit("\r\n\r\n").next().unwrap()).unwrap_or_default();
        (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
    }

    fn received(&self) -> Vec<(String, Value)> {
        self.received.lock().unwrap().posts.clone()
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

async fn open(config: &Config) -> (Arc<Desk>, SocketAddr) {
    let desk = Arc::new(Desk::open(config.clone()).await.unwrap());
    let listener = Listener::bind(&desk, &Arc::new(Notify::new())).await.unwrap().unwrap();
    let address = listener.address().unwrap();
    tokio::spawn(listener.serve());
    (desk, address)
}

/// The other system, over TLS: what is signed rightly is kept.
async fn receive(place: &Place, received: Arc<Mutex<Received>>) -> u16 {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    place.write("ca.pem", made.cert.pem().as_bytes());
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = TlsAcceptor::from(Arc::new(tls.with_no_client_auth().with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let Some(request) = Request::read(&mut stream).await else { continue };
            assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/events"));
            let header = |name: &str| request.headers[name].clone();
            let (id, at, signature) =
                (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
            let outgoing = WebhookKey::new(Secret::copied_from(&[2; 32]));
            outgoing.verify((&id, &at, &signature), &request.body, now()).unwrap();
            let status = {
                let mut received = received.lock().unwrap();
                received.posts.push((id, serde_json::from_slice(&request.body).unwrap()));
                received.answers.pop().unwrap_or(204)
            };
            if status > 0 {
                let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.ok();
                stream.flush().await.ok();
            }
        }
    });
    port
}

fn order(kind: &str, id: &str, second: u64, data: Value) -> String {
    let mut all = json!({
        "id": id,
        "number": "WO-7",
        "device": "pump-1",
        "technician": "Eva Example",
        "starts_at": rfc3339(now()),
        "ends_at": rfc3339(now() + 3_600),
    });
    for (name, value) in data.as_object().unwrap() {
        all[name] = value.clone();
    }
    json!({ "type": kind, "timestamp": rfc3339(second), "data": all }).to_string()
}

fn rfc3339(second: u64) -> String {
    crate::stand_in::salesforce_time(second).replace(".000+0000", "Z")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_comes_signed_and_its_protocol_goes_back_signed_over_restarts() {
    let mut world = World::new().await;
    let at = now();
    let body = order("work-order.dispatched", "4711", at, json!({}));
    assert_eq!(world.post("msg_1", at, &body).await, (202, String::new()));
    // It was taken, and nothing was done yet.
    world.restart().await;
    assert_eq!(world.post("msg_1", at, &body).await, (409, "replayed".into()), "also over a restart");
    world.desk.round().await.unwrap();
    // Sent again as another message, it is the same order.
    assert_eq!(world.post("msg_2", at, &body).await.0, 202);
    world.restart().await;
    world.desk.round().await.unwrap();
    let visit = world.place.visit().await;
    assert_eq!(visit.state(), VisitState::Requested);
    world.place.release(&visit.id).await;
    world.place.certify(&visit.id).await;
    let closed = order("work-order.closed", "4711", at + 1, json!({}));
    assert_eq!(world.post("msg_3", at, &closed).await.0, 202);
    // What was said before and comes late changes nothing.
    assert_eq!(world.post("msg_4", at, &body).await.0, 202);
    world.desk.round().await.unwrap();
    assert_eq!((world.place.visit().await.state(), world.received()), (VisitState::Ended, vec![]));
    world.place.give_protocol(&visit, 1).await;
    world.received.lock().unwrap().answers.push(0);
    assert!(world.desk.round().await.is_err(), "the answer is lost");
    world.restart().await;
    for _ in 0..3 {
        world.desk.round().await.unwrap();
    }
    // It is sent again with its id, by which the receiver sees that it has it.
    let received = world.received();
    assert_eq!((received.len(), &received[0].0), (2, &received[1].0));
    let event = &received[1].1;
    assert_eq!(
        (event["type"].as_str(), event["data"]["order"].as_str()),
        (Some("work-order.visited"), Some("4711"))
    );
    let visited = &event["data"]["visit"];
    assert_eq!(
        (visited["visit"].as_str(), &visited["sessions"][0]["actions"]),
        (Some(&visit.id[..]), &json!({ "calibration": 2, "login": 1 }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_by_the_other_system_now_is_refused() {
    let world = World::new().await;
    let at = now();
    let body = order("work-order.dispatched", "4711", at, json!({}));
    let signature = incoming().sign("msg_1", at, body.as_bytes());
    let stranger = WebhookKey::new(Secret::copied_from(&[2; 32])).sign("msg_1", at, body.as_bytes());
    let text = at.to_string();
    let wrong = (401, "signature-wrong".to_owned());
    assert_eq!(world.send("msg_1", &text, &stranger, &body).await, wrong);
    assert_eq!(world.send("msg_1", &text, "", &body).await, wrong);
    assert_eq!(world.send("msg_2", &text, &signature, &body).await, wrong);
    assert_eq!(world.send("msg_1", &(at + 1).to_string(), &signature, &body).await, wrong);
    assert_eq!(world.send("msg_1", &text, &signature, &body.replace("pump-1", "pump-2")).await, wrong);
    for stale in [at - 310, at + 310] {
        assert_eq!(world.post("msg_1", stale, &body).await, (401, "stale".into()));
    }
    let twice = format!(
        "POST /v1/work-orders HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nwebhook-id: msg_1\r\nwebhook-id: msg_2\r\n\
         webhook-timestamp: {at}\r\nwebhook-signature: {signature}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(world.raw(&twice).await, (401, "signature-headers".into()));
    assert_eq!(world.raw("GET /v1/work-orders HTTP/1.1\r\nhost: x\r\n\r\n").await, (405, "method".into()));
    assert_eq!(
        world.raw("POST /v1 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await,
        (404, "path".into())
    );
    assert_eq!(world.post("msg_1", at, &" ".repeat(65_537)).await, (413, "too-large".into()));
    for malformed in ["", "{}", "[]", &body.replace("4711", ""), &body.replace("dispatched", "opened")] {
        assert_eq!(world.post("msg_1", at, malformed).await, (400, "malformed".into()), "{malformed}");
    }
    world.desk.round().await.unwrap();
    assert_eq!((world.place.visits().await, world.received()), (vec![], vec![]));
    // What was refused is not taken for a replay.
    assert_eq!(world.post("msg_1", at, &body).await.0, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_makes_no_visit_is_reported_by_an_event() {
    let world = World::new().await;
    let at = now();
    for (id, data, code) in [
        ("1", json!({ "device": null }), "order-incomplete"),
        ("2", json!({ "ends_at": rfc3339(at - 60), "starts_at": rfc3339(at - 120) }), "visit-window-past"),
        ("3", json!({ "technician": "Mallory" }), "technician-unknown"),
        ("4", json!({ "device": "x".repeat(1_000) }), "order-malformed"),
    ] {
        let body = order("work-order.dispatched", id, at, data);
        assert_eq!(world.post(&format!("msg_{id}"), at, &body).await.0, 202);
        for _ in 0..2 {
            world.desk.round().await.unwrap();
        }
        let received = world.received();
        let data = &received.last().unwrap().1["data"];
        assert_eq!((data["order"].as_str(), data["code"].as_str()), (Some(id), Some(code)));
    }
    assert_eq!((world.received().len(), world.place.visits().await), (4, vec![]));
    // Closed before it was ever dispatched.
    let body = order("work-order.closed", "5", at, json!({}));
    assert_eq!(world.post("msg_5", at, &body).await.0, 202);
    world.desk.round().await.unwrap();
    assert_eq!(world.received().len(), 4);
}
