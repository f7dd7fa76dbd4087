//! Revisions, and the versions that they give to rows.

use std::collections::BTreeSet;

use wardein_port::{Change, Expect, Table};

use super::{Fixture, T, at_once, commit_of, conflict, delete, done, put, read, revision, row, scan};

/// All rows of a commit have its revision as their version.
pub fn a_version_is_the_revision_of_its_commit(fixture: &impl Fixture) {
    let store = fixture.open();
    for n in 1..=10_u64 {
        let mut change = Change::default();
        for (key, table) in [T, Table::Device, Table::Tenant].into_iter().enumerate() {
            change.put(table, vec![key as u8], n.checked_sub(1).filter(|n| *n > 0), vec![n as u8]);
        }
        change.insert(Table::Spent, n.to_be_bytes().to_vec(), vec![]);
        assert_eq!(done(&store, change), Ok(n));
        for (key, table) in [T, Table::Device, Table::Tenant].into_iter().enumerate() {
            assert_eq!(read(&store, table, &[key as u8]), row(n, &[n as u8]));
        }
        assert_eq!(read(&store, Table::Spent, &n.to_be_bytes()), row(n, b""));
    }
}

/// Each change that is applied has the next revision, whatever it consists of, and no other change has one.
pub fn revisions_rise_in_commit_order(fixture: &impl Fixture) {
    let store = fixture.open();
    assert_eq!(revision(&store), 0);
    assert_eq!(put(&store, T, b"k", Expect::Absent, b"v"), Ok(1));
    let audited = Change { audit: vec![b"entry".to_vec()], ..Change::default() };
    assert_eq!(done(&store, audited), Ok(2), "an entry alone");
    let mut checked = Change::default();
    checked.check(T, b"k".to_vec(), 1);
    assert_eq!(done(&store, checked), Ok(3), "a check alone");
    assert_eq!(put(&store, T, b"k", Expect::Absent, b"w"), conflict(T, b"k"));
    assert_eq!((done(&store, Change::default()), revision(&store)), (Ok(3), 3), "nothing at all");
    // Many at once, of which every third is refused, and every fourth is empty.
    let outcomes = at_once(120, |n| {
        let mut change = Change::default();
        match (n % 3, n % 4) {
            (_, 0) => {}
            (0, _) => change.insert(T, b"k".to_vec(), vec![]),
            _ => change.insert(T, vec![b'a', n as u8], vec![]),
        }
        commit_of(&store, change)
    });
    let mut revisions = BTreeSet::new();
    for (n, outcome) in (0_u8..).zip(outcomes) {
        match (n % 3, n % 4) {
            (_, 0) => assert!((3..=63).contains(&outcome.unwrap())),
            (0, _) => assert_eq!(outcome, conflict(T, b"k")),
            _ => {
                let given = outcome.unwrap();
                assert!(revisions.insert(given), "{given} was given twice");
                assert_eq!(read(&store, T, &[b'a', n]), row(given, b""));
            }
        }
    }
    assert_eq!(revisions, (4..=63).collect());
    assert_eq!(revision(&store), 63);
}

/// The next process continues where the last one ended.
pub fn revisions_go_on_over_reopenings(fixture: &impl Fixture) {
    for n in 1..=6_u64 {
        let store = fixture.open();
        assert_eq!(revision(&store), 2 * (n - 1));
        assert_eq!(done(&store, Change::default()), Ok(2 * (n - 1)), "of an empty change too");
        assert_eq!(put(&store, T, &[n as u8], Expect::Absent, b"v"), Ok(2 * n - 1));
        // The row with the highest version goes, and its revision is not given again.
        assert_eq!(delete(&store, &[n as u8], Expect::Version(2 * n - 1)), Ok(2 * n));
    }
    assert_eq!(scan(&fixture.open(), T, b"", 9), []);
}

/// A row that was deleted and inserted again cannot be mistaken for the former one.
pub fn a_version_never_comes_again(fixture: &impl Fixture) {
    let store = fixture.open();
    let mut seen = BTreeSet::new();
    let first = put(&store, T, b"k", Expect::Absent, b"v").unwrap();
    let mut version = first;
    for _ in 0..10 {
        assert!(seen.insert(version));
        delete(&store, b"k", Expect::Version(version)).unwrap();
        version = put(&store, T, b"k", Expect::Absent, b"v").unwrap();
        assert_eq!(read(&store, T, b"k"), row(version, b"v"));
        assert_eq!(put(&store, T, b"k", Expect::Version(first), b"late"), conflict(T, b"k"));
    }
}
