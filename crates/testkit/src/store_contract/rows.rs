//! Writes, and when they are refused.

use wardein_port::{Change, CommitError, Expect, MAX_KEY, MAX_VALUE, RowKey, Table, Write};

use super::{
    Fixture, T, audit, block_on, commit, conflict, delete, done, keys, last_audit, put, read, row, scan,
};

/// Nothing is there at first, and an empty change is not a fault.
pub fn an_empty_store(fixture: &impl Fixture) {
    let store = fixture.open();
    for table in Table::ALL {
        assert_eq!(read(&store, table, b"key"), Ok(None));
        assert_eq!(scan(&store, table, b"", 10), []);
    }
    assert_eq!(audit(&store, 0, 10), vec![]);
    assert_eq!(audit(&store, 1, 10), vec![]);
    assert_eq!(last_audit(&store), 0);
    assert_eq!(done(&store, Change::default()), Ok(0), "an empty change is no fault");
    assert_eq!(last_audit(&store), 0);
}

/// A row that is expected absent is written once.
pub fn insert_only(fixture: &impl Fixture) {
    let store = fixture.open();
    assert_eq!(put(&store, T, b"k", Expect::Absent, b"first"), Ok(1));
    assert_eq!(read(&store, T, b"k"), row(1, b"first"));
    assert_eq!(put(&store, T, b"k", Expect::Absent, b"second"), conflict(T, b"k"));
    assert_eq!(read(&store, T, b"k"), row(1, b"first"));
}

/// Only the version that a row has is accepted, and each write gives it another.
pub fn only_the_current_version_is_accepted(fixture: &impl Fixture) {
    let store = fixture.open();
    assert_eq!(put(&store, T, b"k", Expect::Version(1), b"v"), conflict(T, b"k"), "there is no row");
    assert_eq!(put(&store, T, b"k", Expect::Version(0), b"v"), conflict(T, b"k"), "0 does not mean absent");
    let mut version = put(&store, T, b"k", Expect::Absent, b"1").unwrap();
    for n in 1..20 {
        // Other commits come in between: a version says nothing of how often its row was written.
        put(&store, Table::Spent, &[n], Expect::Absent, b"").unwrap();
        for wrong in [0, version - 1, version + 1, u64::MAX] {
            assert_eq!(put(&store, T, b"k", Expect::Version(wrong), b"x"), conflict(T, b"k"));
        }
        let next = put(&store, T, b"k", Expect::Version(version), &[n]).unwrap();
        assert!(next > version);
        version = next;
        assert_eq!(read(&store, T, b"k"), row(version, &[n]));
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
    assert_eq!(done(&store, rests(b"missing", 1)), conflict(T, b"missing"));
    for wrong in [0, 2, u64::MAX] {
        assert_eq!(done(&store, rests(b"rests-on", wrong)), conflict(T, b"rests-on"));
    }
    assert_eq!((last_audit(&store), keys(&store, b"made", None, 10).len()), (0, 0));
    assert_eq!(done(&store, rests(b"rests-on", 1)), Ok(2));
    assert_eq!(read(&store, T, b"rests-on"), row(1, b"v"), "it is not written");
    assert_eq!((last_audit(&store), keys(&store, b"made", None, 10).len()), (1, 1));
    // The two may come into one group, in this order.
    let (first, second) = block_on(async {
        let mut change = Change::default();
        change.update(T, b"rests-on".to_vec(), 1, b"w".to_vec());
        let (first, second) = (commit(&*store, change), commit(&*store, rests(b"rests-on", 3)));
        (first.await, second.await)
    });
    assert_eq!((first, second), (Ok(3), Ok(4)));
}

/// A row is deleted at its version, and can then be inserted again.
pub fn deletes(fixture: &impl Fixture) {
    let store = fixture.open();
    let version = put(&store, T, b"k", Expect::Absent, b"v").unwrap();
    let other = put(&store, T, b"kk", Expect::Absent, b"v").unwrap();
    assert_eq!(delete(&store, b"k", Expect::Version(other)), conflict(T, b"k"));
    assert_eq!(read(&store, T, b"k"), row(version, b"v"));
    assert_eq!(delete(&store, b"k", Expect::Version(version)), Ok(other + 1));
    assert_eq!(read(&store, T, b"k"), Ok(None));
    assert_eq!(read(&store, T, b"kk"), row(other, b"v"));
    assert_eq!(keys(&store, b"", None, 10), [b"kk"]);
    assert_eq!(delete(&store, b"k", Expect::Version(version)), conflict(T, b"k"), "it is gone already");
    let again = put(&store, T, b"k", Expect::Absent, b"again").unwrap();
    assert_eq!(read(&store, T, b"k"), row(again, b"again"));
}

/// Deleting a row that is expected absent writes nothing and holds only while it is absent.
pub fn absence_can_be_asserted(fixture: &impl Fixture) {
    let store = fixture.open();
    assert_eq!(delete(&store, b"k", Expect::Absent), Ok(1));
    assert_eq!(read(&store, T, b"k"), Ok(None));
    assert_eq!(put(&store, T, b"k", Expect::Absent, b"v"), Ok(2));
    assert_eq!(delete(&store, b"k", Expect::Absent), conflict(T, b"k"));
    assert_eq!(read(&store, T, b"k"), row(2, b"v"));
}

/// The same key in two tables is two rows.
pub fn tables_are_apart(fixture: &impl Fixture) {
    let store = fixture.open();
    for (n, table) in (1..).zip(Table::ALL) {
        assert_eq!(put(&store, table, b"k", Expect::Absent, &[n]), Ok(2 * u64::from(n) - 1));
        assert_eq!(put(&store, table, &[0xff; 4], Expect::Absent, &[n]), Ok(2 * u64::from(n)));
    }
    for (n, table) in (1..).zip(Table::ALL) {
        assert_eq!(read(&store, table, b"k"), row(2 * u64::from(n) - 1, &[n]));
        let rows = scan(&store, table, b"", 10);
        assert_eq!(rows.iter().map(|(_, row)| row.value.clone()).collect::<Vec<_>>(), [[n], [n]]);
        assert_eq!(scan(&store, table, &[0xff], 10).len(), 1);
    }
}

/// Of a change that conflicts anywhere nothing is applied, nor audited.
pub fn a_conflict_refuses_the_whole_change(fixture: &impl Fixture) {
    let store = fixture.open();
    put(&store, T, b"m", Expect::Absent, b"old").unwrap();
    put(&store, T, b"z", Expect::Absent, b"old").unwrap();
    // The conflict is first, in the middle and last.
    for at in 0..4 {
        let mut change = Change::default();
        change.insert(T, b"a".to_vec(), b"new".to_vec());
        change.update(T, b"m".to_vec(), 1, b"new".to_vec());
        change.writes.push(Write { table: T, key: b"z".to_vec(), expect: Expect::Version(2), value: None });
        change.audit = vec![b"one".to_vec(), b"two".to_vec()];
        let clash = Write {
            table: Table::Serial,
            key: b"c".to_vec(),
            expect: Expect::Version(7),
            value: Some(vec![]),
        };
        change.writes.insert(at, clash);
        assert_eq!(done(&store, change), conflict(Table::Serial, b"c"));
        assert_eq!(read(&store, T, b"a"), Ok(None));
        assert_eq!(read(&store, T, b"m"), row(1, b"old"));
        assert_eq!(read(&store, T, b"z"), row(2, b"old"));
        assert_eq!(last_audit(&store), 0);
        assert_eq!(audit(&store, 1, 10), vec![]);
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
    too_large(done(&store, change));
    assert_eq!(scan(&store, T, b"", 10), []);
    assert_eq!(last_audit(&store), 0);

    let (key, value) = ([b'k'; MAX_KEY], vec![7; MAX_VALUE]);
    assert_eq!(put(&store, T, &key, Expect::Absent, &value), Ok(1));
    assert_eq!(read(&store, T, &key), row(1, &value));
    assert_eq!(put(&store, T, b"empty", Expect::Absent, b""), Ok(2));
    assert_eq!(read(&store, T, b"empty"), row(2, b""));
    let change = Change { audit: vec![vec![7; MAX_VALUE], vec![]], ..Change::default() };
    assert_eq!(done(&store, change), Ok(3));
    assert_eq!(audit(&store, 1, 9), vec![(1, vec![7; MAX_VALUE]), (2, vec![])]);
    assert_eq!(read(&store, T, b""), Ok(None), "reading out of bounds finds nothing");
    assert_eq!(read(&store, T, &[b'k'; MAX_KEY + 1]), Ok(None));
}

/// A change that names a row twice is refused, however many rows it has.
pub fn a_key_twice_in_a_change(fixture: &impl Fixture) {
    let store = fixture.open();
    let mut change = Change::default();
    change.insert(T, b"k".to_vec(), b"1".to_vec());
    change.insert(Table::Device, b"k".to_vec(), b"another table is another row".to_vec());
    assert_eq!(done(&store, change.clone()), Ok(1));
    for filler in 0..40 {
        change.update(Table::Device, b"k".to_vec(), 1, b"2".to_vec());
        assert!(matches!(done(&store, change.clone()), Err(CommitError::TooLarge(_))));
        change.writes.pop();
        change.insert(Table::Profile, vec![filler], vec![]);
    }
    assert_eq!(read(&store, T, b"k"), row(1, b"1"));
    assert_eq!(scan(&store, Table::Profile, b"", 9), []);
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
    assert_eq!(done(&store, clashing), conflict(Table::Tenant, b"none"));
    assert_eq!(scan(&store, T, b"", 1), []);
    assert_eq!(done(&store, change), Ok(1));
    assert_eq!(scan(&store, T, b"", 5000).len(), 2000);
    assert_eq!(last_audit(&store), 2000);
}

/// Rows are loaded in the order of their names, the missing ones too.
pub fn many_rows_are_loaded_in_their_order(fixture: &impl Fixture) {
    let store = fixture.open();
    for n in 0..20_u8 {
        put(&store, T, &[n], Expect::Absent, &[n]).unwrap();
        put(&store, Table::Device, &[n], Expect::Absent, &[n, n]).unwrap();
    }
    let names: Vec<_> = (0..40_u8)
        .rev()
        .flat_map(|n| [T, Table::Device].map(|table| RowKey { table, key: vec![n] }))
        .collect();
    let rows = block_on(store.load(&names)).unwrap();
    assert_eq!(rows.len(), names.len());
    for (name, found) in names.iter().zip(rows) {
        let value = found.map(|row| row.value);
        let expected = vec![name.key[0]; if name.table == T { 1 } else { 2 }];
        assert_eq!(value, (name.key[0] < 20).then_some(expected));
    }
    assert_eq!(block_on(store.load(&[])), Ok(vec![]));
}

/// It takes changes while nothing is wrong.
pub fn it_is_writable(fixture: &impl Fixture) {
    let store = fixture.open();
    assert_eq!(store.writable(), Ok(()));
    put(&store, T, b"k", Expect::Absent, b"v").unwrap();
    assert_eq!(store.writable(), Ok(()));
}
