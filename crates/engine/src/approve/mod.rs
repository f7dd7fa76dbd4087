//! What two people decide.
//!
//! A deed that the policy guards is proposed by being called. Another person approves exactly what was proposed, and the same call does it.
//! What is approved is a digest over all fields of the proposal, and these are what the approver is shown: there is nothing else that the
//! deed could take from.

mod ask;
mod gate;
mod open;
pub(crate) mod policy;
pub(crate) mod proposals;

pub(crate) use ask::Ask;
pub(crate) use gate::Gate;
