//! The engine's store port, twice: [`sqlite`] by default, [`sled`] by choice.
//!
//! What: both take changes through a queue into one writing thread, which applies what is waiting as one group, makes it durable,
//! and only then answers. Why here: group commit is what a disk's sync costs least by, and one writer needs no lock between
//! decision and record. What it does not do: it knows no record's meaning, and seals nothing.

mod any;
mod bounds;
mod open;
mod place;
mod queue;
mod range;
pub mod sled;
pub mod sqlite;

pub use any::{AnyStore, Kind};
pub use open::{OpenError, Options};
