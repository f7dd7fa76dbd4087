//! A state directory of `wardein-device`, by itself in touch with its authority.

use crate::failure::Failure;
use crate::handle::{Handle, Opaque, enter, free, give, guarded, last_error};
use crate::lengths;
use crate::raw::Call;
use crate::session::Inner;
use crate::status::Status;
use std::ffi::{OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use wardein_ddkg::message::{MAX_PLAINTEXT, MAX_PLATFORM_NONCE};
use wardein_domain::Audience;

/// The device of a state directory, as `wardein-device` uses it. Functions on it are in a library with the feature `transport`,
/// which is the default. Beside one, `wardein-device` may work in the same directory: each takes its turn.
///
/// A device whose TPM signs (`signs_with` in device.toml) gets `WARDEIN_ERR_SIGNS` from every call but that for the stored
/// certificate: most of what a session does needs derived keys, which it does not have.
pub struct Session(Handle<Inner>);

impl Opaque for Session {
    type Inner = Inner;

    fn handle(&self) -> &Handle<Inner> {
        &self.0
    }
}

/// Makes a handle for the state directory at `path`, which the first call opens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_new(
    path: *const c_char,
    path_length: usize,
    session: *mut *mut Session,
) -> Status {
    guarded(|| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let path = unsafe { call.bytes("path", path.cast(), path_length, MAX_PATH) }?;
        // SAFETY: as above.
        let place = unsafe { call.place("session", session) }?;
        place.set(std::ptr::null_mut());
        if path.is_empty() || path.contains(&0) {
            return Err(Failure::argument("path", "is empty, or has a zero in it"));
        }
        place.set(give(Session(Handle::new(Inner::new(OsStr::from_bytes(path).into())?))));
        Ok(())
    })
}

/// Frees a handle and wipes its secrets; NULL is fine. Where a name is being looked up, that is waited for, at most a second.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_free(session: *mut Session) {
    // SAFETY: the header says what the caller vouches for.
    unsafe { free(session) };
}

/// As `wardein_device_error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_error(
    session: *const Session,
    out: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Status {
    // SAFETY: the header says what the caller vouches for.
    unsafe { last_error(session, out, capacity, length) }
}

/// After `WARDEIN_ERR_REFUSED`: the authority's code, such as `suspended`, with a zero at its end, cut where `capacity` is too
/// small, and what to do about it, a `WARDEIN_ADVICE_…`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_refusal(
    session: *mut Session,
    code: *mut c_char,
    capacity: usize,
    length: *mut usize,
    advice: *mut i32,
) -> Status {
    let call = |session: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let out = unsafe { call.out("code", code.cast(), capacity, length) }?;
        // SAFETY: as above.
        let place = unsafe { call.place("advice", advice) }?;
        let (code, advice) = session.refusal()?;
        out.put_text(code);
        place.set(advice as i32);
        Ok(())
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// Shows the authority that the device is there; `*server_time` is the authority's time in Unix seconds. `deadline_ms`, here
/// and in all calls that have one, is the most time that the call waits for others, 1 to 600,000 ms; what it reads and writes
/// on disk comes on top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_authenticate(
    session: *mut Session,
    deadline_ms: u32,
    server_time: *mut u64,
) -> Status {
    let call = |session: &mut Inner| {
        // SAFETY: the header says what the caller vouches for.
        let place = unsafe { Call::default().place("server_time", server_time) }?;
        place.set(session.run(deadline_ms, async |open| open.authenticate().await)?);
        Ok(())
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// Gets a new certificate and stores it, as `certificate.pem`, for the device's own key, or with one that the authority makes, where
/// device.toml says so; `*not_after` is the last second of its
/// validity in Unix seconds. The key is in `device.key`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_certify(
    session: *mut Session,
    deadline_ms: u32,
    not_after: *mut u64,
) -> Status {
    let call = |session: &mut Inner| {
        // SAFETY: the header says what the caller vouches for.
        let place = unsafe { Call::default().place("not_after", not_after) }?;
        place.set(session.run(deadline_ms, async |open| open.certificate().await)?.not_after);
        Ok(())
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// The certificates that are stored, PEM, leaf first. It asks nobody.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_certificate(
    session: *mut Session,
    pem: *mut u8,
    pem_capacity: usize,
    pem_length: *mut usize,
) -> Status {
    let call = |session: &mut Inner| {
        // SAFETY: the header says what the caller vouches for.
        let out = unsafe { Call::default().out("pem", pem, pem_capacity, pem_length) }?;
        out.put(session.certificate()?.as_bytes())
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// The certificates that the authority vouches for now, PEM: the roots, then the issuing CAs. The reply is proved by the device's
/// own keys. Where the buffer is too small the authority was asked all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_trust_bundle(
    session: *mut Session,
    deadline_ms: u32,
    pem: *mut u8,
    pem_capacity: usize,
    pem_length: *mut usize,
) -> Status {
    let call = |session: &mut Inner| {
        // SAFETY: the header says what the caller vouches for.
        let out = unsafe { Call::default().out("pem", pem, pem_capacity, pem_length) }?;
        out.put(&session.run(deadline_ms, async |open| open.trust_bundle().await)?)
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// Asks for the pins of the platform's keys, signed by the authority, and stores them; `*held` is 1 where there are some now, and 0 where the
/// authority has none and none are stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_pins(
    session: *mut Session,
    deadline_ms: u32,
    held: *mut u8,
) -> Status {
    let call = |session: &mut Inner| {
        // SAFETY: the header says what the caller vouches for.
        let place = unsafe { Call::default().place("held", held) }?;
        place.set(session.run(deadline_ms, async |open| open.pins().await)?.is_some().into());
        Ok(())
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// Whether a server that shows this certificate, DER, of at most 8192 bytes, is the platform, by the pins that are stored: `*is` is 1 or 0. It
/// is for each delivery, over the program's own TLS 1.3, which must have verified that the server has the certificate's key, and resumes
/// no session; who certified it does not matter. Where it is 0, nothing may be sent. It asks nobody. `WARDEIN_ERR_ORDER`: there are no pins.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_is_platform(
    session: *mut Session,
    certificate: *const u8,
    certificate_length: usize,
    is: *mut u8,
) -> Status {
    let call = |session: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let shown = unsafe { call.bytes("certificate", certificate, certificate_length, MAX_SHOWN) }?;
        // SAFETY: as above.
        let place = unsafe { call.place("is", is) }?;
        place.set(session.is_platform(shown)?.into());
        Ok(())
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// A token (kind 7) for logging in to the platform `audience` once, with the nonce that it gave, at most 64 bytes, or none. The
/// authority is asked for the time first, where this handle has not asked it anything yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_token(
    session: *mut Session,
    deadline_ms: u32,
    audience: *const c_char,
    audience_length: usize,
    nonce: *const u8,
    nonce_length: usize,
    token: *mut u8,
    token_capacity: usize,
    token_length: *mut usize,
) -> Status {
    let call = |session: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let audience = unsafe { call.text("audience", audience, audience_length, Audience::MAX_LEN) }?;
        // SAFETY: as above.
        let nonce = unsafe { call.bytes("nonce", nonce, nonce_length, MAX_PLATFORM_NONCE) }?;
        // SAFETY: as above.
        let out = unsafe { call.out("token", token, token_capacity, token_length) }?;
        let audience: Audience = audience.parse().map_err(|error| Failure::argument("audience", error))?;
        out.room(lengths::token_at_most(&audience, nonce))?;
        let made = session.run(deadline_ms, async |open| open.token(audience.clone(), nonce, false).await)?;
        out.put(&made.encode())
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// As `wardein_seal`. It asks nobody; the deadline is for others at work in the directory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_seal(
    session: *mut Session,
    deadline_ms: u32,
    additional: *const u8,
    additional_length: usize,
    plaintext: *const u8,
    plaintext_length: usize,
    sealed: *mut u8,
    sealed_capacity: usize,
    sealed_length: *mut usize,
) -> Status {
    let call = |session: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let additional = unsafe { call.bytes("additional", additional, additional_length, MAX_PLAINTEXT) }?;
        // SAFETY: as above.
        let plaintext = unsafe { call.bytes("plaintext", plaintext, plaintext_length, MAX_PLAINTEXT) }?;
        // SAFETY: as above.
        let out = unsafe { call.out("sealed", sealed, sealed_capacity, sealed_length) }?;
        out.room(lengths::sealed_at_most(plaintext.len()))?;
        let made = session.run(deadline_ms, async |open| open.seal(additional, plaintext))?;
        out.put(&made.encode())
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// Agrees on new keys with the authority and goes over to them; `*generation` is that of the new ones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_rekey(
    session: *mut Session,
    deadline_ms: u32,
    generation: *mut u64,
) -> Status {
    let call = |session: &mut Inner| {
        // SAFETY: the header says what the caller vouches for.
        let place = unsafe { Call::default().place("generation", generation) }?;
        place.set(session.run(deadline_ms, async |open| open.rekey().await)?.generation);
        Ok(())
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// Whether the keys are due to be agreed on again, by the device's own schedule or because the authority's last reply said so:
/// `*due` is 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_session_rekey_due(
    session: *mut Session,
    deadline_ms: u32,
    due: *mut u8,
) -> Status {
    let call = |session: &mut Inner| {
        // SAFETY: the header says what the caller vouches for.
        let place = unsafe { Call::default().place("due", due) }?;
        place.set(session.run(deadline_ms, async |open| Ok(open.is_rekey_due()))?.into());
        Ok(())
    };
    // SAFETY: as above.
    unsafe { enter(session, call) }
}

/// Bytes of a certificate.
const MAX_SHOWN: usize = 8192;

/// As Linux has it (PATH_MAX).
const MAX_PATH: usize = 4096;
