//! Transfers with their messages.

use super::Skipped;
use super::added::{device, suite};
use super::check::{Checked, epoch_secret, recipe, same, values, wrong};
use super::form::{File, WholeTransfer};
use crate::message::{
    AckedReply, ProofRequest, RekeyAnswer, RekeyAsk, TransferAnswer, ack_transcript, transfer_transcript,
};
use crate::rekey::{NextStep, next_root};
use crate::suite::{Agreed, AuthorityShare, DeviceShare};
use alloc::format;
use wardein_crypto::Digest;
use wardein_domain::{Purpose, Schedule};

pub(super) fn check(file: &File, skipped: &mut Skipped) -> Checked {
    for (i, entry) in file.transfers.iter().enumerate() {
        let at = format!("transfers[{i}] ({})", entry.name);
        if !transfer(file, entry).map_err(|error| format!("{at}: {error}"))? {
            skipped.push(format!("{at}: suite 2 is built with feature suite2 only"));
        }
    }
    Ok(())
}

/// `false` where the suite is one that is not built in.
fn transfer(file: &File, given: &WholeTransfer) -> Checked<bool> {
    let agreement = file.enrollment.get(given.agreement).ok_or("agreement: there is none")?;
    same("suite", &agreement.suite, &given.suite)?;
    let Some(suite) = suite(given.suite)? else { return Ok(false) };
    let share = DeviceShare::new(suite, &agreement.device_share.0).map_err(wrong("device_share"))?;
    let ask = RekeyAsk { share, purposes: None };
    same("body", &ask.encode(), &given.body.0)?;
    let request = ProofRequest::decode(&given.proof.0).map_err(wrong("proof"))?;
    same("proof.action", &request.action.is_transfer(), &true)?;
    same("proof.device", &request.device, &device(&file.tenant, &file.device_id)?)?;
    same("proof.body_digest", &request.body_digest, &Digest::of(&given.body.0))?;
    let (digests, recipe) = (values(file)?.digests(), recipe("recipe", &given.recipe)?);
    let binding = digests.binding(request.challenge.as_bytes(), &recipe).map_err(wrong("recipe"))?;
    let secret = epoch_secret("generation_root", &given.generation_root, Purpose::Proof, request.epoch)?;
    let (key, proved) = (secret.key(request.number), request.transcript());
    key.device_mac(&binding).verify(&proved, &request.mac).map_err(|_| "proof: its mac is wrong")?;
    let WholeTransfer { period, max_uses, not_before, generation, .. } = *given;
    let keys = RekeyAnswer {
        share: AuthorityShare::new(suite, &agreement.authority_share.0).map_err(wrong("share"))?,
        generation,
        schedule: Schedule { period, max_uses, not_before },
        purposes: None,
    };
    let answer = TransferAnswer { device: device(&given.new_tenant, &given.new_device_id)?, keys };
    let reply = AckedReply::decode(&given.reply.0).map_err(wrong("reply"))?;
    same("reply.body", &answer.encode(), &reply.body)?;
    same("reply.body", &TransferAnswer::decode(suite, &reply.body).as_ref(), &Ok(&answer))?;
    let acked = ack_transcript(&proved, reply.server_time, &reply.body);
    key.ack(&binding).verify(&acked, &reply.ack).map_err(|_| "reply: its ack is wrong")?;
    let transcript = transfer_transcript(&proved, &ask, &answer);
    same("transcript", transcript.as_ref(), &given.transcript.0)?;
    let root = next_root(NextStep::Transfer, &secret, Agreed::from_ikm(&agreement.ikm.0), &transcript);
    same("new_generation_root", &root.0.expose()[..], &given.new_generation_root.0)?;
    Ok(true)
}
