//! What all use cases share: the engine itself, how a decision is made and committed, errors, pages, the records of devices in use.

mod decision;
mod draw;
mod engine;
mod error;
mod pager;
mod records;
mod transact;
mod tx;

pub(crate) use decision::{Decision, Kept, Stop};
pub(crate) use draw::Draw;
pub use engine::{Engine, Meter, Ports};
pub use error::{Error, Kind};
pub(crate) use pager::SCANNED;
pub(crate) use records::{Guard, Held, Records};
pub(crate) use tx::Tx;
