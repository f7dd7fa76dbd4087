//! An authority's record. A twin of the device is made from its trees, so that macs are right and the fuzzer gets behind
//! them. No challenge asks for an attribute: the digests of the record's cannot be turned into measurements.

use super::device_state::with_checksum;
use super::world::{self, Counter, bytes};
use wardein_ddkg::authority::{Accepted, Expected, Record, Refusal};
use wardein_ddkg::device::{Clock, DeviceState, InFlight};
use wardein_ddkg::message::{ProofRequest, RekeyAsk};
use wardein_ddkg::{Attributes, AuthorityTime, Cover, Policy, Recipe};
use wardein_domain::Purpose;

/// The first 8 bytes are the time in Unix seconds, the rest is the record: in one piece as it was stored formerly, or its hot
/// part and then its cold one.
pub fn record(data: &[u8]) {
    let Some((now, stored)) = data.split_first_chunk() else { return };
    let decoded = match stored.first() {
        Some(1) => Record::decode_v1(stored),
        _ => world::load(stored),
    };
    let Ok(mut record) = decoded else { return };
    if stored.first() == Some(&1) {
        assert!(record.is_cold_changed(), "what was read in one piece is to be stored in two");
        record.mark_stored();
    } else {
        assert!(bytes(&record) == stored, "decoded from a second form");
    }
    stays_whole(&record);
    let (now, policy) = (u64::from_be_bytes(*now), world::policy());

    if let Some(mut device) = twin(&record) {
        tokens_and_payloads(&mut record, &mut device, now, &policy);
        let first = prove(&mut record, &mut device, now, &policy);
        rekey(&mut record, &mut device, now, &policy);
        if let Some((request, _)) = prove(&mut record, &mut device, now, &policy) {
            again_is_refused(&mut record, &request, now, &policy);
        }
        if let Some((request, _)) = first {
            again_is_refused(&mut record, &request, now, &policy);
        }
    }
    for later in [now, now.saturating_add(1 << 20), u64::MAX] {
        record.sweep(AuthorityTime::sure(later), &policy);
        assert!(!record.sweep(AuthorityTime::sure(later), &policy), "a second sweep found more to erase");
        stays_whole(&record);
    }
}

/// The device that the record is of, as far as its trees reach to the last epoch.
fn twin(record: &Record) -> Option<DeviceState> {
    let mut trees = Vec::new();
    let mut set = 0;
    let mut frontier = 0;
    for purpose in Purpose::ALL {
        // The first epoch is not told: the bounds of a refused delegation tell it.
        let first = match record.delegate(purpose, 0, u32::MAX) {
            Ok(_) => 0,
            Err(Refusal::EpochGone(range)) if range.last == u32::MAX => range.first,
            Err(_) => continue,
        };
        let first = if purpose == Purpose::Proof { first.max(record.proof_epoch()) } else { first };
        let delegation = record.delegate(purpose, first, u32::MAX).ok()?.encode();
        let names = record.device().tenant.as_str().len() + record.device().device.as_str().len();
        let cover = &delegation.expose()[4 + 4 + names + 8 + 4 + purpose.as_str().len()..];
        assert_eq!(Cover::decode(cover).ok()?.first(), first);
        set |= 1 << purpose as u8;
        if purpose == Purpose::Proof {
            frontier = first;
        }
        trees.extend([[0; 8], [0; 8]].concat());
        trees.extend(first.to_be_bytes());
        trees.extend(u32::MAX.to_be_bytes());
        // In a state, the range tells the places of the nodes.
        trees.extend(cover.chunks(37).flat_map(|node| node[5..].to_vec()));
    }
    let schedule = record.schedule();
    let mut body = vec![1];
    body.extend([0; 8]);
    for name in [record.device().tenant.as_str(), record.device().device.as_str()] {
        body.extend((name.len() as u32).to_be_bytes());
        body.extend(name.as_bytes());
    }
    body.extend([4; 65]);
    body.extend(record.suite().number().to_be_bytes());
    body.extend(record.active_generation().to_be_bytes());
    for number in [schedule.period, schedule.max_uses, schedule.not_before] {
        body.extend(number.to_be_bytes());
    }
    body.push(2);
    body.extend([0; 32 + 8]);
    body.extend(frontier.to_be_bytes());
    body.extend([0; 8]);
    body.push(set);
    body.extend(trees);
    // Without a tree of proofs there is no device.
    DeviceState::restore(&with_checksum(&body), 0).ok()
}

/// A proof, asked again as the refusals say; the authority accepts it or refuses it, and after a refusal is as before.
fn prove(
    record: &mut Record,
    device: &mut DeviceState,
    now: u64,
    policy: &Policy,
) -> Option<(ProofRequest, Accepted)> {
    for attempt in 0..3 {
        let (offer, checked) = world::offer(record, Recipe::default(), now, &mut Counter(attempt));
        let (ask, action) = (device.ask_challenge(), "authenticate".parse().expect("an action"));
        let measured = Attributes::new().digests();
        let unsaved = device.prove(ask, &offer, &measured, action, b"", &mut Counter(attempt)).ok()?;
        let (request, in_flight) = world::save(unsaved, &mut Vec::new());
        let (before, cold) = (bytes(record), record.encode_cold());
        record.mark_stored();
        match record.verify(&request, checked, &offer.recipe, b"", AuthorityTime::sure(now), policy) {
            Ok(accepted) => {
                // What follows format and sequence.
                let is_changed = record.encode_cold().expose()[9..] != cold.expose()[9..];
                assert_eq!(record.is_cold_changed(), is_changed, "a cold part is stored when it changed");
                acknowledge(device, in_flight, &accepted, now, Vec::new());
                stays_whole(record);
                return Some((request, accepted));
            }
            Err(refusal) => {
                assert!(bytes(record) == before, "a refused proof changed the record");
                device.refused(&request, &refusal);
            }
        }
    }
    None
}

fn acknowledge(device: &mut DeviceState, in_flight: InFlight, accepted: &Accepted, now: u64, body: Vec<u8>) {
    let unsaved = device.acknowledge(in_flight, accepted.reply(now, body)).expect("an honest reply");
    world::save(unsaved, &mut Vec::new());
}

fn again_is_refused(record: &mut Record, request: &ProofRequest, now: u64, policy: &Policy) {
    let (offer, checked) = world::offer(record, Recipe::default(), now, &mut Counter(3));
    let before = bytes(record);
    let again = record.verify(request, checked, &offer.recipe, b"", AuthorityTime::sure(now), policy);
    assert!(again.is_err(), "a proof was accepted twice");
    assert!(bytes(record) == before, "a refused proof changed the record");
}

fn rekey(record: &mut Record, device: &mut DeviceState, now: u64, policy: &Policy) {
    let (offer, checked) = world::offer(record, Recipe::default(), now, &mut Counter(4));
    let (ask, suite, measured) = (device.ask_challenge(), device.suite(), Attributes::new().digests());
    let Ok(unsaved) = device.rekey(ask, &offer, &measured, suite, &mut Counter(5)) else { return };
    let (request, rekey, in_flight): (_, RekeyAsk, _) = world::save(unsaved, &mut Vec::new());
    let Ok(accepted) =
        record.verify(&request, checked, &offer.recipe, &rekey.encode(), AuthorityTime::sure(now), policy)
    else {
        return;
    };
    let schedule = *record.schedule();
    if let Ok(answer) = record.rekey(&accepted, &rekey, schedule, &mut Counter(6)) {
        acknowledge(device, in_flight, &accepted, now, answer.encode());
        assert_eq!(record.pending_generation(), Some(device.generation()));
    }
    stays_whole(record);
}

fn tokens_and_payloads(record: &mut Record, device: &mut DeviceState, now: u64, policy: &Policy) {
    let clock = Clock { elapsed: now, wall: None };
    let audience = "platform.example".parse().expect("an audience");
    if let Ok(unsaved) = device.token(clock, audience, b"") {
        let token = world::save(unsaved, &mut Vec::new());
        let expected = Expected { audience: &token.audience, platform_nonce: b"" };
        let _ = record.verify_token(&token, expected, AuthorityTime::sure(now), policy).is_ok();
    }
    if let Ok(unsaved) = device.seal(clock, b"", b"plain", &mut Counter(7)) {
        let sealed = world::save(unsaved, &mut Vec::new());
        if let Ok((plain, _)) = record.open(&sealed, b"", now, policy) {
            assert_eq!(plain.expose(), b"plain");
        }
        let _ = record.release_payload_key(sealed.name(), now, policy).is_ok();
    }
    if let Ok(unsaved) = device.wrap_file_key(clock, &wardein_crypto::Secret::copied_from(&[3; 16])) {
        let stanza = world::save(unsaved, &mut Vec::new());
        if let Ok((key, _)) = record.unwrap_file_key(&stanza, now, policy) {
            assert_eq!(key.expose(), &[3; 16]);
        }
    }
    stays_whole(record);
}

/// Whatever happened, what is stored can be loaded again.
fn stays_whole(record: &Record) {
    let stored = bytes(record);
    assert!(record.encode_hot().len() == Record::MAX_HOT_LEN);
    let again = world::load(&stored).expect("what the authority stores it loads");
    assert!(bytes(&again) == stored);
}
