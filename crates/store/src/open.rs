//! How a store is opened, and why it is not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wardein_port::Store;

use crate::sled::SledStore;
use crate::sqlite::SqliteStore;

/// Opens or creates the store of `kind` at `path`. One that an earlier release wrote is upgraded.
pub fn open(kind: Kind, path: &Path, options: &Options) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match kind {
        Kind::Sqlite => Arc::new(SqliteStore::open_with(path, options)?),
        Kind::Sled => Arc::new(SledStore::open_with(path, options)?),
    })
}

/// Opens the store of `kind` at `path`, reads everything and checks that it is whole. It takes as long as the store is large.
pub fn verify(kind: Kind, path: &Path, options: &Options) -> Result<(), OpenError> {
    let verified = match kind {
        Kind::Sqlite => SqliteStore::open_with(path, options)?.verify(),
        Kind::Sled => SledStore::open_with(path, options)?.verify(),
    };
    verified.map_err(|error| OpenError::Damaged { path: path.to_owned(), what: error.0 })
}

/// Which embedded store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// SQLite, the default.
    #[default]
    Sqlite,
    /// sled.
    Sled,
}

impl Kind {
    /// Its name in configuration and status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Sled => "sled",
        }
    }

    /// The file or directory in the authority's directory.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Sqlite => "store.db",
            Self::Sled => "store.sled",
        }
    }
}

/// The options at opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Free bytes of the file system below which changes are refused, so that the disk is never full in the middle of one
    /// and an administrator still has room to work.
    pub reserve: u64,
    /// Memory for cached pages, in bytes, of the writer; readers have a part of it each.
    pub cache: u64,
    /// Bytes of SQLite's write-ahead log at which it is copied into the file. A page that was written often by then is copied
    /// once.
    pub log: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { reserve: 64 * MIB, cache: 64 * MIB, log: 256 * MIB }
    }
}

/// The store was not opened, and nothing in it was altered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another handle of this one, has it open.
    #[error("{}: another process has this store open; stop it first", .0.display())]
    Locked(PathBuf),
    /// It is something else's.
    #[error("{}: not a Wardein store ({found}); choose another path", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
        /// The evidence.
        found: String,
    },
    /// A later release wrote it.
    #[error("{}: format {found}, and this release knows formats up to {known}; run the release that wrote it", path.display())]
    Newer {
        /// The path.
        path: PathBuf,
        /// The format that was found.
        found: u32,
        /// The latest format known here.
        known: u32,
    },
    /// The store is damaged.
    #[error("{}: damaged: {what}; restore it from a backup", path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// The damage.
        what: String,
    },
    /// Another store is being moved into it.
    #[error("{}: {from} is being moved here, and is not done; finish it with `wardein store migrate`", path.display())]
    Filling {
        /// The path.
        path: PathBuf,
        /// The other store.
        from: String,
    },
    /// What is moved into it is another store, or was changed since that began.
    #[error("{}: {from} was being moved here as it was at another time, or is another authority's; empty this and begin again", path.display())]
    OtherMove {
        /// The path.
        path: PathBuf,
        /// The other store.
        from: String,
    },
    /// It was moved.
    #[error("{}: it was moved to {to}, where the authority is served from now on; name that store in wardein.toml", path.display())]
    Moved {
        /// The path.
        path: PathBuf,
        /// Where to.
        to: String,
    },
    /// It is on a timeline of PostgreSQL that is not on record.
    #[error(
        "{}: it was on timeline {was} (cluster/timeline), and is on {is}. Where a standby was promoted that had all that was acknowledged, run \
         `wardein db confirm-failover`; where it was put back to an earlier moment, `wardein restore --in-place`", path.display()
    )]
    Unconfirmed {
        /// The path.
        path: PathBuf,
        /// The timeline on record, behind the identifier of its cluster.
        was: String,
        /// The one that it is on.
        is: String,
    },
    /// A node missed something there that had been acknowledged.
    #[error("{}: {missing}: something that was acknowledged is not there; only `wardein restore --in-place` goes on from here", path.display())]
    Contested {
        /// The path.
        path: PathBuf,
        /// What is missing.
        missing: String,
    },
    /// A store is moved to where nothing is.
    #[error("{}: there is a store already; a store can be moved to an empty place only, so move this one away", .0.display())]
    NotEmpty(PathBuf),
    /// The operating system or the database refused.
    #[error("{}: {what}", path.display())]
    Failed {
        /// The path.
        path: PathBuf,
        /// Its message.
        what: String,
    },
}

impl OpenError {
    pub(crate) fn failed(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::Failed { path: path.to_owned(), what: what.to_string() }
    }
}

const MIB: u64 = 1024 * 1024;
