//! The authority's ledger under a clock that jumps: an honest device never looks like two, and what is refused as `replayed` could
//! have come from the network.

use proptest::prelude::*;
use wardein_ddkg::AuthorityTime;
use wardein_ddkg::model::{Claim, CloneSign, EpochBounds, Judgment, Ledger, Place};
use wardein_domain::Schedule;

const SKEW: u64 = 2_000;
const PLAIN: Schedule = Schedule { period: 0, max_uses: 0, not_before: 0 };
const ANY: EpochBounds = EpochBounds { derivable: 0, lowest: 0, highest: 0, lead: 64 };

/// Accepts the claim, or judges it; nothing changes then.
fn take(ledger: &mut Ledger, claim: &Claim, time: AuthorityTime) -> Option<Judgment> {
    let mut read = ledger.at(time, SKEW);
    match read.place(claim, &PLAIN, &ANY, SKEW).unwrap() {
        Place::Open => {
            read.accept(claim);
            *ledger = read;
            None
        }
        Place::Closed => Some(read.judge(claim, SKEW)),
    }
}

/// A request of an honest device: how long after the one before it asks, how many numbers it burns, for how many requests the network
/// holds it back, and by how much time jumps first.
fn requests() -> impl Strategy<Value = Vec<(u64, u64, usize, u64)>> {
    let jump = prop_oneof![8 => Just(0), 1 => 1..10_000_u64, 1 => Just(63_072_000_000)];
    prop::collection::vec((0..5_000_u64, prop_oneof![Just(0), 0..1_u64 << 40], 0..4_usize, jump), 1..40)
}

proptest! {
    #[test]
    fn an_honest_device_never_looks_like_two(requests in requests()) {
        let mut ledger = Ledger::new(0);
        let (mut right_ms, mut number, mut era_ms, mut ahead) = (1_000_000, 0_u64, 0, 0);
        let mut waiting: Vec<(usize, Claim)> = Vec::new();
        let mut accepted: Vec<Claim> = Vec::new();
        for (at, (gap, burnt, delay, jump)) in requests.into_iter().enumerate() {
            right_ms += gap;
            if ahead != 0 {
                // It is right again: challenges of before are void.
                (ahead, era_ms) = (0, right_ms);
                waiting.clear();
                accepted.clear();
            }
            ahead += jump;
            number += burnt + 1;
            let (now_ms, mark) = (right_ms + ahead, number.to_be_bytes());
            waiting.push((at + delay, Claim { epoch: 0, number, issued_ms: now_ms, is_ordered: false, mark }));
            let time = AuthorityTime { now_ms, era_ms, may_erase: ahead == 0 };
            let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(when, _)| *when <= at);
            waiting = later;
            for (_, claim) in due.into_iter().rev() {
                let judged = take(&mut ledger, &claim, time);
                prop_assert!(matches!(judged, None | Some(Judgment::Replayed)), "{judged:?}");
                if judged.is_none() {
                    accepted.push(claim);
                }
            }
            // The network repeats all that was ever accepted.
            for claim in &accepted {
                prop_assert_eq!(take(&mut ledger, claim, time), Some(Judgment::Replayed));
            }
        }
    }

    #[test]
    fn what_is_replayed_could_have_come_from_the_network(
        claims in prop::collection::vec((0..200_u64, 0..60_000_u64, 0..3_u8, any::<bool>()), 1..60),
    ) {
        let (mut ledger, mut accepted) = (Ledger::new(0), Vec::<Claim>::new());
        for (number, issued_ms, mark, is_ordered) in claims {
            let claim = Claim { epoch: 0, number, issued_ms, is_ordered, mark: [mark; 8] };
            let (highest, latest) = (ledger.highest(), ledger.latest_ms());
            match take(&mut ledger, &claim, AuthorityTime::sure(60)) {
                None => accepted.push(claim),
                Some(Judgment::Replayed) => {
                    let is_repeated = accepted.iter().any(|one| (one.number, one.mark) == (number, claim.mark));
                    prop_assert!(issued_ms <= latest + SKEW || (is_repeated && highest == Some(number)));
                }
                Some(Judgment::Clone(CloneSign::NumberTwice)) => prop_assert_eq!(highest, Some(number)),
                Some(Judgment::Clone(_)) => prop_assert!(issued_ms > latest + SKEW),
            }
        }
    }
}
