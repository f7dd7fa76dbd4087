//! The Update Framework, version 1.0, on the wire: metadata of a maker's repository, written, signed and judged.
//!
//! What: the roles root, targets, snapshot, timestamp and delegated targets as types; their JSON, and the canonical form that is
//! signed (OLPC's, not RFC 8785); thresholds of signatures with ECDSA on P-256; and the client's workflow (TUF §5), which is given
//! bytes and the time, and says which file it wants next. Why a crate of its own: a device compiles it, and the authority writes with it,
//! so that what is written and what is judged cannot drift apart.
//!
//! Beside it, what TUF leaves to others: the offer of a release to one device ([`Offer`]), and what the device says came of it ([`Receipt`]).
//!
//! What it does not do: no IO, no clock, no storage. A file's name is what [`TrustedSet::wanted`] says; its caller fetches it, bounded by
//! [`Wanted::limit`], and keeps what [`TrustedSet::take`] accepted.
//!
//! Everything read is bounded before it is parsed ([`MAX_ROOT_LEN`] and its siblings), depth and duplicate names are refused, and names become
//! types that cannot climb out of a directory. Fields that are unknown are kept: a signature is checked over what was received.

mod envelope;
mod error;
mod json;
mod key;
mod name;
mod offer;
mod receipt;
mod release;
mod role;
mod time;
mod trusted;
mod wire;

pub use envelope::{Envelope, Signature};
pub use error::{Error, Malformed};
pub use json::Value;
pub use key::{Key, KeyId};
pub use name::{PathPattern, Role, RoleName, TargetPath};
pub use offer::{NotOffered, Offer, OfferAsk, OfferError, OfferReply};
pub use receipt::{Receipt, ReceiptOutcome};
pub use release::{NotFor, Plaintext, Release};
pub use role::{
    Delegation, Delegations, Document, FileMeta, Keyholders, Root, Snapshot, TargetFile, Targets, Timestamp,
    Version,
};
pub use time::{format_utc, parse_utc};
pub use trusted::{Accepted, Kept, Sought, TargetCheck, TrustedSet, Wanted};

/// The longest root metadata that is read, in bytes: some 500 keys.
pub const MAX_ROOT_LEN: u64 = 128 * 1024;
/// The longest timestamp metadata that is read, in bytes.
pub const MAX_TIMESTAMP_LEN: u64 = 16 * 1024;
/// The longest snapshot metadata that is read, in bytes: some 2,000 product lines.
pub const MAX_SNAPSHOT_LEN: u64 = 512 * 1024;
/// The longest targets metadata that is read, in bytes, of the top level or of one product line: some 4,000 releases.
pub const MAX_TARGETS_LEN: u64 = 4 * 1024 * 1024;
/// How many new versions of root are followed in one update (TUF §5.3.3).
pub const MAX_ROOTS: u32 = 256;
/// How many delegated roles are looked at for one target (TUF §5.6.7.1).
pub const MAX_DELEGATIONS: usize = 32;
/// The version of the specification that is written.
pub const SPEC_VERSION: &str = "1.0.33";
