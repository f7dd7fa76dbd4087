//! Every refusal, by its exact value, and that it changed nothing.
//!
//! `Refusal::Malformed` is not among them: nothing in this crate gives it.

mod challenges;
mod decoding;
mod devices;
mod enrolling;
mod keys;
mod proofs;
mod stored;
mod texts;
