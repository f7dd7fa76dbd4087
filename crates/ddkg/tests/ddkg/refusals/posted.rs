//! Every field of the messages that devices post (section 11.1), at its bounds.

use super::decoding::{cut, find, length, range, with};
use crate::common::name;
use wardein_crypto::{Digest, Tag};
use wardein_ddkg::message::{
    AckedReply, ChallengeAnswer, ChallengeAsk, ChallengeOffer, Confirmed, MAX_BODY, NamedEpoch, ProofAnswer,
    ProofAsk, ProofRequest, Refused, SignedAnswer, SignedAsk,
};
use wardein_ddkg::{Challenge, DecodeError, Problem, Recipe};
use wardein_domain::Quote;

/// A message: its bytes, its decoder, the fields in order, and the name that bytes behind the end are found under.
type Row = (Vec<u8>, fn(&[u8]) -> Option<DecodeError>, Vec<&'static str>, &'static str);

fn challenge() -> Challenge {
    Challenge::new(&[7; 57]).unwrap()
}

pub(crate) fn proof_ask() -> ProofAsk {
    let body = b"body".to_vec();
    let request = ProofRequest {
        device: name("pump-0001"),
        challenge: challenge(),
        nonce: [1; 32],
        generation: 2,
        epoch: 3,
        number: 4,
        action: "certificate".parse().unwrap(),
        body_digest: Digest::of(&body),
        mac: Tag([5; 32]),
    };
    ProofAsk { request, body }
}

fn signed_ask() -> SignedAsk {
    SignedAsk {
        device: name("pump-0001"),
        challenge: challenge(),
        nonce: [1; 32],
        action: "certificate".parse().unwrap(),
        body: b"body".to_vec(),
        signature: vec![0x30; 70],
        quote: Some(Quote {
            attested: vec![0xff; 120],
            signature: vec![0x18; 72],
            values: vec![vec![1; 32], vec![2; 32]],
        }),
    }
}

fn answer() -> ChallengeAnswer {
    let recipe = Recipe::new(vec!["firmware".parse().unwrap()]).unwrap();
    ChallengeAnswer {
        offer: ChallengeOffer { challenge: challenge(), server_time: 9, recipe },
        quote: Some("sha256:0,7".parse().unwrap()),
    }
}

fn refused() -> Refused {
    Refused {
        code: "epoch-spent".into(),
        message: "the epoch is over".into(),
        request_id: "0a-1".into(),
        epoch: Some(NamedEpoch::Next(7)),
        retry_after_ms: 0,
    }
}

fn rows() -> Vec<Row> {
    let device = ["message kind", "tenant", "device id"];
    let proved = [&device[..], &["challenge", "device nonce", "generation", "epoch", "number"]].concat();
    let reply = AckedReply { server_time: 1, ack: Tag([2; 32]), body: b"body".to_vec() };
    let signed_answer = SignedAnswer { server_time: 1, body: b"body".to_vec(), signature: vec![0x30; 70] };
    vec![
        (
            ChallengeAsk { device: name("pump-0001") }.encode(),
            |bytes| ChallengeAsk::decode(bytes).err(),
            device.to_vec(),
            "challenge request",
        ),
        (
            answer().encode(),
            |bytes| ChallengeAnswer::decode(bytes).err(),
            vec!["message kind", "challenge", "server_time", "recipe", "attribute name", "registers", "bank"],
            "challenge reply",
        ),
        (
            proof_ask().encode(),
            |bytes| ProofAsk::decode(bytes).err(),
            [&proved[..], &["action", "body", "mac"]].concat(),
            "proved request",
        ),
        (
            ProofAnswer { reply, rekey_due: true }.encode(),
            |bytes| ProofAnswer::decode(bytes).err(),
            vec!["message kind", "server_time", "ack", "body", "rekey due"],
            "proved reply",
        ),
        (
            signed_ask().encode(),
            |bytes| SignedAsk::decode(bytes).err(),
            [
                &device[..],
                &["challenge", "device nonce", "action", "body", "signature", "quote"],
                &["quote.attested", "quote.signature", "quote.values"],
            ]
            .concat(),
            "signed request",
        ),
        (
            signed_answer.encode(),
            |bytes| SignedAnswer::decode(bytes).err(),
            vec!["message kind", "server_time", "body", "signature"],
            "signed reply",
        ),
        (Confirmed.encode(), |bytes| Confirmed::decode(bytes).err(), vec!["message kind"], "confirmed"),
        (
            refused().encode(),
            |bytes| Refused::decode(bytes).err(),
            vec!["message kind", "code", "message", "request id", "epoch named", "epoch", "retry after"],
            "refusal",
        ),
    ]
}

#[test]
fn a_message_cut_anywhere_or_followed_by_a_byte_names_the_field() {
    for ((bytes, decode, fields, end), kind) in rows().into_iter().zip(9..) {
        assert_eq!(bytes[0], kind, "{end}");
        assert_eq!(cut(&bytes, decode), fields, "{end}");
        assert_eq!(decode(&bytes), None, "{end}");
        let more = [&bytes[..], &[0]].concat();
        assert_eq!(decode(&more), Some(Problem::Trailing { count: 1 }.of(end)));
        let (found, kind) = (u64::from(kind) + 1, u64::from(kind));
        let other = decode(&with(&bytes, 0, &[bytes[0] + 1]));
        assert_eq!(other, Some(range(found, kind, kind).of("message kind")), "{end}");
    }
}

#[test]
fn what_is_read_is_written_the_same() {
    let (ask, signed, answer, refused) = (proof_ask(), signed_ask(), answer(), refused());
    let read = ProofAsk::decode(&ask.encode()).unwrap();
    assert_eq!((read.encode(), read.request.body_digest), (ask.encode(), Digest::of(b"body")));
    assert_eq!(SignedAsk::decode(&signed.encode()).unwrap(), signed);
    let without = SignedAsk { quote: None, ..signed };
    assert_eq!(SignedAsk::decode(&without.encode()).unwrap(), without);
    assert_eq!(ChallengeAnswer::decode(&answer.encode()).unwrap(), answer);
    let without = ChallengeAnswer { quote: None, ..answer };
    assert_eq!(ChallengeAnswer::decode(&without.encode()).unwrap(), without);
    for epoch in [None, Some(NamedEpoch::Next(7)), Some(NamedEpoch::Highest(8))] {
        let refused = Refused { epoch, ..refused.clone() };
        assert_eq!(Refused::decode(&refused.encode()).unwrap(), refused);
    }
}

#[test]
fn frames_and_numbers_have_their_bounds() {
    let rows = rows();
    let u32 = |value: u32| value.to_be_bytes().to_vec();
    let framed = |row: usize, part: &[u8]| find(&rows[row].0, part) - 4;
    let at_end = |row: usize, back: usize| rows[row].0.len() - back;
    let most = u32::try_from(MAX_BODY + 1).unwrap();
    // The last value of the quote, its two values, and their count.
    let values = 2 * (4 + 32) + 1;
    for (row, at, value, error) in [
        (0, framed(0, b"klinik-nord"), u32(256), length(256, 1, 255).of("tenant")),
        (1, framed(1, b"sha256") - 4, u32(1 << 24), range(1 << 24, 0, (1 << 24) - 1).of("registers")),
        (1, framed(1, b"sha256"), u32(17), length(17, 1, 16).of("bank")),
        (1, framed(1, b"sha256") + 4, b"sha512".to_vec(), {
            Problem::NotCanonical("is no bank that is taken").of("bank")
        }),
        (2, framed(2, b"body"), u32(most), length(MAX_BODY + 1, 0, MAX_BODY).of("body")),
        (2, framed(2, b"certificate") - 20, vec![0; 8], range(0, 1, u64::MAX).of("generation")),
        (3, at_end(3, 1), vec![2], range(2, 0, 1).of("rekey due")),
        (4, framed(4, b"body") + 8, u32(513), length(513, 0, 512).of("signature")),
        (4, at_end(4, values), vec![25], range(25, 0, 24).of("quote.values")),
        (4, at_end(4, 4 + 32), u32(65), length(65, 1, 64).of("quote.values")),
        (5, at_end(5, 4 + 70), u32(73), length(73, 1, 72).of("signature")),
        (7, 1, u32(65), length(65, 1, 64).of("code")),
        (7, 5, b"E".to_vec(), Problem::NotCanonical("is not of a-z, 0-9 and -").of("code")),
        (7, framed(7, b"the epoch"), u32(1025), length(1025, 0, 1024).of("message")),
        (7, framed(7, b"the epoch") + 4, vec![0xff], Problem::NotCanonical("is not UTF-8").of("message")),
        (7, framed(7, b"0a-1"), u32(65), length(65, 0, 64).of("request id")),
        (7, framed(7, b"0a-1") + 4, b"\n".to_vec(), {
            Problem::NotCanonical("is not of graphic characters").of("request id")
        }),
        (7, at_end(7, 9), vec![3], range(3, 0, 2).of("epoch named")),
    ] {
        assert_eq!(rows[row].1(&with(&rows[row].0, at, &value)), Some(error));
    }
}
