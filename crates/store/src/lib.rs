//! The store port, three times: [`sqlite`] by default, [`sled`] by choice, [`postgres`] where another machine is to take over.
//!
//! What: all take changes through a queue into one writing thread, which applies the waiting changes as one group, makes it
//! durable, projects it, and only then answers; scans have threads of their own. Why here: group commit amortizes the cost of
//! fsync, and one writer needs no lock between decision and record. What it does not do: it knows no record's meaning, and seals
//! nothing.

mod age;
mod bounds;
pub mod moving;
mod open;
mod place;
mod pool;
pub mod postgres;
mod postings;
mod queue;
mod range;
pub mod sled;
pub mod sqlite;

pub use open::{Kind, OpenError, Options, open, verify};
