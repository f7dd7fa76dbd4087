//! Encoding and decoding are inverse, for every message and for what each end stores.

use crate::common::{HOURLY, Pair, Setup, TIMELESS, bytes, load, suites};
use proptest::collection::vec;
use proptest::prelude::*;
use wardein_crypto::{Digest, SecretBytes, Tag};
use wardein_ddkg::authority::Delegation;
use wardein_ddkg::device::DeviceState;
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, ProofRequest, RekeyAnswer,
    RekeyAsk, Token,
};
use wardein_ddkg::{
    Attributes, AuthorityShare, Challenge, DeviceName, DeviceShare, KeyName, MAX_NUMBER, Recipe, Suite,
};
use wardein_domain::{AttributeName, Purpose, Schedule};

fn device() -> impl Strategy<Value = DeviceName> {
    ("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "[A-Za-z0-9._:-]{1,128}").prop_map(|(tenant, device)| DeviceName {
        tenant: tenant.parse().unwrap(),
        device: device.parse().unwrap(),
    })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    any::<[u64; 3]>().prop_map(|[period, max_uses, not_before]| Schedule { period, max_uses, not_before })
}

fn challenge() -> impl Strategy<Value = Challenge> {
    vec(any::<u8>(), 1..=Challenge::MAX_LEN).prop_map(|bytes| Challenge::new(&bytes).unwrap())
}

fn attribute_name() -> impl Strategy<Value = AttributeName> {
    "[!-~]{1,64}".prop_map(|name| name.parse().unwrap())
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::btree_map(attribute_name(), vec(any::<u8>(), 0..40), 0..6).prop_map(|values| {
        let mut attributes = Attributes::new();
        values.into_iter().for_each(|(name, value)| attributes.insert(name, &value).unwrap());
        attributes
    })
}

fn suite() -> impl Strategy<Value = Suite> {
    prop::sample::select(suites())
}

/// A share of random bytes: whether it is a point shows in use. Lengths are those of section 4.
fn share(lengths: [usize; 2]) -> impl Strategy<Value = (Suite, Vec<u8>)> {
    suite()
        .prop_flat_map(move |suite| (Just(suite), vec(any::<u8>(), lengths[usize::from(suite.number()) - 1])))
}

fn device_share() -> impl Strategy<Value = DeviceShare> {
    share([65, 65 + 1184]).prop_map(|(suite, bytes)| DeviceShare::new(suite, &bytes).unwrap())
}

fn authority_share() -> impl Strategy<Value = AuthorityShare> {
    share([65, 65 + 1088]).prop_map(|(suite, bytes)| AuthorityShare::new(suite, &bytes).unwrap())
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop::sample::select(Purpose::ALL.to_vec())
}

proptest! {
    #[test]
    fn enrollment(
        device in device(), nonce: [u8; 32], share in device_share(), attributes in attributes(),
        answer in authority_share(), generation in 1..=u64::MAX, schedule in schedule(),
        signature in vec(any::<u8>(), 8..=72), tag: [u8; 32],
    ) {
        let request = EnrollRequest { device: device.clone(), nonce, share, attributes };
        prop_assert_eq!(EnrollRequest::decode(&request.encode()), Ok(request));
        let confirmation = Tag(tag);
        let reply = EnrollReply { share: answer, generation, schedule, signature, confirmation };
        prop_assert_eq!(EnrollReply::decode(&reply.encode()).unwrap().encode(), reply.encode());
        let confirmation = Confirmation { device, tag: Tag(tag) };
        prop_assert_eq!(Confirmation::decode(&confirmation.encode()).unwrap().encode(), confirmation.encode());
    }

    #[test]
    fn proofs(
        device in device(), challenge in challenge(), nonce: [u8; 32], generation in 1..=u64::MAX, epoch: u32,
        number in 0..=MAX_NUMBER, action in "[a-z0-9-]{1,32}", digest: [u8; 32], tag: [u8; 32], time: u64,
        body in vec(any::<u8>(), 0..200), names in prop::collection::btree_set(attribute_name(), 0..6),
    ) {
        let recipe = Recipe::new(names.into_iter().rev().collect()).unwrap();
        let offer = ChallengeOffer { challenge: challenge.clone(), server_time: time, recipe };
        prop_assert_eq!(ChallengeOffer::decode(&offer.encode()), Ok(offer));
        let (action, body_digest, mac) = (action.parse().unwrap(), Digest(digest), Tag(tag));
        let request =
            ProofRequest { device, challenge, nonce, generation, epoch, number, action, body_digest, mac };
        prop_assert_eq!(ProofRequest::decode(&request.encode()).unwrap().encode(), request.encode());
        let reply = AckedReply { server_time: time, ack: mac, body };
        prop_assert_eq!(AckedReply::decode(&reply.encode()).unwrap().encode(), reply.encode());
    }

    #[test]
    fn rekeys(
        share in device_share(), answer in authority_share(), generation in 2..=u64::MAX, schedule in schedule(),
        purposes in proptest::option::of(any::<u32>().prop_map(|named| named | 1)),
    ) {
        let ask = RekeyAsk { share, purposes };
        prop_assert_eq!(RekeyAsk::decode(&ask.encode()), Ok(ask));
        let answer = RekeyAnswer { share: answer, generation, schedule, purposes };
        prop_assert_eq!(RekeyAnswer::decode(answer.share.suite(), &answer.encode()), Ok(answer));
    }

    #[test]
    fn tokens_and_names(
        device in device(), generation in 1..=u64::MAX, epoch: u32, number in 0..=MAX_NUMBER, audience in "[a-zäß./]{1,60}",
        platform_nonce in vec(any::<u8>(), 0..=64), issued_at: u64, tag: [u8; 32], purpose in purpose(),
    ) {
        let (audience, mac) = (audience.parse().unwrap(), Tag(tag));
        let token =
            Token { device, generation, epoch, number, audience, platform_nonce, issued_at, mac };
        prop_assert_eq!(Token::decode(&token.encode()).unwrap().encode(), token.encode());
        let name = KeyName { purpose, ..token.key_name() };
        prop_assert!(name.to_string().len() <= KeyName::MAX_LEN);
        prop_assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[test]
    fn attributes_as_a_body(attributes in attributes()) {
        prop_assert_eq!(Attributes::decode(&attributes.encode()), Ok(attributes));
    }

    #[test]
    fn a_challenge_has_1_to_255_bytes(bytes in vec(any::<u8>(), 0..300)) {
        match Challenge::new(&bytes) {
            Ok(challenge) => prop_assert_eq!(challenge.as_bytes(), &bytes[..]),
            Err(error) => prop_assert!(bytes.is_empty() || bytes.len() > 255, "{}", error),
        }
    }
}

/// Restores a state and makes it save again without a change but the count of writes.
fn saved_again(pair: &mut Pair) -> Vec<u8> {
    pair.restart();
    let before = pair.saves;
    // The first number after a restart needs a new block, so this saves; what it saved is compared below.
    pair.ask("authenticate", b"");
    assert_eq!(pair.saves, before + 1);
    pair.flash.clone()
}

#[test]
fn a_state_is_restored_as_it_was_saved() {
    for (suite, schedule) in suites().into_iter().flat_map(|suite| [(suite, HOURLY), (suite, TIMELESS)]) {
        let mut pair = Pair::proven(Setup { suite, ..Setup::new(schedule) });
        pair.wait(7 * 3600);
        pair.prove();
        let bytes = pair.flash.clone();
        // A save that fails shows the bytes and leaves the state as unsaved as it was.
        let peek = |state: &mut DeviceState, pair: &mut Pair| {
            let asked = state.ask_challenge();
            let offer = pair.offer().1;
            let measured = crate::common::attributes().digests();
            let action = "authenticate".parse().unwrap();
            let proof = state.prove(asked, &offer, &measured, action, b"", &mut pair.entropy).unwrap();
            let mut seen = vec![];
            let copy = |bytes: &SecretBytes| {
                seen = bytes.expose().to_vec();
                Err::<(), ()>(())
            };
            assert!(proof.save(copy).is_err());
            seen
        };
        let mut once = DeviceState::restore(&bytes, 0).unwrap();
        let seen = peek(&mut once, &mut pair);
        let mut twice = DeviceState::restore(&bytes, 0).unwrap();
        assert_eq!(peek(&mut twice, &mut pair), seen);
        // All but the writes, the reserved and taken proof numbers, and the checksum is byte for byte what it was.
        let changed: Vec<_> = (0..bytes.len() - 16).filter(|at| seen[*at] != bytes[*at]).collect();
        assert_eq!(seen.len(), bytes.len());
        assert!(changed.len() <= 4, "{changed:?}");
        saved_again(&mut pair);
        assert!(DeviceState::restore(&pair.flash, 0).is_ok());
    }
}

/// Records of every shape, the hot part first: pending, confirmed, in use, with pending, retired and replaced generations.
pub(crate) fn records(suite: Suite) -> Vec<Vec<u8>> {
    let encode = |pair: &Pair| bytes(&pair.record);
    let mut pair = Pair::pending(Setup { suite, ..Setup::new(HOURLY) });
    let mut shapes = vec![encode(&pair)];
    pair = Pair::new(pair.setup);
    shapes.push(encode(&pair));
    pair.prove();
    shapes.push(encode(&pair));
    for _ in 0..6 {
        pair.rekey();
        pair.wait(5 * 3600);
        pair.prove();
    }
    // Two rekeys whose replies are lost.
    for _ in 0..3 {
        let sent = pair.ask_rekey();
        let accepted = pair.receive(&sent).unwrap();
        pair.answer_rekey(&sent, &accepted);
        shapes.push(encode(&pair));
    }
    shapes
}

#[test]
fn a_record_is_decoded_as_it_was_encoded() {
    for stored in suites().into_iter().flat_map(records) {
        assert_eq!(bytes(&load(&stored).unwrap()), stored);
    }
}

#[test]
fn a_delegation_is_decoded_as_it_was_encoded() {
    let pair = Pair::proven(Setup::new(HOURLY));
    for (purpose, first, last) in
        [(Purpose::Data, 0, u32::MAX), (Purpose::File, 1, 1001), (Purpose::Token, 7, 7)]
    {
        let encoded = pair.record.delegate(purpose, first, last).unwrap().encode();
        let again = Delegation::decode(encoded.expose()).unwrap().encode();
        assert_eq!(again.expose(), encoded.expose());
    }
}
