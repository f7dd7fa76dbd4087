//! The authority's end: answer an enrollment, verify proofs, distinguish a repeated message from a clone, keep pending and
//! retired generations, open sealed data of devices, delegate, and erase.
//!
//! It is sans-IO: a [`Record`] is loaded, decides with the time handed in, and changes only when it accepts. The caller
//! stores the changes of the record, and the key that [`Spend`] names, durably and in one step before it answers.

mod announce;
mod codec;
mod cold;
mod enroll;
mod hot;
mod memory;
mod open;
mod proof;
mod recent;
mod record;
mod refusal;
mod rekey;
#[cfg(any(test, feature = "vectors"))]
mod sample;
mod settle;
mod size;
mod transfer;
mod uses;

pub use enroll::{EnrollTerms, Enrolled};
pub use open::{Delegation, Expected, Spend};
pub use proof::Accepted;
pub use record::{Record, Standing};
pub use refusal::{CloneEvidence, Refusal};
#[cfg(any(test, feature = "vectors"))]
pub(crate) use sample::{Agreement, of_agreements, unconfirmed};
pub use transfer::TransferTerms;
