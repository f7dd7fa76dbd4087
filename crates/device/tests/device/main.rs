//! The device's side of Wardein against an authority in this process, and its binary. One test binary, so that it links once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations with them")]

mod agent;
mod beside;
mod codes;
mod common;
mod corpus;
mod enrollment;
mod keys;
mod lines;
#[cfg(feature = "logs")]
mod log_trial;
#[cfg(feature = "logs")]
mod logs;
mod made_keys;
mod pins;
mod protocols;
mod rekey;
mod releases;
mod requests;
mod roots;
#[cfg(feature = "tpm")]
mod sealed;
mod signing;
mod sshd;
#[cfg(feature = "tpm")]
mod tpm;
mod transfer;
mod update;
