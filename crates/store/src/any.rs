//! One type for whichever store was configured.

use std::future::Future;
use std::path::Path;

use wardein_engine::port::{Change, CommitError, Row, Snapshot, Store, StoreError, Table};

use crate::open::{OpenError, Options};
use crate::sled::SledStore;
use crate::sqlite::SqliteStore;

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

/// One of the embedded stores.
#[derive(Debug)]
pub enum AnyStore {
    /// SQLite.
    Sqlite(SqliteStore),
    /// sled.
    Sled(SledStore),
}

impl AnyStore {
    /// Opens or creates the store of `kind` at `path`.
    pub fn open(kind: Kind, path: &Path, options: &Options) -> Result<Self, OpenError> {
        Ok(match kind {
            Kind::Sqlite => Self::Sqlite(SqliteStore::open_with(path, options)?),
            Kind::Sled => Self::Sled(SledStore::open_with(path, options)?),
        })
    }

    /// Which it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Sqlite(_) => Kind::Sqlite,
            Self::Sled(_) => Kind::Sled,
        }
    }

    /// Whether it would take a change now, and if not, why and what to do: for readiness.
    pub fn writable(&self) -> Result<(), String> {
        match self {
            Self::Sqlite(store) => store.writable(),
            Self::Sled(store) => store.writable(),
        }
    }

    /// Reads everything and checks that it is whole. It takes as long as the store is large.
    pub fn verify(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.verify(),
            Self::Sled(store) => store.verify(),
        }
    }
}

impl Store for AnyStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        match self {
            Self::Sqlite(store) => store.get(table, key),
            Self::Sled(store) => store.get(table, key),
        }
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.scan(table, prefix, after, limit),
            Self::Sled(store) => store.scan(table, prefix, after, limit),
        }
    }

    fn audit(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.audit(from, limit),
            Self::Sled(store) => store.audit(from, limit),
        }
    }

    fn last_audit(&self) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.last_audit(),
            Self::Sled(store) => store.last_audit(),
        }
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        match self {
            Self::Sqlite(store) => store.snapshot(),
            Self::Sled(store) => store.snapshot(),
        }
    }

    fn commit(&self, change: Change) -> impl Future<Output = Result<(), CommitError>> + Send {
        // One future type for both: each store's is its queue's.
        match self {
            Self::Sqlite(store) => store.queue().commit(change),
            Self::Sled(store) => store.queue().commit(change),
        }
    }
}
