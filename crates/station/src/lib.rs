//! The factory's side of Wardein.
//!
//! What: a batch of devices that this process plays ([`Play`]), and the relay to real devices at the other end of a line
//! ([`Factory`]); how each fared is an [`Outcome`], of which a [`Report`] survives the process. Why a crate: it is neither the
//! device nor the authority, but the one between them, and a maker's own tool may be built on it. What it does not do: the
//! protocol of a device (`wardein-ddkg`), its state (`wardein-device`), the wire (`wardein-client`); it prints nothing.

mod attendant;
mod batch;
mod enroll;
mod error;
mod expected;
mod factory;
mod failures;
mod labels;
mod lines;
mod outcome;
mod port;
mod relay;
mod report;
mod stop;
mod stream;
#[cfg(test)]
mod testing;
mod text;

pub use batch::{BadLine, Batch, HeadMap, Line};
pub use enroll::Play;
pub use error::Error;
pub use expected::{Difference, Expected};
pub use factory::{Authority, Factory};
pub use failures::write_failures;
pub use lines::{Event, LineState, LineStatus, Lines, STANDARD, Work};
pub use outcome::{Fate, Origin, Outcome, Tally};
pub use report::Report;
pub use stop::told_to_stop;
pub use wardein_device::Vouched;
