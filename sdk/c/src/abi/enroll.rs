//! Enrollment and its confirmation (DDKG-1, section 4).

use super::MAX_INPUT;
use super::device::Device;
use crate::device::Inner;
use crate::failure::Failure;
use crate::handle::enter;
use crate::raw::{Attribute, Call};
use crate::status::Status;
use std::ffi::c_char;
use wardein_crypto::P256VerifyingKey;
use wardein_ddkg::message::EnrollReply;
use wardein_ddkg::{DeviceName, Purposes, Suite};
use wardein_domain::{DeviceId, Purpose, TenantId};

/// Keys that prove requests; every device keeps them, whether it is given or not.
pub const WARDEIN_PURPOSE_PROOF: u32 = 1;
/// Keys that log in to a platform.
pub const WARDEIN_PURPOSE_TOKEN: u32 = 2;
/// Keys that seal payloads.
pub const WARDEIN_PURPOSE_DATA: u32 = 4;
/// Keys of files.
pub const WARDEIN_PURPOSE_FILE: u32 = 8;

/// Begins an enrollment, and gives the request (kind 1) for the station to relay. `identity_key` is the authority's, pinned in
/// the firmware: an uncompressed point of P-256, 65 bytes. `suite` is 1, or 2 for P-256 with ML-KEM-768. Nothing is saved yet;
/// beginning again forgets the request before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_enroll_begin(
    device: *mut Device,
    identity_key: *const u8,
    identity_key_length: usize,
    suite: u32,
    tenant: *const c_char,
    tenant_length: usize,
    device_id: *const c_char,
    device_id_length: usize,
    attributes: *const Attribute,
    attribute_count: usize,
    request: *mut u8,
    request_capacity: usize,
    request_length: *mut usize,
) -> Status {
    let call = |device: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let identity = unsafe { call.array("identity_key", identity_key, identity_key_length) }?;
        if identity.first() != Some(&4) {
            return Err(Failure::argument(
                "identity_key",
                "is not an uncompressed point, which begins with 4",
            ));
        }
        // SAFETY: as above.
        let tenant = unsafe { call.text("tenant", tenant, tenant_length, TenantId::MAX_LEN) }?;
        // SAFETY: as above.
        let id = unsafe { call.text("device_id", device_id, device_id_length, DeviceId::MAX_LEN) }?;
        // SAFETY: as above.
        let attributes = unsafe { call.attributes(attributes, attribute_count) }?;
        // SAFETY: as above.
        let out = unsafe { call.out("request", request, request_capacity, request_length) }?;
        let name = DeviceName {
            tenant: tenant.parse().map_err(|error| Failure::argument("tenant", error))?,
            device: id.parse().map_err(|error| Failure::argument("device_id", error))?,
        };
        let (identity, suite) = (P256VerifyingKey(identity), suite_of(suite)?);
        out.put(&device.enroll_begin(identity, suite, name, attributes, |needed| out.room(needed))?)
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}

/// Checks the authority's reply (kind 2), saves the new state, and gives the confirmation (kind 3) to send. `purposes` is a sum
/// of `WARDEIN_PURPOSE_…`. After `WARDEIN_ERR_UNAUTHENTIC` the enrollment begins again; after `WARDEIN_ERR_SAVE`
/// `wardein_confirm` goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_enroll_finish(
    device: *mut Device,
    reply: *const u8,
    reply_length: usize,
    purposes: u32,
    confirmation: *mut u8,
    confirmation_capacity: usize,
    confirmation_length: *mut usize,
) -> Status {
    let call = |device: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let reply = unsafe { call.bytes("reply", reply, reply_length, MAX_INPUT) }?;
        // SAFETY: as above.
        let out =
            unsafe { call.out("confirmation", confirmation, confirmation_capacity, confirmation_length) }?;
        let purposes = purposes_of(purposes)?;
        let needed = device.enroll_finish_len()?;
        let reply = EnrollReply::decode(reply)?;
        out.room(needed)?;
        out.put(&device.enroll_finish(&reply, purposes)?)
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}

/// The confirmation (kind 3) once more: until a proof is acknowledged, for as often as it is needed, and whenever the authority
/// says `enrollment-pending`. From then on it is `WARDEIN_ERR_ORDER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_confirm(
    device: *mut Device,
    confirmation: *mut u8,
    confirmation_capacity: usize,
    confirmation_length: *mut usize,
) -> Status {
    let call = |device: &mut Inner| {
        let mut call = Call::default();
        // SAFETY: the header says what the caller vouches for.
        let out =
            unsafe { call.out("confirmation", confirmation, confirmation_capacity, confirmation_length) }?;
        out.room(device.confirmation_len()?)?;
        out.put(&device.confirmation()?)
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}

pub(super) fn suite_of(number: u32) -> Result<Suite, Failure> {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    Suite::from_number(number).map_err(|error| Failure::argument("suite", error.problem))
}

fn purposes_of(bits: u32) -> Result<Purposes, Failure> {
    if bits > ALL {
        return Err(Failure::argument("purposes", format_args!("is {bits}; it takes 0 to {ALL}")));
    }
    let given = Purposes::ENROLLED.iter().filter(|purpose| bits & 1 << *purpose as u32 != 0);
    Ok(Purposes::of(given))
}

const ALL: u32 = WARDEIN_PURPOSE_PROOF | WARDEIN_PURPOSE_TOKEN | WARDEIN_PURPOSE_DATA | WARDEIN_PURPOSE_FILE;
const _: () = assert!(
    WARDEIN_PURPOSE_PROOF == 1 << Purpose::Proof as u32
        && WARDEIN_PURPOSE_TOKEN == 1 << Purpose::Token as u32
        && WARDEIN_PURPOSE_DATA == 1 << Purpose::Data as u32
        && WARDEIN_PURPOSE_FILE == 1 << Purpose::File as u32
);
