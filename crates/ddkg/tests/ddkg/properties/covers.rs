//! A cover yields its range and nothing else, with the fewest nodes, in one encoding.

use proptest::prelude::*;
use wardein_crypto::Secret;
use wardein_ddkg::{Cover, GenerationRoot, MAX_COVER_NODES, NODE_LEN};
use wardein_domain::Purpose;

fn whole() -> Cover {
    GenerationRoot::new(Secret::copied_from(&[3; 32])).tree(Purpose::Data)
}

/// Two epochs in order, with many at the ends and at powers of two.
fn range() -> impl Strategy<Value = (u32, u32)> {
    let epoch = || {
        prop_oneof![
            any::<u32>(),
            0..100_u32,
            (u32::MAX - 100)..=u32::MAX,
            (0..32_u32).prop_map(|bit| 1 << bit)
        ]
    };
    (epoch(), epoch()).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

/// What a node covers, read from its encoding.
fn leaves(node: &[u8]) -> (u32, u32) {
    let (height, index) = (32 - node[0], u32::from_be_bytes(node[1..5].try_into().unwrap()));
    let first = u64::from(index) << height;
    (first as u32, (first + (1 << height) - 1) as u32)
}

proptest! {
    #[test]
    fn a_cover_yields_its_range_and_nothing_outside((first, last) in range(), probes in prop::array::uniform8(any::<u32>())) {
        let (whole, cover) = (whole(), whole().narrow(first, last).unwrap());
        prop_assert_eq!((cover.first(), cover.last()), (first, last));
        let edges = [first, last, first.wrapping_sub(1), last.wrapping_add(1), 0, u32::MAX];
        for epoch in edges.into_iter().chain(probes) {
            match cover.epoch_secret(epoch) {
                Ok(secret) => {
                    prop_assert!((first..=last).contains(&epoch));
                    let same = secret.expose() == whole.epoch_secret(epoch).unwrap().expose();
                    prop_assert!(same);
                }
                Err(gone) => {
                    prop_assert!(!(first..=last).contains(&epoch));
                    prop_assert_eq!((gone.epoch, gone.first, gone.last), (epoch, first, last));
                }
            }
        }
    }

    #[test]
    fn its_nodes_adjoin_from_the_first_epoch_to_the_last_and_no_two_are_one((first, last) in range()) {
        let encoded = whole().narrow(first, last).unwrap().encode();
        let nodes: Vec<_> = encoded.expose().chunks(NODE_LEN).collect();
        prop_assert!(nodes.len() <= MAX_COVER_NODES);
        let mut next = u64::from(first);
        for node in &nodes {
            let (from, to) = leaves(node);
            prop_assert_eq!(u64::from(from), next);
            next = u64::from(to) + 1;
        }
        prop_assert_eq!(next, u64::from(last) + 1);
        for pair in nodes.windows(2) {
            // Two halves of one parent would be one node.
            let siblings = pair[0][0] == pair[1][0] && pair[0][4] ^ pair[1][4] == 1 && pair[0][4] & 1 == 0
                && pair[0][1..4] == pair[1][1..4];
            prop_assert!(!siblings);
        }
    }

    #[test]
    fn encoding_and_decoding_are_inverse((first, last) in range()) {
        let cover = whole().narrow(first, last).unwrap();
        let encoded = cover.encode();
        let decoded = Cover::decode(encoded.expose()).unwrap();
        prop_assert_eq!((decoded.first(), decoded.last(), decoded.len()), (first, last, cover.len()));
        let again = decoded.encode();
        prop_assert_eq!(again.expose(), encoded.expose());
    }

    #[test]
    fn any_bytes_are_refused_or_encode_to_themselves(
        places in prop::collection::vec((0..=33_u8, 0..6_u32), 1..8),
        cut in 0..40_usize,
    ) {
        let mut bytes: Vec<u8> = places
            .into_iter()
            .flat_map(|(depth, index)| [&[depth][..], &index.to_be_bytes(), &[9; 32]].concat())
            .collect();
        if cut < 3 {
            bytes.truncate(bytes.len() - cut);
        }
        if let Ok(cover) = Cover::decode(&bytes) {
            let encoded = cover.encode();
            prop_assert_eq!(encoded.expose(), &bytes[..]);
        }
    }

    #[test]
    fn narrowing_twice_is_narrowing_once((first, last) in range(), inner in range()) {
        let outer = whole().narrow(first, last).unwrap();
        let within = first <= inner.0 && inner.1 <= last;
        match outer.narrow(inner.0, inner.1) {
            Ok(cover) => {
                prop_assert!(within);
                let (twice, once) = (cover.encode(), whole().narrow(inner.0, inner.1).unwrap().encode());
                prop_assert_eq!(twice.expose(), once.expose());
            }
            Err(_) => prop_assert!(!within),
        }
    }
}

/// The fewest aligned nodes that make up exactly `first` to `last` of a tree with 2⁶ leaves, by trying all ways.
fn fewest(first: u32, last: u32) -> usize {
    let mut best = vec![0; 1];
    for length in 1..=(last - first + 1) {
        let end = first + length;
        let ways = (0..=6).filter_map(|height| {
            let start = end.checked_sub(1 << height).filter(|start| *start >= first)?;
            (start % (1 << height) == 0).then(|| best[(start - first) as usize] + 1)
        });
        best.push(ways.min().unwrap());
    }
    best[(last - first + 1) as usize]
}

#[test]
fn no_smaller_cover_exists() {
    let whole = whole();
    for first in 0..64 {
        for last in first..64 {
            assert_eq!(whole.narrow(first, last).unwrap().len(), fewest(first, last), "{first} to {last}");
        }
    }
}
