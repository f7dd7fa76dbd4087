//! The entries. Each judges its arguments, runs behind [`enter`](crate::handle::enter) or [`guarded`](crate::handle::guarded),
//! and leaves the deciding to safe code. Documentation here is the header's.
#![allow(
    unsafe_code,
    reason = "an entry has a name of its own in C, and follows the pointers that it is given"
)]

mod common;
mod device;
mod enroll;
mod keys;
mod request;
#[cfg(feature = "transport")]
mod session;
#[cfg(feature = "test-panic")]
pub mod test_panic;

pub use common::*;
pub use device::*;
pub use enroll::*;
pub use keys::*;
pub use request::*;
#[cfg(feature = "transport")]
pub use session::*;

/// The most bytes of any input: a sealed payload of 16 MiB, or what is bound to one. More is refused before it is looked at.
const MAX_INPUT: usize = wardein_ddkg::message::MAX_PLAINTEXT + 1024;
