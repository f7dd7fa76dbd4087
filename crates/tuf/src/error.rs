//! What is refused, and why. The list is closed: a client acts on the kind.

use crate::{Role, Version};
use thiserror::Error;
use wardein_domain::UnixSeconds;

/// Metadata or a target that is not trusted. Nothing of the file that was given is kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// More bytes than the file may have: the sender does not end (endless data), or it is not the file that was signed.
    #[error("{role} has more than the {limit} bytes that it may have")]
    TooLong {
        /// Whose file it is.
        role: Role,
        /// How many bytes it may have.
        limit: u64,
    },
    /// The bytes are not metadata of that role.
    #[error("{role} is not metadata of TUF 1.0: {what}")]
    Malformed {
        /// Whose file it is.
        role: Role,
        /// Where it departs from the form.
        what: Malformed,
    },
    /// Fewer of the role's keys have signed it than must.
    #[error("{role} is signed by {signed} of the keys that may sign it, and {needed} must")]
    Threshold {
        /// Whose file it is.
        role: Role,
        /// How many distinct keys have signed it.
        signed: u64,
        /// How many must.
        needed: u64,
    },
    /// An older version than one that was trusted before.
    #[error("{role} has version {offered}, and version {trusted} was trusted before")]
    Rollback {
        /// Which role went back; it can be one that is only listed.
        role: Role,
        /// The version that was trusted.
        trusted: Version,
        /// The one that was offered.
        offered: Version,
    },
    /// The next root is not the successor of the trusted one.
    #[error("the root after version {trusted} has version {offered}")]
    RootChain {
        /// The version that is trusted.
        trusted: Version,
        /// The one that was offered.
        offered: Version,
    },
    /// More new versions of root than are followed in one update.
    #[error("there are more than {limit} new versions of root")]
    TooManyRoots {
        /// How many are followed.
        limit: u32,
    },
    /// It is past its end: what is newer is held back (freeze), or nobody signs any more.
    #[error("{role} has expired")]
    Expired {
        /// Whose file it is.
        role: Role,
        /// When it expired.
        at: UnixSeconds,
    },
    /// The file has another length than the metadata above it says.
    #[error("{role} has {actual} bytes, and {signed} are signed")]
    Length {
        /// Whose file it is.
        role: Role,
        /// The length that is signed.
        signed: u64,
        /// The length that it has.
        actual: u64,
    },
    /// The file has another digest than the metadata above it says.
    #[error("{role} is not the file whose digest is signed")]
    Hash {
        /// Whose file it is.
        role: Role,
    },
    /// The file has another version than the metadata above it says: files of different times are mixed (mix-and-match).
    #[error("{role} has version {offered}, and version {listed} is listed")]
    Mixed {
        /// Whose file it is.
        role: Role,
        /// The version that is listed.
        listed: Version,
        /// The one that it has.
        offered: Version,
    },
    /// The snapshot does not list a role that it must list: one that is delegated to, or that was listed before.
    #[error("the snapshot does not list {role}")]
    Unlisted {
        /// Which role.
        role: Role,
    },
    /// More delegated roles than are looked at for one target.
    #[error("more than {limit} delegated roles would have to be looked at")]
    TooManyDelegations {
        /// How many are looked at.
        limit: usize,
    },
    /// A file that was not asked for, or the answer that there is none for one that there must be.
    #[error("{role} is missing")]
    Missing {
        /// Whose file it is.
        role: Role,
    },
}

/// Where bytes depart from the form of TUF's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// They are not JSON.
    #[error("not JSON")]
    Json,
    /// A name occurs twice in an object.
    #[error("a name occurs twice in an object")]
    Twice,
    /// It is nested too deep.
    #[error("nested too deep")]
    Depth,
    /// A number is not whole, is spelled in a second way, or has more than 53 bits.
    #[error("a number is not a whole one of at most 53 bits")]
    Number,
    /// A field is missing, or is not of its form.
    #[error("`{0}` is missing or not of its form")]
    Field(&'static str),
    /// It is the metadata of another role.
    #[error("it is of another role")]
    Type,
    /// Another major version of the specification.
    #[error("its specification is not of version 1")]
    SpecVersion,
    /// A key is listed under an id that is not its own.
    #[error("a key's id is not its own")]
    KeyId,
    /// One key id has two signatures.
    #[error("one key id has two signatures")]
    SignedTwice,
    /// A threshold is zero, or more than the role has keys, so that it could never be met.
    #[error("a threshold is zero, or more than there are keys")]
    Threshold,
    /// The name of a role or the path of a target is not of the form that is taken here.
    #[error("a name or path is not of its form")]
    Name,
}
