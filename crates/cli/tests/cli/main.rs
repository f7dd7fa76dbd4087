//! The help, and files from outside. One test binary, so that it links once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states its expectations so"
)]

mod corpus;
mod help;
