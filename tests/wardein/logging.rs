//! The log under attack: a reader that stalls, and floods.

use crate::common::Served;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use wardein_client::{Connection, connect, v1};

/// More lines than a pipe and the queue behind it hold.
const LINES: usize = 10_000;

/// Makes calls that leave a line each.
async fn calls(connection: &Connection, count: usize) {
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move {
                for _ in 0..count / 50 {
                    // Refused or not: either has an answer.
                    let _ = connection.admin().get_status(v1::GetStatusRequest {}).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
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
    calls(&nobody, 2_000).await;
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
        let made = if kind == "handshake" { 200 } else { 2_000 };
        assert!(told >= made, "{told} of {made}: {of_kind:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("ERROR")), "{lines:#?}");
}
