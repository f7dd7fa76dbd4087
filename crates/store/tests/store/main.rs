//! Both stores through the port: the contract, what is not opened, kills and power cuts, and what the release before left. One test binary, so
//! that it links once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test states its expectations so, also in its helpers"
)]

mod contract;
mod cut;
mod failover;
mod faults;
mod kill;
mod nodes;
mod opening;
mod postgresql;
mod power;
mod upgrade;
mod verify;
mod victim;
