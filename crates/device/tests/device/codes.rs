//! A technician is let in where there is no network: once, in time, at this device, and not by guessing.

use crate::common::{Device, Fault, Shared};
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

/// What the authority would show now.
fn on_record(authority: &Shared) -> String {
    String::from_utf8(authority.0.borrow().emergency.as_ref().unwrap().1.clone()).unwrap()
}

fn break_glass(device: &Device, code: &str, now: &Moment) -> Result<Admission, CodeRefused> {
    session(device).break_glass(code, now).map_err(|error| match error {
        Error::Code(refused) => refused,
        other => panic!("{other}"),
    })
}

async fn contact(device: &Device) -> bool {
    session(device).emergency_code().await.unwrap()
}

#[tokio::test]
async fn a_code_for_emergencies_is_good_once_and_replaced_at_the_next_contact() {
    let (authority, device) = agreed().await;
    assert_eq!(break_glass(&device, "0000-0000-0000-0000", &at(1)), Err(CodeRefused::NoEmergencyCode));
    assert!(contact(&device).await);
    let code = on_record(&authority);
    assert!(contact(&device).await && on_record(&authority) == code, "nothing changes");
    // The network is gone, and the device may be started again.
    authority.0.borrow_mut().away = true;
    let mut typo = code.clone();
    let last = if typo.pop() == Some('0') { '1' } else { '0' };
    typo.push(last);
    assert_eq!(
        break_glass(&device, &typo, &at(1)),
        Err(CodeRefused::Malformed),
        "a typing error is no guess"
    );
    assert!(matches!(
        break_glass(&device, "0000-0000-0000-0000", &at(1)),
        Err(CodeRefused::Wrong { left: 4 })
    ));
    let admission = break_glass(&device, &code.to_lowercase(), &Moment::of("second", 7)).unwrap();
    assert_eq!(
        (admission.scope.to_string().as_str(), admission.until),
        ("emergency", Moment::of("second", 7 + 14_400))
    );
    assert_eq!(break_glass(&device, &code, &at(8)), Err(CodeRefused::NoEmergencyCode), "twice");
    authority.0.borrow_mut().away = false;
    assert!(contact(&device).await);
    assert_eq!(authority.0.borrow().emergency_used.len(), 1);
    assert_ne!(on_record(&authority), code);
    assert!(matches!(break_glass(&device, &code, &at(9)), Err(CodeRefused::Wrong { .. })));
    break_glass(&device, &on_record(&authority), &at(9)).unwrap();
}

#[tokio::test]
async fn a_code_that_was_shown_is_replaced_and_one_of_another_device_opens_nothing() {
    let (authority, device) = agreed().await;
    let (elsewhere, other) = agreed().await;
    assert!(contact(&device).await && contact(&other).await);
    let (code, theirs) = (on_record(&authority), on_record(&elsewhere));
    assert!(matches!(break_glass(&device, &theirs, &at(1)), Err(CodeRefused::Wrong { .. })));
    authority.0.borrow_mut().is_emergency_shown = true;
    assert!(contact(&device).await);
    assert_ne!(on_record(&authority), code);
    assert!(matches!(break_glass(&device, &code, &at(2)), Err(CodeRefused::Wrong { .. })), "it was replaced");
    // Keys that are agreed on meanwhile change nothing of it.
    session(&device).rekey().await.unwrap();
    break_glass(&device, &on_record(&authority), &at(3)).unwrap();
    // A device without such keys has none.
    let (_, plain) = enrolled().await;
    assert!(!session_for(&plain, Purposes::ENROLLED).emergency_code().await.unwrap());
}

/// Whatever is lost on the way, what the authority shows opens the device, and nothing opens it twice.
#[tokio::test]
async fn no_lost_request_or_reply_parts_the_device_from_the_code_on_record() {
    let file = Fault::FileFails("codes.json");
    for fault in [Fault::Lost, Fault::AnswerLost, Fault::AnswerChanged, Fault::DiskFails, file] {
        let (authority, device) = agreed().await;
        assert!(contact(&device).await);
        let first = on_record(&authority);
        authority.0.borrow_mut().is_emergency_shown = true;
        // At the request that tells of the next code.
        authority.fault(&[None, Some(fault)]);
        let _ = session(&device).emergency_code().await;
        authority.fault(&[]);
        for name in ["state.new", "codes.json.new"] {
            drop(std::fs::remove_dir(device.path().join(name)));
        }
        let shown = on_record(&authority);
        break_glass(&device, &shown, &at(1)).unwrap_or_else(|refused| panic!("{fault:?}: {refused}"));
        assert!(break_glass(&device, &shown, &at(1)).is_err(), "{fault:?}");
        assert!(contact(&device).await);
        let next = on_record(&authority);
        assert!(next != shown && next != first);
        assert!(
            break_glass(&device, &shown, &at(2)).is_err() && break_glass(&device, &first, &at(2)).is_err()
        );
        break_glass(&device, &next, &at(3)).unwrap();
    }
}

#[tokio::test]
async fn the_files_of_a_device_hold_no_code_for_emergencies() {
    let (authority, device) = agreed().await;
    assert!(contact(&device).await);
    let code: String = on_record(&authority).chars().filter(|c| *c != '-').collect();
    for entry in std::fs::read_dir(device.path()).unwrap() {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!text.windows(6).any(|part| part.eq_ignore_ascii_case(&code.as_bytes()[..6])));
    }
}
