//! Durability: the audit log, large values, reopenings.

use std::collections::BTreeMap;

use wardein_port::{Change, Expect, MAX_VALUE, Row};

use super::{Fixture, T, at_once, audit, commit_of, delete, done, last_audit, put, read, row, scan};

/// Audit numbers start at 1 and continue without gaps, over reopenings.
pub fn audit_has_no_gaps(fixture: &impl Fixture) {
    let mut store = fixture.open();
    let entry = |n: u64| n.to_be_bytes().repeat((n % 7) as usize);
    let mut expected = Vec::new();
    for n in 0..40_u64 {
        let several: Vec<_> = (0..n % 4).map(|k| entry(n * 10 + k)).collect();
        expected.extend(several.iter().cloned());
        let change = Change { audit: several, ..Change::default() };
        done(&store, change).unwrap();
        assert_eq!(last_audit(&store), expected.len() as u64);
        if n % 10 == 9 {
            drop(store);
            store = fixture.open();
            assert_eq!(last_audit(&store), expected.len() as u64, "over a reopening");
        }
    }
    let expected: Vec<_> = (1..).zip(expected).collect();
    assert_eq!(audit(&store, 1, usize::MAX), expected.clone());
    assert_eq!(audit(&store, 0, usize::MAX), expected.clone());
    assert_eq!(audit(&store, 5, 3), expected[4..7].to_vec());
    assert_eq!(audit(&store, 5, 0), vec![]);
    let last = expected.len() as u64;
    assert_eq!(audit(&store, last, 9), expected[expected.len() - 1..].to_vec());
    assert_eq!(audit(&store, last + 1, 9), vec![]);
    assert_eq!(audit(&store, u64::MAX, 9), vec![]);
}

/// Refused changes leave no gaps, and the entries of one change follow each other.
pub fn audit_has_no_gaps_across_groups(fixture: &impl Fixture) {
    for round in 0..3_u64 {
        let store = fixture.open();
        let outcomes = at_once(600, |n| {
            let mut change = Change::default();
            // One in five is refused, and must leave no hole.
            let key = if n % 5 == 0 { b"same".to_vec() } else { [round, n].map(u64::to_be_bytes).concat() };
            change.insert(T, key, vec![]);
            change.audit = vec![n.to_be_bytes().to_vec(), [n.to_be_bytes(); 2].concat()];
            commit_of(&store, change)
        });
        let applied = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
        assert_eq!(applied, 480 + u64::from(round == 0));
        let before = 2 * (480 * round + u64::from(round > 0));
        assert_eq!(last_audit(&store), before + 2 * applied);
        let entries = audit(&store, before + 1, usize::MAX);
        assert_eq!(entries.len() as u64, 2 * applied);
        for (pair, at) in entries.chunks(2).zip((before + 1..).step_by(2)) {
            assert_eq!((pair[0].0, pair[1].0), (at, at + 1));
            assert_eq!(pair[1].1, [&pair[0].1[..]; 2].concat(), "a change's entries follow each other");
        }
    }
}

/// Values of all sizes come back as they were, also in place of longer and shorter ones.
pub fn large_values(fixture: &impl Fixture) {
    let mut store = fixture.open();
    let sizes =
        [0, 1, 3999, 4000, 4001, 4095, 4096, 4097, 8000, 8192, 12_345, 40_000, MAX_VALUE - 1, MAX_VALUE];
    let value =
        |seed: usize, size: usize| (0..size).map(|n| (n * 31 + n / 251 + seed) as u8).collect::<Vec<_>>();
    for size in sizes {
        put(&store, T, &size.to_be_bytes(), Expect::Absent, &value(1, size)).unwrap();
    }
    let version_of = |store, key: usize| read(store, T, &key.to_be_bytes()).unwrap().unwrap().version;
    // Grow and shrink: remnants of a longer value must not show.
    let mut version = version_of(&store, 0);
    for size in sizes.into_iter().rev().chain(sizes) {
        let other = sizes[(size * 7) % sizes.len()];
        version = put(&store, T, &0_usize.to_be_bytes(), Expect::Version(version), &value(2, other)).unwrap();
        assert_eq!(read(&store, T, &0_usize.to_be_bytes()), row(version, &value(2, other)));
    }
    let version = version_of(&store, MAX_VALUE);
    delete(&store, &MAX_VALUE.to_be_bytes(), Expect::Version(version)).unwrap();
    put(&store, T, &MAX_VALUE.to_be_bytes(), Expect::Absent, b"small").unwrap();
    let change = Change { audit: sizes.map(|size| value(3, size)).to_vec(), ..Change::default() };
    done(&store, change).unwrap();
    for _ in 0..2 {
        let rows: BTreeMap<_, _> = scan(&store, T, b"", 100).into_iter().collect();
        assert_eq!(rows.len(), sizes.len());
        for size in &sizes[1..sizes.len() - 1] {
            assert_eq!(rows[&size.to_be_bytes().to_vec()].value, value(1, *size));
        }
        assert_eq!(rows[&MAX_VALUE.to_be_bytes().to_vec()].value, b"small");
        let entries = audit(&store, 1, 100);
        assert!(entries.iter().zip(sizes).all(|((_, entry), size)| *entry == value(3, size)));
        drop(store);
        store = fixture.open();
    }
}

/// Acknowledged changes are there after reopening.
pub fn everything_survives_reopening(fixture: &impl Fixture) {
    for round in 1..=5_u64 {
        let store = fixture.open();
        for n in 0..20_u64 {
            let key = n.to_be_bytes().to_vec();
            let mut change = Change::default();
            match round {
                1 => change.insert(T, key, [round, n].map(u64::to_be_bytes).concat()),
                _ => {
                    change.update(T, key, (round - 2) * 20 + n + 1, [round, n].map(u64::to_be_bytes).concat())
                }
            }
            change.audit.push([round, n].map(u64::to_be_bytes).concat());
            done(&store, change).unwrap();
        }
        drop(store);
        let store = fixture.open();
        let rows = scan(&store, T, b"", 100);
        assert_eq!(rows.len(), 20);
        for (n, (key, found)) in (0_u64..).zip(rows) {
            assert_eq!(key, n.to_be_bytes());
            assert_eq!(
                found,
                Row { version: (round - 1) * 20 + n + 1, value: [round, n].map(u64::to_be_bytes).concat() }
            );
        }
        let entries = audit(&store, 1, 1000);
        assert_eq!(entries.len() as u64, 20 * round);
        for (n, (seq, entry)) in (0_u64..).zip(entries) {
            assert_eq!((seq, entry), (n + 1, [n / 20 + 1, n % 20].map(u64::to_be_bytes).concat()));
        }
    }
}
