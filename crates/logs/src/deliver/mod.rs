//! Delivery: the sealed batches of an audience to where it takes them, in order, at least once.
//!
//! A batch leaves the spool when its target has it durably. Where the answer is lost, the same batch goes again; a receiver knows it by its
//! name and digest. What a receiver refuses for good is set aside, so that those behind it are not held up.

mod content;
mod directory;
mod put;
mod s3;
mod transport;

pub use content::Content;
pub use directory::DirectoryTarget;
pub use put::PutTarget;
pub use s3::{S3Place, S3Target};
pub use transport::{Answer, Connection, Request, Transport};

use crate::spool::BatchName;

/// A sealed batch as it is delivered.
#[derive(Debug)]
pub struct Parcel {
    /// Its name.
    pub name: BatchName,
    /// The sealed file.
    pub sealed: Content,
    /// The device's statement of it.
    pub statement: Content,
}

/// Where the batches of an audience go.
#[allow(async_fn_in_trait, reason = "the agent runs on one thread; no caller needs the futures to be Send")]
pub trait Target {
    /// Delivers both files. The same again is no error.
    async fn deliver(&mut self, parcel: &Parcel) -> Result<(), Undelivered>;
}

/// Why a batch was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// It is never taken; those behind it may be.
    #[error("refused for good: {0}")]
    Refused(String),
    /// Later it may be.
    #[error("{0}")]
    Again(String),
}

/// A target of any kind.
pub enum AnyTarget<T> {
    /// A directory.
    Directory(DirectoryTarget),
    /// A server.
    Put(PutTarget<T>),
    /// A store of objects.
    S3(S3Target<T>),
}

impl<T: Transport> Target for AnyTarget<T> {
    async fn deliver(&mut self, parcel: &Parcel) -> Result<(), Undelivered> {
        match self {
            Self::Directory(target) => target.deliver(parcel).await,
            Self::Put(target) => target.deliver(parcel).await,
            Self::S3(target) => target.deliver(parcel).await,
        }
    }
}
