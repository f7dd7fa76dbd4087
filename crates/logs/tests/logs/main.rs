//! The log agent from files on disk to the spool, without a device.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations with them")]

mod batches;
mod collector;
mod corpus;
mod directories;
mod rotation;
mod sockets;
mod spool;
mod testkit;
mod trial;
