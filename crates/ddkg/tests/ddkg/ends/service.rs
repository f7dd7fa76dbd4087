//! A technician is let in where there is no network: challenge and code.

use super::rekeying::rekey_naming;
use crate::common::{HOURLY, NO_CLOCK, Pair, Setup, save};
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::device::{Clock, DeviceError, DeviceState};
use wardein_ddkg::{Purposes, ServiceChallenge, ServiceCode};
use wardein_domain::{Purpose, ServiceScope};

/// A device that has agreed on keys for it.
fn agreed() -> Pair {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    rekey_naming(&mut pair, Purposes::of(Purpose::ALL), |_| {}).unwrap();
    pair.prove();
    pair
}

fn scope(text: &str) -> ServiceScope {
    text.parse().unwrap()
}

impl Pair {
    fn challenge(&mut self, scope: &ServiceScope) -> ServiceChallenge {
        let challenge = self.device.service_challenge(NO_CLOCK, scope).unwrap();
        save(challenge, &mut self.flash, &mut self.saves)
    }

    fn answer(&mut self, challenge: &ServiceChallenge, scope: &ServiceScope) -> Result<ServiceCode, Refusal> {
        // As it was typed.
        let challenge: ServiceChallenge = challenge.to_string().parse().unwrap();
        self.unchanged("an answer", |pair| {
            let (code, spend) = pair.record.answer_service_challenge(&challenge, scope, 20)?;
            assert_eq!(spend.0, challenge.key_name(pair.record.device().clone()));
            Ok(code.to_text().parse().unwrap())
        })
    }
}

#[test]
fn a_code_answers_the_challenge_that_the_device_showed() {
    let (mut pair, view) = (agreed(), scope("view"));
    let challenge = pair.challenge(&view);
    let code = pair.answer(&challenge, &view).unwrap();
    assert_eq!(pair.device.check_service_code(&challenge, &view, &code), Ok(()));
    // Also after a restart.
    let restored = DeviceState::restore(&pair.flash, 0).unwrap();
    assert_eq!(restored.check_service_code(&challenge, &view, &code), Ok(()));
    let other = pair.challenge(&view);
    assert_ne!(other, challenge);
    for (challenge, scope) in [(&other, &view), (&challenge, &scope("configure"))] {
        let wrong = pair.device.check_service_code(challenge, scope, &code);
        assert_eq!(wrong, Err(DeviceError::CodeWrong));
    }
    // The authority does not answer what the device did not ask.
    let refused = pair.answer(&challenge, &scope("configure")).err();
    assert_eq!(refused, Some(Refusal::MacWrong));
}

#[test]
fn a_device_without_network_for_years_is_answered() {
    let (mut pair, view) = (agreed(), scope("view"));
    let early = pair.challenge(&view);
    pair.wait(3 * 365 * 86_400);
    pair.sweep();
    // It was switched off, and knows the time of its last contact alone.
    let late = pair.challenge(&view);
    for challenge in [&early, &late] {
        let code = pair.answer(challenge, &view).unwrap();
        assert_eq!(pair.device.check_service_code(challenge, &view, &code), Ok(()));
    }
    // It was on all the time, and has erased the keys of before.
    let clock = Clock { elapsed: 3 * 365 * 86_400, wall: None };
    let on = pair.device.service_challenge(clock, &view).unwrap();
    let on = save(on, &mut pair.flash, &mut pair.saves);
    let code = pair.answer(&on, &view).unwrap();
    assert_eq!(pair.device.check_service_code(&on, &view, &code), Ok(()));
    let gone = pair.device.check_service_code(&early, &view, &code);
    assert_eq!(gone, Err(DeviceError::KeyGone));
}

#[test]
fn a_challenge_goes_with_its_generation() {
    let (mut pair, view) = (agreed(), scope("view"));
    let before = pair.challenge(&view);
    let code = pair.answer(&before, &view).unwrap();
    pair.rekey();
    assert_eq!(pair.device.check_service_code(&before, &view, &code), Err(DeviceError::KeyGone));
    // The network went before the first proof of the new generation.
    let challenge = pair.challenge(&view);
    let code = pair.answer(&challenge, &view).unwrap();
    assert_eq!(pair.device.check_service_code(&challenge, &view, &code), Ok(()));
    pair.prove();
    pair.answer(&challenge, &view).unwrap();
    let refused = pair.answer(&before, &view).err();
    assert_eq!(refused, Some(Refusal::GenerationUnknown { claimed: 2, active: 3 }));
}

#[test]
fn a_device_that_has_not_agreed_on_them_has_no_codes() {
    let (mut pair, mut other, view) = (Pair::proven(Setup::new(HOURLY)), agreed(), scope("view"));
    let none = pair.device.service_challenge(NO_CLOCK, &view).err();
    assert_eq!(none, Some(DeviceError::PurposeNotKept(Purpose::Service)));
    // An enrollment does not agree on them, whatever the device wants.
    let setup = Setup { purposes: Purposes::of(Purpose::ALL), ..Setup::new(HOURLY) };
    assert_eq!(Pair::pending(setup).device.purposes(), Purposes::ENROLLED);
    let challenge = other.challenge(&view);
    pair.rekey();
    let refused = pair.answer(&challenge, &view).err();
    assert_eq!(refused, Some(Refusal::PurposeNotKept(Purpose::Service)));
}

#[test]
fn both_ends_make_the_same_code_for_emergencies_and_the_authority_erases_what_is_before() {
    let mut pair = agreed();
    let early = pair.challenge(&scope("view"));
    pair.wait(10 * 3600);
    pair.prove();
    let clock = Clock { elapsed: 0, wall: None };
    let made = pair.device.emergency_code(clock).unwrap();
    let (name, code) = save(made, &mut pair.flash, &mut pair.saves);
    assert_eq!((name.purpose, name.epoch), (Purpose::Service, 10));
    let told = pair.record.emergency_code((&name).into()).unwrap();
    assert_eq!(told.expose(), code.expose());
    assert!(pair.record.is_cold_changed());
    assert!(matches!(pair.answer(&early, &scope("view")), Err(Refusal::EpochGone(_))));
    // Another number is another code; another generation's is not made.
    let made = pair.device.emergency_code(clock).unwrap();
    let (next, other) = save(made, &mut pair.flash, &mut pair.saves);
    assert_ne!(other.expose(), code.expose());
    assert!(next.number > name.number);
    pair.rekey();
    pair.prove();
    let refused = pair.record.emergency_code((&next).into()).err();
    assert_eq!(refused, Some(Refusal::GenerationUnknown { claimed: 2, active: 3 }));
    let mut without = Pair::proven(Setup::new(HOURLY));
    let key = wardein_ddkg::message::ServiceKey { generation: 1, epoch: 0, number: 0 };
    assert_eq!(without.record.emergency_code(key).err(), Some(Refusal::PurposeNotKept(Purpose::Service)));
}
