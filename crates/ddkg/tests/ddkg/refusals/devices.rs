//! Every error of the device's end.

use crate::common::{
    Broken, Counter, HOURLY, NO_CLOCK, Pair, Setup, attributes, audience, flipped, name, pinned, sign, suites,
};
use wardein_crypto::{P256SigningKey, Secret};
use wardein_ddkg::authority::Record;
use wardein_ddkg::device::{Clock, DeviceError, DeviceState, Enrolling};
use wardein_ddkg::message::{
    AckedReply, EnrollReply, MAX_PLAINTEXT, MAX_PLATFORM_NONCE, RekeyAnswer, RekeyAsk,
};
use wardein_ddkg::{
    AttributeDigests, AuthorityShare, NotMeasured, Problem, Purposes, ShareInvalid, Transcript,
};
use wardein_domain::{Purpose, Schedule};

#[test]
fn a_reply_of_another_authority_or_to_another_request_is_not_believed() {
    let (setup, mut entropy) = (Setup::new(HOURLY), Counter(0));
    let stranger = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    let enrolling = setup.begin(&mut entropy);
    let sign_by_stranger = |transcript: &wardein_crypto::Digest| stranger.sign(transcript.as_ref());
    let enrolled =
        Record::enroll(None, enrolling.request(), &setup.terms(), sign_by_stranger, &mut entropy).unwrap();
    assert_eq!(
        enrolling.finish(&enrolled.reply, Purposes::ENROLLED).err(),
        Some(DeviceError::SignatureWrong)
    );
    let (one, another) = (setup.begin(&mut entropy), setup.begin(&mut entropy));
    let (_, reply) = setup.answer(another.request(), &mut entropy);
    assert_eq!(one.finish(&reply, Purposes::ENROLLED).err(), Some(DeviceError::SignatureWrong));
    let (_, reply) = setup.answer(another.request(), &mut entropy);
    let reply = EnrollReply { confirmation: wardein_crypto::Tag([0; 32]), ..reply };
    assert_eq!(another.finish(&reply, Purposes::ENROLLED).err(), Some(DeviceError::ConfirmationWrong));
}

#[test]
fn a_signed_share_that_is_no_key_is_refused() {
    for suite in suites() {
        let (setup, mut entropy) = (Setup { suite, ..Setup::new(HOURLY) }, Counter(0));
        let enrolling = setup.begin(&mut entropy);
        let (_, reply) = setup.answer(enrolling.request(), &mut entropy);
        let share = AuthorityShare::new(suite, &flipped(reply.share.as_bytes(), 8 * 64)).unwrap();
        let (request, terms) = (enrolling.request(), setup.terms());
        // T of section 4, from the outside: the authority itself signs the bad share.
        let transcript = Transcript::new("enroll")
            .integer(suite.number())
            .field(request.device.tenant.as_str())
            .field(request.device.device.as_str())
            .field(request.nonce)
            .field(&request.share)
            .field(request.attributes.digests().digest())
            .field(&share)
            .integer(terms.generation)
            .integer(terms.schedule.period)
            .integer(terms.schedule.max_uses)
            .integer(terms.schedule.not_before)
            .finish();
        let reply = EnrollReply { share, signature: sign(&transcript).unwrap(), ..reply };
        assert_eq!(
            enrolling.finish(&reply, Purposes::ENROLLED).err(),
            Some(DeviceError::Share(ShareInvalid))
        );
    }
}

#[test]
fn without_randomness_nothing_is_begun() {
    for suite in suites() {
        let begun = Enrolling::begin(pinned(), suite, name("pump-0001"), attributes(), &mut Broken);
        assert_eq!(begun.err(), Some(DeviceError::Entropy));
        let mut pair = Pair::proven(Setup { suite, ..Setup::new(HOURLY) });
        let (measured, action) = (attributes().digests(), "authenticate".parse().unwrap());
        pair.unchanged("a failed source", |pair| {
            let (asked, offer) = pair.offer();
            let proof = pair.device.prove(asked, &offer, &measured, action, b"", &mut Broken);
            assert_eq!(proof.err(), Some(DeviceError::Entropy));
            let (asked, offer) = pair.offer();
            let rekey = pair.device.rekey(asked, &offer, &measured, suite, &mut Broken);
            assert_eq!(rekey.err(), Some(DeviceError::Entropy));
            let sealed = pair.device.seal(NO_CLOCK, b"", b"", &mut Broken);
            assert_eq!(sealed.err(), Some(DeviceError::Entropy));
        });
        assert_eq!(pair.seal(b"").name().number, 0);
        assert_eq!(pair.prove().1, 1, "no number was taken");
    }
}

#[test]
fn one_question_is_open_at_a_time() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let (measured, action): (_, wardein_domain::Action) =
        (attributes().digests(), "authenticate".parse().unwrap());
    let (first, early) = pair.offer();
    let (second, offer) = pair.offer();
    pair.unchanged("an overtaken challenge", |pair| {
        let proof = pair.device.prove(first, &early, &measured, action.clone(), b"", &mut pair.entropy);
        assert_eq!(proof.err(), Some(DeviceError::ChallengeOvertaken));
    });
    let proof = pair.device.prove(second, &offer, &measured, action.clone(), b"", &mut pair.entropy).unwrap();
    assert!(proof.save(|_| Ok::<(), ()>(())).is_ok());
    // For a rekey as for any other action.
    let (third, offer) = pair.offer();
    let _fourth = pair.device.ask_challenge();
    let refused = pair.device.rekey(third, &offer, &measured, pair.setup.suite, &mut pair.entropy);
    assert_eq!(refused.err(), Some(DeviceError::ChallengeOvertaken));
}

#[test]
fn an_attribute_that_was_not_measured_is_named() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let (asked, offer) = pair.offer();
    let action = "authenticate".parse().unwrap();
    let proof =
        pair.device.prove(asked, &offer, &AttributeDigests::default(), action, b"", &mut pair.entropy);
    let missing = NotMeasured("firmware".parse().unwrap());
    assert_eq!(proof.err(), Some(DeviceError::NotMeasured(missing)));
    assert_eq!(pair.prove(), (0, 1));
}

#[test]
fn a_reply_to_another_request_is_not_believed() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let (one, another) = (pair.ask("authenticate", b""), pair.ask("authenticate", b""));
    let reply = pair.receive(&another).unwrap().reply(pair.now() + 99, vec![]);
    let refused = pair.unchanged("another's reply", |pair| pair.acknowledge(one.in_flight, reply).err());
    assert_eq!(refused, Some(DeviceError::AckWrong));
}

/// What the authority acknowledges as the reply to a rekey, changed by `change`.
fn rekey_answered_with(pair: &mut Pair, change: impl FnOnce(RekeyAnswer) -> Vec<u8>) -> Option<DeviceError> {
    let sent = pair.ask_rekey();
    let accepted = pair.receive(&sent).unwrap();
    let suite = RekeyAsk::decode(&sent.body).unwrap().share.suite();
    let answer = RekeyAnswer::decode(suite, &pair.answer_rekey(&sent, &accepted).body).unwrap();
    let reply: AckedReply = accepted.reply(pair.now() + 99, change(answer));
    pair.unchanged("a wrong answer", |pair| pair.acknowledge(sent.in_flight, reply).err())
}

#[test]
fn an_acknowledged_answer_to_a_rekey_is_still_looked_at() {
    for suite in suites() {
        let mut pair = Pair::proven(Setup { suite, ..Setup::new(HOURLY) });
        let skipped =
            rekey_answered_with(&mut pair, |answer| RekeyAnswer { generation: 3, ..answer }.encode());
        assert_eq!(skipped, Some(DeviceError::GenerationUnexpected { offered: 3, expected: 2 }));
        let off_curve = rekey_answered_with(&mut pair, |answer| {
            let share = AuthorityShare::new(suite, &flipped(answer.share.as_bytes(), 8 * 64)).unwrap();
            RekeyAnswer { share, ..answer }.encode()
        });
        assert_eq!(off_curve, Some(DeviceError::Share(ShareInvalid)));
        match rekey_answered_with(&mut pair, |_| vec![]) {
            Some(DeviceError::Decode(error)) => assert_eq!(error.field, "authority share"),
            other => panic!("{other:?}"),
        }
        pair.rekey();
        pair.prove();
        assert_eq!(pair.device.generation(), 2);
    }
}

#[test]
fn only_kept_purposes_give_keys() {
    let mut pair = Pair::proven(Setup { purposes: Purposes::of([]), ..Setup::new(HOURLY) });
    let sealed = Pair::proven(Setup::new(HOURLY)).seal(b"");
    pair.unchanged("a purpose that is not kept", |pair| {
        let token = pair.device.token(NO_CLOCK, audience("p"), b"").err();
        assert_eq!(token, Some(DeviceError::PurposeNotKept(Purpose::Token)));
        let payload = pair.device.seal(NO_CLOCK, b"", b"", &mut pair.entropy).err();
        assert_eq!(payload, Some(DeviceError::PurposeNotKept(Purpose::Data)));
        let file = pair.device.wrap_file_key(NO_CLOCK, &Secret::copied_from(&[0; 16])).err();
        assert_eq!(file, Some(DeviceError::PurposeNotKept(Purpose::File)));
        let opened = pair.device.open(&sealed, b"log").err();
        assert_eq!(opened, Some(DeviceError::PurposeNotKept(Purpose::Data)));
    });
}

#[test]
fn the_last_key_of_the_last_epoch_exhausts_a_purpose() {
    let mut pair =
        Pair::proven(Setup::new(Schedule { period: 1, max_uses: 1, not_before: crate::common::START }));
    let never = Clock { elapsed: u64::MAX, wall: None };
    let last = pair.device.token(never, audience("p"), b"").unwrap().save(|_| Ok::<(), ()>(())).unwrap();
    assert_eq!(last.epoch, u32::MAX);
    pair.unchanged("an exhausted purpose", |pair| {
        let token = pair.device.token(never, audience("p"), b"").err();
        assert_eq!(token, Some(DeviceError::Exhausted(Purpose::Token)));
    });
}

#[test]
fn a_token_waits_for_the_first_ack() {
    let mut pair = Pair::new(Setup::new(HOURLY));
    let token = pair.unchanged("a token", |pair| pair.device.token(NO_CLOCK, audience("p"), b"").err());
    assert_eq!(token, Some(DeviceError::ProveFirst));
}

#[test]
fn a_payload_of_another_is_not_opened() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let (early, kept) = (pair.seal(b"early"), pair.seal(b"kept"));
    assert_eq!(pair.device.open(&kept, b"other").err(), Some(DeviceError::OpenFailed));
    let twin = Pair::proven(Setup::new(HOURLY));
    assert_eq!(twin.device.open(&kept, b"log").err(), Some(DeviceError::OpenFailed));
    pair.wait(3600);
    pair.prove();
    let later = pair.seal(b"later");
    assert_eq!(pair.device.open(&early, b"log").err(), Some(DeviceError::KeyGone), "its epoch is erased");
    let mut bytes = later.encode();
    // pump-0001 becomes qump-0001.
    let at = bytes.windows(4).position(|window| window == b"pump").unwrap();
    bytes[at] += 1;
    let other = wardein_ddkg::message::SealedPayload::decode(&bytes).unwrap();
    assert_eq!(pair.device.open(&other, b"log").err(), Some(DeviceError::KeyGone), "its name is another's");
}

#[test]
fn what_is_too_long_is_refused_before_a_number_is_taken() {
    let mut pair = Pair::proven(Setup::new(HOURLY));
    let long = vec![0; MAX_PLAINTEXT + 1];
    let field = |error| match error {
        Some(DeviceError::Decode(error)) => (error.field, error.problem),
        other => panic!("{other:?}"),
    };
    let length = Problem::Length { length: MAX_PLAINTEXT + 1, min: 0, max: MAX_PLAINTEXT };
    pair.unchanged("something too long", |pair| {
        let sealed = pair.device.seal(NO_CLOCK, b"", &long, &mut pair.entropy).err();
        assert_eq!(field(sealed), ("plaintext", length.clone()));
        let sealed = pair.device.seal(NO_CLOCK, &long, b"", &mut pair.entropy).err();
        assert_eq!(field(sealed), ("additional data", length));
        let token = pair.device.token(NO_CLOCK, audience("p"), &[0; MAX_PLATFORM_NONCE + 1]).err();
        let length = Problem::Length { length: 65, min: 0, max: 64 };
        assert_eq!(field(token), ("platform nonce", length));
    });
    assert_eq!((pair.seal(&long[1..]).name().number, pair.token(&[0; MAX_PLATFORM_NONCE]).number), (0, 0));
}

#[test]
fn an_image_below_the_counter_is_rolled_back() {
    let pair = Pair::proven(Setup::new(HOURLY));
    let found = pair.device.writes();
    assert!(DeviceState::restore(&pair.flash, found).is_ok());
    let floor = found + 1;
    assert_eq!(
        DeviceState::restore(&pair.flash, floor).err(),
        Some(DeviceError::RolledBack { found, floor })
    );
}
