//! Each RPC with missing, oversized, malformed, foreign, expired, replayed and unauthorized requests, over real TLS: the status,
//! the stable code, words that name the fault, an audit entry where the caller is known, and no change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states its expectations so"
)]

mod admin;
#[path = "../common/mod.rs"]
mod common;
mod device;
mod edge;
mod grants;
mod keys;
mod provisioning;
mod queries;
mod quotes;
mod release;
mod signing;
mod storage;
mod world;
