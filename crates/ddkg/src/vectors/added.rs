//! What was added after the first file and is taken: messages, bindings, bodies of `attributes`, and rekeys with their messages.

use super::Skipped;
use super::check::{
    Checked, array, challenge, digest, epoch_secret, measured, parse, recipe, same, values, wrong,
};
use super::form::{File, Hex, MessageOf, WholeRekey};
use crate::attribute::Attributes;
use crate::key::DeviceName;
use crate::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, ProofRequest, RekeyAnswer,
    RekeyAsk, SealedPayload, Token, ack_transcript, from_text, rekey_transcript, to_text,
};
use crate::purposes::Purposes;
use crate::rekey::{NextStep, next_root};
use crate::suite::{Agreed, AuthorityShare, DeviceShare, Suite};
use crate::wire::{DecodeError, Sink};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wardein_crypto::{Digest, Tag};
use wardein_domain::{Purpose, Schedule};

pub(super) fn check(file: &File, skipped: &mut Skipped) -> Checked {
    for (i, entry) in file.messages.iter().enumerate() {
        let at = format!("messages[{i}] ({})", entry.name);
        match message(entry).map_err(|error| format!("{at}: {error}"))? {
            Some(encoded) => {
                same(&format!("{at}.encoded"), &encoded, &entry.encoded.0)?;
                same(&format!("{at}.base64"), &to_text(&encoded), &entry.base64)?;
                same(&format!("{at}.base64"), &from_text(&entry.base64, encoded.len()), &Ok(encoded))?;
            }
            None => skipped.push(format!("{at}: suite 2 is built with feature suite2 only")),
        }
    }
    for (i, entry) in file.bindings.iter().enumerate() {
        let at = format!("bindings[{i}] ({})", entry.name);
        let (digests, recipe) = (values(file)?.digests(), recipe(&at, &entry.recipe)?);
        let binding = digests.binding(&entry.challenge.0, &recipe).map_err(wrong(&at))?;
        same(&at, binding.as_ref(), &entry.binding.0)?;
    }
    for (i, entry) in file.attribute_bodies.iter().enumerate() {
        let at = format!("attribute_bodies[{i}] ({})", entry.name);
        let attributes = measured(&at, &entry.values)?;
        same(&at, &attributes.encode(), &entry.body.0)?;
        same(&at, &Attributes::decode(&entry.body.0).map_err(wrong(&at))?, &attributes)?;
        same(&at, Digest::of(&entry.body.0).as_ref(), &entry.body_digest.0)?;
    }
    for (i, entry) in file.rekeys.iter().enumerate() {
        let at = format!("rekeys[{i}] ({})", entry.name);
        if !rekey(file, entry).map_err(|error| format!("{at}: {error}"))? {
            skipped.push(format!("{at}: suite 2 is built with feature suite2 only"));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    suite: u16,
    tenant: String,
    device_id: String,
    device_nonce: Hex,
    device_share: Hex,
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    suite: u16,
    authority_share: Hex,
    generation: u64,
    period: u64,
    max_uses: u64,
    not_before: u64,
    signature: Hex,
    authority_confirmation: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmed {
    tenant: String,
    device_id: String,
    device_confirmation: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    challenge: Hex,
    server_time: u64,
    recipe: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    tenant: String,
    device_id: String,
    challenge: Hex,
    device_nonce: Hex,
    generation: u64,
    epoch: u32,
    number: u64,
    action: String,
    body_digest: Hex,
    mac: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acked {
    server_time: u64,
    ack: Hex,
    body: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    tenant: String,
    device_id: String,
    generation: u64,
    epoch: u32,
    number: u64,
    audience: String,
    platform_nonce: Hex,
    issued_at: u64,
    mac: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    key_name: String,
    nonce: Hex,
    ciphertext: Hex,
}

fn fields<T: DeserializeOwned>(entry: &MessageOf) -> Checked<T> {
    serde_json::from_value(entry.fields.clone()).map_err(wrong("fields"))
}

pub(super) fn device(tenant: &str, device_id: &str) -> Checked<DeviceName> {
    Ok(DeviceName { tenant: parse("tenant", tenant)?, device: parse("device_id", device_id)? })
}

fn tag(field: &str, hex: &Hex) -> Checked<Tag> {
    array(field, hex).map(Tag)
}

/// The suite of that number, or `None` where it is one that is not built in.
pub(super) fn suite(number: u16) -> Checked<Option<Suite>> {
    if cfg!(not(feature = "suite2")) && number == 2 {
        return Ok(None);
    }
    Suite::from_number(number).map(Some).map_err(wrong("suite"))
}

/// The bytes of a message with the given fields. They are read again, as the same message.
fn message(entry: &MessageOf) -> Checked<Option<Vec<u8>>> {
    let again = |encoded: Vec<u8>, decoded: Result<Vec<u8>, DecodeError>| {
        same("decoded", &decoded.map_err(wrong("decoded"))?, &encoded)?;
        Ok(Some(encoded))
    };
    let bytes = &entry.encoded.0;
    match entry.kind {
        1 => {
            let given: Request = fields(entry)?;
            let Some(suite) = suite(given.suite)? else { return Ok(None) };
            let request = EnrollRequest {
                device: device(&given.tenant, &given.device_id)?,
                nonce: array("device_nonce", &given.device_nonce)?,
                share: DeviceShare::new(suite, &given.device_share.0).map_err(wrong("device_share"))?,
                attributes: measured("attributes", &given.attributes)?,
            };
            again(request.encode(), EnrollRequest::decode(bytes).map(|read| read.encode()))
        }
        2 => {
            let given: Reply = fields(entry)?;
            let Some(suite) = suite(given.suite)? else { return Ok(None) };
            let Reply { period, max_uses, not_before, generation, .. } = given;
            let share = AuthorityShare::new(suite, &given.authority_share.0).map_err(wrong("share"))?;
            let reply = EnrollReply {
                share,
                generation,
                schedule: Schedule { period, max_uses, not_before },
                signature: given.signature.0,
                confirmation: tag("authority_confirmation", &given.authority_confirmation)?,
            };
            again(reply.encode(), EnrollReply::decode(bytes).map(|read| read.encode()))
        }
        3 => {
            let given: Confirmed = fields(entry)?;
            let device = device(&given.tenant, &given.device_id)?;
            let confirmation =
                Confirmation { device, tag: tag("device_confirmation", &given.device_confirmation)? };
            again(confirmation.encode(), Confirmation::decode(bytes).map(|read| read.encode()))
        }
        4 => {
            let given: Offer = fields(entry)?;
            let challenge = challenge("challenge", &given.challenge)?;
            let recipe = recipe("recipe", &given.recipe)?;
            let offer = ChallengeOffer { challenge, server_time: given.server_time, recipe };
            again(offer.encode(), ChallengeOffer::decode(bytes).map(|read| read.encode()))
        }
        5 => {
            let given: Proof = fields(entry)?;
            let request = ProofRequest {
                device: device(&given.tenant, &given.device_id)?,
                challenge: challenge("challenge", &given.challenge)?,
                nonce: array("device_nonce", &given.device_nonce)?,
                generation: given.generation,
                epoch: given.epoch,
                number: given.number,
                action: parse("action", &given.action)?,
                body_digest: digest("body_digest", &given.body_digest)?,
                mac: tag("mac", &given.mac)?,
            };
            again(request.encode(), ProofRequest::decode(bytes).map(|read| read.encode()))
        }
        6 => {
            let given: Acked = fields(entry)?;
            let ack = tag("ack", &given.ack)?;
            let reply = AckedReply { server_time: given.server_time, ack, body: given.body.0 };
            again(reply.encode(), AckedReply::decode(bytes).map(|read| read.encode()))
        }
        7 => {
            let given: Login = fields(entry)?;
            let token = Token {
                device: device(&given.tenant, &given.device_id)?,
                generation: given.generation,
                epoch: given.epoch,
                number: given.number,
                audience: parse("audience", &given.audience)?,
                platform_nonce: given.platform_nonce.0,
                issued_at: given.issued_at,
                mac: tag("mac", &given.mac)?,
            };
            again(token.encode(), Token::decode(bytes).map(|read| read.encode()))
        }
        8 => {
            let given: Sealed = fields(entry)?;
            // Nothing but sealing and reading makes one, so its bytes are put together here.
            let mut encoded = vec![8];
            encoded.frame(given.key_name.as_bytes());
            encoded.put(&array::<12>("nonce", &given.nonce)?);
            encoded.frame(&given.ciphertext.0);
            let read = SealedPayload::decode(bytes).map_err(wrong("decoded"))?;
            same("key_name", &read.name().to_string(), &given.key_name)?;
            again(encoded, Ok(read.encode()))
        }
        kind => Err(format!("there is no kind {kind}")),
    }
}

/// `false` where the suite is one that is not built in.
fn rekey(file: &File, given: &WholeRekey) -> Checked<bool> {
    let agreement = file.enrollment.get(given.agreement).ok_or("agreement: there is none")?;
    same("suite", &agreement.suite, &given.suite)?;
    let Some(suite) = suite(given.suite)? else { return Ok(false) };
    let share = DeviceShare::new(suite, &agreement.device_share.0).map_err(wrong("device_share"))?;
    let ask = RekeyAsk { share, purposes: given.purposes_named.0 };
    // An authority of an earlier revision knew fewer.
    let known = given.purposes_named.0.map(|named| Purposes::known(named).named());
    let granted = known.zip(given.purposes_granted.0).map(|(known, granted)| known & granted);
    same("purposes_granted", &granted, &given.purposes_granted.0)?;
    same("body", &ask.encode(), &given.body.0)?;
    same("body", &RekeyAsk::decode(&given.body.0).as_ref(), &Ok(&ask))?;
    let request = ProofRequest::decode(&given.proof.0).map_err(wrong("proof"))?;
    same("proof.action", &request.action.is_rekey(), &true)?;
    same("proof.body_digest", &request.body_digest, &Digest::of(&given.body.0))?;
    let (digests, recipe) = (values(file)?.digests(), recipe("recipe", &given.recipe)?);
    let binding = digests.binding(request.challenge.as_bytes(), &recipe).map_err(wrong("recipe"))?;
    let secret = epoch_secret("generation_root", &given.generation_root, Purpose::Proof, request.epoch)?;
    let (key, proved) = (secret.key(request.number), request.transcript());
    key.device_mac(&binding).verify(&proved, &request.mac).map_err(|_| "proof: its mac is wrong")?;
    let WholeRekey { period, max_uses, not_before, generation, .. } = *given;
    let answer = RekeyAnswer {
        share: AuthorityShare::new(suite, &agreement.authority_share.0).map_err(wrong("share"))?,
        generation,
        schedule: Schedule { period, max_uses, not_before },
        purposes: given.purposes_granted.0,
    };
    let reply = AckedReply::decode(&given.reply.0).map_err(wrong("reply"))?;
    same("reply.body", &answer.encode(), &reply.body)?;
    same("reply.body", &RekeyAnswer::decode(suite, &reply.body).as_ref(), &Ok(&answer))?;
    let acked = ack_transcript(&proved, reply.server_time, &reply.body);
    key.ack(&binding).verify(&acked, &reply.ack).map_err(|_| "reply: its ack is wrong")?;
    let transcript = rekey_transcript(&proved, &ask, &answer);
    same("transcript", transcript.as_ref(), &given.transcript.0)?;
    let root = next_root(NextStep::Rekey, &secret, Agreed::from_ikm(&agreement.ikm.0), &transcript);
    same("new_generation_root", &root.0.expose()[..], &given.new_generation_root.0)?;
    Ok(true)
}
