//! Connections that read.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use wardein_port::StoreError;

use super::schema;
use super::snapshot::SqliteSnapshot;
use crate::open::{OpenError, Options};

/// As many reading connections as there were readers at once, up to [`KEPT`] of them kept.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    cache: u64,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let readers = Self {
            path: path.to_owned(),
            cache: options.cache / CACHE_SHARE,
            idle: Mutex::new(Vec::with_capacity(KEPT)),
        };
        // One at once, so that a store that cannot be read does not open.
        let first = schema::reader(path, readers.cache).map_err(|error| OpenError::failed(path, error))?;
        readers.keep(first);
        Ok(readers)
    }

    /// Reads with a connection of its own.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let told = |error: rusqlite::Error| StoreError(format!("{}: {error}", self.path.display()));
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::reader(&self.path, self.cache).map_err(told)?,
        };
        let found = read(&connection).map_err(told)?;
        // One that failed is closed instead.
        self.keep(connection);
        Ok(found)
    }

    /// One moment, on a connection of its own; `log` counts the pages of the write-ahead log.
    pub(super) fn snapshot(&self, log: Arc<AtomicI32>) -> Result<SqliteSnapshot, StoreError> {
        let told = |error: rusqlite::Error| StoreError(format!("{}: {error}", self.path.display()));
        let connection = schema::reader(&self.path, self.cache).map_err(told)?;
        SqliteSnapshot::begin(self.path.clone(), connection, log)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }
}

const KEPT: usize = 16;

/// A reader's cache is the writer's by this.
const CACHE_SHARE: u64 = 16;
