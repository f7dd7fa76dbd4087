//! A device's handle: made, restored, asked what it is, freed.

use crate::device::Inner;
use crate::failure::Failure;
use crate::handle::{Handle, Opaque, enter, free, give, guarded, last_error};
use crate::raw::{Call, Save, Saver};
use crate::status::Status;
use std::ffi::{c_char, c_void};
use wardein_ddkg::device::DeviceState;

/// A device, enrolled or about to be: DDKG-1 in bytes, over whatever transport the caller has.
pub struct Device(Handle<Inner>);

impl Opaque for Device {
    type Inner = Inner;

    fn handle(&self) -> &Handle<Inner> {
        &self.0
    }
}

/// The most bytes of a device's state.
pub const WARDEIN_MAX_STATE: usize = 5120;
const _: () = assert!(WARDEIN_MAX_STATE == DeviceState::MAX_LEN - DeviceState::SERVICE_LEN);

/// Makes a handle, for one device that is restored or enrolled next. Each time that a message may leave only once the state is
/// durable, the call that makes the message calls `save(context, state, length)` first, and gives the message only if that
/// returned 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_device_new(
    save: Save,
    context: *mut c_void,
    device: *mut *mut Device,
) -> Status {
    guarded(|| {
        // SAFETY: the header says what the caller vouches for.
        let place = unsafe { Call::default().place("device", device) }?;
        place.set(std::ptr::null_mut());
        // SAFETY: as above.
        let saver = unsafe { Saver::new(save, context) }?;
        place.set(give(Device(Handle::new(Inner::new(saver)))));
        Ok(())
    })
}

/// Frees a handle and wipes its secrets; NULL is fine. The state that was saved last is what is left of the device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_device_free(device: *mut Device) {
    // SAFETY: the header says what the caller vouches for.
    unsafe { free(device) };
}

/// Why the last call on the handle failed, with a zero at the end, cut where `capacity` is too small; empty after one that
/// succeeded. `*length` is the length of all of it, without the zero. It holds nothing secret.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_device_error(
    device: *const Device,
    out: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> Status {
    // SAFETY: the header says what the caller vouches for.
    unsafe { last_error(device, out, capacity, length) }
}

/// Puts the state that was saved last into a new handle, after a restart. `floor` is the value of a counter in hardware that
/// the device raises by one each time that it saves, or 0 without one: a state from before is refused as
/// `WARDEIN_ERR_ROLLED_BACK`. One state in two handles, or in two places, is a clone, and the authority will notice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_device_restore(
    device: *mut Device,
    state: *const u8,
    state_length: usize,
    floor: u64,
) -> Status {
    let call = |device: &mut Inner| {
        // SAFETY: the header says what the caller vouches for.
        let state = unsafe { Call::default().bytes("state", state, state_length, WARDEIN_MAX_STATE) }?;
        device.restore(state, floor)
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}

/// For `wardein_device_get`: the generation that the device's keys are of.
pub const WARDEIN_GENERATION: u32 = 1;
/// The suite of the generation, 1 or 2.
pub const WARDEIN_SUITE: u32 = 2;
/// How often the state was saved; what a counter in hardware should be at.
pub const WARDEIN_WRITES: u32 = 3;
/// The last time that the authority gave and proved, in Unix seconds.
pub const WARDEIN_KNOWN_TIME: u32 = 4;
/// The last epoch in which a proof was acknowledged.
pub const WARDEIN_EPOCH: u32 = 5;
/// When the generation was agreed on, in Unix seconds: what a device reckons from that rekeys by a schedule of its own.
pub const WARDEIN_AGREED_AT: u32 = 6;

/// One of the numbers above, of an enrolled device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wardein_device_get(device: *mut Device, what: u32, value: *mut u64) -> Status {
    let call = |device: &mut Inner| {
        // SAFETY: the header says what the caller vouches for.
        let place = unsafe { Call::default().place("value", value) }?;
        let state = device.state()?;
        place.set(match what {
            WARDEIN_GENERATION => state.generation(),
            WARDEIN_SUITE => state.suite().number().into(),
            WARDEIN_WRITES => state.writes(),
            WARDEIN_KNOWN_TIME => state.known_time(),
            WARDEIN_EPOCH => state.proof_epoch().into(),
            WARDEIN_AGREED_AT => state.schedule().not_before,
            _ => return Err(Failure::argument("what", format_args!("is {what}; it takes 1 to 6"))),
        });
        Ok(())
    };
    // SAFETY: as above.
    unsafe { enter(device, call) }
}
