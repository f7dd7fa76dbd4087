//! The default store: SQLite with a write-ahead log, synced at each group's commit.
//!
//! What: one writing connection in a thread of its own, reading connections for everybody else; WAL lets neither wait for the
//! other. What it does not do: no memory-mapped reads, as a failing disk would then be a signal instead of an error.

mod copier;
mod read;
mod readers;
mod schema;
mod snapshot;
mod writer;

use std::future::Future;
use std::path::Path;
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wardein_engine::port::{Change, CommitError, Row, Snapshot, Store, StoreError, Table};

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
    /// How many pages the write-ahead log has.
    log: Arc<AtomicI32>,
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
        let log = Arc::default();
        let writer = SqliteWriter::open(path, options, reserve.clone(), Arc::clone(&down), Arc::clone(&log))?;
        let readers = Readers::open(path, options)?;
        Ok(Self { queue: Queue::start(path, writer)?, readers, down, reserve, log, _lock: lock })
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
        self.readers.read(|reader| read::get(reader, table, key))
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
        self.readers.read(|reader| read::scan(reader, table, &range, limit))
    }

    fn audit(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.readers.read(|reader| read::audit(reader, from, limit))
    }

    fn last_audit(&self) -> Result<u64, StoreError> {
        self.readers.read(read::last_audit)
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        let snapshot = self.readers.snapshot(Arc::clone(&self.log))?;
        Ok(Some(Box::new(snapshot)))
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

pub(crate) const AUDIT_GAP: &str = "the audit log has gaps";
