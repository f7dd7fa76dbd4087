//! The engine's needs of the outside: traits, and the plain types that they use.
//!
//! What: [`Store`] and [`Projection`], [`Custody`], [`Signers`], [`Clock`], [`EntropySource`]; a signing key is a
//! `wardein_crypto::Signer`. Why a crate of its own: adapters and fakes implement it without compiling the engine, and the engine's unit tests can use those
//! fakes. What it does not do: no rules, no encoding of rows, no IO.

mod change;
mod clock;
mod custody;
mod entropy;
mod feed;
mod signers;
mod store;
mod table;

pub use change::{Change, Check, Expect, Indexed, MAX_KEY, MAX_VALUE, Numbered, Others, Row, RowKey, Write};
pub use clock::{Clock, SystemClock};
pub use custody::{Custody, CustodyError, RootKey};
pub use entropy::{EntropySource, SystemSource};
pub use feed::{Committed, Feed, FeedRow, Projection, Projections};
pub use signers::{Signers, SignersError};
pub use store::{
    CommitError, Entries, Head, Outcome, Peek, Pending, Scanned, Snapshot, Store, StoreError, Told,
};
pub use table::Table;
