//! DDKG-1 through its public API: properties, both ends together, every refusal, the model of both ends, and what fuzzing kept. One binary, so
//! that it links once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations with them")]

mod common;
mod corpus;
mod ends;
mod model;
mod properties;
mod refusals;
mod section_13;
