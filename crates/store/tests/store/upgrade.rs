//! Stores that release 0.1.0 wrote, in the first format: each row counted its versions by itself, and there was neither head nor feed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use wardein_crypto::hex;
use wardein_port::{Change, Clock as _, Feed, Head, Row, Store, SystemClock, Table};
use wardein_store::{Kind, Options};
use wardein_testkit::{block_on, commit, get};

#[test]
fn a_store_of_the_first_format_goes_on_in_the_second() {
    for kind in [Kind::Sqlite, Kind::Sled] {
        let place = tempfile::tempdir().unwrap();
        let path = copy(kind, place.path());
        let versions = versions(kind, &path);
        let last = *versions.values().max().unwrap();
        assert!(versions.len() > 150 && last > 10, "{kind:?}: {} rows, {last}", versions.len());
        for _ in 0..2 {
            let store = open(kind, &path);
            let found: BTreeMap<_, _> =
                rows(&store).into_iter().map(|(name, row)| (name, row.version)).collect();
            assert_eq!(found, versions, "{kind:?}: every row is there, at its version");
            let Head { revision, last_audit } = block_on(store.head()).unwrap();
            assert_eq!(revision, last, "{kind:?}: revisions go on behind all versions");
            let entries = block_on(store.audit(1, usize::MAX)).unwrap();
            assert_eq!(entries.len() as u64, last_audit);
            // Nobody knows what was committed when.
            assert_eq!(block_on(store.feed(0, 9)), Ok(Feed::Truncated { up_to: last }));
            assert_eq!(block_on(store.feed(last - 1, 9)), Ok(Feed::Truncated { up_to: last }));
            assert_eq!(block_on(store.feed(last, 9)), Ok(Feed::Since(vec![])));
        }
        let store = open(kind, &path);
        let ((table, key), row) = rows(&store).into_iter().find(|(_, row)| row.version < last).unwrap();
        let mut change = Change::default();
        change.update(table, key.clone(), row.version, b"new".to_vec());
        change.insert(Table::Device, b"new".to_vec(), b"new".to_vec());
        assert_eq!(block_on(async { commit(&*store, change).await }), Ok(last + 1));
        let written = block_on(get(&*store, table, &key)).unwrap().unwrap();
        assert_eq!(written, Row { version: last + 1, value: b"new".to_vec() });
        let Ok(Feed::Since(commits)) = block_on(store.feed(last, 9)) else { panic!("it begins there") };
        assert_eq!(commits.len(), 1);
        drop(store);
        wardein_store::verify(kind, &path, &Options::default()).unwrap();
        assert_eq!(block_on(open(kind, &path).head()).unwrap().revision, last + 1);
    }
}

/// The values, as that release's golden files have them.
#[test]
fn no_value_is_altered() {
    let place = tempfile::tempdir().unwrap();
    let store = open(Kind::Sqlite, &copy(Kind::Sqlite, place.path()));
    let mut seen = 0;
    for entry in std::fs::read_dir(fixture().join("rows")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let Some((number, _)) = name.split_once('-') else { continue };
        let number: u8 = number.parse().unwrap();
        let table = Table::ALL.into_iter().find(|table| *table as u8 == number).unwrap();
        let rows = block_on(store.scan(table, b"", None, usize::MAX)).unwrap();
        let golden = std::fs::read_to_string(&path).unwrap();
        let found: Vec<_> = rows
            .iter()
            .map(|(key, row)| format!("{} {}", hex::encode(key), hex::encode(&row.value)))
            .collect();
        assert_eq!(found, golden.lines().collect::<Vec<_>>(), "{name}");
        seen += found.len();
    }
    assert_eq!(seen, rows(&store).len());
}

/// Not a test: what is killed. Without its variables it does nothing.
#[test]
fn victim() {
    let (Ok(path), Ok(kind)) = (std::env::var(PATH), std::env::var(KIND)) else { return };
    let kind = if kind == "sled" { Kind::Sled } else { Kind::Sqlite };
    println!("opening");
    drop(open(kind, Path::new(&path)));
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn an_upgrade_that_was_killed_is_finished() {
    let moment = SystemClock.boot_ms() * 1_000;
    for kind in [Kind::Sqlite, Kind::Sled] {
        for round in 0..12 {
            let place = tempfile::tempdir().unwrap();
            let path = copy(kind, place.path());
            let versions = versions(kind, &path);
            let mut victim = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "upgrade::victim", "--nocapture", "--test-threads=1"])
                .env(PATH, &path)
                .env(KIND, kind.name())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
            lines.find(|line| line.as_ref().unwrap().contains("opening")).unwrap().unwrap();
            let delay = (moment + round * 1_777_777) % 20_000_000;
            std::thread::sleep(Duration::from_nanos(delay));
            victim.kill().unwrap();
            victim.wait().unwrap();
            wardein_store::verify(kind, &path, &Options::default()).unwrap();
            let store = open(kind, &path);
            let found: BTreeMap<_, _> =
                rows(&store).into_iter().map(|(name, row)| (name, row.version)).collect();
            assert_eq!(found, versions, "{kind:?} after {delay} ns");
            let head = block_on(store.head()).unwrap();
            assert_eq!(Some(&head.revision), versions.values().max());
            assert_eq!(block_on(store.feed(0, 9)), Ok(Feed::Truncated { up_to: head.revision }));
        }
    }
}

fn open(kind: Kind, path: &Path) -> Arc<dyn Store> {
    wardein_store::open(kind, path, &Options::default()).unwrap()
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/0.1.0")
}

/// A copy of that release's store within `place`.
fn copy(kind: Kind, place: &Path) -> PathBuf {
    let from = fixture().join(kind.name()).join(kind.file_name());
    let to = place.join(kind.file_name());
    if kind == Kind::Sqlite {
        std::fs::copy(from, &to).unwrap();
        return to;
    }
    std::fs::create_dir(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // An empty directory of sled's is not kept with the sources.
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    to
}

type Name = (Table, Vec<u8>);

/// The version of each row in a store of the first format.
fn versions(kind: Kind, path: &Path) -> BTreeMap<Name, u64> {
    let table = |number: u8| Table::ALL.into_iter().find(|table| *table as u8 == number);
    if kind == Kind::Sqlite {
        let connection = rusqlite::Connection::open(path).unwrap();
        let format: u32 =
            connection.pragma_query_value(None, "user_version", |record| record.get(0)).unwrap();
        assert_eq!(format, 1);
        let mut rows = connection.prepare("SELECT tbl, key, version FROM rows").unwrap();
        let rows = rows.query_map((), |record| {
            let version: i64 = record.get(2)?;
            Ok(((table(record.get(0)?).unwrap(), record.get(1)?), version.cast_unsigned()))
        });
        return rows.unwrap().map(Result::unwrap).collect();
    }
    let tree = crate::opening::raw_sled(path).open_tree("wardein").unwrap();
    let mark = tree.get([0]).unwrap().unwrap();
    assert_eq!(mark, [b"wardein".as_slice(), &1_u32.to_be_bytes()].concat());
    let rows = tree.iter().map(Result::unwrap).filter_map(|(key, value)| {
        Some(((table(key[0])?, key[1..].to_vec()), u64::from_be_bytes(*value.first_chunk().unwrap())))
    });
    rows.collect()
}

fn rows(store: &Arc<dyn Store>) -> Vec<(Name, Row)> {
    let of = |table| block_on(store.scan(table, b"", None, usize::MAX)).unwrap();
    Table::ALL
        .into_iter()
        .flat_map(|table| of(table).into_iter().map(move |(key, row)| ((table, key), row)))
        .collect()
}

const PATH: &str = "WARDEIN_UPGRADE_PATH";
const KIND: &str = "WARDEIN_UPGRADE_KIND";
