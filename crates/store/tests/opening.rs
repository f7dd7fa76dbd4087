//! What is not opened, and what a failing disk does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test states its expectations so, also in its helpers"
)]

use std::path::Path;
use std::process::Command;

use wardein_engine::port::{Change, CommitError, Store, Table};
use wardein_store::sled::SledStore;
use wardein_store::sqlite::SqliteStore;
use wardein_store::{AnyStore, Kind, OpenError, Options};
use wardein_testkit::store_contract::block_on;

const BOTH: [Kind; 2] = [Kind::Sqlite, Kind::Sled];

#[test]
fn a_store_is_opened_once_at_a_time() {
    for kind in BOTH {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store");
        let first = open(kind, &path).unwrap();
        let error = open(kind, &path).unwrap_err();
        assert!(matches!(error, OpenError::Locked(_)), "{error}");
        assert!(error.to_string().contains("another process has this store open"));
        drop(first);
        open(kind, &path).unwrap();
    }
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let text = place.path().join("text");
    std::fs::write(&text, vec![b'x'; 5000]).unwrap();
    let other = place.path().join("other.db");
    sqlite(&other, "CREATE TABLE t (a); INSERT INTO t VALUES (1);");
    let marked = place.path().join("marked.db");
    sqlite(&marked, "PRAGMA application_id = 7; PRAGMA user_version = 1;");
    for path in [&text, &other, &marked] {
        let before = std::fs::read(path).unwrap();
        let error = SqliteStore::open(path).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert_eq!(std::fs::read(path).unwrap(), before);
    }
    let other = place.path().join("other.sled");
    sled::open(&other).unwrap().insert("a", "b").unwrap();
    let error = SledStore::open(&other).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}

#[test]
fn a_newer_format_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store.db");
    drop(SqliteStore::open(&path).unwrap());
    sqlite(&path, "PRAGMA user_version = 2;");
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }), "{error}");

    let path = place.path().join("store.sled");
    drop(SledStore::open(&path).unwrap());
    let mark = [b"wardein".as_slice(), &2_u32.to_be_bytes()].concat();
    sled::open(&path).unwrap().open_tree("wardein").unwrap().insert([0], mark).unwrap();
    let error = SledStore::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }), "{error}");
}

#[test]
fn an_empty_file_is_what_a_crash_at_creation_leaves() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store.db");
    std::fs::write(&path, b"").unwrap();
    assert_eq!(SqliteStore::open(&path).unwrap().last_audit(), Ok(0));
    // The log's mode is set before the tables are made.
    let path = place.path().join("half.db");
    sqlite(&path, "PRAGMA journal_mode = WAL; CREATE TABLE t (a); DROP TABLE t;");
    assert_eq!(SqliteStore::open(&path).unwrap().last_audit(), Ok(0));
}

#[test]
fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let _sqlite = open(Kind::Sqlite, &place.path().join("store.db")).unwrap();
    let _sled = open(Kind::Sled, &place.path().join("store.sled")).unwrap();
    for entry in std::fs::read_dir(place.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.file_name());
    }
}

#[test]
fn the_reserve_refuses_writes_and_not_reads() {
    for kind in BOTH {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store");
        let store = open(kind, &path).unwrap();
        block_on(store.commit(entry(0))).unwrap();
        drop(store);
        let all = Options { reserve: u64::MAX, ..Options::default() };
        let store = AnyStore::open(kind, &path, &all).unwrap();
        let outcome = block_on(store.commit(entry(1)));
        assert!(matches!(&outcome, Err(CommitError::Unavailable(why)) if why.contains("kept in reserve")));
        assert!(store.writable().unwrap_err().contains("kept in reserve"));
        assert_eq!(store.last_audit(), Ok(1));
        assert!(store.get(Table::Device, &0_u64.to_be_bytes()).unwrap().is_some());
    }
}

/// SQLite's log is copied into the file beside the commits, and begins anew though they never pause.
#[test]
fn the_log_does_not_grow_with_what_is_written() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    const LOG: u64 = 8 << 20;
    const VALUE: usize = 64 << 10;
    let options = Options { cache: 1 << 20, log: LOG, ..Options::default() };
    let store = AnyStore::open(Kind::Sqlite, &path, &options).unwrap();
    let (mut written, mut longest) = (0, 0);
    for version in 0..4_u64 {
        for key in 0..200_u64 {
            let (key, value) = (key.to_be_bytes().to_vec(), vec![version as u8; VALUE]);
            let mut change = Change::default();
            match version {
                0 => change.insert(Table::Device, key, value),
                version => change.update(Table::Device, key, version, value),
            }
            block_on(store.commit(change)).unwrap();
            written += VALUE as u64;
            longest = longest.max(std::fs::metadata(place.path().join("store-wal")).unwrap().len());
        }
    }
    // It grows a little while it is copied.
    assert!(longest > LOG && longest < written * 3 / 4, "{longest} of {written}");
    drop(store);
    let store = open(Kind::Sqlite, &path).unwrap();
    store.verify().unwrap();
    assert_eq!(store.get(Table::Device, &7_u64.to_be_bytes()).unwrap().unwrap().value, vec![3; VALUE]);
}

/// The disk fills up to its last byte, as no reserve is kept: nothing that was acknowledged is lost, and SQLite goes on in
/// place once there is room, sled after it was opened again.
#[test]
fn a_full_disk_loses_nothing() {
    for kind in BOTH {
        let place = tempfile::tempdir().unwrap();
        let Some(_disk) = Disk::mount(place.path(), "12m") else {
            eprintln!("SKIPPED: a_full_disk_loses_nothing needs to mount a tmpfs, which is refused here");
            return;
        };
        let ballast = place.path().join("ballast");
        std::fs::write(&ballast, vec![0; 4 << 20]).unwrap();
        let options = Options { reserve: 0, cache: 1 << 20, ..Options::default() };
        let path = place.path().join("store");
        let mut store = AnyStore::open(kind, &path, &options).unwrap();
        let mut n = 0;
        let failure = loop {
            match block_on(store.commit(entry(n))) {
                Ok(()) => n += 1,
                Err(error) => break error,
            }
            assert!(n < 100_000, "the disk does not fill up");
        };
        assert!(matches!(failure, CommitError::Unavailable(_) | CommitError::Unknown(_)), "{failure}");
        assert!(store.writable().is_err());
        assert!(matches!(block_on(store.commit(entry(n))), Err(CommitError::Unavailable(_))));
        std::fs::remove_file(&ballast).unwrap();
        if kind == Kind::Sqlite {
            // Asking for readiness is enough to make it try again.
            let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while store.writable().is_err() {
                assert!(std::time::Instant::now() < patience, "{:?}", store.writable());
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        } else {
            drop(store);
            store = AnyStore::open(kind, &path, &options).unwrap();
        }
        // The change that failed may be there, if it was not said to be nowhere.
        let there = store.last_audit().unwrap();
        assert!(there == n || there == n + 1 && matches!(failure, CommitError::Unknown(_)), "{there} of {n}");
        for more in there..there + 50 {
            block_on(store.commit(entry(more))).unwrap();
        }
        drop(store);
        let store = AnyStore::open(kind, &path, &options).unwrap();
        store.verify().unwrap();
        for at in 0..there + 50 {
            let row = store.get(Table::Device, &at.to_be_bytes()).unwrap().unwrap();
            assert_eq!(row.value, vec![at as u8; 3000]);
        }
        println!("{kind:?}: full after {n} changes ({failure}), went on");
    }
}

fn open(kind: Kind, path: &Path) -> Result<AnyStore, OpenError> {
    AnyStore::open(kind, path, &Options { cache: 1 << 20, ..Options::default() })
}

fn entry(n: u64) -> Change {
    let mut change = Change::default();
    change.insert(Table::Device, n.to_be_bytes().to_vec(), vec![n as u8; 3000]);
    change.audit.push(n.to_be_bytes().to_vec());
    change
}

fn sqlite(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={size}"))
            .arg("tmpfs")
            .arg(at)
            .output();
        done.is_ok_and(|done| done.status.success()).then_some(Self(at))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Lazily: a store of a failed test may still be open.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
