//! The default store: SQLite with a write-ahead log, synced at each group's commit.
//!
//! What: one writing connection in a thread of its own, reading connections for everybody else; WAL lets neither wait for the
//! other. What it does not do: no memory-mapped reads, as a failing disk would then be a signal instead of an error.

mod readers;
mod schema;
mod writer;

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{OptionalExtension, Row as Record, params};
use wardein_engine::port::{Change, CommitError, Row, Store, StoreError, Table};

use crate::open::{OpenError, Options};
use crate::place::{Lock, Reserve};
use crate::queue::Queue;
use crate::range::Range;
use readers::Readers;
use writer::SqliteWriter;

/// A store in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    // In the order in which they must go: the writer ends and closes, then the readers, then the lock is let go.
    queue: Queue,
    readers: Readers,
    down: Arc<Down>,
    reserve: Reserve,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens or creates the store at `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, &Options::default())
    }

    /// Opens or creates the store at `path`, with options.
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let lock = Lock::acquire(path)?;
        schema::prepare(path)?;
        let down = Arc::new(Down::default());
        let reserve = Reserve::new(path, options.reserve);
        let writer = SqliteWriter::open(path, options, reserve.clone(), Arc::clone(&down))?;
        let readers = Readers::open(path, options)?;
        Ok(Self { queue: Queue::start(path, writer)?, readers, down, reserve, _lock: lock })
    }

    /// Whether it would take a change now, and if not, why and what to do: for readiness. A writer that failed is made to
    /// try again.
    pub fn writable(&self) -> Result<(), String> {
        if let Some(why) = self.down.why() {
            self.queue.nudge();
            return Err(why);
        }
        self.reserve.check()
    }

    /// Reads everything and checks that it is whole. It takes as long as the store is large.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.readers.read(|reader| {
            let told: String = reader.query_row("PRAGMA integrity_check(1)", (), |record| record.get(0))?;
            let (entries, last): (i64, Option<i64>) =
                reader.query_row("SELECT count(*), max(seq) FROM audit", (), |record| {
                    Ok((record.get(0)?, record.get(1)?))
                })?;
            Ok(match () {
                () if told != "ok" => Err(StoreError(told)),
                () if entries != last.unwrap_or(0) => Err(StoreError(AUDIT_GAP.into())),
                () => Ok(()),
            })
        })?
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }
}

impl Store for SqliteStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.readers.read(|reader| {
            let mut get =
                reader.prepare_cached("SELECT version, value FROM rows WHERE tbl = ?1 AND key = ?2")?;
            get.query_row(params![table as u8, key], |record| row(record, 0)).optional()
        })
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let range = Range::new(prefix, after);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let keyed = |record: &Record<'_>| Ok((record.get(0)?, row(record, 1)?));
        self.readers.read(|reader| match &range.high {
            Some(high) => reader
                .prepare_cached(
                    "SELECT key, version, value FROM rows WHERE tbl = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4",
                )?
                .query_map(params![table as u8, range.low, high, limit], keyed)?
                .collect(),
            None => reader
                .prepare_cached(
                    "SELECT key, version, value FROM rows WHERE tbl = ?1 AND key >= ?2 ORDER BY key LIMIT ?3",
                )?
                .query_map(params![table as u8, range.low, limit], keyed)?
                .collect(),
        })
    }

    fn audit(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers.read(|reader| {
            reader
                .prepare_cached("SELECT seq, entry FROM audit WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?
                .query_map([from, limit], |record| {
                    Ok((record.get::<_, i64>(0)?.cast_unsigned(), record.get(1)?))
                })?
                .collect()
        })
    }

    fn last_audit(&self) -> Result<u64, StoreError> {
        self.readers.read(schema::last_audit)
    }

    fn commit(&self, change: Change) -> impl Future<Output = Result<(), CommitError>> + Send {
        self.queue.commit(change)
    }
}

/// Why the writer is down, shared with whoever asks for readiness.
#[derive(Debug, Default)]
struct Down(Mutex<Option<String>>);

impl Down {
    fn why(&self) -> Option<String> {
        self.lock().clone()
    }

    fn set(&self, why: Option<String>) {
        *self.lock() = why;
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        // What it holds is whole whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn row(record: &Record<'_>, at: usize) -> rusqlite::Result<Row> {
    Ok(Row { version: record.get::<_, i64>(at)?.cast_unsigned(), value: record.get(at + 1)? })
}

pub(crate) const AUDIT_GAP: &str = "the audit log has gaps";
