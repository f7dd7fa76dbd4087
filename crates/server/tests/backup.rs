//! `StorageService.Backup` to callers that take their time: what is not taken is given up, and keeps nobody else waiting.
#![allow(clippy::unwrap_used, reason = "a test states its expectations so")]

mod common;

use common::{Served, now};
use std::time::{Duration, Instant};
use tonic::Streaming;
use wardein_client::{Connection, Refusal, v1};
use wardein_engine::port::{Change, Custody, CustodyError, RootKey, Store, Table};
use wardein_server::Limits;

/// Custody of which nothing is asked but what goes into a backup.
struct Kept;

impl Custody for Kept {
    fn keep(&self, _: &RootKey) -> Result<(), CustodyError> {
        Err(CustodyError("not here".into()))
    }

    fn keep_only(&self, _: u32) -> Result<(), CustodyError> {
        Err(CustodyError("not here".into()))
    }

    fn wrapped(&self) -> Result<Vec<u8>, CustodyError> {
        Ok(b"wrapped".to_vec())
    }
}

async fn served(limits: Limits) -> (Served, Connection) {
    let served = Served::serve(limits, now(), 0, |engine| engine.with_custody(Kept)).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    fill(&served, 0).await;
    (served, admin)
}

/// Some 4 MB that nobody reads.
async fn fill(served: &Served, mark: u8) {
    for number in 0..40_u8 {
        let mut change = Change::default();
        for row in 0..10_u8 {
            change.insert(Table::History, vec![mark, number, row], vec![number; 10_000]);
        }
        served.store.commit(change).await.unwrap();
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

#[tokio::test]
async fn parts_that_are_not_taken_are_given_up() {
    let (_served, admin) =
        served(Limits { stream_idle_time: Duration::from_millis(600), ..Limits::default() }).await;
    let stalled = begin(&admin).await.unwrap();
    assert_eq!(begin(&admin).await.unwrap_err().code, "under-way");
    let (whole, end) = rest(next(&admin).await).await;
    assert_eq!((whole.last().unwrap().is_last, end), (true, None));
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
