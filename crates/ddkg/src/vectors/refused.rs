//! What is refused without a history: bytes that are no message, and what either end refuses of an enrollment and of a reply.

use super::Skipped;
use super::agreement::{Derived, ecdh_x, point, private};
use super::check::{Checked, array, epoch_secret, recipe, same, values, wrong};
use super::form::{AckOf, EnrollmentStep, File, Malformed};
use super::given::Counting;
use crate::attribute::Attributes;
use crate::authority::{EnrollTerms, Record, unconfirmed};
use crate::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, ProofRequest, RekeyAsk,
    SealedPayload, Token, ack_transcript, from_text,
};
use crate::purposes::Purposes;
use crate::suite::Suite;
use crate::wire::DecodeError;
use alloc::format;
use alloc::string::{String, ToString};
use wardein_crypto::{Digest, MacMismatch, P256VerifyingKey};
use wardein_domain::{ErrorCode, Purpose};

pub(super) fn check(file: &File, skipped: &mut Skipped) -> Checked {
    let refusals = &file.refusals;
    for (i, entry) in refusals.malformed.iter().enumerate() {
        same(&format!("refusals.malformed[{i}] ({})", entry.name), &decoded(entry)?, &entry.expect)?;
    }
    for (i, entry) in refusals.enrollment.iter().enumerate() {
        let at = format!("refusals.enrollment[{i}] ({})", entry.name);
        match enrolled(file, entry).map_err(|error| format!("{at}: {error}"))? {
            Some(outcome) => same(&at, &outcome, &entry.expect)?,
            None => skipped.push(format!("{at}: suite 2 is built with feature suite2 only")),
        }
    }
    for (i, entry) in refusals.acks.iter().enumerate() {
        same(&format!("refusals.acks[{i}] ({})", entry.name), &acked(file, entry)?, &entry.expect)?;
    }
    Ok(())
}

/// The outcome in the word that the file has for it.
fn word<T>(outcome: Result<T, ErrorCode>) -> String {
    outcome.map_or_else(|code| code.as_str().to_string(), |_| "accepted".to_string())
}

fn decoded(entry: &Malformed) -> Checked<String> {
    let bytes = &entry.input.0;
    let read: Result<(), DecodeError> = match entry.of.as_str() {
        "enrollment request" => EnrollRequest::decode(bytes).map(|_| ()),
        "enrollment reply" => EnrollReply::decode(bytes).map(|_| ()),
        "confirmation" => Confirmation::decode(bytes).map(|_| ()),
        "challenge" => ChallengeOffer::decode(bytes).map(|_| ()),
        "proof" => ProofRequest::decode(bytes).map(|_| ()),
        "reply" => AckedReply::decode(bytes).map(|_| ()),
        "token" => Token::decode(bytes).map(|_| ()),
        "sealed payload" => SealedPayload::decode(bytes).map(|_| ()),
        "rekey body" => RekeyAsk::decode(bytes).map(|_| ()),
        "attributes body" => Attributes::decode(bytes).map(|_| ()),
        "base64" => {
            let text = core::str::from_utf8(bytes).map_err(wrong("base64"))?;
            from_text(text, bytes.len()).map(|_| ())
        }
        other => return Err(format!("{}: there is no decoder of {other:?}", entry.name)),
    };
    Ok(word(read.map_err(|_| ErrorCode::Malformed)))
}

/// `None` where the suite is one that is not built in.
fn enrolled(file: &File, entry: &EnrollmentStep) -> Checked<Option<String>> {
    let agreement = file.enrollment.get(entry.of).ok_or("of: there is no such agreement")?;
    let Some(suite) = agreement.suite()? else { return Ok(None) };
    let request = agreement.request(file, suite)?;
    let outcome = match entry.message.as_str() {
        "request" => {
            let request = EnrollRequest::decode(&entry.input.0).map_err(wrong("input"))?;
            let (generation, schedule) = (1, agreement.schedule());
            let terms = EnrollTerms { generation, schedule, purposes: Purposes::ENROLLED };
            let sign = |_: &_| Ok([0x30; 70].to_vec());
            word(
                Record::enroll(None, &request, &terms, sign, &mut Counting::default())
                    .map_err(|refusal| refusal.code()),
            )
        }
        "reply" => {
            let reply = EnrollReply::decode(&entry.input.0).map_err(wrong("input"))?;
            let (Some(identity), Suite::P256) = (&agreement.authority_identity_public, suite) else {
                return Err("of: only an agreement of suite 1 with an identity key has replies".into());
            };
            let identity = P256VerifyingKey(array("authority_identity_public", identity)?);
            // As `Enrolling::finish` does, with the private value of the vector, which ring does not take.
            let transcript = request.transcript(&reply.share, reply.generation, &reply.schedule);
            match identity.verify(transcript.as_ref(), &reply.signature) {
                Err(_) => word::<()>(Err(ErrorCode::SignatureWrong)),
                Ok(()) => {
                    let own = private("device_p256_private", &agreement.device_p256_private)?;
                    let ikm = ecdh_x(&own, &point("authority_share", reply.share.as_bytes())?);
                    let derived = Derived::new(&ikm, &transcript);
                    let is_right = derived.authority.0 == reply.confirmation.0;
                    word(is_right.then_some(()).ok_or(ErrorCode::ConfirmationWrong))
                }
            }
        }
        "confirmation" => {
            let confirmation = Confirmation::decode(&entry.input.0).map_err(wrong("input"))?;
            let transcript = array("transcript", &agreement.transcript).map(Digest)?;
            let derived = Derived::new(&agreement.ikm.0, &transcript);
            let mut record = unconfirmed(request.device.clone(), &derived.root, transcript);
            word(record.confirm(&confirmation).map_err(|refusal| refusal.code()))
        }
        other => return Err(format!("message: there is no {other:?}")),
    };
    Ok(Some(outcome))
}

/// What the device makes of a reply to its proof.
fn acked(file: &File, entry: &AckOf) -> Checked<String> {
    let request = ProofRequest::decode(&entry.proof.0).map_err(wrong("proof"))?;
    let reply = AckedReply::decode(&entry.reply.0).map_err(wrong("reply"))?;
    let (digests, recipe) = (values(file)?.digests(), recipe("recipe", &entry.recipe)?);
    let binding = digests.binding(request.challenge.as_bytes(), &recipe).map_err(wrong("recipe"))?;
    let secret = epoch_secret("generation_root", &entry.generation_root, Purpose::Proof, request.epoch)?;
    let transcript = ack_transcript(&request.transcript(), reply.server_time, &reply.body);
    // No wire carries this word: it is the device that refuses.
    Ok(match secret.key(request.number).ack(&binding).verify(&transcript, &reply.ack) {
        Ok(()) => "accepted".to_string(),
        Err(MacMismatch) => "ack-wrong".to_string(),
    })
}
