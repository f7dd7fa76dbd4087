//! Rekey: lost, repeated, overtaken, and what becomes of the old generation.

use crate::common::{
    HOURLY, NO_CLOCK, Pair, Setup, TIMELESS, attributes, audience, bytes, load, save, suites,
};
use wardein_ddkg::Purposes;
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::device::{DeviceError, DeviceState};
use wardein_ddkg::message::{RekeyAnswer, RekeyAsk};
use wardein_domain::Purpose;

/// A rekey that names purposes. The answer may be altered, as an end of another revision would have it.
pub(super) fn rekey_naming(
    pair: &mut Pair,
    purposes: Purposes,
    granted: impl FnOnce(&mut RekeyAnswer),
) -> Result<(), DeviceError> {
    let (asked, offer) = pair.offer();
    let (digests, suite) = (attributes().digests(), pair.setup.suite);
    let proof = pair.device.rekey_for(asked, &offer, &digests, (suite, purposes), &mut pair.entropy);
    let (request, ask, in_flight) = save(proof?, &mut pair.flash, &mut pair.saves);
    let accepted = pair.receive_as(&request, &offer.recipe, &ask.encode()).unwrap();
    let mut answer = pair.record.rekey(&accepted, &ask, HOURLY, &mut pair.entropy).unwrap();
    granted(&mut answer);
    let reply = accepted.reply(pair.now(), answer.encode());
    pair.acknowledge(in_flight, reply).map(|_| ())
}

#[test]
fn a_rekey_agrees_on_the_purposes_that_both_ends_know() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let some = Purposes::of([Purpose::Data, Purpose::Token]);
    let all = Purposes::of(Purpose::ALL);
    for purposes in [Purposes::of([]), all, some, Purposes::ENROLLED] {
        rekey_naming(&mut pair, purposes, |_| {}).unwrap();
        pair.prove();
        pair.store();
        assert_eq!(pair.device.purposes(), purposes);
        for purpose in Purpose::ALL {
            let kept = pair.record.delegate(purpose, 9, 9).is_ok();
            assert_eq!(kept, purposes.contains(purpose), "{purpose}");
        }
        // Where nothing is named, all stays as it is.
        pair.rekey();
        pair.prove();
        assert_eq!(pair.device.purposes(), purposes);
    }
}

#[test]
fn purposes_of_a_later_revision_are_not_granted_and_break_nothing() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask_rekey();
    // What a device of a later revision sends: bits 5, 6 and 31 are not known here.
    let ask = RekeyAsk { purposes: Some(0x8000_0065), ..RekeyAsk::decode(&sent.body).unwrap() };
    let ask = RekeyAsk::decode(&ask.encode()).unwrap();
    let accepted = pair.receive(&sent).unwrap();
    let answer = pair.record.rekey(&accepted, &ask, HOURLY, &mut pair.entropy).unwrap();
    assert_eq!(answer.purposes, Some(0b101));
}

#[test]
fn a_device_takes_no_purposes_that_it_did_not_name() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let named = Purposes::of([Purpose::Data]);
    for granted in [None, Some(0b1101), Some(0b100_0101), Some(u32::MAX)] {
        let refused = rekey_naming(&mut pair, named, |answer| answer.purposes = granted);
        assert_eq!(refused, Err(DeviceError::PurposesUnexpected), "{granted:?}");
        assert_eq!((pair.device.generation(), pair.device.purposes()), (1, Purposes::ENROLLED));
    }
    // What was altered on the way changes the transcript, even within what was named: no key is agreed on.
    rekey_naming(&mut pair, named, |answer| answer.purposes = Some(1)).unwrap();
    assert_eq!(pair.device.purposes(), Purposes::of([]));
    let sent = pair.ask("authenticate", b"");
    assert_eq!(pair.receive(&sent).err(), Some(Refusal::MacWrong));
    // And so it must not grant any where none were named.
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask_rekey();
    let accepted = pair.receive(&sent).unwrap();
    let ask = RekeyAsk { purposes: Some(1), ..RekeyAsk::decode(&sent.body).unwrap() };
    let answer = pair.record.rekey(&accepted, &ask, HOURLY, &mut pair.entropy).unwrap();
    let reply = accepted.reply(pair.now(), answer.encode());
    assert_eq!(pair.acknowledge(sent.in_flight, reply).err(), Some(DeviceError::PurposesUnexpected));
}

#[test]
fn a_rekey_takes_effect_with_the_first_proof_under_it() {
    for (from, to) in suites().into_iter().flat_map(|from| suites().into_iter().map(move |to| (from, to))) {
        let mut pair = Pair::proven(Setup { suite: from, ..Setup::new(HOURLY) });
        pair.setup.suite = to;
        pair.rekey();
        assert_eq!((pair.device.generation(), pair.device.suite()), (2, to));
        assert_eq!((pair.record.active_generation(), pair.record.pending_generation()), (1, Some(2)));
        let first = pair.ask("authenticate", b"");
        let accepted = pair.receive(&first).unwrap();
        assert!(accepted.has_activated() && !accepted.is_rekey());
        assert_eq!((pair.record.active_generation(), pair.record.pending_generation()), (2, None));
        assert_eq!(pair.record.suite(), to);
        let reply = accepted.reply(pair.now(), vec![]);
        pair.acknowledge(first.in_flight, reply).unwrap();
        assert_eq!(pair.prove(), (0, 1));
    }
}

#[test]
fn a_lost_rekey_reply_leaves_the_old_generation_working_and_asking_again_replaces_it() {
    for suite in suites() {
        let mut pair = Pair::proven(Setup { suite, ..Setup::new(HOURLY) });
        let lost = pair.ask_rekey();
        let accepted = pair.receive(&lost).unwrap();
        pair.answer_rekey(&lost, &accepted);
        assert_eq!(pair.prove(), (0, 2));
        // A restart forgets what is in flight, and the private share with it.
        pair.restart();
        let again = pair.ask_rekey();
        let accepted = pair.receive(&again).unwrap();
        let reply = pair.answer_rekey(&again, &accepted);
        pair.acknowledge(again.in_flight, reply).unwrap();
        pair.prove();
        assert_eq!((pair.device.generation(), pair.record.active_generation()), (2, 2));
    }
}

#[test]
fn only_the_reply_to_the_last_rekey_is_believed() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let first = pair.ask_rekey();
    let accepted = pair.receive(&first).unwrap();
    let early = pair.answer_rekey(&first, &accepted);
    let second = pair.ask_rekey();
    let refused = pair.unchanged("an overtaken reply", |pair| pair.acknowledge(first.in_flight, early).err());
    assert_eq!(refused, Some(DeviceError::RekeyOvertaken));
    let accepted = pair.receive(&second).unwrap();
    let reply = pair.answer_rekey(&second, &accepted);
    pair.acknowledge(second.in_flight, reply).unwrap();
    pair.prove();
    assert_eq!(pair.record.active_generation(), 2);
}

#[test]
fn a_reply_that_is_kept_over_a_restore_is_not_believed_in_the_next_generation() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let first = pair.ask_rekey();
    let accepted = pair.receive(&first).unwrap();
    let early = pair.answer_rekey(&first, &accepted);
    // The restored state counts its rekeys again.
    pair.restart();
    pair.rekey();
    let refused = pair.unchanged("an overtaken reply", |pair| pair.acknowledge(first.in_flight, early).err());
    assert_eq!(refused, Some(DeviceError::RekeyOvertaken));
    assert_eq!((pair.prove(), pair.device.generation()), ((0, 0), 2));
}

#[test]
fn a_crash_before_the_new_generation_is_saved_leaves_the_old_one() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sent = pair.ask_rekey();
    let accepted = pair.receive(&sent).unwrap();
    let reply = pair.answer_rekey(&sent, &accepted);
    let unsaved = pair.device.acknowledge(sent.in_flight, reply).unwrap();
    assert!(unsaved.save(|_| Err(())).is_err());
    pair.restart();
    assert_eq!(pair.device.generation(), 1);
    pair.prove();
    pair.rekey();
    pair.prove();
    assert_eq!(pair.record.active_generation(), 2);
}

#[test]
fn a_new_generation_must_be_proved_before_it_logs_in_and_a_crash_forgets_nothing_of_it() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let old = pair.token(b"");
    pair.rekey();
    pair.restart();
    assert_eq!(pair.device.generation(), 2);
    let refused = pair.device.token(NO_CLOCK, audience("p"), b"").err();
    assert_eq!(refused, Some(DeviceError::ProveFirst));
    assert!(pair.verify_token(&old, b"").is_ok(), "the old generation counts until then");
    pair.prove();
    let token = pair.token(b"");
    assert_eq!((token.generation, token.number), (2, 0));
    assert!(pair.verify_token(&token, b"").is_ok());
    assert_eq!(
        pair.verify_token(&old, b"").err(),
        Some(Refusal::GenerationRetired { claimed: 1, active: 2 })
    );
}

#[test]
fn an_ack_of_the_old_generation_that_comes_after_a_rekey_tells_the_time_and_no_more() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.wait(3 * 3600);
    let early = pair.ask("authenticate", b"");
    let reply = pair.receive(&early).unwrap().reply(pair.now() + 7, vec![]);
    pair.rekey();
    pair.acknowledge(early.in_flight, reply).unwrap();
    assert_eq!((pair.device.generation(), pair.device.proof_epoch()), (2, 0));
    assert_eq!(pair.device.known_time(), pair.now() + 7);
    assert_eq!(pair.device.token(NO_CLOCK, audience("p"), b"").err(), Some(DeviceError::ProveFirst));
}

#[test]
fn a_refusal_of_the_old_generation_that_comes_after_a_rekey_says_nothing() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let early = pair.ask("authenticate", b"");
    pair.rekey();
    pair.device.refused(&early.request, &Refusal::EpochSpent { next: 50 });
    assert_eq!(pair.prove(), (0, 0));
}

#[test]
fn payloads_of_a_retired_generation_are_opened_until_their_retention_ends() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.setup.policy.data_retention = 2;
    let sealed = pair.seal(b"before");
    pair.rekey();
    pair.prove();
    assert_eq!(pair.open(&sealed).unwrap(), b"before");
    pair.wait(2 * 3600 + pair.setup.policy.grace - 1);
    assert_eq!(pair.open(&sealed).unwrap(), b"before");
    pair.wait(1);
    assert_eq!(pair.open(&sealed).err(), Some(Refusal::GenerationUnknown { claimed: 1, active: 2 }));
    assert!(pair.sweep());
}

#[test]
fn without_a_period_payloads_of_a_retired_generation_are_opened_until_the_next_one_retires() {
    let mut pair = Pair::proven(Setup::new(TIMELESS));
    let sealed = pair.seal(b"before");
    pair.rekey();
    pair.prove();
    pair.wait(365 * 86_400);
    pair.sweep();
    assert_eq!(pair.open(&sealed).unwrap(), b"before");
    pair.rekey();
    pair.prove();
    assert!(pair.open(&sealed).is_err());
}

#[test]
fn a_device_opens_its_own_until_it_rekeys() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sealed = pair.seal(b"own");
    assert_eq!(pair.device.open(&sealed, b"log").unwrap().expose(), b"own");
    let restored = DeviceState::restore(&pair.flash, 0).unwrap();
    assert_eq!(restored.open(&sealed, b"log").unwrap().expose(), b"own");
    pair.rekey();
    assert_eq!(pair.device.open(&sealed, b"log").err(), Some(DeviceError::KeyGone));
}

#[test]
fn a_rekey_is_refused_while_sixteen_retired_generations_are_kept_and_no_longer() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.setup.policy.data_retention = 24;
    for _ in 0..16 {
        pair.rekey();
        pair.prove();
    }
    let sent = pair.ask_rekey();
    let accepted = pair.receive(&sent).unwrap();
    let ask = RekeyAsk::decode(&sent.body).unwrap();
    let refused = pair.record.rekey(&accepted, &ask, HOURLY, &mut pair.entropy).err();
    assert_eq!(refused, Some(Refusal::RetentionFull { kept: 16 }));
    assert_eq!(refused.map(|refusal| refusal.code().as_str()), Some("retention-full"));
    assert!(load(&bytes(&pair.record)).is_ok());
    pair.prove();
    pair.wait(25 * 3600);
    pair.prove();
    pair.rekey();
    pair.prove();
    assert_eq!(pair.record.active_generation(), 18);
}

#[test]
fn a_reply_that_is_kept_over_a_restore_in_one_process_is_overtaken_by_the_next_rekey() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let kept = pair.ask_rekey();
    let accepted = pair.receive(&kept).unwrap();
    let late = pair.answer_rekey(&kept, &accepted);
    pair.restart();
    let again = pair.ask_rekey();
    let accepted = pair.receive(&again).unwrap();
    let reply = pair.answer_rekey(&again, &accepted);
    assert_eq!(pair.acknowledge(kept.in_flight, late).err(), Some(DeviceError::RekeyOvertaken));
    pair.acknowledge(again.in_flight, reply).unwrap();
    pair.prove();
}
