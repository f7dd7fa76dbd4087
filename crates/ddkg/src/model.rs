//! The rules without keys, for the model of the protocol in `tests/`: which epoch and number a device takes, and what the
//! authority accepts. Both ends run these very lines.

pub use crate::ledger::{Claim, CloneSign, EpochBounds, Judgment, Ledger, Misplaced, Place, WINDOW};
pub use crate::progress::{NUMBER_BLOCK, Numbers, ProofEpochs, Uses};
