//! The use cases of Wardein: load, decide purely, commit one [`port::Change`], answer.
//!
//! What: everything that the authority does, over two ports, [`port::Store`] and [`port::Clock`]. Why here: one place in which a
//! decision, its record and its audit entry come together, so that none is ever had without the others. What it does not
//! do: no transport, no files, no SQL.

mod error;
pub mod port;

pub use error::{Error, Kind};
