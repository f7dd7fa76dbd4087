//! Whole files from outside: what opens, what is refused, and what is believed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations with them")]

mod artifacts;
mod bad_input;
mod certified;
mod judges;
mod round_trip;
mod signed;
mod testkit;
