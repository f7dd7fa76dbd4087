//! After an advance the bytes of a state and of a record hold no node from which an erased epoch could be derived.

use crate::common::{HOURLY, NO_CLOCK, Pair, Setup, bytes, save};
use proptest::prelude::*;
use std::collections::HashSet;
use wardein_crypto::Secret;
use wardein_ddkg::authority::{Record, Refusal};
use wardein_ddkg::{Cover, Purposes};
use wardein_domain::Purpose;

/// The whole tree of a purpose, while the record still has it: a delegation ends with its cover.
fn whole(record: &Record, purpose: Purpose) -> Cover {
    let delegated = record.delegate(purpose, 0, u32::MAX).unwrap().encode();
    Cover::decode(&delegated.expose()[delegated.expose().len() - 37..]).unwrap()
}

/// The secrets of all nodes from the root to `epoch`: each can yield it.
fn path(whole: &Cover, epoch: u32) -> impl Iterator<Item = [u8; 32]> + '_ {
    (0..=32).map(move |height| {
        let first = (u64::from(epoch) >> height << height) as u32;
        let last = (u64::from(first) + (1 << height) - 1) as u32;
        let node = whole.narrow(first, last).unwrap();
        assert_eq!(node.len(), 1);
        node.encode().expose()[5..].try_into().unwrap()
    })
}

/// Erased epochs below `first`: both ends, the middle, some at random, and one under each subtree that was left behind,
/// so that every maximal erased subtree is looked at.
fn erased(first: u32, random: &[u32]) -> Vec<u32> {
    let subtrees =
        (0..32).filter(|height| first >> height & 1 == 1).map(|height| (first >> height << height) - 1);
    let ends = [0, first / 2, first.saturating_sub(1)];
    let random = random.iter().map(|epoch| epoch % first.max(1));
    subtrees.chain(ends).chain(random).filter(|epoch| *epoch < first).collect()
}

fn assert_absent(bytes: &[u8], whole: &Cover, first: u32, random: &[u32]) {
    let forbidden: HashSet<_> =
        erased(first, random).into_iter().flat_map(|epoch| path(whole, epoch)).collect();
    let found = bytes.windows(32).find(|window| forbidden.contains(*window));
    assert!(found.is_none(), "a node behind epoch {first} is left");
    if first == 0 {
        return;
    }
    // The search finds what is there: the leaf's own path ends in a node that is kept.
    let kept: HashSet<_> = path(whole, first).collect();
    assert!(bytes.windows(32).any(|window| kept.contains(window)), "epoch {first} cannot be derived");
}

/// The first epoch that the record can still derive.
fn first(record: &Record, purpose: Purpose) -> u32 {
    match record.delegate(purpose, 0, u32::MAX) {
        Ok(_) => 0,
        Err(Refusal::EpochGone(gone)) => gone.first,
        Err(other) => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_erased_epoch_can_be_derived_from_what_is_stored(
        steps in prop::collection::vec(prop_oneof![1..5_u64, 1..70_000_u64, Just(1 << 20)], 1..4),
        retention in 0..4_u32,
        random in prop::collection::vec(any::<u32>(), 8),
    ) {
        let mut pair = Pair::proven(Setup::new(HOURLY));
        pair.setup.policy.data_retention = retention;
        pair.setup.policy.file_retention = retention;
        let trees = Purposes::ENROLLED.iter().map(|purpose| (purpose, whole(&pair.record, purpose))).collect::<Vec<_>>();
        let mut epoch = 0;
        for step in steps {
            pair.wait(step * 3600);
            epoch += step as u32;
            prop_assert_eq!(pair.prove().0, epoch);
            prop_assert_eq!(pair.token(b"").epoch, epoch);
            prop_assert_eq!(pair.seal(b"").name().epoch, epoch);
            let file = pair.device.wrap_file_key(NO_CLOCK, &Secret::copied_from(&[0; 16])).unwrap();
            prop_assert_eq!(save(file, &mut pair.flash, &mut pair.saves).name().epoch, epoch);
            for (purpose, tree) in &trees {
                assert_absent(&pair.flash, tree, epoch, &random);
                let kept = first(&pair.record, *purpose);
                let bounds = (epoch.saturating_sub(retention + 2), epoch);
                prop_assert!((bounds.0..=bounds.1).contains(&kept), "{} is at {} of {}", purpose, kept, epoch);
                assert_absent(&bytes(&pair.record), tree, kept, &random);
            }
        }
        // A rekey erases the old generation at the device whole.
        pair.rekey();
        for (_, tree) in &trees {
            let left = path(tree, u32::MAX).chain(path(tree, epoch)).any(|node| {
                pair.flash.windows(32).any(|window| window == node)
            });
            prop_assert!(!left);
        }
    }
}
