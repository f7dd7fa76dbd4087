//! Versions, and statuses as words.

use crate::status::Status;
use std::ffi::{CStr, c_char};

/// The version of this interface, which is the number in the library's soname. It rises when a program that was compiled with an
/// earlier header would break; functions and numbers may be added without that.
pub const WARDEIN_ABI: u32 = 1;

/// The `WARDEIN_ABI` that the library was built with.
#[unsafe(no_mangle)]
pub extern "C" fn wardein_abi() -> u32 {
    WARDEIN_ABI
}

/// The library's release, such as "0.2.0". It lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn wardein_version() -> *const c_char {
    VERSION.as_ptr()
}

/// A status in a few words. They live for ever, and are never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn wardein_status_text(status: i32) -> *const c_char {
    let known = Status::ALL.iter().find(|known| **known as i32 == status);
    known.map_or(c"a status of a later release", |known| known.text()).as_ptr()
}

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(text) => text,
    Err(_) => c"",
};
