//! The results of scans.

use wardein_port::{Change, Expect, MAX_KEY};

use super::{Fixture, NONE, T, block_on, done, keys, put, scan};

/// Scans match a literal reading of the contract, for every prefix, start and limit.
pub fn scans_in_byte_order(fixture: &impl Fixture) {
    let store = fixture.open();
    let mut all: Vec<Vec<u8>> = vec![
        vec![0],
        vec![0, 0],
        vec![0, 0xff],
        b"a".to_vec(),
        b"a\0".to_vec(),
        b"a\0\0".to_vec(),
        b"a\0b".to_vec(),
        b"aa".to_vec(),
        b"a\x7f".to_vec(),
        b"a\x80".to_vec(),
        b"a\xff".to_vec(),
        b"a\xff\xff".to_vec(),
        b"b".to_vec(),
        vec![0xfe, 0xff],
        vec![0xff],
        vec![0xff, 0],
        vec![0xff, 0xff],
        vec![0xff; MAX_KEY],
        vec![b'a'; MAX_KEY],
    ];
    for key in all.iter().rev() {
        put(&store, T, key, Expect::Absent, key).unwrap();
    }
    all.sort();
    let rows = scan(&store, T, b"", usize::MAX);
    assert_eq!(rows.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), all);
    assert!(rows.iter().all(|(key, row)| row.value == *key));

    // Each prefix, `after` and limit, against the plain reading of the contract.
    let mut points = all.clone();
    points.extend([
        vec![],
        vec![1],
        b"a\xfe".to_vec(),
        b"c".to_vec(),
        vec![0xff; 3],
        vec![0xff; MAX_KEY + 1],
    ]);
    for prefix in &points {
        for after in points.iter().map(Some).chain([None]) {
            let expected: Vec<_> = all
                .iter()
                .filter(|key| key.starts_with(prefix) && after.is_none_or(|after| *key > after))
                .cloned()
                .collect();
            for limit in [0, 1, 2, 100] {
                let found = keys(&store, prefix, after.map(Vec::as_slice), limit);
                let expected = &expected[..limit.min(expected.len())];
                assert_eq!(found, expected, "prefix {prefix:x?}, after {after:x?}, limit {limit}");
            }
        }
    }
}

/// A prefix ends where its keys end, also before 0xff and when the start lies outside of it.
pub fn scans_by_prefix(fixture: &impl Fixture) {
    let store = fixture.open();
    for key in [&b"ab"[..], b"ab1", b"ab\xff", b"ab\xff\xff", b"ac", b"a", b"aa\xff"] {
        put(&store, T, key, Expect::Absent, b"v").unwrap();
    }
    assert_eq!(keys(&store, b"ab", None, 10), [&b"ab"[..], b"ab1", b"ab\xff", b"ab\xff\xff"]);
    assert_eq!(keys(&store, b"ab\xff", None, 10), [&b"ab\xff"[..], b"ab\xff\xff"]);
    assert_eq!(keys(&store, b"b", None, 10), NONE);
    assert_eq!(keys(&store, b"ab", Some(b"a"), 10).len(), 4, "`after` before the prefix");
    assert_eq!(keys(&store, b"ab", Some(b"ac"), 10), NONE, "`after` behind the prefix");
    assert_eq!(keys(&store, b"ab", Some(b"ab\xff"), 10), [b"ab\xff\xff"]);
}

/// Paging by the last key sees every row once.
pub fn scans_page_by_page(fixture: &impl Fixture) {
    let store = fixture.open();
    let mut change = Change::default();
    for n in 0..1000_u16 {
        change.insert(T, [b"p", &n.to_be_bytes()[..]].concat(), n.to_be_bytes().to_vec());
    }
    done(&store, change).unwrap();
    let (mut seen, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let page = block_on(store.scan(T, b"p", after.as_deref(), 37)).unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(page.into_iter().map(|(_, row)| u16::from_be_bytes([row.value[0], row.value[1]])));
    }
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
}
