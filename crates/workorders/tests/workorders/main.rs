//! The adapter against an authority in this process, and against a **stand-in** of Salesforce: a server that answers in the form
//! that Salesforce documents. It is not Salesforce.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations with them")]

mod authority;
mod device;
mod salesforce;
mod stand_in;
mod webhook;
