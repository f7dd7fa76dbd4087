//! Every field of every message, at its bounds: cut short, too long, out of range, followed by more.

use crate::common::{HOURLY, Pair, Setup, suites};
use wardein_crypto::Tag;
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, MAX_BODY, MAX_PLAINTEXT,
    ProofRequest, RekeyAnswer, RekeyAsk, SealedPayload, Token,
};
use wardein_ddkg::{DecodeError, KeyName, MAX_NUMBER, Problem, Suite};

/// The fields at which `decode` finds `bytes` cut short, in order, each once; every cut must be found.
pub(super) fn cut(bytes: &[u8], decode: impl Fn(&[u8]) -> Option<DecodeError>) -> Vec<&'static str> {
    let mut fields = Vec::new();
    for end in 0..bytes.len() {
        let error = decode(&bytes[..end]).unwrap_or_else(|| panic!("cut to {end} bytes, it is taken in"));
        assert!(matches!(error.problem, Problem::Truncated { .. }), "cut to {end}: {error}");
        if fields.last() != Some(&error.field) {
            fields.push(error.field);
        }
    }
    fields
}

/// `bytes` with `with` in place of what is at `at`.
pub(super) fn with(bytes: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at..at + with.len()].copy_from_slice(with);
    changed
}

pub(super) fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).unwrap()
}

pub(super) fn range(value: u64, min: u64, max: u64) -> Problem {
    Problem::Range { value, min, max }
}

pub(super) fn length(length: usize, min: usize, max: usize) -> Problem {
    Problem::Length { length, min, max }
}

const NUMBERS: [&str; 3] = ["generation", "epoch", "number"];
const SCHEDULE: [&str; 3] = ["period", "max_uses", "not_before"];

/// A message: its bytes, its decoder, the fields in order, and the name that bytes behind the end are found under.
type Row = (Vec<u8>, Box<dyn Fn(&[u8]) -> Option<DecodeError>>, Vec<&'static str>, &'static str);

fn row<T>(
    bytes: Vec<u8>,
    decode: fn(&[u8]) -> Result<T, DecodeError>,
    fields: &[&[&'static str]],
    end: &'static str,
) -> Row
where
    T: 'static,
{
    (bytes, Box::new(move |bytes| decode(bytes).err()), fields.concat(), end)
}

fn rows(suite: Suite) -> Vec<Row> {
    let setup = Setup { suite, ..Setup::new(HOURLY) };
    let (mut pair, mut entropy) = (Pair::new(setup.clone()), crate::common::Counter(0));
    let enrolling = setup.begin(&mut entropy);
    let reply = setup.answer(enrolling.request(), &mut entropy).1;
    let confirmation = Confirmation { device: crate::common::name("pump-0001"), tag: Tag([1; 32]) };
    pair.prove();
    let (sent, offer) = (pair.ask_rekey(), pair.offer().1);
    let accepted = pair.receive(&sent).unwrap();
    let acked = pair.answer_rekey(&sent, &accepted);
    let (token, sealed) = (pair.token(b"nonce"), pair.seal(b"value"));
    let device = &["tenant", "device id"][..];
    let answer: Row = (
        acked.body.clone(),
        Box::new(move |bytes| RekeyAnswer::decode(suite, bytes).err()),
        [&["authority share", "generation"][..], &SCHEDULE].concat(),
        "rekey reply",
    );
    vec![
        row(
            reply.encode(),
            EnrollReply::decode,
            &[
                &["message kind", "suite", "authority share", "generation"],
                &SCHEDULE,
                &["signature", "authority confirmation"],
            ],
            "enrollment reply",
        ),
        row(
            confirmation.encode(),
            Confirmation::decode,
            &[&["message kind"], device, &["device confirmation"]],
            "confirmation",
        ),
        row(
            offer.encode(),
            ChallengeOffer::decode,
            &[&["message kind", "challenge", "server_time", "recipe", "attribute name"]],
            "challenge offer",
        ),
        row(
            sent.request.encode(),
            ProofRequest::decode,
            &[
                &["message kind"],
                device,
                &["challenge", "device nonce"],
                &NUMBERS,
                &["action", "body digest", "mac"],
            ],
            "proof request",
        ),
        row(acked.encode(), AckedReply::decode, &[&["message kind", "server_time", "ack", "body"]], "reply"),
        row(sent.body.clone(), RekeyAsk::decode, &[&["suite", "device share"]], "rekey body"),
        answer,
        row(
            token.encode(),
            Token::decode,
            &[&["message kind"], device, &NUMBERS, &["audience", "platform nonce", "issued_at", "mac"]],
            "token",
        ),
        row(
            sealed.encode(),
            SealedPayload::decode,
            &[&["message kind", "key name", "nonce", "ciphertext"]],
            "sealed payload",
        ),
    ]
}

#[test]
fn a_message_cut_anywhere_or_followed_by_a_byte_names_the_field() {
    for (bytes, decode, fields, end) in suites().into_iter().flat_map(rows) {
        assert_eq!(cut(&bytes, &decode), fields, "{end}");
        assert_eq!(decode(&bytes), None, "{end}");
        let trailing = Some(Problem::Trailing { count: 1 }.of(end));
        // Behind a rekey's bodies may come the purposes.
        let more = if end.starts_with("rekey") { &[0, 0, 0, 1, 0][..] } else { &[0] };
        for count in 1..more.len() {
            let one = decode(&[&bytes[..], &more[..count]].concat());
            let cut = Some(Problem::Truncated { needed: 4, left: count }.of("purposes"));
            assert_eq!(one, cut.filter(|_| count < 4), "{end}");
        }
        assert_eq!(decode(&[&bytes[..], more].concat()), trailing, "{end}");
        if fields[0] == "message kind" {
            let kind = u64::from(bytes[0]);
            let other = decode(&with(&bytes, 0, &[bytes[0] + 1]));
            assert_eq!(other, Some(range(kind + 1, kind, kind).of("message kind")), "{end}");
        }
    }
}

#[test]
fn an_enrollment_request_cut_anywhere_names_the_field_or_has_an_attribute_less() {
    for suite in suites() {
        let setup = Setup { suite, ..Setup::new(HOURLY) };
        let bytes = setup.begin(&mut crate::common::Counter(0)).request().encode();
        let first = find(&bytes, b"firmware") - 4;
        let fields = cut(&bytes[..first], |bytes| EnrollRequest::decode(bytes).err());
        assert_eq!(fields, ["message kind", "suite", "tenant", "device id", "device nonce", "device share"]);
        // Attributes reach to the end, so the request can end between two of them, and nowhere else.
        let whole: Vec<_> =
            (first..=bytes.len()).filter(|end| EnrollRequest::decode(&bytes[..*end]).is_ok()).collect();
        assert_eq!(whole, [first, first + 4 + 8 + 4 + 11, bytes.len()]);
    }
}

#[test]
fn frames_and_numbers_have_their_bounds() {
    let request = Setup::new(HOURLY).begin(&mut crate::common::Counter(0)).request().encode();
    let [reply, _, offer, proof, acked, _, answer, token, sealed] =
        rows(Suite::P256).try_into().unwrap_or_else(|_| panic!("there are nine"));
    let request = row(request, EnrollRequest::decode, &[], "");
    let framed = |row: &Row, part: &[u8]| find(&row.0, part) - 4;
    let u32 = |value: usize| u32::try_from(value).unwrap().to_be_bytes().to_vec();
    let (suites, tenant) = (suites().len() as u64, framed(&request, b"klinik-nord"));
    let challenge = 1;
    let max_name = KeyName::MAX_LEN;
    let action = framed(&proof, b"rekey");
    let generation = 1 + 4 + 11 + 4 + 9 + 4 + 57 + 32;
    let share = 1 + 2;
    let signature = share + 4 + 65 + 32;
    let ciphertext = framed(&sealed, b"ddkg1:") + 4 + "ddkg1:klinik-nord/pump-0001/1.data.0.0".len() + 12;
    for (row, at, value, error) in [
        (&request, 1, vec![0, 0], range(0, 1, suites).of("suite")),
        (&request, 1, vec![0, 3], range(3, 1, suites).of("suite")),
        (&request, tenant, u32(0), length(0, 1, 255).of("tenant")),
        (&request, tenant, u32(256), length(256, 1, 255).of("tenant")),
        (&request, framed(&request, b"pump"), u32(0), length(0, 1, 255).of("device id")),
        (&request, tenant + 4 + 11 + 4 + 9 + 32, u32(0), length(0, 1, 1249).of("device share")),
        (&request, tenant + 4 + 11 + 4 + 9 + 32, u32(1250), length(1250, 1, 1249).of("device share")),
        (&request, tenant + 4 + 11 + 4 + 9 + 32, u32(64), length(64, 65, 65).of("device share")),
        (&request, framed(&request, b"firmware"), u32(0), length(0, 1, 255).of("attribute name")),
        (&request, framed(&request, b"sha256"), u32(4097), length(4097, 0, 4096).of("attribute value")),
        (&reply, share, u32(66), length(66, 65, 65).of("authority share")),
        (&reply, share, u32(1250), length(1250, 1, 1249).of("authority share")),
        (&reply, share + 4 + 65, vec![0; 8], range(0, 1, u64::MAX).of("generation")),
        (&reply, signature, u32(7), length(7, 8, 72).of("signature")),
        (&reply, signature, u32(73), length(73, 8, 72).of("signature")),
        (&offer, challenge, u32(0), length(0, 1, 255).of("challenge")),
        (&offer, challenge, u32(256), length(256, 1, 255).of("challenge")),
        (&offer, challenge + 4 + 57 + 8, vec![65], range(65, 0, 64).of("recipe")),
        (&proof, generation, vec![0; 8], range(0, 1, u64::MAX).of("generation")),
        (
            &proof,
            generation + 8 + 4,
            (MAX_NUMBER + 1).to_be_bytes().to_vec(),
            range(MAX_NUMBER + 1, 0, MAX_NUMBER).of("number"),
        ),
        (&proof, action, u32(0), length(0, 1, 255).of("action")),
        (&acked, 1 + 8 + 32, u32(MAX_BODY + 1), length(MAX_BODY + 1, 0, MAX_BODY).of("body")),
        (&answer, 4 + 65, 0_u64.to_be_bytes().to_vec(), range(0, 1, u64::MAX).of("generation")),
        (&answer, 4 + 65, 1_u64.to_be_bytes().to_vec(), range(1, 2, u64::MAX).of("generation")),
        (&token, 1 + 4 + 11 + 4 + 9, vec![0; 8], range(0, 1, u64::MAX).of("generation")),
        (
            &token,
            1 + 4 + 11 + 4 + 9 + 8 + 4,
            u64::MAX.to_be_bytes().to_vec(),
            range(u64::MAX, 0, MAX_NUMBER).of("number"),
        ),
        (&token, framed(&token, b"platform"), u32(0), length(0, 1, 255).of("audience")),
        (&token, framed(&token, b"nonce"), u32(65), length(65, 0, 64).of("platform nonce")),
        (&sealed, 1, u32(0), length(0, 1, max_name).of("key name")),
        (&sealed, 1, u32(max_name + 1), length(max_name + 1, 1, max_name).of("key name")),
        (&sealed, ciphertext, u32(15), length(15, 16, MAX_PLAINTEXT + 16).of("ciphertext")),
        (
            &sealed,
            ciphertext,
            u32(MAX_PLAINTEXT + 17),
            length(MAX_PLAINTEXT + 17, 16, MAX_PLAINTEXT + 16).of("ciphertext"),
        ),
    ] {
        assert_eq!((row.1)(&with(&row.0, at, &value)), Some(error));
    }
}
