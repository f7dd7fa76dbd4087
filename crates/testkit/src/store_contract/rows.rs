//! What is written, and when it is refused.

use wardein_engine::port::{Change, CommitError, Expect, MAX_KEY, MAX_VALUE, Store, Table, Write};

use super::{Fixture, T, block_on, conflict, delete, keys, put, row};

/// Nothing is there at first, and a change of nothing is no fault.
pub fn an_empty_store(fixture: &impl Fixture) {
    let store = fixture.open();
    for table in Table::ALL {
        assert_eq!(store.get(table, b"key"), Ok(None));
        assert_eq!(store.scan(table, b"", None, 10), Ok(vec![]));
    }
    assert_eq!(store.audit(0, 10), Ok(vec![]));
    assert_eq!(store.audit(1, 10), Ok(vec![]));
    assert_eq!(store.last_audit(), Ok(0));
    assert_eq!(block_on(store.commit(Change::default())), Ok(()), "an empty change is no fault");
    assert_eq!(store.last_audit(), Ok(0));
}

/// A row that is expected absent is written once.
pub fn insert_only(fixture: &impl Fixture) {
    let store = fixture.open();
    assert_eq!(put(&store, T, b"k", Expect::Absent, b"first"), Ok(()));
    assert_eq!(store.get(T, b"k"), row(1, b"first"));
    assert_eq!(put(&store, T, b"k", Expect::Absent, b"second"), conflict(T, b"k"));
    assert_eq!(store.get(T, b"k"), row(1, b"first"));
}

/// A version starts at 1, rises by one, and only the current one is accepted.
pub fn versions_rise_by_one(fixture: &impl Fixture) {
    let store = fixture.open();
    assert_eq!(put(&store, T, b"k", Expect::Version(1), b"v"), conflict(T, b"k"), "there is no row");
    assert_eq!(put(&store, T, b"k", Expect::Version(0), b"v"), conflict(T, b"k"), "0 does not mean absent");
    assert_eq!(put(&store, T, b"k", Expect::Absent, b"1"), Ok(()));
    for version in 1..20 {
        for wrong in [0, version - 1, version + 1, u64::MAX] {
            assert_eq!(put(&store, T, b"k", Expect::Version(wrong), b"x"), conflict(T, b"k"));
        }
        assert_eq!(put(&store, T, b"k", Expect::Version(version), &[version as u8]), Ok(()));
        assert_eq!(store.get(T, b"k"), row(version + 1, &[version as u8]));
    }
}

/// A change that rests on a row is refused where that has changed, and leaves the row alone; within a group as well.
pub fn checks(fixture: &impl Fixture) {
    let store = fixture.open();
    put(&store, T, b"rests-on", Expect::Absent, b"v").unwrap();
    let rests = |key: &[u8], version| {
        let mut change = Change::default();
        change.check(T, key.to_vec(), version);
        change.insert(T, format!("made-{}-{version}", key.len()).into_bytes(), b"made".to_vec());
        change.audit.push(b"made".to_vec());
        change
    };
    assert_eq!(block_on(store.commit(rests(b"missing", 1))), conflict(T, b"missing"));
    for wrong in [0, 2, u64::MAX] {
        assert_eq!(block_on(store.commit(rests(b"rests-on", wrong))), conflict(T, b"rests-on"));
    }
    assert_eq!((store.last_audit(), keys(&store, b"made", None, 10).len()), (Ok(0), 0));
    assert_eq!(block_on(store.commit(rests(b"rests-on", 1))), Ok(()));
    assert_eq!(store.get(T, b"rests-on"), row(1, b"v"), "it is not written");
    assert_eq!((store.last_audit(), keys(&store, b"made", None, 10).len()), (Ok(1), 1));
    // The two may come into one group, in this order.
    let (first, second) = block_on(async {
        let mut change = Change::default();
        change.update(T, b"rests-on".to_vec(), 1, b"w".to_vec());
        let (first, second) = (store.commit(change), store.commit(rests(b"rests-on", 2)));
        (first.await, second.await)
    });
    assert_eq!((first, second), (Ok(()), Ok(())));
}

/// A row is deleted at its version, and can then be inserted anew.
pub fn deletes(fixture: &impl Fixture) {
    let store = fixture.open();
    put(&store, T, b"k", Expect::Absent, b"v").unwrap();
    put(&store, T, b"kk", Expect::Absent, b"v").unwrap();
    assert_eq!(delete(&store, b"k", Expect::Version(2)), conflict(T, b"k"));
    assert_eq!(store.get(T, b"k"), row(1, b"v"));
    assert_eq!(delete(&store, b"k", Expect::Version(1)), Ok(()));
    assert_eq!(store.get(T, b"k"), Ok(None));
    assert_eq!(store.get(T, b"kk"), row(1, b"v"));
    assert_eq!(keys(&store, b"", None, 10), [b"kk"]);
    assert_eq!(delete(&store, b"k", Expect::Version(1)), conflict(T, b"k"), "it is gone already");
    assert_eq!(put(&store, T, b"k", Expect::Absent, b"again"), Ok(()));
    assert_eq!(store.get(T, b"k"), row(1, b"again"));
}

/// Deleting what is expected absent writes nothing and holds only while it is absent.
pub fn absence_can_be_asserted(fixture: &impl Fixture) {
    let store = fixture.open();
    assert_eq!(delete(&store, b"k", Expect::Absent), Ok(()));
    assert_eq!(store.get(T, b"k"), Ok(None));
    put(&store, T, b"k", Expect::Absent, b"v").unwrap();
    assert_eq!(delete(&store, b"k", Expect::Absent), conflict(T, b"k"));
    assert_eq!(store.get(T, b"k"), row(1, b"v"));
}

/// The same key in two tables is two rows.
pub fn tables_are_apart(fixture: &impl Fixture) {
    let store = fixture.open();
    for (n, table) in (1..).zip(Table::ALL) {
        assert_eq!(put(&store, table, b"k", Expect::Absent, &[n]), Ok(()));
        assert_eq!(put(&store, table, &[0xff; 4], Expect::Absent, &[n]), Ok(()));
    }
    for (n, table) in (1..).zip(Table::ALL) {
        assert_eq!(store.get(table, b"k"), row(1, &[n]));
        let rows = store.scan(table, b"", None, 10).unwrap();
        assert_eq!(rows.iter().map(|(_, row)| row.value.clone()).collect::<Vec<_>>(), [[n], [n]]);
        assert_eq!(store.scan(table, &[0xff], None, 10).unwrap().len(), 1);
    }
}

/// Of a change that conflicts anywhere nothing is applied, nor audited.
pub fn a_conflict_refuses_the_whole_change(fixture: &impl Fixture) {
    let store = fixture.open();
    put(&store, T, b"m", Expect::Absent, b"old").unwrap();
    put(&store, T, b"z", Expect::Absent, b"old").unwrap();
    // The conflict stands first, in the middle and last.
    for at in 0..4 {
        let mut change = Change::default();
        change.insert(T, b"a".to_vec(), b"new".to_vec());
        change.update(T, b"m".to_vec(), 1, b"new".to_vec());
        change.writes.push(Write { table: T, key: b"z".to_vec(), expect: Expect::Version(1), value: None });
        change.audit = vec![b"one".to_vec(), b"two".to_vec()];
        let clash = Write {
            table: Table::Serial,
            key: b"c".to_vec(),
            expect: Expect::Version(7),
            value: Some(vec![]),
        };
        change.writes.insert(at, clash);
        assert_eq!(block_on(store.commit(change)), conflict(Table::Serial, b"c"));
        assert_eq!(store.get(T, b"a"), Ok(None));
        assert_eq!(store.get(T, b"m"), row(1, b"old"));
        assert_eq!(store.get(T, b"z"), row(1, b"old"));
        assert_eq!(store.last_audit(), Ok(0));
        assert_eq!(store.audit(1, 10), Ok(vec![]));
    }
}

/// Keys, values and entries are accepted up to their bound and refused beyond, with nothing applied.
pub fn bounds(fixture: &impl Fixture) {
    let store = fixture.open();
    let too_large = |outcome| assert!(matches!(outcome, Err(CommitError::TooLarge(_))), "{outcome:?}");
    too_large(put(&store, T, b"", Expect::Absent, b"v"));
    too_large(put(&store, T, &[b'k'; MAX_KEY + 1], Expect::Absent, b"v"));
    too_large(put(&store, T, b"k", Expect::Absent, &vec![7; MAX_VALUE + 1]));
    too_large(delete(&store, b"", Expect::Absent));
    let mut change = Change::default();
    change.insert(T, b"k".to_vec(), b"v".to_vec());
    change.audit.push(vec![7; MAX_VALUE + 1]);
    too_large(block_on(store.commit(change)));
    assert_eq!(store.scan(T, b"", None, 10), Ok(vec![]));
    assert_eq!(store.last_audit(), Ok(0));

    let (key, value) = ([b'k'; MAX_KEY], vec![7; MAX_VALUE]);
    assert_eq!(put(&store, T, &key, Expect::Absent, &value), Ok(()));
    assert_eq!(store.get(T, &key), row(1, &value));
    assert_eq!(put(&store, T, b"empty", Expect::Absent, b""), Ok(()));
    assert_eq!(store.get(T, b"empty"), row(1, b""));
    let change = Change { audit: vec![vec![7; MAX_VALUE], vec![]], ..Change::default() };
    assert_eq!(block_on(store.commit(change)), Ok(()));
    assert_eq!(store.audit(1, 9), Ok(vec![(1, vec![7; MAX_VALUE]), (2, vec![])]));
    assert_eq!(store.get(T, b""), Ok(None), "reading out of bounds finds nothing");
    assert_eq!(store.get(T, &[b'k'; MAX_KEY + 1]), Ok(None));
}

/// A change that names a row twice is refused, however many rows it has.
pub fn a_key_twice_in_a_change(fixture: &impl Fixture) {
    let store = fixture.open();
    let mut change = Change::default();
    change.insert(T, b"k".to_vec(), b"1".to_vec());
    change.insert(Table::Device, b"k".to_vec(), b"another table is another row".to_vec());
    assert_eq!(block_on(store.commit(change.clone())), Ok(()));
    for filler in 0..40 {
        change.update(Table::Device, b"k".to_vec(), 1, b"2".to_vec());
        assert!(matches!(block_on(store.commit(change.clone())), Err(CommitError::TooLarge(_))));
        change.writes.pop();
        change.insert(Table::Profile, vec![filler], vec![]);
    }
    assert_eq!(store.get(T, b"k"), row(1, b"1"));
    assert_eq!(store.scan(Table::Profile, b"", None, 9), Ok(vec![]));
}

/// A change of thousands of rows is applied whole or not at all.
pub fn many_writes_in_a_change(fixture: &impl Fixture) {
    let store = fixture.open();
    let mut change = Change::default();
    for n in 0..2000_u32 {
        change.insert(T, n.to_be_bytes().to_vec(), vec![n as u8; 300]);
        change.audit.push(n.to_be_bytes().to_vec());
    }
    let mut clashing = change.clone();
    clashing.update(Table::Tenant, b"none".to_vec(), 1, vec![]);
    assert_eq!(block_on(store.commit(clashing)), conflict(Table::Tenant, b"none"));
    assert_eq!(store.scan(T, b"", None, 1), Ok(vec![]));
    assert_eq!(block_on(store.commit(change)), Ok(()));
    assert_eq!(store.scan(T, b"", None, 5000).unwrap().len(), 2000);
    assert_eq!(store.last_audit(), Ok(2000));
}
