//! A technician is let in where there is no network: once, in time, at this device, and not by guessing.

use crate::common::{Device, Shared};
use crate::rekey::{enrolled, session_for};
use wardein_crypto::SystemEntropy;
use wardein_ddkg::{Purposes, ServiceChallenge};
use wardein_device::{Admission, CodeRefused, Error, Moment, Session};
use wardein_domain::{Purpose, ServiceScope};

type Own = Session<Shared, SystemEntropy>;

/// Units of 3 minutes that codes are for.
const UNITS: u8 = 20;

async fn agreed() -> (Shared, Device) {
    let (authority, device) = enrolled().await;
    session(&device).rekey().await.unwrap();
    (authority, device)
}

/// Each session is a process of its own.
fn session(device: &Device) -> Own {
    session_for(device, Purposes::of(Purpose::ALL))
}

fn at(second: u64) -> Moment {
    Moment::of("first", second)
}

fn scope() -> ServiceScope {
    "maintenance".parse().unwrap()
}

fn show(device: &Device, second: u64) -> ServiceChallenge {
    session(device).service_challenge(&scope(), at(second)).unwrap()
}

fn answer(authority: &Shared, challenge: &ServiceChallenge) -> String {
    let world = authority.0.borrow();
    let record = world.record.as_ref().unwrap();
    record.answer_service_challenge(challenge, &scope(), UNITS).unwrap().0.to_text()
}

fn admit(device: &Device, code: &str, now: &Moment) -> Result<Admission, CodeRefused> {
    session(device).admit(code, now).map_err(|error| match error {
        Error::Code(refused) => refused,
        other => panic!("{other}"),
    })
}

/// One that is none of these, and of the same length in time.
fn other(code: &str) -> String {
    let last = if code.ends_with('0') { "1" } else { "0" };
    format!("{}{last}", code.split_at(code.len() - 1).0)
}

#[tokio::test]
async fn a_code_lets_in_once_and_for_as_long_as_it_says_from_the_challenge_on() {
    let (authority, device) = agreed().await;
    assert_eq!(admit(&device, "00000-00000", &at(100)), Err(CodeRefused::NoChallenge));
    let challenge = show(&device, 100);
    let code = answer(&authority, &challenge);
    let admission = admit(&device, &code.to_lowercase(), &at(999)).unwrap();
    assert_eq!((admission.until, admission.scope), (at(100 + 3_600), scope()));
    assert_eq!(admission.id, "2.0.0");
    assert_eq!(admit(&device, &code, &at(999)), Err(CodeRefused::NoChallenge), "twice");
    // The next challenge takes another key, and its code is another.
    let next = show(&device, 1_000);
    assert_ne!(next, challenge);
    assert!(matches!(admit(&device, &code, &at(1_000)), Err(CodeRefused::Wrong { left: 4 })));
    admit(&device, &answer(&authority, &next), &at(1_000)).unwrap();
}

#[tokio::test]
async fn a_code_that_comes_late_or_after_a_restart_or_a_rekey_lets_nobody_in() {
    let (authority, device) = agreed().await;
    let over = Err(CodeRefused::ChallengeOver);
    let code = answer(&authority, &show(&device, 100));
    assert_eq!(admit(&device, &code, &at(1_000)), over);
    // However late its machine was started.
    assert_eq!(admit(&device, &code, &Moment::of("second", 200)), over);
    // A wall clock that jumps is not asked, and the code is still good in its time.
    admit(&device, &code, &at(999)).unwrap();
    let code = answer(&authority, &show(&device, 2_000));
    session(&device).rekey().await.unwrap();
    assert_eq!(admit(&device, &code, &at(2_001)), over);
    // A challenge that was shown later is the one that counts.
    let first = show(&device, 3_000);
    let second = show(&device, 3_001);
    assert!(matches!(
        admit(&device, &answer(&authority, &first), &at(3_002)),
        Err(CodeRefused::Wrong { .. })
    ));
    admit(&device, &answer(&authority, &second), &at(3_003)).unwrap();
    // What the code is for ended before it was typed.
    let challenge = show(&device, 4_000);
    let short = {
        let world = authority.0.borrow();
        world.record.as_ref().unwrap().answer_service_challenge(&challenge, &scope(), 1).unwrap().0.to_text()
    };
    assert_eq!(admit(&device, &short, &at(4_180)), Err(CodeRefused::Over));
    assert_eq!(admit(&device, &short, &at(4_001)), Err(CodeRefused::NoChallenge), "it is used up");
}

#[tokio::test]
async fn another_devices_code_and_what_is_mistyped_let_nobody_in() {
    let (authority, device) = agreed().await;
    let (elsewhere, other_device) = agreed().await;
    // The two have the same name, generation and numbers: their keys alone differ.
    let (challenge, theirs) = (show(&device, 100), show(&other_device, 100));
    let code = answer(&elsewhere, &theirs);
    assert!(matches!(admit(&device, &code, &at(101)), Err(CodeRefused::Wrong { left: 4 })));
    let record = authority.0.borrow();
    let refused = record.record.as_ref().unwrap().answer_service_challenge(&theirs, &scope(), UNITS);
    assert!(refused.is_err(), "the authority does not take it for a challenge of this one");
    drop(record);
    for bad in ["", "1234", "00000-00000", "ZZZZZ-ZZZZZ", "12345-6789U", &"0".repeat(64)] {
        assert_eq!(admit(&device, bad, &at(102)), Err(CodeRefused::Malformed), "{bad}");
    }
    // What cannot be a code is no guess.
    let code = answer(&authority, &challenge);
    assert!(matches!(admit(&device, &other(&code), &at(103)), Err(CodeRefused::Wrong { left: 3 })));
    admit(&device, &code, &at(104)).unwrap();
}

#[tokio::test]
async fn who_guesses_waits_longer_each_time_and_for_good_never() {
    let (authority, device) = agreed().await;
    let guess = |now: &Moment| {
        session(&device).service_challenge(&scope(), now.clone()).unwrap();
        let wrong: Vec<_> = (0..5).map(|_| admit(&device, "0K000-00000", now).unwrap_err()).collect();
        assert_eq!(wrong.last(), Some(&CodeRefused::Wrong { left: 0 }));
    };
    let locked = |now: &Moment| match session(&device).service_challenge(&scope(), now.clone()) {
        Err(Error::Code(CodeRefused::Locked { seconds })) => seconds,
        other => panic!("{:?}", other.err()),
    };
    guess(&at(1_000));
    assert_eq!(admit(&device, "0K000-00000", &at(1_000)), Err(CodeRefused::Locked { seconds: 60 }));
    assert_eq!(locked(&at(1_059)), 1);
    // The challenge is void, and the right code with it.
    assert_eq!(admit(&device, "0K000-00000", &at(1_060)), Err(CodeRefused::NoChallenge));
    guess(&at(1_060));
    assert_eq!(locked(&at(1_061)), 119);
    // Switching the device off and on saves no waiting.
    assert_eq!(locked(&Moment::of("second", 5)), 115);
    guess(&Moment::of("second", 120));
    assert_eq!(locked(&Moment::of("second", 120)), 240);
    let mut now = 1_000_000;
    for _ in 0..12 {
        guess(&Moment::of("second", now));
        now += 86_400;
    }
    assert_eq!(locked(&Moment::of("second", now - 86_400)), 86_400, "a day at most");
    // Who reaches the authority is let in again at once.
    session(&device).service_access().await.unwrap();
    let challenge = show(&device, 5);
    admit(&device, &answer(&authority, &challenge), &at(6)).unwrap();
}

/// The power goes at each write: nothing is good twice, no guess is free, and the next challenge works.
#[tokio::test]
async fn a_power_cut_at_any_write_makes_no_code_good_twice() {
    let (authority, device) = agreed().await;
    let file = device.path().join("codes.json");
    let code = answer(&authority, &show(&device, 100));
    let shown = std::fs::read(&file).unwrap();
    // The write before it is judged was the last one: it counts as a try, and the code is still good, once.
    let wrong = other(&code);
    assert!(matches!(admit(&device, &wrong, &at(101)), Err(CodeRefused::Wrong { left: 4 })));
    let judged = std::fs::read(&file).unwrap();
    assert_ne!(judged, shown);
    admit(&device, &code, &at(102)).unwrap();
    assert_eq!(admit(&device, &code, &at(102)), Err(CodeRefused::NoChallenge));
    // Where a write fails, nobody is let in, and what was asked can be asked again.
    let code = answer(&authority, &show(&device, 200));
    let in_the_way = device.path().join("codes.json.new");
    std::fs::create_dir(&in_the_way).unwrap();
    for _ in 0..3 {
        assert!(session(&device).admit(&code, &at(201)).is_err());
        assert!(session(&device).service_challenge(&scope(), at(201)).is_err());
    }
    std::fs::remove_dir(&in_the_way).unwrap();
    admit(&device, &code, &at(202)).unwrap();
    // A number that was taken and not shown is never taken again.
    let before = show(&device, 300);
    std::fs::write(&file, "{").unwrap();
    assert!(matches!(session(&device).service_challenge(&scope(), at(301)), Err(Error::Damaged { .. })));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(admit(&device, &answer(&authority, &before), &at(301)), Err(CodeRefused::NoChallenge));
    let next = show(&device, 302);
    let name = |challenge: &ServiceChallenge| challenge.key_name(authority.config().device);
    assert!(name(&next).number > name(&before).number);
}

#[tokio::test]
async fn a_device_that_agreed_on_no_keys_for_codes_says_so() {
    let (_authority, device) = enrolled().await;
    let refused = session(&device).service_challenge(&scope(), at(1));
    assert!(matches!(refused, Err(Error::Code(CodeRefused::NotAgreed))));
}
