//! libwardein: the device's side of Wardein behind a C ABI, for firmware in C and for all that can call C.
//!
//! What: DDKG-1 in bytes ([`abi::device`] and what follows it), where the caller brings the transport; and, with the feature
//! `transport`, a state directory of `wardein-device` that speaks to the authority by itself ([`abi::session`]). Why one crate:
//! it is the one that may be unsafe, so that a reviewer looks in one place. What it does not do: no protocol of its own
//! (`wardein-ddkg`, `wardein-device`), no state of its own beside what its handles hold.
//!
//! The contract with callers is the header, `include/wardein.h`; cbindgen writes it from [`abi`] and [`status`].

// A panic must end in a status, and only one that unwinds can.
#[cfg(panic = "abort")]
compile_error!("libwardein catches panics at its entries, and so needs panic = \"unwind\"");

pub mod abi;
pub mod status;

mod device;
mod failure;
mod handle;
mod lengths;
mod raw;
#[cfg(feature = "transport")]
mod session;

pub use abi::*;
pub use raw::{Attribute, Save};
pub use status::{Advice, Status};
