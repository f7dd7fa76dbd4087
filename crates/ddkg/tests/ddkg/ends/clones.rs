//! Two holders of one state are told from a network that repeats, delays and reorders.

use crate::common::{HOURLY, Pair, Setup, suites};
use wardein_ddkg::authority::{CloneEvidence, Refusal};
use wardein_ddkg::device::{DeviceError, DeviceState};
use wardein_ddkg::model::CloneSign;

/// The evidence of a refusal, which leaves the record alone.
fn evidence(pair: &mut Pair, sent: &crate::common::Sent) -> CloneEvidence {
    match pair.unchanged("a clone", |pair| pair.receive(sent).err()) {
        Some(refusal @ Refusal::CloneSuspected(evidence)) => {
            assert_eq!(refusal.code().as_str(), "clone-suspected");
            evidence
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_holders_that_take_one_number_are_noticed() {
    for suite in suites() {
        let mut pair = Pair::proven(Setup { suite, ..Setup::new(HOURLY) });
        let mut copy = pair.copy();
        pair.restart();
        pair.prove();
        pair.swap(&mut copy);
        let sent = pair.ask("authenticate", b"");
        let evidence = evidence(&mut pair, &sent);
        assert_eq!(evidence.sign, CloneSign::NumberTwice);
        assert_eq!((evidence.number, evidence.highest, evidence.epoch), (64, Some(64), 0));
    }
}

#[test]
fn a_holder_that_falls_behind_is_noticed_by_a_challenge_that_is_certainly_later() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut copy = pair.copy();
    pair.restart();
    for _ in 0..3 {
        pair.prove();
    }
    let latest = pair.now_ms;
    pair.swap(&mut copy);
    let skew = pair.setup.policy.skew_ms;
    pair.now_ms += skew;
    // As late as an overtaken request of an honest device can be: no alarm yet.
    let sent = pair.ask("authenticate", b"");
    assert_eq!(pair.receive(&sent).err(), Some(Refusal::Replayed));
    pair.now_ms += 1;
    let sent = pair.ask("authenticate", b"");
    let evidence = evidence(&mut pair, &sent);
    assert_eq!(evidence.sign, CloneSign::NumberTooLow);
    assert_eq!((evidence.issued_ms, evidence.latest_ms), (latest + skew + 1, latest));
    assert_eq!((evidence.number, evidence.highest, evidence.generation), (65, Some(66), 1));
}

#[test]
fn a_number_that_was_skipped_is_no_way_in_for_a_late_challenge() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut copy = pair.copy();
    pair.restart();
    pair.ask("authenticate", b"");
    assert_eq!(pair.prove().1, 65);
    pair.now_ms += pair.setup.policy.skew_ms + 1;
    pair.swap(&mut copy);
    let sent = pair.ask("authenticate", b"");
    let evidence = evidence(&mut pair, &sent);
    assert_eq!((evidence.sign, evidence.number), (CloneSign::NumberTooLow, 64));
}

#[test]
fn a_holder_left_behind_in_a_retired_generation_is_noticed() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut copy = pair.copy();
    let late = pair.ask("authenticate", b"");
    pair.rekey();
    pair.prove();
    // The network held an honest request back until the generation had retired.
    let refused = pair.unchanged("a late proof", |pair| pair.receive(&late).err());
    assert_eq!(refused, Some(Refusal::GenerationRetired { claimed: 1, active: 2 }));
    pair.swap(&mut copy);
    // As late as the clocks of two nodes allow, it may still be an honest one.
    pair.now_ms += pair.setup.policy.skew_ms;
    let sent = pair.ask("authenticate", b"");
    let refused = pair.unchanged("a late proof", |pair| pair.receive(&sent).err());
    assert_eq!(refused, Some(Refusal::GenerationRetired { claimed: 1, active: 2 }));
    pair.now_ms += 1;
    let sent = pair.ask("authenticate", b"");
    assert_eq!(evidence(&mut pair, &sent).sign, CloneSign::RetiredGeneration);
}

#[test]
fn an_epoch_that_a_retired_generation_cannot_judge_is_spent() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut copy = pair.copy();
    pair.wait(5 * 3600);
    pair.prove();
    pair.rekey();
    pair.prove();
    pair.wait(10);
    pair.swap(&mut copy);
    let (asked, mut offer) = pair.offer();
    offer.server_time = 0;
    let (measured, action) = (crate::common::attributes().digests(), "authenticate".parse().unwrap());
    let proof = pair.device.prove(asked, &offer, &measured, action, b"", &mut pair.entropy).unwrap();
    let (request, _) = proof.save(|_| Ok::<(), ()>(())).unwrap();
    let refusal = pair.receive_as(&request, &offer.recipe, b"").err().unwrap();
    assert_eq!(refusal, Refusal::EpochSpent { next: 4 });
    // Catching up, it is told for what it is.
    pair.device.refused(&request, &refusal);
    let sent = pair.ask("authenticate", b"");
    assert_eq!(evidence(&mut pair, &sent).sign, CloneSign::RetiredGeneration);
}

#[test]
fn a_clone_is_noticed_for_four_generations_and_refused_for_ever() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.setup.policy.data_retention = 1000;
    let mut copy = pair.copy();
    for retired in 1..=5 {
        pair.rekey();
        pair.prove();
        pair.wait(10);
        pair.swap(&mut copy);
        let sent = pair.ask("authenticate", b"");
        if retired <= 4 {
            assert_eq!(evidence(&mut pair, &sent).sign, CloneSign::RetiredGeneration);
        } else {
            let refused = pair.receive(&sent).err();
            assert_eq!(
                refused,
                Some(Refusal::GenerationRetired { claimed: 1, active: 6 }),
                "kept for its payloads only"
            );
        }
        pair.swap(&mut copy);
    }
}

#[test]
fn two_holders_that_rekey_are_noticed_when_the_first_one_speaks() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let mut copy = pair.copy();
    pair.rekey();
    pair.swap(&mut copy);
    pair.rekey();
    pair.swap(&mut copy);
    let sent = pair.ask("authenticate", b"");
    let evidence = evidence(&mut pair, &sent);
    assert_eq!((evidence.sign, evidence.generation), (CloneSign::ReplacedGeneration, 2));
    // And the other way round: the one whose generation came last activates it.
    pair.swap(&mut copy);
    pair.prove();
    pair.swap(&mut copy);
    let sent = pair.ask("authenticate", b"");
    assert_eq!(self::evidence(&mut pair, &sent).sign, CloneSign::ReplacedGeneration);
}

#[test]
fn an_old_image_is_refused_by_the_counter_and_noticed_without_one() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let image = pair.flash.clone();
    let found = pair.device.writes();
    for _ in 0..64 {
        pair.prove();
    }
    let floor = pair.device.writes();
    assert!(found < floor);
    assert_eq!(DeviceState::restore(&image, floor).err(), Some(DeviceError::RolledBack { found, floor }));
    assert!(DeviceState::restore(&pair.flash, floor).is_ok());

    pair.device = DeviceState::restore(&image, 0).unwrap();
    pair.wait(10);
    let sent = pair.ask("authenticate", b"");
    // 65 proofs were accepted, up to number 64; the image's block ended before that.
    assert_eq!(sent.request.number, 64);
    assert_eq!(evidence(&mut pair, &sent).sign, CloneSign::NumberTwice);
}

#[test]
fn an_honest_device_that_crashes_and_repeats_itself_never_looks_like_two() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    for round in 0..6_u64 {
        let early = pair.ask("authenticate", b"");
        pair.now_ms += 3_000;
        let late = pair.ask("authenticate", b"");
        assert!(pair.receive(&late).is_ok());
        assert!(pair.receive(&early).is_ok(), "overtaken in round {round}");
        assert_eq!(pair.receive(&late).err(), Some(Refusal::Replayed));
        pair.restart();
        pair.now_ms += 3_000;
        if round % 2 == 1 {
            pair.rekey();
            pair.prove();
            assert!(matches!(pair.receive(&late).err(), Some(Refusal::GenerationRetired { .. })));
        }
    }
}
