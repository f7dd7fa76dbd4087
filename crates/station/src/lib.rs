//! The factory's side of Wardein.
//!
//! What: a batch of devices that this process plays, and the relay to real devices at the other end of a line. Why a crate: it
//! stands between the authority's API and the device's side, and is neither. What it does not do: the protocol of a device
//! (`wardein-ddkg`), its state (`wardein-device`), the wire (`wardein-client`).

pub mod enroll;
pub mod relay;
mod stream;
