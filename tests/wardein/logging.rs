//! The log under attack: a reader that stalls, and floods.

use crate::common::Served;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use wardein_client::{Connection, Refusal, connect, v1};
use wardein_domain::ErrorCode;

/// More lines than a pipe and the queue behind it hold.
const LINES: usize = 10_000;

/// Makes calls that leave a line each. How many were refused for want of a certificate: one whose connection breaks was not.
async fn calls(connection: &Connection, count: usize) -> u64 {
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let mut refused = 0;
                for _ in 0..count / 50 {
                    // Refused or not: either has an answer.
                    let answer = connection.admin().get_status(v1::GetStatusRequest {}).await;
                    let code = answer.err().and_then(|status| Refusal::from(status).known());
                    refused += u64::from(code == Some(ErrorCode::CertificateRequired));
                }
                refused
            })
        })
        .collect();
    let mut refused = 0;
    for task in tasks {
        refused += task.await.unwrap();
    }
    refused
}

#[tokio::test]
async fn a_reader_that_stalls_stops_no_call_and_hears_how_much_it_missed() {
    let mut served = Served::found().await;
    served.kill();
    served.start_with(Stdio::piped()).await;
    let log = served.stderr();
    let admin = served.admin().await;
    timeout(Duration::from_secs(300), calls(&admin, LINES)).await.expect("calls go on though nobody reads");

    // Somebody reads again.
    let (send, mut said) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if line.contains("log lines were dropped") {
                let _ = send.send(line);
            }
        }
    });
    let line = timeout(Duration::from_secs(60), said.recv()).await.unwrap().unwrap();
    let metrics = served.http_get("/metrics").await;
    let dropped = metrics.lines().find_map(|line| line.strip_prefix("wardein_log_lines_dropped_total "));
    let dropped: u64 = dropped.unwrap().parse().unwrap();
    assert!(dropped > 0 && line.contains(&format!("lines={dropped}")), "{dropped}: {line}");
}

#[tokio::test]
async fn a_flood_without_a_certificate_is_a_line_a_second() {
    let mut served = Served::found().await;
    served.kill();
    served.start_with(Stdio::piped()).await;
    let log = served.stderr();
    let lines =
        std::thread::spawn(move || BufReader::new(log).lines().map_while(Result::ok).collect::<Vec<_>>());
    let nobody = connect(&served.settings()).await.unwrap();
    let begun = Instant::now();
    // By its answer the client has learned how many calls the connection takes at a time.
    let _ = nobody.admin().get_status(v1::GetStatusRequest {}).await;
    let refused = calls(&nobody, 2_000).await;
    assert!(refused > 1_000, "{refused} calls were refused for want of a certificate");
    let garbage = served.endpoint.strip_prefix("https://").unwrap().to_owned();
    for _ in 0..200 {
        let mut stream = std::net::TcpStream::connect(&garbage).unwrap();
        std::io::Write::write_all(&mut stream, &[b'x'; 100]).unwrap();
    }
    sleep(Duration::from_secs(3)).await;
    let seconds = begun.elapsed().as_secs() as usize;
    served.kill();
    let lines = lines.join().unwrap();
    for kind in ["certificate-required", "handshake"] {
        let of_kind: Vec<_> = lines.iter().filter(|line| line.contains(kind)).collect();
        assert!(of_kind.len() <= seconds + 2, "{} lines in {seconds} s: {of_kind:#?}", of_kind.len());
        let more = of_kind
            .iter()
            .filter_map(|line| line.split_once("more=")?.1.split(' ').next()?.parse::<u64>().ok());
        let told = more.sum::<u64>() + of_kind.iter().filter(|line| !line.contains("more=")).count() as u64;
        let made = if kind == "handshake" { 200 } else { refused };
        assert!(told >= made, "{told} of {made}: {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("ERROR")), "{lines:#?}");
}

#[tokio::test]
async fn a_callers_own_ids_of_a_call_are_logged_beside_ours() {
    let mut served = Served::found().await;
    served.kill();
    served.start_with(Stdio::piped()).await;
    let log = served.stderr();
    let (send, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        BufReader::new(log).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut request = tonic::Request::new(v1::GetStatusRequest {});
    let parent = format!("00-{trace}-00f067440b4902b7-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    request.metadata_mut().insert("x-request-id", "visit-7".parse().unwrap());
    let answer = served.admin().await.admin().get_status(request).await.unwrap();
    let ours = answer.metadata().get("wardein-request-id").unwrap().to_str().unwrap().to_owned();
    let of_call = async {
        loop {
            match lines.recv().await.expect("the call has a line") {
                line if line.contains(&ours) => return line,
                _ => {}
            }
        }
    };
    let of_call = timeout(Duration::from_secs(60), of_call).await.unwrap();
    assert!(of_call.contains(trace) && of_call.contains("visit-7"), "{of_call}");
}
