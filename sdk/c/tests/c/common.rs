//! A device through its C ABI, with a flash that a test can see and break.

use crate::authority::Authority;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;
use wardein::Status::*;
use wardein::*;

/// What stands for flash.
#[derive(Default)]
pub(crate) struct Flash {
    pub(crate) state: Vec<u8>,
    pub(crate) writes: usize,
    pub(crate) is_broken: bool,
}

unsafe extern "C" fn save(flash: *mut c_void, state: *const u8, length: usize) -> c_int {
    // SAFETY: it is the flash of the test that made the handle, and the library's bytes.
    let (flash, state) = unsafe { (&mut *flash.cast::<Flash>(), std::slice::from_raw_parts(state, length)) };
    if flash.is_broken {
        return 5;
    }
    flash.state = state.to_vec();
    flash.writes += 1;
    0
}

/// A handle with its flash.
pub(crate) struct Dev {
    pub(crate) handle: *mut Device,
    pub(crate) flash: Box<Flash>,
}

impl Drop for Dev {
    fn drop(&mut self) {
        // SAFETY: it was made by `new`, and is freed once.
        unsafe { wardein_device_free(self.handle) };
    }
}

pub(crate) const TENANT: &str = "klinik-nord";
pub(crate) const ID: &str = "pump-0001";

pub(crate) fn attribute(name: &'static str, value: &'static str) -> Attribute {
    Attribute {
        name: name.as_ptr().cast(),
        name_length: name.len(),
        value: value.as_ptr(),
        value_length: value.len(),
    }
}

pub(crate) fn attributes() -> [Attribute; 2] {
    [attribute("serial", "A-77"), attribute("firmware", "1.4.2")]
}

/// What a call gives that has one message: asked for its length first, as C programs do, then called with just that room.
pub(crate) fn message(mut call: impl FnMut(*mut u8, usize, *mut usize) -> Status) -> Result<Vec<u8>, Status> {
    let mut length = 0;
    match call(null_mut(), 0, &mut length) {
        WARDEIN_ERR_BUFFER => {}
        WARDEIN_OK => return Ok(Vec::new()),
        other => return Err(other),
    }
    let mut out = vec![0xaa; length + 8];
    match call(out.as_mut_ptr(), length, &mut length) {
        WARDEIN_OK => {}
        other => return Err(other),
    }
    let capacity = out.len() - 8;
    assert!(length <= capacity && out[capacity..] == [0xaa; 8], "written beyond the buffer");
    out.truncate(length);
    Ok(out)
}

impl Dev {
    pub(crate) fn new() -> Self {
        let mut flash = Box::new(Flash::default());
        let mut handle = null_mut();
        // SAFETY: the flash lives as long as the handle.
        let made = unsafe { wardein_device_new(Some(save), (&raw mut *flash).cast(), &mut handle) };
        assert_eq!(made, WARDEIN_OK);
        Self { handle, flash }
    }

    /// One whose handle the test made by itself, with a flash of its own.
    pub(crate) fn of(handle: *mut Device) -> Self {
        Self { handle, flash: Box::default() }
    }

    pub(crate) fn restored(state: &[u8], floor: u64) -> Result<Self, Status> {
        let dev = Self::new();
        // SAFETY: all is the test's own, here and below.
        match unsafe { wardein_device_restore(dev.handle, state.as_ptr(), state.len(), floor) } {
            WARDEIN_OK => Ok(dev),
            other => Err(other),
        }
    }

    pub(crate) fn begin(&mut self, identity: &[u8; 65], suite: u32) -> Result<Vec<u8>, Status> {
        let list = attributes();
        message(|out, capacity, length| unsafe {
            wardein_enroll_begin(
                self.handle,
                identity.as_ptr(),
                65,
                suite,
                chars(TENANT),
                TENANT.len(),
                chars(ID),
                ID.len(),
                list.as_ptr(),
                list.len(),
                out,
                capacity,
                length,
            )
        })
    }

    pub(crate) fn finish(&mut self, reply: &[u8], purposes: u32) -> Result<Vec<u8>, Status> {
        message(|out, capacity, length| unsafe {
            wardein_enroll_finish(self.handle, reply.as_ptr(), reply.len(), purposes, out, capacity, length)
        })
    }

    pub(crate) fn confirm(&mut self) -> Result<Vec<u8>, Status> {
        message(|out, capacity, length| unsafe { wardein_confirm(self.handle, out, capacity, length) })
    }

    pub(crate) fn ask(&mut self) -> Status {
        unsafe { wardein_ask(self.handle) }
    }

    pub(crate) fn prove(&mut self, offer: &[u8], action: &str, body: &[u8]) -> Result<Vec<u8>, Status> {
        self.prove_with(offer, &attributes(), action, body)
    }

    pub(crate) fn prove_with(
        &mut self,
        offer: &[u8],
        list: &[Attribute],
        action: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, Status> {
        message(|out, capacity, length| unsafe {
            wardein_prove(
                self.handle,
                offer.as_ptr(),
                offer.len(),
                list.as_ptr(),
                list.len(),
                chars(action),
                action.len(),
                body.as_ptr(),
                body.len(),
                out,
                capacity,
                length,
            )
        })
    }

    pub(crate) fn rekey(&mut self, offer: &[u8], suite: u32) -> Result<(Vec<u8>, Vec<u8>), Status> {
        let list = attributes();
        let (mut proof, mut body, mut lengths) = (vec![], vec![], [0; 2]);
        for _ in 0..2 {
            let [first, second] = &mut lengths;
            let status = unsafe {
                wardein_rekey(
                    self.handle,
                    offer.as_ptr(),
                    offer.len(),
                    list.as_ptr(),
                    list.len(),
                    suite,
                    proof.as_mut_ptr(),
                    proof.len(),
                    first,
                    body.as_mut_ptr(),
                    body.len(),
                    second,
                )
            };
            match status {
                WARDEIN_OK => return Ok((proof, body)),
                WARDEIN_ERR_BUFFER => (proof, body) = (vec![0; lengths[0]], vec![0; lengths[1]]),
                other => return Err(other),
            }
        }
        Err(WARDEIN_ERR_BUFFER)
    }

    pub(crate) fn acknowledge(&mut self, reply: &[u8]) -> Result<Vec<u8>, Status> {
        message(|out, capacity, length| unsafe {
            wardein_acknowledge(self.handle, reply.as_ptr(), reply.len(), out, capacity, length)
        })
    }

    pub(crate) fn refused(&mut self, code: &str, epoch: u32) -> i32 {
        let mut advice = -1;
        let status = unsafe { wardein_refused(self.handle, chars(code), code.len(), epoch, &mut advice) };
        assert_eq!(status, WARDEIN_OK);
        advice
    }

    pub(crate) fn token(&mut self, elapsed: u64, audience: &str, nonce: &[u8]) -> Result<Vec<u8>, Status> {
        message(|out, capacity, length| unsafe {
            let (name, bytes) = (chars(audience), nonce.as_ptr());
            wardein_token(
                self.handle,
                elapsed,
                name,
                audience.len(),
                bytes,
                nonce.len(),
                out,
                capacity,
                length,
            )
        })
    }

    pub(crate) fn seal(&mut self, additional: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, Status> {
        message(|out, capacity, length| unsafe {
            let (bound, plain) = (additional.as_ptr(), plaintext.as_ptr());
            wardein_seal(
                self.handle,
                0,
                0,
                bound,
                additional.len(),
                plain,
                plaintext.len(),
                out,
                capacity,
                length,
            )
        })
    }

    pub(crate) fn open(&mut self, additional: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Status> {
        message(|out, capacity, length| unsafe {
            let (bound, bytes) = (additional.as_ptr(), sealed.as_ptr());
            wardein_open(self.handle, bound, additional.len(), bytes, sealed.len(), out, capacity, length)
        })
    }

    pub(crate) fn get(&self, what: u32) -> Result<u64, Status> {
        let mut value = 0;
        match unsafe { wardein_device_get(self.handle, what, &mut value) } {
            WARDEIN_OK => Ok(value),
            other => Err(other),
        }
    }

    /// Why the last call failed.
    pub(crate) fn error(&self) -> String {
        let (mut text, mut length) = ([0u8; 512], 0);
        let status =
            unsafe { wardein_device_error(self.handle, text.as_mut_ptr().cast(), text.len(), &mut length) };
        assert_eq!((status, text[length]), (WARDEIN_OK, 0));
        String::from_utf8(text[..length].to_vec()).unwrap()
    }

    /// Enrolled and confirmed with `authority`.
    pub(crate) fn enrolled(authority: &mut Authority, suite: u32) -> Self {
        let mut dev = Self::new();
        let request = dev.begin(&authority.identity_key(), suite).unwrap();
        let reply = authority.enroll(&request).unwrap();
        let confirmation = dev.finish(&reply, 15).unwrap();
        authority.confirm(&confirmation).unwrap();
        dev
    }

    /// One proved request.
    pub(crate) fn authenticate(&mut self, authority: &mut Authority) {
        assert_eq!(self.ask(), WARDEIN_OK);
        let proof = self.prove(&authority.offer(), "authenticate", b"").unwrap();
        let reply = authority.prove(&proof, b"").unwrap();
        assert_eq!(self.acknowledge(&reply), Ok(vec![]));
    }

    pub(crate) fn proven(authority: &mut Authority) -> Self {
        let mut dev = Self::enrolled(authority, 1);
        dev.authenticate(authority);
        dev
    }
}

pub(crate) fn chars(text: &str) -> *const c_char {
    text.as_ptr().cast()
}

/// The suites that are built in.
pub(crate) fn suites() -> &'static [u32] {
    if cfg!(feature = "suite2") { &[1, 2] } else { &[1] }
}
