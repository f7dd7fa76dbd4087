//! What a peer without a certificate can take of the service, and what stays for operators.

use crate::common::raw::{Begun, PATIENCE, Raw, announced, end, message, text, tls};
use crate::common::{Served, issue};
use h2::client::Builder;
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};
use wardein_client::{Connection, v1};
use wardein_domain::Role;
use wardein_server::Limits;

const CHALLENGE: &str = "/wardein.v1.DeviceService/GetChallenge";
const PROVE: &str = "/wardein.v1.DeviceService/Prove";
const BUNDLE: &str = "/wardein.v1.CertificateService/GetTrustBundle";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const ENROLL_STREAM: &str = "/wardein.v1.ProvisioningService/EnrollStream";

const SHORT: Duration = Duration::from_millis(200);

fn refused(code: &str, status: i32) -> (String, String) {
    (code.to_owned(), status.to_string())
}

async fn works(operator: &Connection) {
    operator.admin().get_status(v1::GetStatusRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_message_beyond_its_methods_bound_is_refused_by_its_header_alone() {
    let served = Served::start().await;
    let admin = served.admin();
    let (anybody, operator) = (
        Raw::connect(&served, "127.0.0.1").await,
        Raw::with(&served, "127.0.0.1", Some(&admin), &Builder::new()).await,
    );
    for (path, most) in [
        (CHALLENGE, 1 << 10),
        ("/wardein.v1.DeviceService/ConfirmEnrollment", 1 << 10),
        (BUNDLE, 1 << 10),
        ("/grpc.health.v1.Health/Check", 1 << 10),
        (WATCH, 1 << 10),
        (PROVE, 16 << 10),
        ("/wardein.v1.DeviceService/ProveBySignature", 16 << 10),
    ] {
        let call = anybody.send(path, &announced(most + 1), false).await;
        assert_eq!(call.refusal().await, refused("too-large", 3), "{path}");
    }
    for (path, most) in [
        ("/wardein.v1.AdminService/ListTenants", 64 << 10),
        ("/wardein.v1.AttestationService/PutKeyPolicy", (2 << 20) + (4 << 10)),
    ] {
        let call = operator.send(path, &announced(most + 1), false).await;
        assert_eq!(call.refusal().await, refused("too-large", 3), "{path}");
        // One byte less is none too much: what follows is awaited.
        let mut call = operator.send(path, &announced(most), false).await;
        call.request.send_data(vec![0xff; 1].into(), true).unwrap();
        assert_eq!(call.refusal().await, refused("malformed", 3), "{path}");
    }
    // What reads its stream says nothing of what it could not read.
    let call = anybody.send(REFLECTION, &announced((1 << 10) + 1), false).await;
    end(call.answer().await).await;
}

#[tokio::test]
async fn a_message_may_come_in_pieces_and_is_one() {
    let served = Served::start().await;
    let anybody = Raw::connect(&served, "127.0.0.1").await;
    let ask = message(b"\x0a\x01t\x12\x01d");
    let mut call = anybody.begin(CHALLENGE, &[]).await;
    for byte in &ask {
        call.request.send_data(vec![*byte].into(), false).unwrap();
        sleep(Duration::from_millis(2)).await;
    }
    call.request.send_data(Vec::new().into(), true).unwrap();
    let answer = call.answer().await;
    assert_eq!(text(answer.headers(), "wardein-code"), "ok");
    assert_eq!(text(&end(answer).await, "grpc-status"), "0");
    for bytes in [&ask[..ask.len() - 1], &ask.repeat(2), b"\0\0\0"] {
        let call = anybody.send(CHALLENGE, bytes, true).await;
        assert_eq!(call.refusal().await, refused("malformed", 3), "{bytes:?}");
    }
}

#[tokio::test]
async fn an_open_call_whose_message_does_not_come_ends_soon() {
    let limits = Limits { open_body_time: SHORT, request_time: 2 * PATIENCE, ..Limits::default() };
    let served = Served::with(limits, 0).await;
    let anybody = Raw::connect(&served, "127.0.0.1").await;
    let call = anybody.send(CHALLENGE, &announced(1 << 10), false).await;
    assert_eq!(call.refusal().await, refused("request-timeout", 14));
}

#[tokio::test]
async fn one_address_has_so_many_open_calls_in_hand() {
    let served = Served::with(Limits { open_calls_per_address: 3, ..Limits::default() }, 0).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    let (one, another) = (Raw::connect(&served, "127.0.0.2").await, Raw::connect(&served, "127.0.0.2").await);
    let mut held = vec![one.begin(CHALLENGE, &[]).await, one.begin(CHALLENGE, &[]).await];
    held.push(another.begin(CHALLENGE, &[]).await);
    settle(&one).await;
    settle(&another).await;
    let call = one.send(CHALLENGE, &message(b""), true).await;
    assert_eq!(call.refusal().await, refused("rate-limited", 8));
    let elsewhere = Raw::connect(&served, "127.0.0.3").await;
    assert_eq!(elsewhere.send(CHALLENGE, &message(b""), true).await.refusal().await, refused("malformed", 3));
    works(&admin).await;
    drop(held);
    until(|| async { one.send(CHALLENGE, &message(b""), true).await.refusal().await.0 == "malformed" }).await;
}

#[tokio::test]
async fn open_calls_never_take_the_share_of_operators() {
    let limits = Limits { calls: 8, open_calls_per_address: 100, ..Limits::default() };
    let served = Served::with(limits, 0).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    let anybody = Raw::connect(&served, "127.0.0.2").await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(anybody.begin(CHALLENGE, &[]).await);
    }
    settle(&anybody).await;
    let call = anybody.send(CHALLENGE, &message(b""), true).await;
    assert_eq!(call.refusal().await, refused("overloaded", 14));
    works(&admin).await;
}

#[tokio::test]
async fn bytes_of_open_messages_are_bounded_for_an_address_and_for_all() {
    let part = [announced(16 << 10), vec![7; 8 << 10]].concat();
    for (limits, code, status) in [
        (Limits { open_body_bytes_per_address: 16 << 10, ..Limits::default() }, "rate-limited", 8),
        (Limits { open_body_bytes: 16 << 10, ..Limits::default() }, "overloaded", 14),
        (Limits { body_bytes: 16 << 10, ..Limits::default() }, "overloaded", 14),
    ] {
        let served = Served::with(limits, 0).await;
        let anybody = Raw::connect(&served, "127.0.0.2").await;
        // The first 2 KiB of each are not counted.
        let held = [anybody.send(PROVE, &part, false).await, anybody.send(PROVE, &part, false).await];
        let call = anybody.send(PROVE, &part, false).await;
        assert_eq!(call.refusal().await, refused(code, status));
        // A small one has its place.
        let call = anybody.send(CHALLENGE, &message(b""), true).await;
        assert_eq!(call.refusal().await, refused("malformed", 3));
        drop(held);
        until(|| async {
            let whole = [announced(16 << 10), vec![0xff; 16 << 10]].concat();
            anybody.send(PROVE, &whole, true).await.refusal().await.0 == "malformed"
        })
        .await;
    }
}

#[tokio::test]
async fn streams_without_a_certificate_are_few_and_have_an_end() {
    let limits = Limits {
        public_streams_per_connection: 2,
        public_streams_per_address: 3,
        public_streams: 4,
        public_stream_time: Duration::from_secs(2),
        ..Limits::default()
    };
    let served = Served::with(limits, 0).await;
    let [one, same, other] = [
        Raw::connect(&served, "127.0.0.2").await,
        Raw::connect(&served, "127.0.0.2").await,
        Raw::connect(&served, "127.0.0.3").await,
    ];
    let watched = one.send(WATCH, &message(b""), true).await.answer().await;
    let Begun { request: mut asking, response } = one.begin(REFLECTION, &[]).await;
    let reflected = timeout(PATIENCE, response).await.unwrap().unwrap();
    let third = one.send(WATCH, &message(b""), true).await;
    assert_eq!(third.refusal().await, refused("rate-limited", 8), "of the connection");
    let _held = same.send(WATCH, &message(b""), true).await.answer().await;
    let fourth = same.send(WATCH, &message(b""), true).await;
    assert_eq!(fourth.refusal().await, refused("rate-limited", 8), "of the address");
    let _held = other.send(WATCH, &message(b""), true).await.answer().await;
    let fifth = other.send(WATCH, &message(b""), true).await;
    assert_eq!(fifth.refusal().await, refused("overloaded", 14), "of all");
    for stream in [watched, reflected] {
        assert_eq!(text(&end(stream).await, "grpc-status"), "14");
    }
    // Nor is one read to its end, on which the client could still ask.
    let reset = poll_fn(|cx| asking.poll_reset(cx));
    timeout(PATIENCE, reset).await.expect("its requests are still read").unwrap();
    // Their places are free again, that of a stream on which the client could still ask included.
    until(|| async {
        text(one.begin(REFLECTION, &[]).await.answer().await.headers(), "wardein-code") == "ok"
    })
    .await;
}

#[tokio::test]
async fn a_stop_waits_for_no_watch() {
    let limits = Limits { shutdown_time: 2 * PATIENCE, ..Limits::default() };
    let mut served = Served::with(limits, 0).await;
    let anybody = Raw::connect(&served, "127.0.0.1").await;
    let watched = anybody.send(WATCH, &message(b""), true).await.answer().await;
    let reflected = anybody.begin(REFLECTION, &[]).await.answer().await;
    let silent = tls(&served, "127.0.0.1", None).await;
    let stopped = tokio::task::spawn_blocking(move || served.stop());
    for stream in [watched, reflected] {
        assert_eq!(text(&end(stream).await, "grpc-status"), "14");
    }
    timeout(PATIENCE, stopped).await.expect("the stop waits").unwrap().unwrap();
    drop(silent);
}

#[tokio::test]
async fn a_connection_without_a_call_is_closed() {
    let limits =
        Limits { first_call_time: SHORT, idle_time: 4 * SHORT, open_answer_time: SHORT, ..Limits::default() };
    let served = Served::with(limits, 0).await;
    let mut silent = tls(&served, "127.0.0.1", None).await;
    // The server's settings come first.
    let read = async { while silent.read(&mut [0; 64]).await.is_ok_and(|length| length > 0) {} };
    timeout(PATIENCE, read).await.expect("it stays open");
    Raw::connect(&served, "127.0.0.1").await.is_closed().await;
}

#[tokio::test]
async fn a_connection_that_calls_no_more_is_closed() {
    let limits =
        Limits { first_call_time: SHORT, idle_time: 4 * SHORT, open_answer_time: SHORT, ..Limits::default() };
    let served = Served::with(limits, 0).await;
    let mut calling = Raw::connect(&served, "127.0.0.1").await;
    let idle = calling.send(CHALLENGE, &message(b""), true).await;
    assert_eq!(idle.refusal().await, refused("malformed", 3));
    sleep(2 * SHORT).await;
    assert!(calling.is_open(), "it called");
    calling.is_closed().await;
}

#[tokio::test]
async fn a_connection_with_a_call_is_not_idle() {
    let limits =
        Limits { first_call_time: SHORT, idle_time: SHORT, open_answer_time: SHORT, ..Limits::default() };
    let served = Served::with(limits, 0).await;
    let watching = Raw::connect(&served, "127.0.0.1").await;
    let _watched = watching.send(WATCH, &message(b""), true).await.answer().await;
    sleep(8 * SHORT).await;
    assert!(watching.is_open());
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_its_connection() {
    let limits = Limits { open_answer_time: SHORT, stream_idle_time: SHORT, ..Limits::default() };
    let served = Served::with(limits, 0).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let station = issue(&admin, Role::Station).await;
    let mut no_window = Builder::new();
    no_window.initial_window_size(0);
    let mut anybody = Raw::with(&served, "127.0.0.1", None, &no_window).await;
    let _untaken = anybody.send(BUNDLE, &message(b""), true).await.answer().await;
    anybody.is_closed().await;
    let mut enrolling = Raw::with(&served, "127.0.0.1", Some(&station), &no_window).await;
    // Of no device: its result is a failure.
    let _untaken = enrolling.send(ENROLL_STREAM, &message(b"\x08\x01\x12\x00"), false).await.answer().await;
    enrolling.is_closed().await;
}

#[tokio::test]
async fn an_old_connection_is_asked_to_go_and_goes() {
    let limits = Limits {
        first_call_time: SHORT,
        open_answer_time: SHORT,
        connection_age: SHORT,
        request_time: SHORT,
        ..Limits::default()
    };
    let served = Served::with(limits, 0).await;
    let mut watching = Raw::connect(&served, "127.0.0.1").await;
    let _watched = watching.send(WATCH, &message(b""), true).await.answer().await;
    watching.is_closed().await;
}

#[tokio::test]
async fn when_places_are_full_the_oldest_that_is_no_operators_makes_room() {
    let limits = Limits { connections: 4, first_call_time: 2 * PATIENCE, ..Limits::default() };
    let served = Served::with(limits, 0).await;
    let admin = served.admin();
    // The oldest of all.
    let operators = Raw::with(&served, "127.0.0.1", Some(&admin), &Builder::new()).await;
    settle(&operators).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(Raw::connect(&served, "127.0.0.1").await);
    }
    let _one_more = Raw::connect(&served, "127.0.0.1").await;
    held[0].is_closed().await;
    assert!(held[1].is_open() && held[2].is_open());
    settle(&operators).await;
    // Another of theirs has its handshake and its place.
    works(&served.connect(Some(admin)).await.unwrap()).await;
}

#[tokio::test]
async fn a_compression_is_refused_with_what_is_taken_instead() {
    let served = Served::start().await;
    let anybody = Raw::connect(&served, "127.0.0.1").await;
    for path in [BUNDLE, REFLECTION] {
        let answer = anybody.begin(path, &[("grpc-encoding", "gzip")]).await.answer().await;
        let said =
            ["wardein-code", "grpc-status", "grpc-accept-encoding"].map(|name| text(answer.headers(), name));
        assert_eq!(said, ["not-supported", "12", "identity"], "{path}");
    }
    let mut call = anybody.begin(BUNDLE, &[("grpc-encoding", "identity")]).await;
    call.request.send_data(message(b"").into(), true).unwrap();
    assert_eq!(text(call.answer().await.headers(), "wardein-code"), "ok");
    // The flag of a message says the same of it alone.
    let call = anybody.send(BUNDLE, &[1, 0, 0, 0, 1, 7], true).await;
    assert_eq!(call.refusal().await, refused("malformed", 3));
}

/// Has the server come to what was sent on this connection before.
async fn settle(connection: &Raw) {
    connection.begin("/none", &[]).await.answer().await;
}

/// Waits for what takes effect without an answer of its own.
async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    let tries = async {
        while !is_so().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, tries).await.expect("it does not come about");
}
