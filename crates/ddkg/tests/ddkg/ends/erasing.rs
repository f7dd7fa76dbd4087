//! What is left when time is over: nothing to open it with. And how much room a state takes.

use crate::common::{
    Counter, HOURLY, NO_CLOCK, ONCE, Pair, Setup, TIMELESS, attributes, bytes, pinned, save, sign, suites,
};
use wardein_crypto::Secret;
use wardein_ddkg::authority::{Record, Refusal};
use wardein_ddkg::device::{Clock, DeviceState, Enrolling};
use wardein_ddkg::{DeviceName, OutOfRange, Purposes};
use wardein_domain::{Purpose, Schedule};

/// The node that yields exactly epochs `first` to `last`, as it stands in any encoding.
fn node(record: &Record, purpose: Purpose, first: u32, last: u32) -> Vec<u8> {
    let delegated = record.delegate(purpose, first, last).unwrap().encode();
    delegated.expose()[delegated.expose().len() - 32..].to_vec()
}

fn holds(record: &Record, secret: &[u8]) -> bool {
    bytes(record).windows(32).any(|window| window == secret)
}

#[test]
fn a_payload_cannot_be_opened_after_its_retention_and_the_sweep_erases_its_key() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.setup.policy.data_retention = 2;
    let (leaf, root) =
        (node(&pair.record, Purpose::Data, 0, 0), node(&pair.record, Purpose::Data, 0, u32::MAX));
    assert!(holds(&pair.record, &root));
    let sealed = pair.seal(b"short-lived");
    pair.wait(3 * 3600 + 299);
    assert!(pair.sweep(), "the token tree moved");
    assert_eq!(pair.open(&sealed).unwrap(), b"short-lived");
    pair.wait(1);
    let gone = || Refusal::EpochGone(OutOfRange { epoch: 0, first: 1, last: u32::MAX });
    assert_eq!(pair.open(&sealed).err(), Some(gone()), "though no sweep came by");
    assert!(pair.sweep());
    assert!(!pair.sweep(), "a second sweep finds nothing");
    assert_eq!(pair.open(&sealed).err(), Some(gone()));
    assert!(!holds(&pair.record, &root) && !holds(&pair.record, &leaf));
    assert!(holds(&pair.record, &node(&pair.record, Purpose::Data, 1, 1)));
}

#[test]
fn a_sealed_file_opens_nowhere_after_its_retention() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.setup.policy.file_retention = 2;
    let (leaf, root) =
        (node(&pair.record, Purpose::File, 0, 0), node(&pair.record, Purpose::File, 0, u32::MAX));
    let file = pair.device.wrap_file_key(NO_CLOCK, &Secret::copied_from(&[7; 16])).unwrap();
    let stanza = save(file, &mut pair.flash, &mut pair.saves);
    let unwrap = |pair: &mut Pair| {
        let (now, policy) = (pair.now_ms / 1000, pair.setup.policy.clone());
        pair.record.unwrap_file_key(&stanza, now, &policy).map(|(key, _)| *key.expose())
    };
    pair.wait(3 * 3600 + 299);
    pair.sweep();
    assert_eq!(unwrap(&mut pair), Ok([7; 16]));
    pair.wait(1);
    let gone = || Refusal::EpochGone(OutOfRange { epoch: 0, first: 1, last: u32::MAX });
    assert_eq!(unwrap(&mut pair), Err(gone()), "though no sweep came by");
    // Nor after one by a policy that keeps more: what is erased stays so.
    assert!(pair.sweep());
    pair.setup.policy.file_retention = 1_000;
    assert_eq!(unwrap(&mut pair), Err(gone()));
    assert!(!holds(&pair.record, &root) && !holds(&pair.record, &leaf));
    // The device, as soon as it seals in a later epoch.
    pair.prove();
    let next = pair.device.wrap_file_key(NO_CLOCK, &Secret::copied_from(&[8; 16])).unwrap();
    save(next, &mut pair.flash, &mut pair.saves);
    assert!(pair.device.unwrap_file_key(&stanza).is_err());
    assert!(!pair.flash.windows(32).any(|window| window == root || window == leaf));
}

#[test]
fn keys_that_a_clock_ahead_has_erased_make_a_rekey_due() {
    for setup in [Setup::new(HOURLY), Setup::new(TIMELESS)] {
        let has_period = setup.schedule == HOURLY;
        let mut pair = Pair::proven(setup);
        let (right, policy) = (pair.now_ms / 1000, pair.setup.policy.clone());
        assert!(!pair.record.was_erased_ahead(right, &policy));
        pair.wait(30 * 86_400);
        pair.sweep();
        assert!(!pair.record.was_erased_ahead(pair.now_ms / 1000, &policy), "their time was over");
        assert_eq!(pair.record.was_erased_ahead(right, &policy), has_period);
    }
}

#[test]
fn a_retired_generation_leaves_nothing_but_a_proof_tree() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let secrets = [Purpose::Token, Purpose::Data, Purpose::File]
        .map(|purpose| (purpose, node(&pair.record, purpose, 0, u32::MAX)));
    pair.rekey();
    pair.prove();
    for (purpose, secret) in &secrets {
        assert_eq!(holds(&pair.record, secret), *purpose != Purpose::Token, "{purpose} after retiring");
    }
    pair.wait(300);
    assert!(pair.sweep());
    for (purpose, secret) in &secrets {
        assert!(!holds(&pair.record, secret), "{purpose} after the retention");
    }
}

#[test]
fn without_a_period_opening_moves_the_tree() {
    let mut pair = Pair::proven(Setup::new(Schedule { max_uses: 1, ..TIMELESS }));
    pair.setup.policy.data_retention = 1;
    let sealed: Vec<_> = (0..4).map(|n| pair.seal(&[n])).collect();
    assert!(pair.open(&sealed[3]).is_ok());
    assert!(pair.sweep());
    assert!(pair.open(&sealed[2]).is_ok());
    let gone = Refusal::EpochGone(OutOfRange { epoch: 1, first: 2, last: u32::MAX });
    assert_eq!(pair.open(&sealed[1]).err(), Some(gone));
}

#[test]
fn a_verified_token_erases_what_is_behind_its_retention() {
    let mut pair = Pair::proven(Setup::new(ONCE));
    let tokens: Vec<_> = (0..4).map(|_| pair.token(b"")).collect();
    let root = node(&pair.record, Purpose::Token, 0, u32::MAX);
    assert!(pair.verify_token(&tokens[3], b"").is_ok());
    assert!(!holds(&pair.record, &root));
    let gone = Refusal::EpochGone(OutOfRange { epoch: 1, first: 2, last: u32::MAX });
    assert_eq!(pair.record.delegate(Purpose::Token, 1, 3).err(), Some(gone));
}

#[test]
fn a_pending_enrollment_is_not_swept() {
    let mut pair = Pair::pending(Setup::new(HOURLY));
    pair.wait(1000 * 3600);
    assert!(!pair.unchanged("a sweep", Pair::sweep));
}

#[test]
fn a_state_takes_less_room_than_it_may() {
    for suite in suites() {
        let fresh = |purposes: Purposes| {
            let pair = Pair::new(Setup { suite, purposes, ..Setup::new(HOURLY) });
            pair.flash.len()
        };
        let (one, four) = (fresh(Purposes::of([])), fresh(Purposes::ENROLLED));
        let worst = longest_state(suite);
        println!("{suite:?}: fresh state {one} bytes with 1 purpose, {four} with 4; the largest {worst}");
        assert_eq!((one, four), (262, 262 + 3 * 56));
        assert_eq!(worst, 4569);
        assert!(worst <= DeviceState::MAX_LEN);
    }
}

/// Longest names, four purposes, each with a frontier of 32 nodes: that of epoch 1.
fn longest_state(suite: wardein_ddkg::Suite) -> usize {
    let (setup, mut entropy) = (Setup { suite, ..Setup::new(HOURLY) }, Counter(0));
    let device =
        DeviceName { tenant: "t".repeat(63).parse().unwrap(), device: "d".repeat(128).parse().unwrap() };
    let enrolling = Enrolling::begin(pinned(), suite, device, attributes(), &mut entropy).unwrap();
    let request = enrolling.request();
    let enrolled = Record::enroll(None, request, &setup.terms(), sign, &mut entropy).unwrap();
    let mut pair = Pair::new(setup);
    pair.record = enrolled.record.unwrap();
    pair.device = enrolling.finish(&enrolled.reply, Purposes::ENROLLED).unwrap();
    let confirmation = save(pair.device.confirmation().unwrap(), &mut pair.flash, &mut pair.saves);
    pair.record.confirm(&confirmation).unwrap();
    pair.wait(3600);
    assert_eq!(pair.prove().0, 1);
    let clock = Clock { elapsed: 0, wall: Some(pair.now()) };
    assert_eq!(pair.token(b"").epoch, 1);
    assert_eq!(pair.seal(b"").name().epoch, 1);
    let file = pair.device.wrap_file_key(clock, &wardein_crypto::Secret::copied_from(&[0; 16])).unwrap();
    assert_eq!(save(file, &mut pair.flash, &mut pair.saves).name().epoch, 1);
    DeviceState::restore(&pair.flash, 0).unwrap();
    pair.flash.len()
}

#[test]
fn a_clock_that_is_in_doubt_erases_nothing() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.setup.policy.data_retention = 365 * 24;
    let sealed = pair.seal(b"kept for a year");
    let (start, leap) = (pair.now_ms, 2 * 365 * 86_400);
    for years in [2, 12] {
        pair.may_erase = false;
        pair.wait(years / 2 * leap);
        assert!(!pair.unchanged("a sweep in doubt", Pair::sweep));
        pair.prove();
        let token = pair.token(b"");
        assert!(pair.verify_token(&token, b"").is_ok());
        pair.now_ms = start;
        (pair.era_ms, pair.may_erase) = (start, true);
        pair.sweep();
        assert_eq!(pair.open(&sealed).unwrap(), b"kept for a year", "after a jump of {years} years");
    }
    // Sure of it, the same time erases.
    pair.wait(leap);
    assert!(pair.sweep());
    pair.now_ms = start;
    assert!(matches!(pair.open(&sealed).err(), Some(Refusal::EpochGone(_))));
}

#[test]
fn a_retired_generation_outlives_a_clock_that_is_in_doubt_and_a_record_stays_bounded() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sealed = pair.seal(b"under generation 1");
    pair.rekey();
    pair.may_erase = false;
    pair.prove();
    let start = pair.now_ms;
    pair.wait(10 * 365 * 86_400);
    pair.prove();
    pair.now_ms = start;
    assert_eq!(pair.open(&sealed).unwrap(), b"under generation 1");
    let mut rekeyed = 0;
    while pair.record.can_rekey() {
        pair.rekey();
        pair.prove();
        rekeyed += 1;
    }
    assert_eq!(rekeyed, 15, "with the one before, as many as a record may hold");
    assert!(bytes(&pair.record).len() <= Record::MAX_COLD_LEN + Record::MAX_HOT_LEN);
    // Sure of its clock again, the authority drops what has ended, and the device rekeys.
    pair.may_erase = true;
    pair.wait(3600);
    assert!(pair.sweep());
    pair.rekey();
    pair.prove();
}

#[test]
fn what_no_clock_ends_is_dropped_also_in_doubt() {
    let mut pair = Pair::proven(Setup::new(TIMELESS));
    pair.may_erase = false;
    for _ in 0..40 {
        pair.rekey();
        pair.prove();
        pair.wait(10);
    }
    assert!(bytes(&pair.record).len() < 4_000);
}
