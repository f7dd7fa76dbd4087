//! Custody files from outside, a TPM in software, and a stand-in of AWS KMS. One test binary, so that it links once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states its expectations so"
)]

mod corpus;
#[cfg(feature = "aws-kms")]
mod kms;
#[cfg(feature = "tpm")]
mod tpm;
