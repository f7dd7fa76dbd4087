//! Every refusal, by its exact value, and that it changed nothing.

mod challenges;
mod decoding;
mod devices;
mod enrolling;
mod keys;
mod posted;
mod proofs;
mod stored;
mod texts;
