//! What the authority and a delegation refuse of tokens, payloads, files and keys.

use crate::common::{HOURLY, NO_CLOCK, ONCE, Pair, Setup, TIMELESS, audience, name, save};
use wardein_crypto::{Secret, Tag};
use wardein_ddkg::authority::{Delegation, Expected, Refusal};
use wardein_ddkg::message::Token;
use wardein_ddkg::{KeyName, MAX_NUMBER, OutOfRange, Purposes};
use wardein_domain::{Purpose, Schedule};

#[test]
fn each_field_of_a_token_has_its_refusal() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let good = pair.token(b"nonce");
    pair.rekey();
    let found = audience("platform.example");
    let cases: [(Token, Refusal, &str); 6] = [
        (Token { device: name("pump-0002"), ..good.clone() }, Refusal::WrongDevice, "wrong-device"),
        (
            Token { generation: 2, ..good.clone() },
            Refusal::GenerationPending { claimed: 2 },
            "generation-pending",
        ),
        (
            Token { generation: 3, ..good.clone() },
            Refusal::GenerationUnknown { claimed: 3, active: 1 },
            "generation-unknown",
        ),
        (Token { epoch: 65_537, ..good.clone() }, Refusal::EpochAhead { highest: 65_536 }, "epoch-ahead"),
        (Token { epoch: 65_536, ..good.clone() }, Refusal::MacWrong, "mac-wrong"),
        (Token { mac: Tag([0; 32]), ..good.clone() }, Refusal::MacWrong, "mac-wrong"),
    ];
    for (token, expected, code) in cases {
        let refused = pair.unchanged(code, |pair| pair.verify_token(&token, b"nonce").unwrap_err());
        assert_eq!((refused.code().as_str(), refused), (code, expected));
    }
    let (time, policy) = (pair.time(), pair.setup.policy.clone());
    let other = audience("other.example");
    for (audience, platform_nonce, refusal, code) in [
        (&other, &b"nonce"[..], Refusal::AudienceWrong { found: found.clone() }, "audience-wrong"),
        (&other, b"other", Refusal::AudienceWrong { found: found.clone() }, "audience-wrong"),
        (&found, b"other", Refusal::NonceWrong, "nonce-wrong"),
        (&found, b"", Refusal::NonceWrong, "nonce-wrong"),
    ] {
        let expected = Expected { audience, platform_nonce };
        let refused = pair.unchanged("a token for another", |pair| {
            pair.record.verify_token(&good, expected, time, &policy).unwrap_err()
        });
        assert_eq!((refused.code().as_str(), refused), (code, refusal));
    }
    assert!(pair.verify_token(&good, b"nonce").is_ok());
    pair.prove();
    let refused = pair.unchanged("a retired token", |pair| pair.verify_token(&good, b"nonce").unwrap_err());
    assert_eq!(
        (refused.code().as_str(), refused),
        ("generation-retired", Refusal::GenerationRetired { claimed: 1, active: 2 })
    );
}

#[test]
fn a_token_behind_the_highest_by_more_than_its_retention_is_spent() {
    let mut pair = Pair::proven(Setup::new(ONCE));
    let tokens: Vec<_> = (0..4).map(|_| pair.token(b"")).collect();
    assert!(pair.verify_token(&tokens[3], b"").is_ok());
    assert!(pair.verify_token(&tokens[2], b"").is_ok());
    let refused = pair.unchanged("a late token", |pair| pair.verify_token(&tokens[1], b"").unwrap_err());
    assert_eq!((refused.code().as_str(), refused), ("epoch-spent", Refusal::EpochSpent { next: 2 }));
}

#[test]
fn an_epoch_that_the_token_tree_has_left_is_spent_whatever_the_retention_is_today() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let token = pair.token(b"");
    pair.wait(5 * 3600 + 300);
    pair.sweep();
    pair.setup.policy.token_retention = 100;
    let refused = pair.unchanged("a late token", |pair| pair.verify_token(&token, b"").unwrap_err());
    assert_eq!((refused.code().as_str(), refused), ("epoch-spent", Refusal::EpochSpent { next: 4 }));
}

#[test]
fn a_name_alone_brings_no_key_that_is_not_due_and_erases_nothing() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sealed = pair.seal(b"value");
    let (now, policy) = (pair.now(), pair.setup.policy.clone());
    let at = |epoch, number, purpose| KeyName { epoch, number, purpose, ..sealed.name().clone() };
    for (purpose, number) in [(Purpose::Data, 0), (Purpose::Data, MAX_NUMBER), (Purpose::File, 0)] {
        let release = |pair: &mut Pair, epoch| match purpose {
            Purpose::File => pair.record.release_file_key(&at(epoch, number, purpose), now, &policy).err(),
            _ => pair.record.release_payload_key(&at(epoch, number, purpose), now, &policy).err(),
        };
        assert_eq!(release(&mut pair, 0), None);
        let refused = pair.unchanged("a key that is not due", |pair| release(pair, 1).unwrap());
        assert_eq!((refused.code().as_str(), refused), ("epoch-ahead", Refusal::EpochAhead { highest: 0 }));
    }
    // With a bound on uses, so many numbers have led to an epoch.
    let mut pair = Pair::proven(Setup::new(Schedule { max_uses: 2, ..TIMELESS }));
    let sealed: Vec<_> = (0..6).map(|n| pair.seal(&[n])).collect();
    let (now, policy) = (pair.now(), pair.setup.policy.clone());
    let last = sealed[5].name();
    assert_eq!((last.epoch, last.number), (2, 5));
    pair.unchanged("a release", |pair| pair.record.release_payload_key(last, now, &policy).err());
    let later = KeyName { epoch: 3, ..last.clone() };
    assert_eq!(
        pair.record.release_payload_key(&later, now, &policy).err(),
        Some(Refusal::EpochAhead { highest: 2 })
    );
    pair.sweep();
    assert!(pair.record.release_payload_key(sealed[0].name(), now, &policy).is_ok(), "nothing was erased");
}

#[test]
fn what_is_spent_may_be_forgotten_once_its_key_cannot_be_derived() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let (token, sealed) = (pair.token(b"").key_name(), pair.seal(b"").name().clone());
    assert!(pair.record.yields(&token) && pair.record.yields(&sealed));
    assert!(!pair.record.yields(&KeyName { owner: name("pump-0002"), ..token.clone() }));
    assert!(!pair.record.yields(&KeyName { generation: 2, ..token.clone() }));
    pair.wait(3600 + 300);
    pair.sweep();
    assert!(pair.record.yields(&token), "retained for an epoch");
    assert!(!pair.record.yields(&sealed));
    // The device learns the time.
    pair.prove();
    let sealed = pair.seal(b"").name().clone();
    pair.rekey();
    pair.prove();
    assert!(!pair.record.yields(&token), "no token of a retired generation is accepted");
    assert!(pair.record.yields(&sealed));
    pair.wait(7200);
    pair.sweep();
    assert!(!pair.record.yields(&sealed));
}

#[test]
fn each_part_of_a_key_name_has_its_refusal() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    pair.wait(5 * 3600);
    pair.prove();
    let good = pair.seal(b"value").name().clone();
    let file = KeyName { purpose: Purpose::File, ..good.clone() };
    let gone = |first, last| Refusal::EpochGone(OutOfRange { epoch: 1, first, last });
    let (now, policy) = (pair.now(), pair.setup.policy.clone());
    let other = |name: &KeyName| {
        let unknown = Refusal::GenerationUnknown { claimed: 7, active: 1 };
        [
            (
                KeyName { owner: crate::common::name("pump-0002"), ..name.clone() },
                Refusal::WrongDevice,
                "wrong-device",
            ),
            (KeyName { generation: 7, ..name.clone() }, unknown, "generation-unknown"),
            (
                KeyName { purpose: Purpose::Proof, ..name.clone() },
                Refusal::PurposeNotKept(Purpose::Proof),
                "purpose-not-kept",
            ),
            (
                KeyName { purpose: Purpose::Token, ..name.clone() },
                Refusal::PurposeNotKept(Purpose::Token),
                "purpose-not-kept",
            ),
        ]
    };
    let due = (now - policy.grace - crate::common::START) / 3600;
    for (name, expected, code) in other(&good).into_iter().chain([
        (file.clone(), Refusal::PurposeNotKept(Purpose::File), "purpose-not-kept"),
        (KeyName { epoch: 1, ..good.clone() }, gone(due as u32, u32::MAX), "epoch-gone"),
    ]) {
        let refused =
            pair.unchanged(code, |pair| pair.record.release_payload_key(&name, now, &policy).err().unwrap());
        assert_eq!((refused.code().as_str(), refused), (code, expected));
    }
    for (name, expected, code) in other(&file).into_iter().chain([
        (good.clone(), Refusal::PurposeNotKept(Purpose::Data), "purpose-not-kept"),
        (KeyName { epoch: 1, ..file.clone() }, gone(due as u32, u32::MAX), "epoch-gone"),
    ]) {
        let refused =
            pair.unchanged(code, |pair| pair.record.release_file_key(&name, now, &policy).err().unwrap());
        assert_eq!((refused.code().as_str(), refused), (code, expected));
    }
    let delegation = pair.record.delegate(Purpose::Data, 5, 8).unwrap();
    for (name, expected, code) in
        other(&good).into_iter().chain([(KeyName { epoch: 1, ..good.clone() }, gone(5, 8), "epoch-gone")])
    {
        let refused = delegation.payload_key(&name).err().unwrap();
        assert_eq!((refused.code().as_str(), refused), (code, expected));
    }
    assert!(delegation.payload_key(&good).is_ok());
}

#[test]
fn a_delegation_is_of_what_is_kept() {
    let mut pair = Pair::proven(Setup { purposes: Purposes::of([Purpose::Data]), ..Setup::new(HOURLY) });
    pair.wait(5 * 3600 + 300);
    pair.sweep();
    let mut delegate = |purpose, first, last| {
        pair.unchanged("a delegation", |pair| pair.record.delegate(purpose, first, last).err())
    };
    let gone = |epoch| Some(Refusal::EpochGone(OutOfRange { epoch, first: 5, last: u32::MAX }));
    assert_eq!(delegate(Purpose::File, 5, 9), Some(Refusal::PurposeNotKept(Purpose::File)));
    assert_eq!(delegate(Purpose::Data, 4, 9), gone(4));
    assert_eq!(delegate(Purpose::Data, 9, 8), gone(8));
    assert_eq!(delegate(Purpose::Data, 5, u32::MAX), None);
}

#[test]
fn a_purpose_that_is_not_kept_is_refused() {
    let mut full = Pair::proven(Setup::new(HOURLY));
    let (token, sealed) = (full.token(b""), full.seal(b""));
    let stanza = full.device.wrap_file_key(NO_CLOCK, &Secret::copied_from(&[0; 16])).unwrap();
    let stanza = save(stanza, &mut full.flash, &mut full.saves);
    let mut pair = Pair::proven(Setup { purposes: Purposes::of([]), ..Setup::new(HOURLY) });
    let (now, policy) = (pair.now(), pair.setup.policy.clone());
    let refused = [
        pair.verify_token(&token, b"").err(),
        pair.open(&sealed).err(),
        pair.record.unwrap_file_key(&stanza, now, &policy).err(),
    ];
    let kept =
        [Purpose::Token, Purpose::Data, Purpose::File].map(|purpose| Some(Refusal::PurposeNotKept(purpose)));
    assert_eq!(refused, kept);
}

#[test]
fn what_was_sealed_by_another_is_not_opened() {
    let mut other = Pair::proven(Setup::new(HOURLY));
    let sealed = other.seal(b"value");
    let stanza = other.device.wrap_file_key(NO_CLOCK, &Secret::copied_from(&[0; 16])).unwrap();
    let stanza = save(stanza, &mut other.flash, &mut other.saves);
    // A twin: the same name, another agreement.
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let (now, policy) = (pair.now(), pair.setup.policy.clone());
    for refused in [
        pair.unchanged("opening", |pair| pair.open(&sealed).err()),
        pair.unchanged("unwrapping", |pair| pair.record.unwrap_file_key(&stanza, now, &policy).err()),
    ] {
        assert_eq!(refused.as_ref().map(|refused| refused.code().as_str()), Some("open-failed"));
        assert_eq!(refused, Some(Refusal::OpenFailed));
    }
    let delegation = pair.record.delegate(Purpose::File, 0, 0).unwrap();
    let delegation = Delegation::decode(delegation.encode().expose()).unwrap();
    let key = delegation.file_key(stanza.name()).unwrap();
    assert!(stanza.unwrap_with(&key).is_err());
}
