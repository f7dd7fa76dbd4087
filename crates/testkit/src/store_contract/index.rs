//! The index of the audit log.

use super::{Fixture, block_on, done, last_audit};
use std::collections::BTreeMap;
use std::sync::Arc;
use wardein_port::{Change, CommitError, Entries, Indexed, MAX_KEY, Numbered, Store};

/// A change with an entry of `n`, found under `keys`.
fn filed(n: u64, keys: &[&[u8]]) -> Change {
    let mut change = Change { audit: vec![n.to_be_bytes().to_vec()], ..Change::default() };
    change.index = keys.iter().map(|key| Indexed { key: key.to_vec(), entry: Numbered::Here(0) }).collect();
    change
}

fn found(store: &Arc<dyn Store>, key: &[u8], from: u64, limit: usize) -> Entries {
    block_on(store.audit_of(key, from, limit)).unwrap()
}

const KEYS: [&[u8]; 5] = [b"a", b"a\0", b"a\0b", b"ab", b"\xff\xff"];

/// Entries are found under their keys alone, numbered from 1 without gaps, from every place and with every limit, across groups and
/// reopenings.
pub fn entries_are_found_by_their_keys(fixture: &impl Fixture) {
    let mut expected: BTreeMap<&[u8], Vec<u64>> = BTreeMap::new();
    for round in 0..3 {
        let store = fixture.open();
        for n in 1..=100 {
            let n = round * 100 + n;
            let keys: Vec<_> =
                KEYS.into_iter().zip(1..).filter(|(_, k)| n % k == 0).map(|(key, _)| key).collect();
            keys.iter().for_each(|key| expected.entry(key).or_default().push(n));
            done(&store, filed(n, &keys)).unwrap();
        }
        for (key, numbers) in &expected {
            for from in [0, 1, 2, 19, 20, 21, 60, 99, 100, 101, u64::MAX] {
                for limit in [0, 1, 7, usize::MAX] {
                    let wanted = (1..).zip(numbers).filter(|(n, _)| *n >= from).take(limit);
                    let wanted: Entries = wanted.map(|(n, of)| (n, of.to_be_bytes().to_vec())).collect();
                    assert_eq!(found(&store, key, from, limit), wanted, "{key:x?} from {from}, {limit}");
                }
            }
        }
        assert_eq!(found(&store, b"b", 1, 9), []);
        assert_eq!(found(&store, b"", 1, 9), []);
    }
}

/// The same where many changes come into one group, and some of them conflict.
pub fn groups_are_indexed_as_single_changes_are(fixture: &impl Fixture) {
    let store = fixture.open();
    let outcomes = super::at_once(600, |n| {
        let mut change = filed(n, &[if n % 3 == 0 { b"three" } else { b"other" }, b"all"]);
        // One in ten has lost.
        let key = if n % 10 == 0 { 0 } else { n };
        change.insert(super::T, key.to_be_bytes().to_vec(), vec![]);
        super::commit_of(&store, change)
    });
    let all: Vec<u64> = (0..600).filter(|n| outcomes[*n as usize].is_ok()).collect();
    assert_eq!(all.len(), 541);
    let of = |key| -> Vec<u64> {
        let entries = found(&store, key, 1, usize::MAX);
        entries.into_iter().map(|(_, value)| u64::from_be_bytes(value.try_into().unwrap())).collect()
    };
    assert_eq!(of(b"all"), all);
    assert_eq!(of(b"three"), all.iter().copied().filter(|n| n % 3 == 0).collect::<Vec<_>>());
    let log: Vec<_> = super::audit(&store, 1, usize::MAX).into_iter().map(|(_, value)| value).collect();
    let by_key: Vec<_> = found(&store, b"all", 1, usize::MAX).into_iter().map(|(_, value)| value).collect();
    assert_eq!(by_key, log);
}

/// Entries that are stored already can be indexed, in their order, and once: what a key has is left alone.
pub fn stored_entries_are_indexed_once(fixture: &impl Fixture) {
    let store = fixture.open();
    for n in 1..=10 {
        done(&store, filed(n, &[])).unwrap();
    }
    let stored = |numbers: &[u64]| Change {
        index: numbers.iter().map(|n| Indexed { key: b"k".to_vec(), entry: Numbered::Stored(*n) }).collect(),
        ..Change::default()
    };
    done(&store, stored(&[2, 3, 5])).unwrap();
    let store = {
        drop(store);
        fixture.open()
    };
    done(&store, stored(&[2, 3, 5])).unwrap();
    done(&store, stored(&[5, 7])).unwrap();
    done(&store, filed(11, &[b"k"])).unwrap();
    let values: Vec<_> = found(&store, b"k", 1, 9).into_iter().map(|(n, value)| (n, value[7])).collect();
    assert_eq!(values, [(1, 2), (2, 3), (3, 5), (4, 7), (5, 11)]);
    assert_eq!(last_audit(&store), 11);
}

/// Keys have the bounds of rows' keys, and name an entry of their change.
pub fn an_index_has_bounds(fixture: &impl Fixture) {
    let store = fixture.open();
    for key in [vec![], vec![7; MAX_KEY + 1]] {
        let refused = done(&store, filed(1, &[&key]));
        assert!(matches!(refused, Err(CommitError::TooLarge(_))), "{refused:?}");
    }
    let mut change = filed(1, &[b"k"]);
    change.index[0].entry = Numbered::Here(1);
    assert!(matches!(done(&store, change), Err(CommitError::TooLarge(_))));
    assert_eq!(last_audit(&store), 0);
    done(&store, filed(1, &[&[7; MAX_KEY]])).unwrap();
    assert_eq!(found(&store, &[7; MAX_KEY], 1, 9).len(), 1);
}
