//! DDKG-1 through its public API: properties, both ends together, and every refusal. One binary, so that it links once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations with them")]

mod common;
mod ends;
mod properties;
mod refusals;
