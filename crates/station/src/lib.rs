//! The factory's side of Wardein.
//!
//! What: a batch of devices that this process plays ([`Play`]), and the relay to real devices at the other end of a line
//! ([`Factory`]); how each fared is an [`Outcome`]. Why a crate: it is neither the device nor the authority, but the one between
//! them, and a maker's own tool may be built on it. What it does not do: the protocol of a device (`wardein-ddkg`), its state
//! (`wardein-device`), the wire (`wardein-client`); it prints nothing.

mod batch;
mod enroll;
mod error;
mod factory;
mod lines;
mod outcome;
mod relay;
mod stream;

pub use batch::{BadLine, Batch, HeadMap, Line};
pub use enroll::Play;
pub use error::Error;
pub use factory::Factory;
pub use lines::STANDARD;
pub use outcome::{Fate, Origin, Outcome, Tally};
pub use wardein_device::Vouched;
