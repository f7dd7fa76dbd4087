//! What a device's keys are for beside proofs: tokens and sealed payloads (DDKG-1, section 7).

use super::MAX_INPUT;
use super::device::Device;
use crate::device::Inner;
use crate::failure::Failure;
use crate::handle::enter;
use crate::lengths;
use crate::raw::Call;
use crate::status::Status;
use std::ffi::c_char;
use wardein_ddkg::device::Clock;
use wardein_ddkg::message::{MAX_PLAINTEXT, MAX_PLATFORM_NONCE, SealedPayload};
use wardein_domain::Audience;

/// A token (kind 7) for logging in to the platform `audience` once, with the nonce that it gave, at most 64 bytes, or none.
/// `elapsed` is how many seconds a monotonic clock has counted since the last reply was acknowledged, or since the restart
/// where that was later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_token(
    device: *mut Device,
    elapsed: u64,
    audience: *const c_char,
    audience_length: usize,
    nonce: *const u8,
    nonce_length: usize,
    token: *mut u8,
    token_capacity: usize,
    token_length: *mut usize,
) -> Status {
    let call = |device: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let audience = unsafe { call.text("audience", audience, audience_length, Audience::MAX_LEN) }?;
        // SAFETY: as above.
        let nonce = unsafe { call.bytes("nonce", nonce, nonce_length, MAX_PLATFORM_NONCE) }?;
        // SAFETY: as above.
        let out = unsafe { call.out("token", token, token_capacity, token_length) }?;
        let audience: Audience = audience.parse().map_err(|error| Failure::argument("audience", error))?;
        out.room(lengths::token(device.state()?.device(), &audience, nonce))?;
        out.put(&device.token(Clock { elapsed, wall: None }, audience, nonce)?)
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}

/// Seals `plaintext`, at most 16 MiB, for the authority to open (kind 8); `additional`, at most 16 MiB, is bound to it and
/// travels by other ways. `elapsed` is as with `wardein_token`; `wall_clock` is the time in Unix seconds by the device's own
/// clock, or 0 without one. The capacity that suffices depends on the plaintext's length alone; the message may be shorter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_seal(
    device: *mut Device,
    elapsed: u64,
    wall_clock: u64,
    additional: *const u8,
    additional_length: usize,
    plaintext: *const u8,
    plaintext_length: usize,
    sealed: *mut u8,
    sealed_capacity: usize,
    sealed_length: *mut usize,
) -> Status {
    let call = |device: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let additional = unsafe { call.bytes("additional", additional, additional_length, MAX_PLAINTEXT) }?;
        // SAFETY: as above.
        let plaintext = unsafe { call.bytes("plaintext", plaintext, plaintext_length, MAX_PLAINTEXT) }?;
        // SAFETY: as above.
        let out = unsafe { call.out("sealed", sealed, sealed_capacity, sealed_length) }?;
        device.state()?;
        out.room(lengths::sealed_at_most(plaintext.len()))?;
        let clock = Clock { elapsed, wall: (wall_clock != 0).then_some(wall_clock) };
        out.put(&device.seal(clock, additional, plaintext)?)
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}

/// Opens a payload (kind 8) that this device sealed, for as long as its key is not erased.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_open(
    device: *mut Device,
    additional: *const u8,
    additional_length: usize,
    sealed: *const u8,
    sealed_length: usize,
    plaintext: *mut u8,
    plaintext_capacity: usize,
    plaintext_length: *mut usize,
) -> Status {
    let call = |device: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let additional = unsafe { call.bytes("additional", additional, additional_length, MAX_PLAINTEXT) }?;
        // SAFETY: as above.
        let sealed = unsafe { call.bytes("sealed", sealed, sealed_length, MAX_INPUT) }?;
        // SAFETY: as above.
        let out = unsafe { call.out("plaintext", plaintext, plaintext_capacity, plaintext_length) }?;
        let payload = SealedPayload::decode(sealed)?;
        device.state()?;
        out.room(lengths::plaintext(sealed.len(), payload.name()))?;
        out.put(device.open(&payload, additional)?.expose())
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}
