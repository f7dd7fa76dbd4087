//! No bit of a token, a payload, a stanza or a delegation can change unnoticed, and a refusal changes nothing.

use super::bits::bits;
use crate::common::{HOURLY, NO_CLOCK, ONCE, Pair, Setup, flipped, save};
use wardein_crypto::Secret;
use wardein_ddkg::authority::{Delegation, Refusal};
use wardein_ddkg::device::DeviceError;
use wardein_ddkg::message::{FileStanza, SealedPayload, Token};
use wardein_domain::Purpose;

#[test]
fn of_a_token() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let token = pair.token(b"nonce").encode();
    for bit in bits(token.len()) {
        let Ok(changed) = Token::decode(&flipped(&token, bit)) else { continue };
        let refused = pair.unchanged("a changed token", |pair| pair.verify_token(&changed, b"nonce").err());
        assert!(refused.is_some(), "bit {bit}");
    }
    assert!(pair.verify_token(&Token::decode(&token).unwrap(), b"nonce").is_ok());
}

#[test]
fn of_a_payload_and_its_additional_data() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let sealed = pair.seal(b"Puls 72/min");
    let bytes = sealed.encode();
    for bit in bits(bytes.len()) {
        let Ok(changed) = SealedPayload::decode(&flipped(&bytes, bit)) else { continue };
        assert!(pair.unchanged("a changed payload", |pair| pair.open(&changed).is_err()), "bit {bit}");
        assert!(pair.device.open(&changed, b"log").is_err(), "bit {bit}");
    }
    let (now, policy) = (pair.now(), pair.setup.policy.clone());
    for bit in bits(3) {
        let changed = flipped(b"log", bit);
        let refused = pair.unchanged("changed additional data", |pair| {
            pair.record.open(&sealed, &changed, now, &policy).err()
        });
        assert_eq!(refused, Some(Refusal::OpenFailed), "bit {bit}");
        assert_eq!(pair.device.open(&sealed, &changed).err(), Some(DeviceError::OpenFailed), "bit {bit}");
    }
    assert_eq!(pair.open(&sealed).unwrap(), b"Puls 72/min");
}

#[test]
fn of_a_stanza() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let stanza = pair.device.wrap_file_key(NO_CLOCK, &Secret::copied_from(&[5; 16])).unwrap();
    let stanza = save(stanza, &mut pair.flash, &mut pair.saves);
    let (arguments, body) = (stanza.arguments(), stanza.body().to_vec());
    let changed_arguments = bits(arguments.len()).filter_map(|bit| {
        let text = String::from_utf8(flipped(arguments.as_bytes(), bit)).ok()?;
        FileStanza::parse(&text, &body).ok()
    });
    let changed_bodies =
        bits(body.len()).map(|bit| FileStanza::parse(&arguments, &flipped(&body, bit)).unwrap());
    let (now, policy) = (pair.now(), pair.setup.policy.clone());
    for changed in changed_arguments.chain(changed_bodies).collect::<Vec<_>>() {
        let refused = pair
            .unchanged("a changed stanza", |pair| pair.record.unwrap_file_key(&changed, now, &policy).err());
        assert!(refused.is_some(), "{changed:?}");
    }
    assert!(pair.record.unwrap_file_key(&stanza, now, &policy).is_ok());
}

#[test]
fn of_a_delegation() {
    let mut pair = Pair::proven(Setup::new(ONCE));
    let sealed: Vec<_> = (0..7).map(|epoch| pair.seal(&[epoch])).collect();
    let opens = |delegation: &Delegation| {
        sealed[1..].iter().all(|payload| {
            let key = delegation.payload_key(payload.name());
            key.is_ok_and(|key| payload.open(&key, b"log").is_ok())
        })
    };
    // Four nodes, each of which yields a payload's key.
    let encoded = pair.record.delegate(Purpose::Data, 1, 6).unwrap().encode();
    assert!(opens(&Delegation::decode(encoded.expose()).unwrap()));
    for bit in bits(encoded.expose().len()) {
        let changed = Delegation::decode(&flipped(encoded.expose(), bit));
        assert!(!changed.is_ok_and(|delegation| opens(&delegation)), "bit {bit}");
    }
}
