//! Whole files, sealed by a device for those who may read them, and signed so that outsiders can tell what it sealed and in which order.
//!
//! What: an age v1 file (C2SP age) whose header wraps its key for the authority in a `ddkg1` stanza (DDKG-1 section 7), for readers
//! of their own keys, or for both; and a *statement* beside it, which the device's certified key signs: the digest, the time, a
//! number that rises by one, and the digest of the statement before. Also a maker's artifact of an update, sealed under a key that
//! the authority keeps. Why files of age: the holder of a key opens them with `age` or `rage`, without anything of ours. What it
//! does not do: it keeps no keys and no numbers (`wardein-device` does), and releases none (the engine does).
//!
//! Nothing here holds a whole file in memory, and nothing trusts a length that a file states.

mod artifact;
mod check;
mod error;
mod header;
mod list;
mod open;
#[cfg(feature = "plugin")]
pub mod plugin;
mod reader;
mod seal;
mod statement;
mod verify;

pub use artifact::{SealedArtifact, seal_artifact};
pub use check::{Checked, CheckedFile, Target, check, signed_path};
pub use error::FileError;
pub use header::{MAX_HEADER, MAX_STANZAS};
pub use list::{ListedReader, ReaderList, SealFor};
pub use open::{Inspected, Opening, SealedFile};
pub use reader::{Reader, ReaderKey};
pub use seal::{Authority, Sealed, Wrap, seal};
pub use statement::{FIRST, Statement};
pub use verify::{MAX_SIGNED, Order, SignedStatement, Verified, digest, in_order};

/// How many bytes pass between two reports of progress.
pub(crate) const CHUNK: usize = 64 << 10;
