//! What comes from outside, byte by byte. The other tests are beside the code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states its expectations so"
)]

mod corpus;
