use super::*;
use crate::key::EpochSecret;
use alloc::format;
use alloc::string::ToString;
use wardein_crypto::Secret;

fn owner(device: &str) -> DeviceName {
    DeviceName { tenant: "t".parse().unwrap(), device: device.parse().unwrap() }
}

fn name(generation: u64, epoch: u32, number: u64) -> KeyName {
    KeyName { owner: owner("d"), generation, purpose: Purpose::Service, epoch, number }
}

fn key(number: u64) -> NumberKey {
    EpochSecret(Secret::copied_from(&[7; 32])).key(number)
}

fn scope(text: &str) -> ServiceScope {
    text.parse().unwrap()
}

fn shown() -> ServiceChallenge {
    ServiceChallenge::new(&name(1, 0, 5), &key(5), &scope("view"))
}

#[test]
fn a_challenge_is_short_and_comes_back() {
    let text = shown().to_string();
    assert_eq!((text.len(), text.split('-').count()), (10 + 2, 3), "{text}");
    assert_eq!(text.parse(), Ok(shown()));
    assert_eq!(format!(" {} ", text.to_lowercase().replace('-', " ")).parse(), Ok(shown()));
    let longest = name(u64::MAX, u32::MAX, crate::MAX_NUMBER);
    let challenge = ServiceChallenge::new(&longest, &key(1), &scope("view"));
    let text = challenge.to_string();
    assert!(text.len() <= ServiceChallenge::MAX_LEN);
    assert_eq!(text.parse(), Ok(challenge));
    for bad in ["", "1", "105000000", "0050000000", "10500000000", "1U50000000", &"0".repeat(97)] {
        assert_eq!(bad.parse::<ServiceChallenge>(), Err(CodeError), "{bad}");
    }
}

#[test]
fn a_challenge_is_of_one_device_key_and_scope() {
    let (challenge, view) = (shown(), scope("view"));
    assert!(challenge.verify(&owner("d"), &key(5), &view).is_ok());
    assert!(challenge.verify(&owner("e"), &key(5), &view).is_err());
    assert!(challenge.verify(&owner("d"), &key(6), &view).is_err());
    assert!(challenge.verify(&owner("d"), &key(5), &scope("configure")).is_err());
    for bit in 0..CHALLENGE_BITS {
        let other = ServiceChallenge { mark: challenge.mark ^ 1 << bit, ..challenge.clone() };
        assert!(other.verify(&owner("d"), &key(5), &view).is_err(), "bit {bit}");
    }
}

#[test]
fn a_code_answers_one_challenge_for_one_length() {
    let (challenge, view) = (shown(), scope("view"));
    let code = challenge.answer(&owner("d"), &key(5), &view, 20);
    assert_eq!(code.length(), 3_600);
    let text = code.to_text();
    assert_eq!((text.len(), text.as_bytes()[5]), (11, b'-'));
    let read: ServiceCode = text.to_lowercase().parse().unwrap();
    let configure = scope("configure");
    let holds = |code: &ServiceCode, challenge: &ServiceChallenge, device, number, scope| {
        code.verify(challenge, &owner(device), &key(number), scope).is_ok()
    };
    assert!(holds(&read, &challenge, "d", 5, &view));
    let other = ServiceChallenge::new(&name(1, 1, 5), &key(5), &view);
    assert!(!holds(&code, &other, "d", 5, &view), "another epoch");
    assert!(!holds(&code, &challenge, "e", 5, &view) && !holds(&code, &challenge, "d", 6, &view));
    assert!(!holds(&code, &challenge, "d", 5, &configure));
    assert!(!holds(&ServiceCode { units: 21, ..code.clone() }, &challenge, "d", 5, &view), "longer");
    for bit in 0..CODE_BITS {
        let changed = ServiceCode { mark: code.mark ^ 1 << bit, ..code.clone() };
        assert!(!holds(&changed, &challenge, "d", 5, &view), "bit {bit}");
    }
}

#[test]
fn a_code_has_a_length_that_there_is() {
    for (units, good) in [(0, false), (1, true), (240, true), (241, false)] {
        let text = ServiceCode { units, mark: 0 }.to_text();
        assert_eq!(text.parse::<ServiceCode>().is_ok(), good, "{units}");
    }
    for bad in ["", "0000000000", "100000000", "10000000000", "1000000U00"] {
        assert!(bad.parse::<ServiceCode>().is_err(), "{bad}");
    }
}
