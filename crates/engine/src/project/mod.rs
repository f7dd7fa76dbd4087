//! The memory that answers: who is trusted with what. It is written by committed changes, in order, and by nothing else; loading at the
//! start is the same function over all rows. Nothing outside of this room can write it: its setters are private here.

mod bearer_tokens;
mod cas;
mod changes;
mod clock;
mod devices;
mod expand;
mod memory;
mod operators;
mod own;
mod questions;
mod revocations;
mod revoked;
mod rules;
mod signs;
mod software;
mod status;
mod tenants;
#[cfg(test)]
mod tests;
mod transfers;
mod verdict_keys;

pub(crate) use bearer_tokens::KnownBearerToken;
pub(crate) use cas::KnownCa;
pub(crate) use changes::{Changed, Cursor, Read, Subscription};
pub(crate) use clock::{NodeClock, reading};
pub(crate) use devices::KnownDevice;
pub(crate) use memory::Memory;
#[cfg(test)]
pub(crate) use operators::MAX_OPERATORS;
pub(crate) use operators::{KnownOperator, OperatorPlace, QuotaPlace};
pub use revoked::Revoked;
pub(crate) use rules::{Rules, TrustPolicies};
pub use software::ReceiptCounts;
pub(crate) use verdict_keys::KnownVerdictKey;
