//! Keys that the authority makes, with their messages.

use super::added::device;
use super::check::{Checked, array, epoch_secret, recipe, same, values, wrong};
use super::form::{File, WholeMadeKey};
use crate::message::{AckedReply, MadeKeyAnswer, ProofRequest, ack_transcript};
use alloc::format;
use wardein_crypto::{Digest, SecretBytes};
use wardein_domain::{KeyKind, Purpose};

pub(super) fn check(file: &File) -> Checked {
    for (i, entry) in file.made_keys.iter().enumerate() {
        made_key(file, entry).map_err(|error| format!("made_keys[{i}] ({}): {error}", entry.name))?;
    }
    Ok(())
}

fn made_key(file: &File, given: &WholeMadeKey) -> Checked {
    let kind = core::str::from_utf8(&given.body.0).map_err(wrong("body"))?;
    kind.parse::<KeyKind>().map_err(wrong("body"))?;
    let request = ProofRequest::decode(&given.proof.0).map_err(wrong("proof"))?;
    same("proof.action", &request.action.is_made_key(), &true)?;
    same("proof.device", &request.device, &device(&file.tenant, &file.device_id)?)?;
    same("proof.body_digest", &request.body_digest, &Digest::of(&given.body.0))?;
    let (digests, recipe) = (values(file)?.digests(), recipe("recipe", &given.recipe)?);
    let binding = digests.binding(request.challenge.as_bytes(), &recipe).map_err(wrong("recipe"))?;
    let secret = epoch_secret("generation_root", &given.generation_root, Purpose::Proof, request.epoch)?;
    let (key, proved) = (secret.key(request.number), request.transcript());
    key.device_mac(&binding).verify(&proved, &request.mac).map_err(|_| "proof: its mac is wrong")?;
    let seal = key.made_key(&binding);
    same("sealing_key", &seal.expose()[..], &given.sealing_key.0)?;
    let reply = AckedReply::decode(&given.reply.0).map_err(wrong("reply"))?;
    let acked = ack_transcript(&proved, reply.server_time, &reply.body);
    key.ack(&binding).verify(&acked, &reply.ack).map_err(|_| "reply: its ack is wrong")?;
    let pkcs8 = SecretBytes::from_vec(given.pkcs8.0.clone());
    let mut answer =
        MadeKeyAnswer::seal(&seal, &proved, array("nonce", &given.nonce)?, pkcs8).map_err(wrong("pkcs8"))?;
    answer.rest.clone_from(&given.certificates.0);
    same("reply.body", &answer.encode(), &reply.body)?;
    let read = MadeKeyAnswer::decode(&reply.body).map_err(wrong("reply.body"))?;
    same("reply.body", &read, &answer)?;
    let opened = read.open(&seal, &proved).map_err(|_| "reply.body: it does not open")?;
    same("pkcs8", opened.expose(), &given.pkcs8.0)
}
