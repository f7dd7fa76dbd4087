//! Fakes and contract suites for Wardein's ports.
//!
//! What: one fake per port, one suite that every adapter of a port must pass, and a TPM in software for what is about a real one. Why here: adapters and engine test against the
//! same words, so that a fake cannot promise what a real store does not keep. What it does not do: nothing that ships
//! depends on it.
//!
//! An engine's unit tests cannot use it (they would see two copies of the port); its integration tests can.
#![allow(clippy::unwrap_used, clippy::panic, reason = "it states expectations of tests, as tests do")]

mod clock;
mod memory;
mod soft_tpm;
pub mod store_contract;
mod swtpm;

pub use clock::TestClock;
pub use memory::{CrashPoint, MemoryStore};
pub use soft_tpm::SoftTpm;
pub use swtpm::Swtpm;
