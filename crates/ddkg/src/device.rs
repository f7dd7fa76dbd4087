//! The device's end: enroll, confirm, prove, check the ack, rekey, token, seal, open, wrap.
//!
//! It is sans-IO: state that must be on flash before a message may leave comes as [`Unsaved`], which yields the message only
//! by saving. One [`DeviceState`] lives in one process; a second copy of its bytes is a clone.

mod codec;
mod enroll;
mod error;
mod prove;
mod seal;
mod state;

pub use enroll::Enrolling;
pub use error::DeviceError;
pub use prove::{Acknowledged, ChallengeAsk, InFlight, MadeKeyOpener};
pub use seal::Clock;
pub use state::{DeviceState, Unsaved};
