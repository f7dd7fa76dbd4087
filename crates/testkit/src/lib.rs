//! Fakes and contract suites for Wardein's ports.
//!
//! What: fakes of each port, one suite that every adapter of the store must pass, and a software TPM for tests that need a real
//! one. Why here: adapters and engine test against the same words, so that a fake cannot promise what a real store does not keep.
//! What it does not do: nothing that ships depends on it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "it states expectations of tests, as tests do")]

mod calls;
mod chaos;
mod clock;
pub mod corpus;
mod custody;
mod elsewhere;
mod entropy;
mod held;
mod memory;
mod openssh;
mod postgres;
pub mod power;
mod sealed;
mod soft_hsm;
mod soft_tpm;
pub mod store_contract;
mod swtpm;

pub use calls::{block_on, commit, get};
pub use chaos::{Chaos, ChaosStore};
pub use clock::TestClock;
pub use custody::MemoryCustody;
pub use elsewhere::{Elsewhere, KeysElsewhere};
pub use entropy::SeededSource;
pub use memory::{CrashPoint, MemoryStore};
pub use openssh::{has_openssh, is_revoked, shown_certificate};
pub use postgres::Postgres;
pub use sealed::{SEALED_KEY, unsealed};
pub use soft_hsm::SoftHsm;
pub use soft_tpm::SoftTpm;
pub use swtpm::Swtpm;
