//! Every decoder, on bytes as they come. Each input goes through all of them: messages tell by their first byte which they
//! are, the rest have no such byte, and a decoder that refuses costs next to nothing.

use super::world::{self, Counter, START};
use std::fmt::Display;
use wardein_ddkg::authority::{Delegation, EnrollTerms, Record, Refusal};
use wardein_ddkg::device::{DeviceState, Enrolling, InFlight};
use wardein_ddkg::message::{
    AckedReply, ChallengeAnswer, ChallengeAsk, ChallengeOffer, Confirmation, Confirmed, EnrollReply,
    EnrollRequest, FileStanza, MadeKeyAnswer, ProofAnswer, ProofAsk, ProofRequest, Refused, RekeyAnswer,
    RekeyAsk, SealedPayload, SignedAnswer, SignedAsk, Token, TransferAnswer,
};
use wardein_ddkg::{Attributes, Challenge, Cover, KeyName, MAX_COVER_NODES, Purposes, Recipe, Suite};
use wardein_domain::Schedule;

/// Decodes `data` as each thing that comes from outside; what decodes must have this one form, and be safe to use.
pub fn decode(data: &[u8]) {
    if let Some(request) = once(data, EnrollRequest::decode, EnrollRequest::encode) {
        enroll_request(&request);
    }
    if let Some(reply) = once(data, EnrollReply::decode, EnrollReply::encode) {
        enroll_reply(&reply);
    }
    if let Some(confirmation) = once(data, Confirmation::decode, Confirmation::encode) {
        refused(|record| record.confirm(&confirmation));
    }
    if let Some(offer) = once(data, ChallengeOffer::decode, ChallengeOffer::encode) {
        challenge_offer(&offer);
    }
    if let Some(request) = once(data, ProofRequest::decode, ProofRequest::encode) {
        proof_request(&request);
    }
    if let Some(reply) = once(data, AckedReply::decode, AckedReply::encode) {
        acked_reply(reply);
    }
    if let Some(token) = once(data, Token::decode, Token::encode) {
        let expected = wardein_ddkg::authority::Expected {
            audience: &token.audience,
            platform_nonce: &token.platform_nonce,
        };
        refused(|record| record.verify_token(&token, expected, world::time(), &world::policy()));
    }
    if let Some(sealed) = once(data, SealedPayload::decode, SealedPayload::encode) {
        refused(|record| record.open(&sealed, b"", START, &world::policy()));
        assert!(world::pair().1.open(&sealed, b"").is_err(), "a payload that nobody sealed was opened");
    }
    posted(data);
    if let Some(ask) = once(data, RekeyAsk::decode, RekeyAsk::encode) {
        rekey_ask(&ask);
    }
    for suite in world::suites() {
        if once(data, |data| RekeyAnswer::decode(suite, data), RekeyAnswer::encode).is_some() {
            rekey_answer(suite, data);
        }
        once(data, |data| TransferAnswer::decode(suite, data), TransferAnswer::encode);
    }
    once(data, MadeKeyAnswer::decode, MadeKeyAnswer::encode);
    if let Some(attributes) = once(data, Attributes::decode, Attributes::encode) {
        let digests = attributes.digests();
        assert!(digests.binding(data, &digests.names()).is_ok(), "all names were measured");
    }
    if let Some(cover) = once(data, Cover::decode, |cover| cover.encode().expose().to_vec()) {
        use_cover(cover);
    }
    if let Some(delegation) = once(data, Delegation::decode, |d| d.encode().expose().to_vec()) {
        for name in ["ddkg1:klinik-nord/pump-0001/1.data.0.0", "ddkg1:klinik-nord/pump-0001/1.file.9.1"] {
            let name = name.parse().expect("a key name");
            let _ = (delegation.payload_key(&name).is_ok(), delegation.file_key(&name).is_ok());
        }
    }
    challenge(data);
    text(data);
}

/// What devices post, and what comes back.
fn posted(data: &[u8]) {
    once(data, ChallengeAsk::decode, ChallengeAsk::encode);
    if let Some(answer) = once(data, ChallengeAnswer::decode, ChallengeAnswer::encode) {
        challenge_offer(&answer.offer);
    }
    if let Some(ask) = once(data, ProofAsk::decode, ProofAsk::encode) {
        proof_request(&ask.request);
    }
    if let Some(answer) = once(data, ProofAnswer::decode, ProofAnswer::encode) {
        acked_reply(answer.reply);
    }
    once(data, SignedAsk::decode, SignedAsk::encode);
    once(data, SignedAnswer::decode, SignedAnswer::encode);
    once(data, Confirmed::decode, |confirmed| confirmed.encode());
    once(data, Refused::decode, Refused::encode);
}

/// What `decode` takes must be the only form of it; an error must have a text.
fn once<T, E: Display>(
    data: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<T, E>,
    encode: impl FnOnce(&T) -> Vec<u8>,
) -> Option<T> {
    match decode(data) {
        Ok(value) => {
            assert_eq!(encode(&value), data, "decoded from a second form");
            Some(value)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// Nobody has the keys of the pair, so whatever comes is refused, and changes nothing.
fn refused<T>(order: impl FnOnce(&mut Record) -> Result<T, Refusal>) {
    let (mut record, _) = world::pair();
    let before = world::bytes(&record);
    let Err(refusal) = order(&mut record) else {
        unreachable!("a message that nobody made was accepted");
    };
    assert!(!refusal.to_string().is_empty());
    assert!(world::bytes(&record) == before, "a refused message changed the record");
}

fn enroll_request(request: &EnrollRequest) {
    let schedule = Schedule { period: 60, max_uses: 0, not_before: START };
    let terms = EnrollTerms { generation: 1, schedule, purposes: Purposes::ENROLLED };
    let enrolled = Record::enroll(None, request, &terms, |_| Ok(vec![0; 70]), &mut Counter(2));
    if let Ok(enrolled) = enrolled {
        let record = enrolled.record.expect("it is the first");
        let bytes = world::bytes(&record);
        let again = world::load(&bytes).expect("it was encoded here");
        assert!(world::bytes(&again) == bytes);
    }
}

fn enroll_reply(reply: &EnrollReply) {
    let key = *world::identity().verifying_key();
    let suite = reply.share.suite();
    let enrolling = Enrolling::begin(key, suite, world::name(), world::attributes(), &mut Counter(3));
    let finished = enrolling.expect("there is entropy").finish(reply, Purposes::ENROLLED);
    assert!(finished.is_err(), "a reply that nobody signed was believed");
}

fn challenge_offer(offer: &ChallengeOffer) {
    let (_, mut device) = world::pair();
    let before = world::visible(&device);
    let ask = device.ask_challenge();
    let measured = world::attributes().digests();
    let action = "authenticate".parse().expect("an action");
    match device.prove(ask, offer, &measured, action, b"", &mut Counter(4)) {
        Ok(unsaved) => drop(world::save(unsaved, &mut Vec::new())),
        Err(_) => assert_eq!(world::visible(&device), before),
    }
}

fn challenge(data: &[u8]) {
    if let Ok(challenge) = Challenge::new(data) {
        assert_eq!(challenge.as_bytes(), data);
        let (key, now) = (world::challenge_key(), START * 1_000);
        let _ = key.check(&challenge, &world::name(), &Recipe::default(), now, &world::policy());
    }
}

fn proof_request(request: &ProofRequest) {
    refused(|record| {
        let (offer, checked) = world::offer(record, record.attributes().names(), START, &mut Counter(5));
        record.verify(request, checked, &offer.recipe, b"", world::time(), &world::policy())
    });
}

fn acked_reply(reply: AckedReply) {
    let (record, mut device) = world::pair();
    let (_, _, in_flight) = ask_rekey(&record, &mut device, Suite::P256);
    let before = world::visible(&device);
    assert!(device.acknowledge(in_flight, reply).is_err(), "a reply that nobody acked was believed");
    assert_eq!(world::visible(&device), before);
}

fn ask_rekey(record: &Record, device: &mut DeviceState, suite: Suite) -> (ProofRequest, RekeyAsk, InFlight) {
    let (offer, _) = world::offer(record, record.attributes().names(), START, &mut Counter(6));
    let ask = device.ask_challenge();
    let measured = world::attributes().digests();
    let unsaved = device.rekey(ask, &offer, &measured, suite, &mut Counter(7)).expect("a good challenge");
    world::save(unsaved, &mut Vec::new())
}

/// A device proves a rekey, and the authority answers what it sent as body.
fn rekey_ask(ask: &RekeyAsk) {
    let (mut record, mut device) = world::pair();
    let (offer, checked) = world::offer(&record, record.attributes().names(), START, &mut Counter(8));
    let (challenge_ask, measured) = (device.ask_challenge(), world::attributes().digests());
    let action = "rekey".parse().expect("an action");
    let body = ask.encode();
    let unsaved = device
        .prove(challenge_ask, &offer, &measured, action, &body, &mut Counter(9))
        .expect("a good challenge");
    let (request, _) = world::save(unsaved, &mut Vec::new());
    let accepted = record
        .verify(&request, checked, &offer.recipe, &body, world::time(), &world::policy())
        .expect("an honest proof");
    let before = world::bytes(&record);
    let schedule = *record.schedule();
    if record.rekey(&accepted, ask, schedule, &mut Counter(10)).is_err() {
        assert!(world::bytes(&record) == before, "a refused rekey changed the record");
    }
}

/// An authority acks a rekey reply with any body; the device takes it in, or refuses it and stays as it was.
fn rekey_answer(suite: Suite, body: &[u8]) {
    let (mut record, mut device) = world::pair();
    let (request, ask, in_flight) = ask_rekey(&record, &mut device, suite);
    let (offer, checked) = world::offer(&record, record.attributes().names(), START, &mut Counter(6));
    let accepted = record
        .verify(&request, checked, &offer.recipe, &ask.encode(), world::time(), &world::policy())
        .expect("an honest proof");
    let before = world::visible(&device);
    match device.acknowledge(in_flight, accepted.reply(START, body.to_vec())) {
        Ok(unsaved) => drop(world::save(unsaved, &mut Vec::new())),
        Err(_) => assert_eq!(world::visible(&device), before),
    }
}

fn use_cover(mut cover: Cover) {
    let (first, last) = (cover.first(), cover.last());
    assert!(first <= last && (1..=MAX_COVER_NODES).contains(&cover.len()));
    let middle = first + (last - first) / 2;
    let secret = |cover: &Cover, epoch| *cover.epoch_secret(epoch).expect("within").expose();
    let (at_middle, at_last) = (secret(&cover, middle), secret(&cover, last));
    let narrowed = cover.narrow(middle, last).expect("within");
    assert!(first.checked_sub(1).is_none_or(|epoch| cover.epoch_secret(epoch).is_err()));
    assert!(last.checked_add(1).is_none_or(|epoch| cover.epoch_secret(epoch).is_err()));
    cover.advance(middle).expect("within");
    assert_eq!((cover.first(), cover.last()), (middle, last));
    assert!(cover.encode().expose() == narrowed.encode().expose());
    assert!((secret(&cover, middle), secret(&cover, last)) == (at_middle, at_last));
}

/// Key names, and the stanza of an age file: its arguments, a line feed, its body.
fn text(data: &[u8]) {
    let as_name = |data: &[u8]| core::str::from_utf8(data).map_err(|e| e.to_string()).map(str::to_owned);
    let Ok(line) = as_name(data.split(|byte| *byte == b'\n').next().unwrap_or_default()) else { return };
    let name = once(line.as_bytes(), |_| line.parse::<KeyName>(), |name| name.to_string().into_bytes());
    if let Some(name) = name {
        let (mut record, _) = world::pair();
        let _ = record.release_payload_key(&name, START, &world::policy()).is_ok();
        let _ = record.release_file_key(&name, START, &world::policy()).is_ok();
        assert!(world::load(&world::bytes(&record)).is_ok());
    }
    let body = data.get(line.len() + 1..).unwrap_or_default();
    if let Ok(stanza) = FileStanza::parse(&line, body) {
        assert_eq!((stanza.arguments().as_str(), stanza.body()), (line.as_str(), body));
        refused(|record| record.unwrap_file_key(&stanza, START, &world::policy()));
    }
}
