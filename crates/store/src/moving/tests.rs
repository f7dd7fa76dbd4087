//! Stores with something in every table, moved from each kind into each other and cut short everywhere.

use std::path::Path;
use std::sync::Arc;

use wardein_port::{Change, Feed, Indexed, Numbered, Store};
use wardein_testkit::{Postgres, block_on, commit};

use super::*;
use crate::postgres;

/// A store of that kind in an empty place: a file's of `directory`, or a database.
fn place(kind: Option<Kind>, directory: &Path, server: &Postgres) -> Place {
    match kind {
        Some(kind) => Place::Embedded(kind, directory.join(kind.file_name())),
        None => {
            let address = Address::parse(&server.database(), None, None).unwrap();
            postgres::create(&address, None).unwrap();
            Place::Postgresql { address: Box::new(address), name: "a test".into() }
        }
    }
}

fn open(place: &Place) -> Result<Arc<dyn Store>, OpenError> {
    match place {
        Place::Embedded(kind, path) => {
            crate::open::open(*kind, path, &Options { reserve: 0, ..Options::default() })
        }
        Place::Postgresql { address, name } => {
            PostgresStore::open(address, name, Sharing::Shared).map(|store| Arc::new(store) as _)
        }
    }
}

/// Rows in every table, of which some were written again and some deleted; long values and keys; entries, indexed; a feed.
fn fill(store: &dyn Store) {
    for (n, table) in (1_u8..).zip(Table::ALL) {
        let mut change = Change { at_ms: u64::from(n) * 1000, ..Change::default() };
        for row in 0..n {
            change.insert(table, [&[row, 0xff, 0], &[n; 9][..]].concat(), vec![row; usize::from(n) * 90]);
        }
        change.insert(table, vec![n; wardein_port::MAX_KEY], vec![n; 100_000]);
        change.insert(table, vec![0xff, 0xff], vec![1]);
        change.audit = vec![vec![n; 40], vec![n; 50_000]];
        for (at, key) in [(0, &b"a"[..]), (1, b"a"), (1, b"a\0\xff"), (0, b"bb")] {
            change.index.push(Indexed { key: key.to_vec(), entry: Numbered::Here(at) });
        }
        let written = block_on(commit(store, change)).unwrap();
        let mut change = Change { at_ms: u64::from(n) * 1000 + 1, ..Change::default() };
        change.update(table, [&[0, 0xff, 0], &[n; 9][..]].concat(), written, vec![n]);
        change.delete(table, vec![0xff, 0xff], written);
        block_on(commit(store, change)).unwrap();
    }
    // More than a page of one table, and of entries.
    for round in 0..3_u16 {
        let mut change = Change::default();
        for row in 0..400_u16 {
            let key = [&round.to_be_bytes()[..], &row.to_be_bytes()].concat();
            change.insert(Table::Certificate, key.clone(), key.clone());
            change.audit.push(key);
        }
        block_on(commit(store, change)).unwrap();
    }
}

/// All that a caller can read.
fn contents(store: &dyn Store) -> Vec<String> {
    let mut all = vec![format!("{:?}", block_on(store.head()))];
    for table in Table::ALL {
        for (key, row) in block_on(store.scan(table, b"", None, usize::MAX >> 1)).unwrap() {
            all.push(format!("{table:?} {key:?} {row:?}"));
        }
    }
    all.push(format!("{:?}", block_on(store.audit(1, 10_000))));
    for key in [&b"a"[..], b"a\0\xff", b"bb", b"none"] {
        all.push(format!("{:?}", block_on(store.audit_of(key, 1, 10_000))));
    }
    for after in [0, 30] {
        let feed = block_on(store.feed(after, 10_000)).unwrap();
        assert!(matches!(&feed, Feed::Since(commits) if commits.len() > 9));
        all.push(format!("{feed:?}"));
    }
    all
}

fn all_of(moving: &mut Move) {
    while moving.step().unwrap().is_some() {}
}

#[test]
fn everything_goes_from_each_kind_into_each_other_wherever_it_is_cut_short() {
    let Some(server) = Postgres::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let kinds = [Some(Kind::Sqlite), None, Some(Kind::Sled), Some(Kind::Sqlite), Some(Kind::Sled), None];
    let directory = |at: usize| {
        let directory = home.path().join(at.to_string());
        std::fs::create_dir_all(&directory).unwrap();
        directory
    };
    let mut from = place(kinds[0], &directory(0), &server);
    let store = open(&from).unwrap();
    fill(&*store);
    let before = contents(&*store);
    drop(store);
    let expected = Source::open(from.clone()).unwrap().tally(|_| {}).unwrap();
    assert!(expected.iter().all(|tally| tally.entries > 0), "{expected:?}");
    for (at, kind) in (1..).zip(&kinds[1..]) {
        let to = place(*kind, &directory(at), &server);
        // Given up after each page, until all are there.
        let mut pages = 0;
        loop {
            let source = Source::open(from.clone()).unwrap();
            source.may_go(&to).unwrap();
            let mut moving = source.begin(to.clone()).unwrap();
            assert!(matches!(open(&to), Err(OpenError::Filling { .. } | OpenError::Locked(_))));
            if moving.step().unwrap().is_none() {
                break;
            }
            pages += 1;
            drop(moving);
            assert!(matches!(open(&to), Err(OpenError::Filling { .. })));
        }
        assert!(pages > Part::all().count());
        let begun = || Source::open(from.clone()).unwrap().begin(to.clone()).unwrap();
        let mut moving = begun();
        assert_eq!(moving.verify(|_| {}).unwrap(), expected);
        moving.fill().unwrap();
        drop(moving);
        // Nothing but that is left to do. Until then the former one can be served.
        drop(open(&from).unwrap());
        let mut moving = begun();
        assert_eq!(moving.step().unwrap(), None);
        assert_eq!(moving.verify(|_| {}).unwrap(), expected);
        moving.fill().unwrap();
        moving.leave().unwrap();
        drop(moving);
        // Neither opens, until it is complete.
        assert!(matches!(open(&from), Err(OpenError::Moved { .. })));
        assert!(matches!(open(&to), Err(OpenError::Filling { .. })));
        assert!(matches!(Source::open(from.clone()), Err(OpenError::Moved { .. })));
        complete(&from, &to).unwrap();
        assert!(matches!(complete(&from, &to), Err(OpenError::Moved { .. })));
        assert!(matches!(open(&from), Err(OpenError::Moved { to: words, .. }) if words == to.shown()));
        let store = open(&to).unwrap();
        assert_eq!(contents(&*store), before);
        drop(store);
        from = to;
    }
    // It goes on from there.
    let store = open(&from).unwrap();
    let head = block_on(store.head()).unwrap();
    let mut change = Change::default();
    change.insert(Table::Tenant, vec![9], vec![9]);
    assert_eq!(block_on(commit(&*store, change)), Ok(head.revision + 1));
}

#[test]
fn a_store_goes_only_to_where_nothing_is_and_as_it_was_when_that_began() {
    let Some(server) = Postgres::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let from = place(Some(Kind::Sqlite), home.path(), &server);
    assert!(Source::open(from.clone()).is_err_and(|error| error.to_string().contains("there is no store")));
    let store = open(&from).unwrap();
    let insert = |key: u8| {
        let mut change = Change::default();
        change.insert(Table::Tenant, vec![key], vec![key]);
        change
    };
    block_on(commit(&*store, insert(1))).unwrap();
    assert!(matches!(Source::open(from.clone()), Err(OpenError::Locked(_))), "it is open");
    drop(store);
    let source = || Source::open(from.clone()).unwrap();
    for kind in [Some(Kind::Sled), None] {
        let full = place(kind, home.path(), &server);
        let store = open(&full).unwrap();
        let is_used = source().begin(full.clone());
        block_on(commit(&*store, insert(2))).unwrap();
        drop(store);
        assert!(matches!(is_used, Err(OpenError::Locked(_) | OpenError::NotEmpty(_))), "{kind:?}");
        assert!(matches!(source().may_go(&full), Err(OpenError::NotEmpty(_))), "{kind:?}");
        assert!(matches!(source().begin(full), Err(OpenError::NotEmpty(_))), "{kind:?}");
    }
    let to = place(None, home.path(), &server);
    drop(source().begin(to.clone()).unwrap());
    let store = open(&from).unwrap();
    block_on(commit(&*store, insert(3))).unwrap();
    drop(store);
    assert!(matches!(source().may_go(&to), Err(OpenError::OtherMove { .. })));
    assert!(matches!(source().begin(to), Err(OpenError::OtherMove { .. })));
}

#[test]
fn what_differs_there_is_found_and_nothing_opens() {
    let Some(server) = Postgres::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let from = place(Some(Kind::Sqlite), home.path(), &server);
    let store = open(&from).unwrap();
    fill(&*store);
    drop(store);
    for (part, sql) in [
        (
            "Tenant",
            "UPDATE wardein.rows SET version = version + 1 WHERE tbl = 2 AND key = '\\x00ff00020202020202020202'",
        ),
        ("Spent", "DELETE FROM wardein.rows WHERE tbl = 10"),
        ("audit", "UPDATE wardein.audit SET entry = '\\x00' WHERE seq = 3"),
        ("audit-index", "UPDATE wardein.audit_index SET first = first + 1 WHERE n = 1 AND key = 'bb'"),
        ("feed", "DELETE FROM wardein.feed WHERE revision = 5"),
    ] {
        let to = place(None, home.path(), &server);
        let mut moving = Source::open(from.clone()).unwrap().begin(to.clone()).unwrap();
        all_of(&mut moving);
        let Place::Postgresql { address, .. } = &to else { panic!() };
        let shown = address.shown().display().to_string();
        let database = shown.split(' ').nth(2).unwrap();
        server.sql(database, sql);
        let told = moving.verify(|_| {}).unwrap_err().to_string();
        assert!(told.contains(&format!("{part} has")), "{part}: {told}");
        assert!(matches!(open(&to), Err(OpenError::Filling { .. })));
    }
    // And a row that this release does not know.
    drop(open(&from).unwrap());
    let Place::Embedded(_, path) = &from else { panic!() };
    let unknown = "INSERT INTO rows (version, tbl, key, value) VALUES (1, 200, x'78', x'78')";
    rusqlite::Connection::open(path).unwrap().execute_batch(unknown).unwrap();
    let told = Source::open(from).unwrap().tally(|_| {}).unwrap_err().to_string();
    assert!(told.contains("tables that this release knows"), "{told}");
}

#[test]
fn a_database_that_another_process_took_in_the_meantime_is_not_left() {
    let Some(server) = Postgres::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let from = place(None, home.path(), &server);
    drop(open(&from).unwrap());
    let to = place(Some(Kind::Sqlite), home.path(), &server);
    let mut moving = Source::open(from.clone()).unwrap().begin(to.clone()).unwrap();
    all_of(&mut moving);
    moving.fill().unwrap();
    let Place::Postgresql { address, .. } = &from else { panic!() };
    let shown = address.shown().display().to_string();
    let database = shown.split(' ').nth(2).unwrap();
    server.sql(database, "INSERT INTO wardein.nodes (name, release, is_alone) VALUES ('b', '1', false)");
    let told = moving.leave().unwrap_err().to_string();
    assert!(told.contains("another process used it"), "{told}");
    server.sql(database, "DELETE FROM wardein.nodes WHERE name = 'b'; UPDATE wardein.head SET revision = 1");
    assert!(moving.leave().is_err());
    drop(moving);
    drop(open(&from).unwrap());
    assert!(matches!(open(&to), Err(OpenError::Filling { .. })));
}
