//! Evidence of TPMs without a TPM: captured from a real one, and forged.
#![allow(clippy::unwrap_used, reason = "a test states its expectations so")]

mod forge;
mod keys;
mod statements;
mod structures;
mod vectors;
