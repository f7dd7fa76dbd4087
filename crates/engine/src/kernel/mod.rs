//! Shared by all use cases: the engine itself, how a decision is made and committed, errors, pages, the records of devices in
//! use.

mod caller;
mod decision;
mod device;
mod draw;
mod engine;
mod error;
mod etag;
mod pager;
pub(crate) mod record;
mod records;
mod transact;
mod turns;
mod tx;

pub use caller::Caller;
pub(crate) use decision::{Decision, Kept, Stop};
pub(crate) use draw::Draw;
pub use engine::{Engine, Meter, Ports, Status};
pub use error::{Detail, Error};
pub use etag::Etag;
pub(crate) use pager::SCANNED;
pub use pager::{Page, Paged};
pub(crate) use records::{Guard, Held, KEPT, Records};
pub(crate) use tx::Tx;
