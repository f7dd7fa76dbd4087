//! Audit sinks, with receivers over real TLS: in order, at least once, and without the service waiting for one.

use crate::common::{ROOT_KEY, Served};
use crate::webhooks::{Posted, other_pki, take};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use wardein_client::v1;
use wardein_engine::{Engine, Ports};
use wardein_server::{SinkConfig, SinkTexts};
use wardein_testkit::{MemoryCustody, TestClock};

/// A sink of that kind, and of the files in `place`.
fn sink(to: &str, place: &Path) -> SinkConfig {
    let file = |name: &str, is_used: bool| if is_used { place.join(name) } else { PathBuf::new() };
    let (is_https, is_local) = (to.starts_with("https:"), to.starts_with("file:"));
    let texts = SinkTexts {
        name: "siem",
        to,
        ca_file: &file("ca.pem", !is_local),
        certificate_file: Path::new(""),
        key_file: Path::new(""),
        authorization_file: &file("token", is_https),
    };
    // On another file system than the test's, which may have less free than a store is left.
    SinkConfig::parse(&texts, Path::new("/proc")).unwrap()
}

/// An authority with one sink, and what has it open the sink's files again.
async fn served(sink: SinkConfig) -> (Served, watch::Sender<u64>) {
    let reopen = watch::Sender::new(0);
    (Served::with_sinks(vec![sink], reopen.subscribe()).await, reopen)
}

/// Something that leaves entries.
async fn create(served: &Served, tenant: &str) {
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: tenant.into() }).await.unwrap();
}

fn numbers(lines: &str) -> Vec<u64> {
    let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["sequence"].as_u64().unwrap();
    lines.lines().map(number).collect()
}

/// The text of a file once it has an entry on that tenant.
async fn has(path: &Path, tenant: &str) -> String {
    for _ in 0..600 {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.contains(&format!("tenant/{tenant}")) {
            return text;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{tenant} did not come to {}", path.display());
}

#[tokio::test]
async fn a_file_has_every_entry_once_in_order_over_a_rotation_and_the_store_knows_how_far() {
    let place = tempfile::tempdir().unwrap();
    let (path, rotated) = (place.path().join("audit.jsonl"), place.path().join("audit.jsonl.1"));
    let (mut served, reopen) = served(sink(&format!("file:{}", path.display()), place.path())).await;
    create(&served, "one").await;
    has(&path, "one").await;
    // As logrotate does it: the name first, then the signal.
    fs::rename(&path, &rotated).unwrap();
    reopen.send_modify(|count| *count += 1);
    timeout(Duration::from_secs(30), async {
        while !path.exists() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("it is opened again at once, and not with the next entry");
    create(&served, "two").await;
    let text = fs::read_to_string(&rotated).unwrap() + &has(&path, "two").await;
    let numbers = numbers(&text);
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    served.stop().unwrap();
    let ports = Ports::new(Arc::new(served.store.clone()), TestClock::at(crate::common::now()));
    let engine = Engine::open(ports, MemoryCustody::of(ROOT_KEY).root_keys()).await.unwrap();
    assert_eq!(engine.sink_position(&"siem".parse().unwrap()).await.unwrap(), numbers.len() as u64);
}

/// A listener, and the files of who is to believe it.
async fn receiver(place: &Path) -> (TcpListener, TlsAcceptor) {
    let (ca, tls) = other_pki().await;
    fs::write(place.join("ca.pem"), ca).unwrap();
    fs::write(place.join("token"), "Bearer s3cret\n").unwrap();
    fs::set_permissions(place.join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    (TcpListener::bind("127.0.0.1:0").await.unwrap(), tls)
}

async fn accept(listener: &TcpListener, tls: &TlsAcceptor) -> TlsStream<TcpStream> {
    let accepted = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = tls.accept(stream).await {
                return stream;
            }
        }
    };
    timeout(Duration::from_secs(30), accepted).await.unwrap()
}

/// The next frame of syslog (RFC 5425 §4.3).
async fn frame(stream: &mut TlsStream<TcpStream>) -> String {
    let mut length = String::new();
    loop {
        match stream.read_u8().await.unwrap() {
            b' ' => break,
            digit => length.push(digit.into()),
        }
    }
    let mut message = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut message).await.unwrap();
    String::from_utf8(message).unwrap()
}

fn number(message: &str) -> u64 {
    let (head, json) = message.split_once(" - {").unwrap();
    assert!(head.starts_with("<85>1 ") || head.starts_with("<84>1 "), "{head}");
    numbers(&format!("{{{json}"))[0]
}

#[tokio::test]
async fn what_a_syslog_receiver_may_have_lost_with_its_connection_comes_again() {
    let place = tempfile::tempdir().unwrap();
    let (listener, tls) = receiver(place.path()).await;
    let port = listener.local_addr().unwrap().port();
    let (served, _reopen) = served(sink(&format!("tls:localhost:{port}"), place.path())).await;
    let mut stream = accept(&listener, &tls).await;
    assert_eq!(number(&frame(&mut stream).await), 1);
    // It was written, and who read it is gone with it.
    drop(stream);
    create(&served, "one").await;
    let mut stream = accept(&listener, &tls).await;
    let mut next = 1;
    loop {
        let message = timeout(Duration::from_secs(30), frame(&mut stream)).await.unwrap();
        assert_eq!(number(&message), next);
        next += 1;
        if message.contains("tenant/one") {
            break;
        }
    }
}

#[tokio::test]
async fn a_receiver_by_post_that_refuses_gets_the_same_again_and_the_service_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let (listener, tls) = receiver(place.path()).await;
    let port = listener.local_addr().unwrap().port();
    let (served, _reopen) = served(sink(&format!("https://localhost:{port}/audit"), place.path())).await;
    let mut stream = accept(&listener, &tls).await;
    let first: Posted = take(&mut stream).await.unwrap();
    assert_eq!(first.headers["authorization"], "Bearer s3cret");
    assert_eq!(numbers(std::str::from_utf8(&first.body).unwrap())[0], 1);
    // While nothing is taken, calls are answered.
    create(&served, "one").await;
    stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let mut all = Vec::new();
    let mut text = String::new();
    while !text.contains("tenant/one") {
        let mut stream = accept(&listener, &tls).await;
        while let Some(posted) = take(&mut stream).await {
            text = String::from_utf8(posted.body).unwrap();
            all.extend(numbers(&text));
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            if text.contains("tenant/one") {
                break;
            }
        }
    }
    assert_eq!(
        all,
        (1..=all.len() as u64).collect::<Vec<_>>(),
        "what was refused came again, and nothing twice"
    );
}

#[tokio::test]
async fn a_receiver_of_another_ca_gets_nothing_and_the_metrics_say_so() {
    let place = tempfile::tempdir().unwrap();
    let (listener, tls) = receiver(place.path()).await;
    let (other, _) = other_pki().await;
    fs::write(place.path().join("ca.pem"), other).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (served, _reopen) = served(sink(&format!("tls:localhost:{port}"), place.path())).await;
    let (stream, _) = timeout(Duration::from_secs(30), listener.accept()).await.unwrap().unwrap();
    assert!(tls.accept(stream).await.is_err(), "the sink ends the handshake");
    create(&served, "one").await;
    let counted = "wardein_audit_sink_failures_total{reason=\"unreachable\",sink=\"siem\"}";
    let mut metrics = String::new();
    for _ in 0..200 {
        metrics = scraped(&served).await;
        if metrics.contains(counted) && metrics.contains("wardein_audit_sink_lag_entries{sink=\"siem\"}") {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{metrics}");
}

async fn scraped(served: &Served) -> String {
    let mut stream = TcpStream::connect(served.http).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
