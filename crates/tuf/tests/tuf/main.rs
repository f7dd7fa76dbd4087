//! Repositories that we write, as our client and two others judge them, and everything that must not be trusted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test states its expectations so, also in its helpers"
)]

mod cases;
mod client;
mod corpus;
mod faults;
mod form;
mod golden;
mod maker;
mod python;
mod search;
mod tough;
