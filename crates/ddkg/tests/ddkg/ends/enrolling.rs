//! Enrollment and its confirmation.

use crate::common::{Counter, HOURLY, Pair, Setup, bytes, load, save, sign, suites};
use wardein_crypto::Tag;
use wardein_ddkg::authority::{EnrollTerms, Record, Refusal, Standing};
use wardein_ddkg::message::Confirmation;

#[test]
fn a_device_enrolls_confirms_and_proves_in_every_suite() {
    for suite in suites() {
        let mut pair = Pair::new(Setup { suite, ..Setup::new(HOURLY) });
        assert_eq!((pair.record.suite(), pair.device.suite()), (suite, suite));
        assert_eq!(pair.prove(), (0, 0));
        assert!(pair.device.confirmation().is_none());
        assert_eq!(pair.device.known_time(), pair.now());
    }
}

#[test]
fn a_lost_or_repeated_confirmation_does_no_harm() {
    let mut pair = Pair::pending(Setup::new(HOURLY));
    let lost = save(pair.device.confirmation().unwrap(), &mut pair.flash, &mut pair.saves);
    assert_eq!(pair.record.standing(), Standing::Pending);
    pair.restart();
    let again = save(pair.device.confirmation().unwrap(), &mut pair.flash, &mut pair.saves);
    assert_eq!(lost.tag.0, again.tag.0);
    assert_eq!(pair.saves, 1, "what is saved already is not saved again");
    assert_eq!(pair.record.confirm(&lost), Ok(true));
    assert_eq!(pair.record.confirm(&again), Ok(false));
    assert_eq!(pair.record.standing(), Standing::Enrolled);
    pair.prove();
    assert_eq!(pair.record.confirm(&again), Ok(false), "a station that lost the reply may ask late");
    pair.rekey();
    pair.prove();
    assert_eq!(pair.record.confirm(&again), Ok(false));
    let other = Confirmation { tag: Tag([7; 32]), ..again };
    assert_eq!(pair.record.confirm(&other), Err(Refusal::AlreadyEnrolled));
}

#[test]
fn a_repeated_request_is_answered_alike_and_another_one_replaces_it() {
    let (setup, mut entropy) = (Setup::new(HOURLY), Counter(0));
    let first = setup.begin(&mut entropy);
    let (record, reply) = setup.answer(first.request(), &mut entropy);
    let enroll = |record: &Record, request: &_, entropy: &mut Counter| {
        Record::enroll(Some(record), request, &setup.terms(), sign, entropy).unwrap()
    };
    let record = load(&bytes(&record)).unwrap();
    let again = enroll(&record, first.request(), &mut entropy);
    assert!(again.record.is_none());
    assert_eq!(again.reply.encode(), reply.encode());

    let second = setup.begin(&mut entropy);
    let replaced = enroll(&record, second.request(), &mut entropy);
    let mut record = replaced.record.unwrap();
    let mut late = first.finish(&reply, setup.purposes).unwrap();
    let wrong = late.confirmation().unwrap().save(|_| Ok::<(), ()>(())).unwrap();
    assert_eq!(record.confirm(&wrong), Err(Refusal::ConfirmationWrong));
    let mut device = second.finish(&replaced.reply, setup.purposes).unwrap();
    let right = device.confirmation().unwrap().save(|_| Ok::<(), ()>(())).unwrap();
    assert_eq!(record.confirm(&right), Ok(true));
}

#[test]
fn a_confirmed_device_is_not_enrolled_again_but_by_an_administrator() {
    let mut pair = Pair::new(Setup::new(HOURLY));
    let anew = pair.setup.begin(&mut pair.entropy);
    let terms = pair.setup.terms();
    let refused = pair.unchanged("a second enrollment", |pair| {
        Record::enroll(Some(&pair.record), anew.request(), &terms, sign, &mut pair.entropy).err()
    });
    assert_eq!(refused, Some(Refusal::AlreadyEnrolled));
    // The administrator removes the record, and lets the generations go on, so that no key name stands for two keys.
    let terms = EnrollTerms { generation: pair.record.active_generation() + 1, ..terms };
    let enrolled = Record::enroll(None, anew.request(), &terms, sign, &mut pair.entropy).unwrap();
    let mut device = anew.finish(&enrolled.reply, pair.setup.purposes).unwrap();
    pair.record = enrolled.record.unwrap();
    let confirmation = save(device.confirmation().unwrap(), &mut pair.flash, &mut pair.saves);
    pair.record.confirm(&confirmation).unwrap();
    pair.swap(&mut device);
    pair.prove();
    assert_eq!((pair.device.generation(), pair.record.active_generation()), (2, 2));
}
