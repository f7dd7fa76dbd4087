//! Proved requests, rekeys, and what comes back (DDKG-1, sections 5 and 6).

use super::MAX_INPUT;
use super::device::Device;
use super::enroll::suite_of;
use crate::device::Inner;
use crate::failure::Failure;
use crate::handle::{enter, guarded};
use crate::raw::{Attribute, Call};
use crate::status::Status;
use std::ffi::c_char;
use wardein_ddkg::message::{AckedReply, ChallengeOffer, MAX_BODY};
use wardein_domain::{Action, AttributeName};

/// Call it right before each request for a challenge: only the challenge that comes in reply to that request may be answered,
/// and only once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_ask(device: *mut Device) -> Status {
    // SAFETY: the header says what the caller vouches for.
    unsafe { enter(device, Inner::ask) }
}

/// Whether a challenge (kind 4) asks for the attribute `name`: `*asks` is 1 or 0. A device may also measure all that it has
/// each time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_challenge_asks(
    challenge: *const u8,
    challenge_length: usize,
    name: *const c_char,
    name_length: usize,
    asks: *mut u8,
) -> Status {
    guarded(|| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let challenge = unsafe { call.bytes("challenge", challenge, challenge_length, MAX_INPUT) }?;
        // SAFETY: as above.
        let name = unsafe { call.text("name", name, name_length, AttributeName::MAX_LEN) }?;
        // SAFETY: as above.
        let asks = unsafe { call.place("asks", asks) }?;
        let name: AttributeName = name.parse().map_err(|error| Failure::argument("name", error))?;
        let offer = ChallengeOffer::decode(challenge)?;
        asks.set(offer.recipe.names().contains(&name).into());
        Ok(())
    })
}

/// Proves that this device asks for `action` with `body`, and gives the proof (kind 5); `body` travels beside it. `challenge`
/// (kind 4) came in reply to the request before which `wardein_ask` was called; `attributes` are measured now, those that it
/// asks for at least. For `rekey` there is `wardein_rekey`. After every error but `WARDEIN_ERR_ARGUMENT`, `_BUFFER` and
/// `_MALFORMED`, ask for a challenge again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_prove(
    device: *mut Device,
    challenge: *const u8,
    challenge_length: usize,
    attributes: *const Attribute,
    attribute_count: usize,
    action: *const c_char,
    action_length: usize,
    body: *const u8,
    body_length: usize,
    proof: *mut u8,
    proof_capacity: usize,
    proof_length: *mut usize,
) -> Status {
    let call = |device: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let challenge = unsafe { call.bytes("challenge", challenge, challenge_length, MAX_INPUT) }?;
        // SAFETY: as above.
        let attributes = unsafe { call.attributes(attributes, attribute_count) }?;
        // SAFETY: as above.
        let action = unsafe { call.text("action", action, action_length, Action::MAX_LEN) }?;
        // SAFETY: as above.
        let body = unsafe { call.bytes("body", body, body_length, MAX_BODY) }?;
        // SAFETY: as above.
        let out = unsafe { call.out("proof", proof, proof_capacity, proof_length) }?;
        let action: Action = action.parse().map_err(|error| Failure::argument("action", error))?;
        if action.is_rekey() {
            return Err(Failure::argument("action", "is rekey; call wardein_rekey"));
        }
        let offer = ChallengeOffer::decode(challenge)?;
        out.room(device.proof_len(&offer, &action)?)?;
        out.put(&device.prove(&offer, &attributes.digests(), action, body)?)
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}

/// Asks for new keys of `suite`, and gives the proof (kind 5) of the action `rekey` with the body to send beside it. All else
/// is as with `wardein_prove`. Once `wardein_acknowledge` has taken the reply, the new keys are saved and the former ones gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_rekey(
    device: *mut Device,
    challenge: *const u8,
    challenge_length: usize,
    attributes: *const Attribute,
    attribute_count: usize,
    suite: u32,
    proof: *mut u8,
    proof_capacity: usize,
    proof_length: *mut usize,
    body: *mut u8,
    body_capacity: usize,
    body_length: *mut usize,
) -> Status {
    let call = |device: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let challenge = unsafe { call.bytes("challenge", challenge, challenge_length, MAX_INPUT) }?;
        // SAFETY: as above.
        let attributes = unsafe { call.attributes(attributes, attribute_count) }?;
        // SAFETY: as above.
        let out = unsafe { call.out("proof", proof, proof_capacity, proof_length) }?;
        // SAFETY: as above.
        let beside = unsafe { call.out("body", body, body_capacity, body_length) }?;
        let suite = suite_of(suite)?;
        let action = Action::REKEY.parse().map_err(|_| Failure::fault("naming the action"))?;
        let offer = ChallengeOffer::decode(challenge)?;
        let proof_room = out.room(device.proof_len(&offer, &action)?);
        // Both lengths are given, whichever buffer is too small.
        let rooms = |needed| beside.room(needed).and(proof_room);
        let (proof, body) = device.rekey(&offer, &attributes.digests(), suite, rooms)?;
        out.put(&proof)?;
        beside.put(&body)
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}

/// Checks the reply (kind 6) to the last proof, adopts what it brings, saves where that must be saved, and gives the reply's
/// body, at most 1 MiB. After `WARDEIN_ERR_UNAUTHENTIC` nothing was adopted: ask again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_acknowledge(
    device: *mut Device,
    reply: *const u8,
    reply_length: usize,
    body: *mut u8,
    body_capacity: usize,
    body_length: *mut usize,
) -> Status {
    let call = |device: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let reply = unsafe { call.bytes("reply", reply, reply_length, MAX_INPUT) }?;
        // SAFETY: as above.
        let out = unsafe { call.out("body", body, body_capacity, body_length) }?;
        let reply = AckedReply::decode(reply)?;
        out.put(&device.acknowledge(reply, |needed| out.room(needed))?)
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}

/// Tells the device that its last proof was refused: `code` is the authority's, such as `epoch-spent`, and `epoch` the number
/// that came with it (`wardein-next-epoch` or `wardein-highest-epoch`), or 0. `*advice` is what to do now, a
/// `WARDEIN_ADVICE_…`. Nothing authenticates a refusal, so it changes nothing that lasts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_refused(
    device: *mut Device,
    code: *const c_char,
    code_length: usize,
    epoch: u32,
    advice: *mut i32,
) -> Status {
    let call = |device: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let code = unsafe { call.text("code", code, code_length, MAX_CODE) }?;
        // SAFETY: as above.
        let advice = unsafe { call.place("advice", advice) }?;
        advice.set(device.refused(code, epoch)? as i32);
        Ok(())
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}

/// Longer than any code.
const MAX_CODE: usize = 255;
