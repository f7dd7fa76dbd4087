//! The C ABI, called as C calls it. What C itself does with it, `sdk/c/test.sh` tries.
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "every call is unsafe; all pointers are the tests' own"
)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations with them")]

mod arguments;
mod authority;
mod cases;
mod common;
mod header;
mod life;
mod malformed;
#[cfg(feature = "test-panic")]
mod panics;
#[cfg(feature = "transport")]
mod session;
mod vectors;
