//! The server over real TLS, with an authority in memory behind it. One test binary, so that it links once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test states its expectations so"
)]

mod access;
mod attacks;
mod backup;
mod bad_input;
mod bearer;
mod bounds;
mod clock;
mod common;
mod connect;
mod corpus;
mod deeds;
mod edge;
mod ended;
mod est;
mod fairness;
mod floods;
mod hooks;
mod invitations;
mod links;
mod posts;
mod posts_raw;
mod receive;
mod renewal;
mod revocation;
mod sinks;
mod stream;
mod time;
mod traces;
mod watch;
mod webhooks;
