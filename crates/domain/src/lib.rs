//! The rules and words of Wardein, pure.
//!
//! What: names that cannot be malformed once they exist, and the arithmetic of schedules. Why here: every floor above
//! speaks in these types, so text from outside is judged once. What it does not do: no IO, no clock, no randomness,
//! no secret.
#![no_std]
extern crate alloc;

mod name;
mod schedule;

pub use name::{Action, AttributeName, Audience, DeviceId, NameError, Purpose, TenantId};
pub use schedule::Schedule;
