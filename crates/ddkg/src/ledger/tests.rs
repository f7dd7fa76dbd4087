//! The rules at their bounds.

use super::*;

const SKEW: u64 = 2_000;
const ANY: EpochBounds = EpochBounds { derivable: 0, lowest: 0, highest: 0, lead: 64 };
const PLAIN: Schedule = Schedule { period: 0, max_uses: 0, not_before: 0 };

fn claim(epoch: u32, number: u64, issued_ms: u64) -> Claim {
    Claim { epoch, number, issued_ms, is_ordered: false, mark: [number as u8; 8] }
}

fn ledger(accepted: &[(u32, u64, u64)]) -> Ledger {
    accepted.iter().fold(Ledger::new(0), |mut ledger, &(epoch, number, issued)| {
        let claim = claim(epoch, number, issued);
        assert_eq!(ledger.place(&claim, &PLAIN, &ANY, SKEW), Ok(Place::Open));
        ledger.accept(&claim);
        ledger
    })
}

fn place(ledger: &Ledger, claim: Claim) -> Result<Place, Misplaced> {
    ledger.place(&claim, &PLAIN, &ANY, SKEW)
}

#[test]
fn the_window_has_127_places_and_each_is_filled_once() {
    let mut ledger = ledger(&[(0, 1_000, 10)]);
    assert_eq!(place(&ledger, claim(0, 1_000 - 127, 10)), Ok(Place::Open));
    assert_eq!(place(&ledger, claim(0, 1_000 - 128, 10)), Ok(Place::Closed));
    ledger.accept(&claim(0, 1_000 - 127, 10));
    assert_eq!(place(&ledger, claim(0, 1_000 - 127, 10)), Ok(Place::Closed));
    ledger.accept(&claim(0, 1_001, 10));
    assert_eq!(place(&ledger, claim(0, 1_000, 10)), Ok(Place::Closed), "the old highest stays marked");
    assert_eq!(place(&ledger, claim(0, 999, 10)), Ok(Place::Open));
    ledger.accept(&claim(0, u64::MAX, 10));
    assert_eq!(place(&ledger, claim(0, u64::MAX - 1, 10)), Ok(Place::Open));
}

#[test]
fn a_late_number_is_welcome_only_for_an_early_challenge_and_never_where_order_matters() {
    let ledger = ledger(&[(0, 5, 10_000)]);
    assert_eq!(place(&ledger, claim(0, 4, 12_000)), Ok(Place::Open));
    assert_eq!(place(&ledger, claim(0, 4, 12_001)), Ok(Place::Closed));
    assert_eq!(place(&ledger, Claim { is_ordered: true, ..claim(0, 4, 10_000) }), Ok(Place::Closed));
    assert_eq!(place(&ledger, Claim { is_ordered: true, ..claim(0, 6, 10_000) }), Ok(Place::Open));
}

#[test]
fn a_repeated_message_is_told_from_a_clone() {
    let ledger = ledger(&[(0, 5, 10_000)]);
    assert_eq!(ledger.judge(&claim(0, 5, 10_000), SKEW), Judgment::Replayed);
    let other = Claim { mark: [9; 8], ..claim(0, 5, 10_000) };
    assert_eq!(ledger.judge(&other, SKEW), Judgment::Clone(CloneSign::NumberTwice));
    assert_eq!(ledger.judge(&claim(0, 4, 12_000), SKEW), Judgment::Replayed);
    assert_eq!(ledger.judge(&claim(0, 4, 12_001), SKEW), Judgment::Clone(CloneSign::NumberTooLow));
}

#[test]
fn what_a_clock_that_ran_ahead_has_left_is_read_as_the_start_of_the_era() {
    let (day, era_ms) = (86_400_000, 50_000);
    let ahead = ledger(&[(0, 5, day)]);
    let at = |now_ms| ahead.at(AuthorityTime { now_ms, era_ms, may_erase: true }, SKEW);
    for now_ms in [60_000, day - SKEW - 1] {
        let ledger = at(now_ms);
        assert_eq!(ledger.latest_ms(), era_ms);
        assert_eq!(place(&ledger, claim(0, 4, era_ms + SKEW)), Ok(Place::Open));
        let later = claim(0, 4, era_ms + SKEW + 1);
        assert_eq!(place(&ledger, later), Ok(Place::Closed));
        assert_eq!(ledger.judge(&later, SKEW), Judgment::Clone(CloneSign::NumberTooLow));
    }
    assert_eq!(at(day - SKEW).latest_ms(), day, "within skew, the clock of another node");
    // The next proof writes the true time.
    let mut ledger = at(60_000);
    ledger.accept(&claim(0, 6, 59_000));
    assert_eq!(ledger.latest_ms(), 59_000);
    // An era that begins in the future is no later than now.
    let odd = ahead.at(AuthorityTime { now_ms: 60_000, era_ms: u64::MAX, may_erase: true }, SKEW);
    assert_eq!(odd.latest_ms(), 60_000);
    let first = ahead.at(AuthorityTime::sure(60), SKEW);
    assert_eq!(first.latest_ms(), 0, "there was no other era");
}

#[test]
fn a_readmission_begins_the_numbers_again_and_no_message_of_before_counts() {
    let mut ledger = ledger(&[(0, 1, 10_000), (0, u64::MAX, 20_000)]);
    let genuine = claim(0, 2, 60_000);
    assert_eq!(place(&ledger, genuine), Ok(Place::Closed));
    assert_eq!(ledger.judge(&genuine, SKEW), Judgment::Clone(CloneSign::NumberTooLow));
    ledger.readmit(50_000);
    for before in [claim(0, u64::MAX, 20_000), claim(0, 1, 10_000), claim(0, 3, 50_000)] {
        assert_eq!(place(&ledger, before), Ok(Place::Closed));
        assert_eq!(ledger.judge(&before, SKEW), Judgment::Replayed);
    }
    assert_eq!(place(&ledger, genuine), Ok(Place::Open));
    ledger.accept(&genuine);
    // Nor afterwards, whether its number is above, the same, or below.
    for number in [1, 2, u64::MAX] {
        let before = Claim { mark: [7; 8], ..claim(0, number, 50_000) };
        assert_eq!(place(&ledger, before), Ok(Place::Closed));
        assert_eq!(ledger.judge(&before, SKEW), Judgment::Replayed);
    }
    // From then on all is as it was.
    assert_eq!(ledger.judge(&claim(0, 1, 63_000), SKEW), Judgment::Clone(CloneSign::NumberTooLow));
    let twice = Claim { mark: [7; 8], ..claim(0, 2, 61_000) };
    assert_eq!(ledger.judge(&twice, SKEW), Judgment::Clone(CloneSign::NumberTwice));
}

#[test]
fn a_readmission_is_no_earlier_than_what_was_answered() {
    let mut ledger = ledger(&[(0, 9, 50_000 + SKEW)]);
    ledger.readmit(50_000);
    assert_eq!(ledger.latest_ms(), 50_000 + SKEW);
    assert_eq!(place(&ledger, claim(0, 9, 50_000 + SKEW)), Ok(Place::Closed));
}

#[test]
fn epochs_at_their_bounds() {
    let ledger = ledger(&[(3, 5, 0)]);
    let bounds = EpochBounds { derivable: 2, lowest: 4, highest: 6, lead: 64 };
    let at = |epoch, number| ledger.place(&claim(epoch, number, 0), &PLAIN, &bounds, SKEW);
    assert_eq!(at(70, 6), Ok(Place::Open));
    assert_eq!(at(71, 6), Err(Misplaced::Ahead { highest: 70 }));
    assert_eq!(at(4, 6), Ok(Place::Open));
    assert_eq!(at(3, 6), Err(Misplaced::Spent { next: 4 }));
    assert_eq!(at(3, 5), Ok(Place::Closed));
    assert_eq!(at(1, 5), Err(Misplaced::Spent { next: 4 }), "what cannot be derived cannot be judged");
}

#[test]
fn a_frontier_that_ran_ahead_of_the_clock_locks_nobody_out() {
    let bounds = EpochBounds { derivable: 90_000, lowest: 0, highest: 0, lead: 64 };
    let ledger = Ledger::new(0);
    let at = |epoch| ledger.place(&claim(epoch, 0, 0), &PLAIN, &bounds, SKEW);
    assert_eq!(at(0), Err(Misplaced::Spent { next: 90_000 }));
    assert_eq!(at(90_000), Ok(Place::Open));
}

#[test]
fn a_full_epoch_is_spent_for_higher_numbers() {
    let once = Schedule { max_uses: 1, ..PLAIN };
    let ledger = ledger(&[(3, 5, 10_000)]);
    let at = |claim: Claim| ledger.place(&claim, &once, &ANY, SKEW);
    assert_eq!(at(claim(3, 6, 10_000)), Err(Misplaced::Spent { next: 4 }));
    assert_eq!(at(claim(3, 4, 10_000)), Ok(Place::Closed));
    assert_eq!(at(claim(4, 6, 10_000)), Ok(Place::Open));
}

#[test]
fn the_last_epoch_is_never_full() {
    let once = Schedule { max_uses: 1, ..PLAIN };
    let bounds = EpochBounds { derivable: u32::MAX - 1, lowest: 0, highest: 0, lead: 64 };
    let mut ledger = Ledger::new(0);
    ledger.accept(&claim(u32::MAX, 0, 0));
    let at = |epoch| ledger.place(&claim(epoch, 1, 0), &once, &bounds, SKEW);
    assert_eq!(at(0), Err(Misplaced::Spent { next: u32::MAX }));
    assert_eq!(at(u32::MAX), Ok(Place::Open));
}
