//! `StorageService.Backup` to callers that take their time: what is not taken is given up, and keeps nobody else waiting.

use crate::clock::http;
use crate::common::{ROOT_KEY, Served, now};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::Streaming;
use wardein_client::{Connection, Refusal, v1};
use wardein_engine::Ports;
use wardein_port::{Change, Table};
use wardein_server::Limits;
use wardein_testkit::{MemoryCustody, commit};

async fn served(limits: Limits) -> (Served, Connection) {
    let served = Served::serve(limits, now(), 0, with_custody).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    fill(&served, 0).await;
    (served, admin)
}

fn with_custody(ports: Ports) -> Ports {
    Ports { custody: Some(Arc::new(MemoryCustody::of(ROOT_KEY))), ..ports }
}

/// Some 4 MB that nobody reads.
async fn fill(served: &Served, mark: u8) {
    for number in 0..40_u8 {
        let mut change = Change::default();
        for row in 0..10_u8 {
            change.insert(Table::History, vec![mark, number, row], vec![number; 10_000]);
        }
        commit(&served.store, change).await.unwrap();
    }
    // A part has whole pages of rows, and so more than a message where the rows are large.
    for number in 0..24_u8 {
        let mut large = Change::default();
        large.insert(Table::History, vec![mark, u8::MAX, number], vec![number; 128 << 10]);
        commit(&served.store, large).await.unwrap();
    }
}

async fn begin(admin: &Connection) -> Result<Streaming<v1::BackupResponse>, Refusal> {
    Ok(admin.storage().backup(v1::BackupRequest {}).await?.into_inner())
}

/// The parts that come, and the code of what ended them.
async fn rest(mut parts: Streaming<v1::BackupResponse>) -> (Vec<v1::BackupResponse>, Option<String>) {
    let mut all = Vec::new();
    loop {
        match parts.message().await {
            Ok(Some(part)) => all.push(part),
            Ok(None) => return (all, None),
            Err(status) => return (all, Some(Refusal::from(status).code)),
        }
    }
}

/// Begins another as soon as the one before is given up.
async fn next(admin: &Connection) -> Streaming<v1::BackupResponse> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        match begin(admin).await {
            Ok(parts) => return parts,
            Err(refusal) => assert_eq!(refusal.code, "under-way"),
        }
        assert!(Instant::now() < patience, "it is not given up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What monitoring reads.
async fn last_backup(served: &Served) -> u64 {
    let metrics = http(served, "/metrics").await;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix("wardein_backup_last_success_timestamp_seconds "))
        .unwrap();
    value.parse().unwrap()
}

#[tokio::test]
async fn parts_that_are_not_taken_are_given_up() {
    // The clock of the test stands still from here on.
    let begun = now();
    let (served, admin) =
        served(Limits { stream_idle_time: Duration::from_millis(600), ..Limits::default() }).await;
    let stalled = begin(&admin).await.unwrap();
    assert_eq!(begin(&admin).await.unwrap_err().code, "under-way");
    assert_eq!(last_backup(&served).await, 0, "one that is not complete is none");
    let (whole, end) = rest(next(&admin).await).await;
    assert_eq!((whole.last().unwrap().is_last, end), (true, None));
    assert!(last_backup(&served).await >= begun);
    assert!(whole.iter().all(|part| part.part.len() <= 1 << 20), "clients take 4 MiB by default");
    assert!(whole.iter().any(|part| part.part.len() == 1 << 20), "a part that is larger goes in pieces");
    let (parts, end) = rest(stalled).await;
    assert!(parts.len() < whole.len() && parts.iter().all(|part| !part.is_last));
    assert_eq!(end.as_deref(), Some("backup-stalled"));
    // Who hangs up is not waited for.
    drop(next(&admin).await);
    assert!(rest(next(&admin).await).await.0.last().unwrap().is_last);
}

#[tokio::test]
async fn the_disk_is_not_filled_for_who_takes_them_slowly() {
    let (served, admin) = served(Limits { backup_held: 1 << 20, ..Limits::default() }).await;
    let slow = begin(&admin).await.unwrap();
    fill(&served, 1).await;
    drop(next(&admin).await);
    let (parts, end) = rest(slow).await;
    assert!(parts.iter().all(|part| !part.is_last));
    assert_eq!(end.as_deref(), Some("backup-too-slow"));
}
