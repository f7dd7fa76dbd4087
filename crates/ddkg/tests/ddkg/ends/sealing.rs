//! Tokens, payloads, files, released keys and delegations.

use crate::common::{HOURLY, NO_CLOCK, ONCE, Pair, Setup, bytes, save, suites};
use std::collections::BTreeSet;
use wardein_crypto::Secret;
use wardein_ddkg::authority::{Delegation, Refusal};
use wardein_ddkg::device::Clock;
use wardein_ddkg::message::{FileStanza, SealedPayload, Token};
use wardein_domain::Purpose;

#[test]
fn a_token_is_verified_and_spent_once() {
    for suite in suites() {
        let mut pair = Pair::proven(Setup { suite, ..Setup::new(HOURLY) });
        let token = pair.token(b"nonce");
        let token = Token::decode(&token.encode()).unwrap();
        assert_eq!(token.issued_at, pair.now());
        let mut spent = BTreeSet::new();
        let spend = pair.verify_token(&token, b"nonce").unwrap();
        assert_eq!(spend.0, token.key_name());
        assert!(spent.insert(spend.0));
        // The rule is the caller's insert-only store: the same token names the same key again.
        let again = pair.verify_token(&token, b"nonce").unwrap();
        assert!(!spent.insert(again.0));
        assert!(spent.insert(pair.token(b"").key_name()));
    }
}

#[test]
fn a_token_lives_for_its_retention_and_a_lead() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let token = pair.token(b"");
    // Due less grace is 1, and one epoch behind it is still accepted.
    pair.wait(2 * 3600 + 299);
    assert!(pair.verify_token(&token, b"").is_ok());
    pair.wait(1);
    assert_eq!(pair.verify_token(&token, b"").err(), Some(Refusal::EpochSpent { next: 1 }));
    let mut far = |epochs: u64| {
        let clock = Clock { elapsed: epochs * 3600, wall: None };
        let token = pair.device.token(clock, crate::common::audience("platform.example"), b"").unwrap();
        let token = save(token, &mut pair.flash, &mut pair.saves);
        pair.unchanged_unless_accepted(&token)
    };
    assert_eq!(far(2 + 65_536), None);
    assert_eq!(far(2 + 2 * 65_536 + 1), Some(Refusal::EpochAhead { highest: 2 + 2 * 65_536 }));
}

impl Pair {
    fn unchanged_unless_accepted(&mut self, token: &Token) -> Option<Refusal> {
        let before = bytes(&self.record);
        let refused = self.verify_token(token, b"").err();
        assert_eq!(refused.is_some(), bytes(&self.record) == before);
        refused
    }
}

#[test]
fn a_payload_travels_and_its_key_can_be_released() {
    for suite in suites() {
        let mut pair = Pair::proven(Setup { suite, ..Setup::new(HOURLY) });
        for plaintext in [&b""[..], b"Puls 72/min", &[9; 100_000]] {
            let sealed = pair.seal(plaintext);
            let sealed = SealedPayload::decode(&sealed.encode()).unwrap();
            assert_eq!(pair.open(&sealed).unwrap(), plaintext);
            let (now, policy) = (pair.now(), pair.setup.policy.clone());
            let (key, spend) = pair.record.release_payload_key(sealed.name(), now, &policy).unwrap();
            assert_eq!(sealed.open(&key, b"log").unwrap().expose(), plaintext);
            assert_eq!(&spend.0, sealed.name());
        }
    }
}

#[test]
fn a_file_key_travels_in_a_stanza() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let file_key = Secret::copied_from(&[5; 16]);
    let stanza = pair.device.wrap_file_key(NO_CLOCK, &file_key).unwrap();
    let stanza = save(stanza, &mut pair.flash, &mut pair.saves);
    assert_eq!(stanza.arguments(), "ddkg1 ddkg1:klinik-nord/pump-0001/1.file.0.0");
    let stanza = FileStanza::parse(&stanza.arguments(), stanza.body()).unwrap();
    let (now, policy) = (pair.now(), pair.setup.policy.clone());
    let (opened, spend) = pair.record.unwrap_file_key(&stanza, now, &policy).unwrap();
    assert_eq!((opened.expose(), &spend.0), (&[5; 16], stanza.name()));
    let (key, spend) = pair.record.release_file_key(stanza.name(), now, &policy).unwrap();
    assert_eq!((stanza.unwrap_with(&key).unwrap().expose(), &spend.0), (&[5; 16], stanza.name()));
}

#[test]
fn a_delegation_opens_what_lies_within_it_and_nothing_else() {
    let mut pair = Pair::proven(Setup::new(ONCE));
    let sealed: Vec<_> = (0..9).map(|epoch| pair.seal(&[epoch])).collect();
    let delegation =
        pair.unchanged("a delegation", |pair| pair.record.delegate(Purpose::Data, 2, 6).unwrap());
    let delegation = Delegation::decode(delegation.encode().expose()).unwrap();
    for payload in &sealed {
        let epoch = payload.name().epoch;
        match delegation.payload_key(payload.name()) {
            Ok(key) if (2..=6).contains(&epoch) => {
                assert_eq!(payload.open(&key, b"log").unwrap().expose(), [epoch as u8]);
            }
            Err(Refusal::EpochGone(gone)) if !(2..=6).contains(&epoch) => {
                assert_eq!((gone.epoch, gone.first, gone.last), (epoch, 2, 6));
            }
            other => panic!("epoch {epoch}: {:?}", other.err()),
        }
    }
    let mut file = sealed[3].name().clone();
    file.purpose = Purpose::File;
    assert_eq!(delegation.file_key(&file).err(), Some(Refusal::PurposeNotKept(Purpose::File)));
    assert_eq!(delegation.file_key(sealed[3].name()).err(), Some(Refusal::PurposeNotKept(Purpose::Data)));
}

#[test]
fn a_wall_clock_that_is_ahead_seals_what_the_authority_can_open() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let ahead = Clock { elapsed: 0, wall: Some(pair.now() + 5_000 * 3600) };
    let sealed = pair.device.seal(ahead, b"log", b"early", &mut pair.entropy).unwrap();
    let sealed = save(sealed, &mut pair.flash, &mut pair.saves);
    assert_eq!(sealed.name().epoch, 5_000);
    assert_eq!(pair.open(&sealed).unwrap(), b"early");
    let behind = Clock { elapsed: 0, wall: Some(0) };
    let sealed = pair.device.seal(behind, b"log", b"", &mut pair.entropy).unwrap();
    let sealed = save(sealed, &mut pair.flash, &mut pair.saves);
    assert_eq!(sealed.name().epoch, 5_000, "the trees run ahead and never back");
    assert_eq!(pair.open(&sealed).unwrap(), b"");
    assert_eq!(pair.prove().0, 0, "proofs follow the authority's time alone");
    assert_eq!(pair.token(b"").epoch, 0);
}
