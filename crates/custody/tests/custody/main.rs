//! Custody files from outside, and a TPM in software. One test binary, so that it links once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states its expectations so"
)]

mod corpus;
#[cfg(feature = "tpm")]
mod tpm;
