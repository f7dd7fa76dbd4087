//! One moment, held by a read transaction (sqlite.org/isolation.html).
//!
//! The write-ahead log cannot restart before the transaction has ended, and grows in the meantime: [`Snapshot::held`] says how
//! far.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rusqlite::Connection;
use wardein_port::{Entries, Scanned, Snapshot, StoreError, Table};

use super::{read, schema};
use crate::range::Range;

/// A connection of its own in a read transaction. Closing it ends both.
pub(super) struct SqliteSnapshot {
    path: PathBuf,
    connection: Connection,
    log: Arc<AtomicI32>,
}

impl SqliteSnapshot {
    pub(super) fn begin(
        path: PathBuf,
        connection: Connection,
        log: Arc<AtomicI32>,
    ) -> Result<Self, StoreError> {
        let snapshot = Self { path, connection, log };
        // The moment is that of the first read, not of BEGIN (sqlite.org/lang_transaction.html).
        let begun = snapshot.connection.execute_batch("BEGIN DEFERRED");
        begun.and_then(|()| read::head(&snapshot.connection)).map_err(|error| snapshot.told(&error))?;
        Ok(snapshot)
    }

    fn told(&self, error: &rusqlite::Error) -> StoreError {
        StoreError(format!("{}: {error}", self.path.display()))
    }
}

impl Snapshot for SqliteSnapshot {
    fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Scanned, StoreError> {
        let range = Range::new(b"", after);
        read::scan(&self.connection, table, &range, limit).map_err(|error| self.told(&error))
    }

    fn audit(&self, from: u64, limit: usize) -> Result<Entries, StoreError> {
        read::audit(&self.connection, from, limit).map_err(|error| self.told(&error))
    }

    fn held(&self) -> u64 {
        let pages = self.log.load(Ordering::Relaxed);
        u64::try_from(pages).unwrap_or(0) * u64::from(schema::PAGE)
    }
}
