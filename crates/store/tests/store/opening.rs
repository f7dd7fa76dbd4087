//! What is not opened, and what a failing disk does.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wardein_port::{Change, CommitError, Head, Indexed, Numbered, Outcome, Row, Store, Table};
use wardein_store::sled::SledStore;
use wardein_store::sqlite::SqliteStore;
use wardein_store::{Kind, OpenError, Options};
use wardein_testkit::block_on;

const BOTH: [Kind; 2] = [Kind::Sqlite, Kind::Sled];

#[test]
fn a_store_is_opened_once_at_a_time() {
    for kind in BOTH {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store");
        let first = open(kind, &path).unwrap();
        let error = open(kind, &path).err().unwrap();
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
    raw_sled(&other).insert("a", "b").unwrap();
    let error = SledStore::open(&other).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}

#[test]
fn a_newer_format_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store.db");
    drop(SqliteStore::open(&path).unwrap());
    sqlite(&path, "PRAGMA user_version = 4;");
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 4, known: 3, .. }), "{error}");

    let path = place.path().join("store.sled");
    drop(SledStore::open(&path).unwrap());
    let mark = [b"wardein".as_slice(), &4_u32.to_be_bytes()].concat();
    raw_sled(&path).open_tree("wardein").unwrap().insert([0], mark).unwrap();
    let error = SledStore::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 4, known: 3, .. }), "{error}");
}

#[test]
fn a_store_of_the_second_format_gets_an_index_of_its_log() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("store.db");
    commit(&open(Kind::Sqlite, &file).unwrap(), entry(1)).unwrap();
    sqlite(&file, "DROP TABLE audit_index; PRAGMA user_version = 2;");
    let folder = place.path().join("store.sled");
    commit(&open(Kind::Sled, &folder).unwrap(), entry(1)).unwrap();
    let mark = [b"wardein".as_slice(), &2_u32.to_be_bytes()].concat();
    raw_sled(&folder).open_tree("wardein").unwrap().insert([0], mark).unwrap();
    for (kind, path) in [(Kind::Sqlite, file), (Kind::Sled, folder)] {
        for number in [1, 2] {
            let store = open(kind, &path).unwrap();
            let found = || block_on(store.audit_of(b"k", 1, 9)).unwrap();
            assert_eq!(found().len(), number - 1);
            let index = vec![Indexed { key: b"k".to_vec(), entry: Numbered::Stored(number as u64) }];
            commit(&store, Change { index, ..Change::default() }).unwrap();
            assert_eq!(found().len(), number);
            commit(&store, entry(number as u64 + 1)).unwrap();
        }
        wardein_store::verify(kind, &path, &Options::default()).unwrap();
    }
}

#[test]
fn an_empty_file_is_what_a_crash_at_creation_leaves() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store.db");
    std::fs::write(&path, b"").unwrap();
    assert_eq!(head(&SqliteStore::open(&path).unwrap()), Head::default());
    // The log's mode is set before the tables are made.
    let path = place.path().join("half.db");
    sqlite(&path, "PRAGMA journal_mode = WAL; CREATE TABLE t (a); DROP TABLE t;");
    assert_eq!(head(&SqliteStore::open(&path).unwrap()), Head::default());
}

#[test]
fn damage_is_found_and_named() {
    let place = tempfile::tempdir().unwrap();
    let options = Options::default();
    let path = place.path().join("store.db");
    let store = open(Kind::Sqlite, &path).unwrap();
    (0..3).for_each(|n| assert!(commit(&store, entry(n)).is_ok()));
    drop(store);
    wardein_store::verify(Kind::Sqlite, &path, &options).unwrap();
    let found = |kind, path: &Path| match wardein_store::verify(kind, path, &options) {
        Err(OpenError::Damaged { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    sqlite(&path, "UPDATE rows SET version = 4 WHERE version = 2;");
    assert!(found(Kind::Sqlite, &path).contains("beyond the last revision"));
    sqlite(&path, "UPDATE rows SET version = 2 WHERE version = 4; DELETE FROM audit WHERE seq = 2;");
    assert!(found(Kind::Sqlite, &path).contains("the audit log has gaps"));

    let path = place.path().join("store.sled");
    let store = open(Kind::Sled, &path).unwrap();
    (0..3).for_each(|n| assert!(commit(&store, entry(n)).is_ok()));
    drop(store);
    wardein_store::verify(Kind::Sled, &path, &options).unwrap();
    let raw = |alter: &dyn Fn(&sled::Tree)| {
        let db = raw_sled(&path);
        alter(&db.open_tree("wardein").unwrap());
        db.flush().unwrap();
    };
    let row = [&[Table::Device as u8], &1_u64.to_be_bytes()[..]].concat();
    let put_version = |version: u64| {
        raw(&|tree| {
            let mut value = tree.get(&row).unwrap().unwrap().to_vec();
            value[..8].copy_from_slice(&version.to_be_bytes());
            tree.insert(&row, value).unwrap();
        });
    };
    put_version(4);
    assert!(found(Kind::Sled, &path).contains("beyond the last revision"));
    put_version(2);
    raw(&|tree| drop(tree.remove([&[0xe0], &2_u64.to_be_bytes()[..]].concat()).unwrap()));
    assert!(found(Kind::Sled, &path).contains("the audit log has gaps"));
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
        commit(&store, entry(0)).unwrap();
        drop(store);
        let all = Options { reserve: u64::MAX, ..Options::default() };
        let store = wardein_store::open(kind, &path, &all).unwrap();
        let outcome = commit(&store, entry(1));
        assert!(matches!(&outcome, Err(CommitError::Unavailable(why)) if why.contains("kept in reserve")));
        assert!(store.writable().unwrap_err().contains("kept in reserve"));
        assert_eq!(head(&*store).last_audit, 1);
        assert!(get(&store, &0_u64.to_be_bytes()).is_some());
        // But what is there for it may be written, also where both come in one group.
        let outcomes = block_on(async {
            commit_all(&store, (1..20).map(|n| Change { may_use_reserve: n % 2 == 0, ..entry(n) })).await
        });
        for (n, outcome) in (1..).zip(outcomes) {
            assert_eq!(outcome.is_ok(), n % 2 == 0, "{n}: {outcome:?}");
        }
        assert_eq!(head(&*store).last_audit, 10);
    }
}

/// Others fill the disk to its last byte. A store that is opened then reads, and takes what starts an authority.
#[test]
fn a_store_opens_on_a_disk_without_a_byte_left() {
    for (kind, is_killed) in BOTH.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let place = tempfile::tempdir().unwrap();
        let Some(_disk) = Disk::mount(place.path(), "90m") else {
            eprintln!(
                "SKIPPED: a_store_opens_on_a_disk_without_a_byte_left needs to mount a tmpfs, which is refused here"
            );
            return;
        };
        let path = place.path().join("store");
        let store = open(kind, &path).unwrap();
        for n in 0..50 {
            commit(&store, entry(n)).unwrap();
        }
        // As a kill leaves it: a clean end would give some room back.
        let copy = place.path().join("copy");
        if is_killed {
            copy_all(place.path(), "store", &copy);
        }
        drop(store);
        if is_killed {
            copy_back(&copy, place.path());
        }
        fill(&place.path().join("others"));
        let store = open(kind, &path).unwrap();
        assert!(get(&store, &49_u64.to_be_bytes()).is_some());
        let why = store.writable().unwrap_err();
        assert!(why.contains("KiB are free") && why.contains("65536 KiB are kept in reserve"), "{why}");
        let refused = commit(&store, entry(50));
        assert!(matches!(&refused, Err(CommitError::Unavailable(said)) if said.contains("KiB are free")));
        drop(store);
        // Others take what comes free, whenever that is.
        for start in 0..5 {
            fill(&place.path().join("others"));
            let store = open(kind, &path).unwrap();
            for n in 50 + start * 10..60 + start * 10 {
                commit(&store, Change { may_use_reserve: true, ..entry(n) }).unwrap();
                fill(&place.path().join("others"));
            }
        }
        let store = open(kind, &path).unwrap();
        assert_eq!(head(&*store).last_audit, 100, "{kind:?}");
        std::fs::remove_file(place.path().join("others")).unwrap();
        commit(&store, entry(100)).unwrap();
        assert_eq!(store.writable(), Ok(()));
        drop(store);
        wardein_store::verify(kind, &path, &Options::default()).unwrap();
        assert!(place.path().join("store.spare").exists(), "there is a spare for the next time");
    }
}

/// SQLite's log is copied into the file beside the commits, and restarts although they never pause.
#[test]
fn the_log_does_not_grow_with_what_is_written() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("store");
    const LOG: u64 = 8 << 20;
    const VALUE: usize = 64 << 10;
    let options = Options { cache: 1 << 20, log: LOG, ..Options::default() };
    let store = wardein_store::open(Kind::Sqlite, &path, &options).unwrap();
    let (mut written, mut longest, mut versions) = (0, 0, [None; 200]);
    for round in 0..4_u8 {
        for (key, version) in (0_u64..).zip(&mut versions) {
            let mut change = Change::default();
            change.put(Table::Device, key.to_be_bytes().to_vec(), *version, vec![round; VALUE]);
            *version = Some(commit(&store, change).unwrap());
            written += VALUE as u64;
            longest = longest.max(std::fs::metadata(place.path().join("store-wal")).unwrap().len());
        }
    }
    // It grows a little while it is copied.
    assert!(longest > LOG && longest < written * 3 / 4, "{longest} of {written}");
    drop(store);
    wardein_store::verify(Kind::Sqlite, &path, &options).unwrap();
    let store = open(Kind::Sqlite, &path).unwrap();
    assert_eq!(get(&store, &7_u64.to_be_bytes()).unwrap().value, vec![3; VALUE]);
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
        let mut store = wardein_store::open(kind, &path, &options).unwrap();
        let mut n = 0;
        let failure = loop {
            match commit(&store, entry(n)) {
                Ok(_) => n += 1,
                Err(error) => break error,
            }
            assert!(n < 100_000, "the disk does not fill up");
        };
        assert!(matches!(failure, CommitError::Unavailable(_) | CommitError::Unknown(_)), "{failure}");
        assert!(store.writable().is_err());
        assert!(matches!(commit(&store, entry(n)), Err(CommitError::Unavailable(_))));
        std::fs::remove_file(&ballast).unwrap();
        if kind == Kind::Sqlite {
            // Asking for readiness is enough to make it try again.
            let patience = Instant::now() + Duration::from_secs(20);
            while store.writable().is_err() {
                assert!(Instant::now() < patience, "{:?}", store.writable());
                std::thread::sleep(Duration::from_millis(20));
            }
        } else {
            drop(store);
            store = wardein_store::open(kind, &path, &options).unwrap();
        }
        // The change that failed may be there, if it was not said to be nowhere.
        let Head { revision, last_audit: there } = head(&*store);
        assert_eq!(revision, there, "each change has one entry");
        assert!(there == n || there == n + 1 && matches!(failure, CommitError::Unknown(_)), "{there} of {n}");
        for more in there..there + 50 {
            assert_eq!(commit(&store, entry(more)), Ok(more + 1), "no revision is given twice");
        }
        drop(store);
        wardein_store::verify(kind, &path, &options).unwrap();
        let store = wardein_store::open(kind, &path, &options).unwrap();
        for at in 0..there + 50 {
            let row = get(&store, &at.to_be_bytes()).unwrap();
            assert_eq!(row.value, vec![at as u8; 3000]);
        }
        println!("{kind:?}: full after {n} changes ({failure}), went on");
    }
}

fn open(kind: Kind, path: &Path) -> Result<Arc<dyn Store>, OpenError> {
    wardein_store::open(kind, path, &Options { cache: 1 << 20, ..Options::default() })
}

/// sled itself. Its lock can outlive the one who held it: a process that another test starts has a copy until it executes.
pub(crate) fn raw_sled(path: &Path) -> sled::Db {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        match sled::open(path) {
            Ok(db) => return db,
            Err(error) => assert!(Instant::now() < patience, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn commit(store: &Arc<dyn Store>, change: Change) -> Outcome {
    block_on(async { wardein_testkit::commit(&**store, change).await })
}

fn get(store: &Arc<dyn Store>, key: &[u8]) -> Option<Row> {
    block_on(wardein_testkit::get(&**store, Table::Device, key)).unwrap()
}

fn head(store: &dyn Store) -> Head {
    block_on(store.head()).unwrap()
}

fn entry(n: u64) -> Change {
    let mut change = Change::default();
    change.insert(Table::Device, n.to_be_bytes().to_vec(), vec![n as u8; 3000]);
    change.audit.push(n.to_be_bytes().to_vec());
    change
}

/// Commits all of them at once.
async fn commit_all(store: &Arc<dyn Store>, changes: impl Iterator<Item = Change>) -> Vec<Outcome> {
    let (told, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    let mut count = 0;
    for (n, change) in changes.enumerate() {
        let told = told.clone();
        store.commit(change, Box::new(move |outcome| drop(told.send((n, outcome)))));
        count += 1;
    }
    let mut all = Vec::new();
    while all.len() < count {
        all.push(outcomes.recv().await.unwrap());
    }
    all.sort_by_key(|(n, _)| *n);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    while file.write(&[7; 4096]).is_ok() {}
}

fn copy_all(from: &Path, prefix: &str, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if !name.to_str().unwrap().starts_with(prefix) || name.to_str().unwrap().ends_with(".spare") {
            continue;
        }
        let target = to.join(&name);
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), "", &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn copy_back(copy: &Path, to: &Path) {
    for entry in std::fs::read_dir(copy).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if target.is_dir() {
            std::fs::remove_dir_all(&target).unwrap();
        }
        std::fs::rename(entry.path(), target).unwrap();
    }
    std::fs::remove_dir(copy).unwrap();
}

fn sqlite(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

pub(crate) struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    pub(crate) fn mount(at: &'a Path, size: &str) -> Option<Self> {
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
