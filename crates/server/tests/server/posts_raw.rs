//! What comes over HTTP/1.1 and is no good POST: wrong lengths, chunks, slowness, what is asked ahead, what is too large.

use crate::common::Served;
use crate::common::http1::{CHALLENGE, Http1, OCTETS, PROVE, head, request};
use crate::common::raw::PATIENCE;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{ChallengeAsk, Refused};
use wardein_server::{Limits, Rate};

const SHORT: Duration = Duration::from_millis(200);

fn ask() -> Vec<u8> {
    let device = DeviceName { tenant: "t".parse().unwrap(), device: "pump-1".parse().unwrap() };
    ChallengeAsk { device }.encode()
}

async fn served(limits: Limits) -> (Served, Http1) {
    let served = Served::with(limits, 0).await;
    let http = Http1::connect(&served, "127.0.0.2").await;
    (served, http)
}

#[tokio::test]
async fn what_is_no_post_of_octets_is_refused_and_the_connection_goes_on() {
    let (_served, mut http) = served(Limits::default()).await;
    let length = format!("content-length: {}", ask().len());
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post"] {
        http.send(format!("{method} {CHALLENGE} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let answer = http.answer().await;
        assert_eq!((answer.said(), answer.header("allow")), ((405, "not-supported"), "POST"), "{method}");
        assert_eq!(Refused::decode(&answer.body).unwrap().code, "not-supported");
    }
    http.send(format!("HEAD {CHALLENGE} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    let answer = http.head().await;
    assert_eq!((answer.said(), answer.header("allow")), ((405, "not-supported"), "POST"));
    for kind in ["text/plain", "application/grpc", "application/x-www-form-urlencoded"] {
        let head = head(CHALLENGE, &[&format!("content-type: {kind}"), &length]);
        http.send([head.into_bytes(), ask()].concat()).await;
        assert_eq!(http.answer().await.said(), (415, "not-supported"), "{kind}");
    }
    for lines in [&[length.as_str()][..], &[OCTETS, &length, "content-encoding: gzip"]] {
        http.send([head(CHALLENGE, lines).into_bytes(), ask()].concat()).await;
        assert_eq!(http.answer().await.said(), (415, "not-supported"), "{lines:?}");
    }
    assert_eq!(http.post(CHALLENGE, &ask()).await.said(), (200, "ok"), "it is the same connection");
    // In HTTP/1.0 it is one request.
    let old = request(CHALLENGE, &ask());
    http.send(String::from_utf8(old).unwrap().replace("HTTP/1.1", "HTTP/1.0")).await;
    assert_eq!(http.answer().await.said(), (200, "ok"));
    http.is_closed().await;
}

/// Where a body ends is never in doubt: nothing that follows it is taken for a request.
#[tokio::test]
async fn a_body_in_chunks_or_of_two_lengths_ends_the_connection() {
    let chunks = [format!("{:x}\r\n", ask().len()).into_bytes(), ask(), b"\r\n0\r\n\r\n".to_vec()].concat();
    let length = format!("content-length: {}", ask().len());
    let rows = [
        (vec!["transfer-encoding: chunked"], 411),
        (vec!["transfer-encoding: chunked", &length], 411),
        (vec![&length, "transfer-encoding: chunked"], 411),
        (vec!["transfer-encoding: gzip, chunked"], 411),
        (vec!["transfer-encoding: gzip"], 400),
        (vec![&length, "content-length: 1"], 400),
        (vec!["content-length: -1"], 400),
        (vec!["content-length: +5"], 400),
        (vec!["content-length: 5, 5"], 400),
        (vec!["content-length: 99999999999999999999"], 400),
        (vec!["content-length : 5"], 400),
        (vec!["no header"], 400),
    ];
    for (lines, status) in rows {
        let (_served, mut http) = served(Limits::default()).await;
        let sent = [head(CHALLENGE, &[&[OCTETS], &lines[..]].concat()).as_bytes(), &chunks].concat();
        // What follows is another request, if anybody took it for one.
        http.send([sent, request(CHALLENGE, &ask())].concat()).await;
        let answer = http.answer().await;
        assert_eq!(answer.status, status, "{lines:?}");
        let code = if status == 411 { "not-supported" } else { "" };
        assert_eq!(
            (answer.header("wardein-code"), answer.header("connection")),
            (code, "close"),
            "{lines:?}"
        );
        http.is_closed().await;
    }
}

#[tokio::test]
async fn a_length_that_is_wrong_or_too_large_is_refused() {
    let limits = Limits { open_body_time: SHORT, ..Limits::default() };
    let (_served, mut http) = served(limits.clone()).await;
    for (what, body) in [("no body", vec![]), ("a byte less", ask()[..ask().len() - 1].to_vec())] {
        assert_eq!(http.post(CHALLENGE, &body).await.said(), (400, "malformed"), "{what}");
    }
    assert_eq!(http.post(CHALLENGE, &[ask(), vec![0]].concat()).await.said(), (400, "malformed"));
    let without = head(CHALLENGE, &[OCTETS]);
    http.send(without).await;
    assert_eq!(http.answer().await.said(), (400, "malformed"), "without a length it has no body");
    // By its head alone: nothing of the body came.
    for (path, most) in [(CHALLENGE, 1 << 10), (PROVE, 16 << 10)] {
        let (_served, mut http) = served(limits.clone()).await;
        http.send(head(path, &[OCTETS, &format!("content-length: {}", most + 1)])).await;
        assert_eq!(http.answer().await.said(), (413, "too-large"), "{path}");
        let (_served, mut http) = served(limits.clone()).await;
        assert_eq!(http.post(path, &vec![0; most]).await.said(), (400, "malformed"), "{path}");
    }
    // A body that is shorter than was said is waited for, and not for long.
    http.send(head(CHALLENGE, &[OCTETS, &format!("content-length: {}", ask().len() + 1)])).await;
    http.send(ask()).await;
    assert_eq!(http.answer().await.said(), (503, "request-timeout"));
    http.is_closed().await;
}

#[tokio::test]
async fn what_follows_a_body_is_the_next_request_or_none() {
    let (_served, mut http) = served(Limits::default()).await;
    let short = head(CHALLENGE, &[OCTETS, &format!("content-length: {}", ask().len())]);
    http.send([short.as_bytes(), &ask(), b"\0\0\0\r\n\r\n"].concat()).await;
    assert_eq!(http.answer().await.said(), (200, "ok"));
    let answer = http.answer().await;
    assert_eq!(answer.said(), (400, ""), "it is hyper's: no request came");
    http.is_closed().await;
}

#[tokio::test]
async fn requests_that_are_sent_ahead_are_answered_in_turn_and_each_counts() {
    let open = Rate { per_second: 1, burst: 3 };
    let (_served, mut http) = served(Limits { open, ..Limits::default() }).await;
    http.send(request(CHALLENGE, &ask()).repeat(5)).await;
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(http.answer().await.header("wardein-code").to_owned());
    }
    assert_eq!(codes, ["ok", "ok", "ok", "rate-limited", "rate-limited"]);
}

#[tokio::test]
async fn a_body_is_asked_for_only_where_it_would_be_taken() {
    let (_served, mut http) = served(Limits::default()).await;
    let expects = |length: usize| {
        head(CHALLENGE, &[OCTETS, &format!("content-length: {length}"), "expect: 100-continue"])
    };
    http.send(expects(ask().len())).await;
    assert_eq!(http.head().await.status, 100);
    http.send(ask()).await;
    assert_eq!(http.answer().await.said(), (200, "ok"));
    http.send(expects(1 << 20)).await;
    assert_eq!(http.answer().await.said(), (413, "too-large"), "and not 100");
}

#[tokio::test]
async fn heads_are_bounded() {
    for lines in [
        vec![format!("x: {}", "x".repeat(17 << 10))],
        (0..200).map(|i| format!("x{i}: {}", "x".repeat(100))).collect(),
    ] {
        let (_served, mut http) = served(Limits::default()).await;
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        http.send(head(CHALLENGE, &lines)).await;
        assert_eq!(http.answer().await.status, 431);
        http.is_closed().await;
    }
    let (_served, mut http) = served(Limits::default()).await;
    let answer = http.answer_to_too_much(format!("POST /{} HTTP/1.1\r\n\r\n", "x".repeat(70 << 10))).await;
    assert!(answer.is_none_or(|answer| matches!(answer.status, 414 | 431)));
    // Much, and not too much.
    let (_served, mut http) = served(Limits::default()).await;
    let much = format!("x: {}", "x".repeat(12 << 10));
    let length = format!("content-length: {}", ask().len());
    http.send([head(CHALLENGE, &[OCTETS, &length, &much]).into_bytes(), ask()].concat()).await;
    assert_eq!(http.answer().await.said(), (200, "ok"));
}

#[tokio::test]
async fn a_body_that_comes_slowly_ends_soon_and_its_bytes_are_counted() {
    let limits = Limits { open_body_time: SHORT, request_time: 2 * PATIENCE, ..Limits::default() };
    let (_served, mut http) = served(limits).await;
    http.send(head(PROVE, &[OCTETS, "content-length: 8000"])).await;
    let slowly = async {
        loop {
            http.send(b"x").await;
            if let Ok(answer) = timeout(Duration::from_millis(20), http.answer()).await {
                return answer;
            }
        }
    };
    let answer = timeout(PATIENCE, slowly).await.expect("it goes on");
    assert_eq!((answer.said(), answer.header("retry-after")), ((503, "request-timeout"), "1"));
    http.is_closed().await;

    let limits = Limits { open_body_bytes_per_address: 16 << 10, ..Limits::default() };
    let served = Served::with(limits, 0).await;
    let part = [head(PROVE, &[OCTETS, "content-length: 16384"]).as_bytes(), &[7; 12 << 10]].concat();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut http = Http1::connect(&served, "127.0.0.2").await;
        http.send(&part).await;
        held.push(http);
    }
    let answers = held.iter_mut().map(|http| Box::pin(http.answer()));
    let (refused, _, _) = futures_util::future::select_all(answers).await;
    assert_eq!(refused.said(), (429, "rate-limited"));
}

/// A connection of HTTP/1.1 has the same time as one of HTTP/2.
#[tokio::test]
async fn a_head_that_does_not_end_and_a_connection_without_a_call_are_closed() {
    let limits =
        Limits { first_call_time: SHORT, idle_time: 4 * SHORT, open_answer_time: SHORT, ..Limits::default() };
    let (served, mut silent) = served(limits).await;
    silent.is_closed().await;
    let mut slow = Http1::connect(&served, "127.0.0.2").await;
    slow.send("POST /v1/device/challenge HTTP/1.1\r\nx: ").await;
    slow.is_closed().await;
    let mut idle = Http1::connect(&served, "127.0.0.2").await;
    assert_eq!(idle.post(CHALLENGE, &ask()).await.said(), (200, "ok"));
    sleep(2 * SHORT).await;
    assert_eq!(idle.post(CHALLENGE, &ask()).await.said(), (200, "ok"), "it called");
    idle.is_closed().await;
}

#[tokio::test]
async fn a_connection_takes_a_place_and_gives_it_back() {
    let limits = Limits { connections_per_address: 1, ..Limits::default() };
    let (served, mut first) = served(limits).await;
    assert_eq!(first.post(CHALLENGE, &ask()).await.said(), (200, "ok"));
    let another = tokio::spawn({
        let address = served.grpc;
        async move {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            let mut stream = socket.connect(address).await.unwrap();
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1]).await
        }
    });
    let closed = timeout(PATIENCE, another).await.expect("it stays open").unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)), "there is one place");
    drop(first);
    let again = async {
        while tokio::spawn(connects(served.grpc)).await.unwrap().is_none() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("the place stays taken");
}

/// Whether a connection stays open for a moment.
async fn connects(address: std::net::SocketAddr) -> Option<()> {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = socket.connect(address).await.ok()?;
    let read =
        timeout(Duration::from_millis(50), tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1])).await;
    read.is_err().then_some(())
}

#[tokio::test]
async fn a_stop_waits_for_no_connection_of_http_1_1() {
    let limits = Limits { shutdown_time: 2 * PATIENCE, ..Limits::default() };
    let (mut served, mut http) = served(limits).await;
    assert_eq!(http.post(CHALLENGE, &ask()).await.said(), (200, "ok"));
    let stopped = tokio::task::spawn_blocking(move || served.stop());
    timeout(PATIENCE, stopped).await.expect("the stop waits").unwrap().unwrap();
    http.is_closed().await;
}
