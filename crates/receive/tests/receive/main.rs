//! The receiving end, over TLS, with devices and an authority of the tests' own. One test binary, so that it links once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations with them")]

mod bounds;
mod crash;
mod delivery;
mod fleet;
mod forged;
mod house;
mod trust;
