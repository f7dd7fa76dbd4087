//! The optional store: sled 0.34.7, with its gaps filled.
//!
//! What: as the default store, over one sled tree. Why so, as measured: sled's own flush leaves file size and disk cache to luck,
//! so its file is synced on our own handle before anything is acknowledged; its values beyond a few KB go to files that
//! are never synced, so ours are cut into pieces; a kill while it opens leaves a file that it then stumbles over, so that file
//! is removed first; after a failed write its flush may wait for ever, so it is waited for on a thread of its own; and after an error
//! nothing it holds is trusted, so an error is final until the process opens it again.

mod create;
mod feed;
mod flush;
mod index;
mod layout;
mod whole;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use ::sled::{Db, Tree};
use wardein_port::{
    Change, Entries, Feed, Head, Peek, Pending, Projection, Projections, Row, RowKey, Scanned, Snapshot,
    Store, StoreError, Table, Told,
};

use crate::open::{OpenError, Options};
use crate::place::{self, Lock, Reserve};
use crate::pool::Pool;
use crate::queue::Queue;
use crate::range::Range;
use layout::Space;
use writer::SledWriter;

pub(crate) use whole::SledTarget;

/// A store in a directory of sled's.
#[derive(Debug)]
pub struct SledStore {
    path: PathBuf,
    // In the order in which they must go: the writer and the readers end, then sled closes, then the lock is released.
    queue: Queue,
    pool: Pool,
    shared: Arc<Shared>,
    projections: Arc<Projections>,
    reserve: Reserve,
    _lock: Arc<Lock>,
}

/// Shared by readers and the writer.
#[derive(Debug)]
struct Shared {
    tree: Tree,
    /// Held for reading while a value's pieces or a range are gathered, and for writing while a group is applied, but not
    /// while it is synced: so nobody sees half a change. None once the store has failed.
    state: RwLock<Result<State, String>>,
    _db: Db,
}

/// How far the group is that was applied last.
#[derive(Debug, Clone, Copy)]
struct State {
    head: Head,
    /// The revision up to which the feed is truncated.
    truncated: u64,
}

impl SledStore {
    /// Opens or creates the store at `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, &Options::default())
    }

    /// Opens or creates the store at `path`, with options.
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let failed = |error: &dyn std::fmt::Display| OpenError::failed(path, error);
        let lock = Arc::new(Lock::acquire(path)?);
        let mut reserve = Reserve::new(path, options.reserve);
        reserve.make_room();
        create::at(path, options, None)?;
        remove_half_snapshots(path).map_err(|error| failed(&error))?;
        let db = open_database(path, options)?;
        let tree = layout::prepare(path, &db)?;
        let (head, revisions) = layout::known(&tree).map_err(|error| failed(&error))?;
        let state = State { head, truncated: revisions.truncated };
        let shared = Arc::new(Shared { tree, state: RwLock::new(Ok(state)), _db: db });
        let writer = SledWriter::open(path, Arc::clone(&shared), Arc::clone(&lock))?;
        // The names of the files that sled made, and of their directory.
        place::sync_directory(path).map_err(|error| failed(&error))?;
        place::sync_parent(path)?;
        let projections = Arc::default();
        let queue = Queue::start(path, writer, Arc::clone(&projections), reserve.clone())?;
        let (path, pool) = (path.to_owned(), Pool::start(path)?);
        Ok(Self { path, queue, pool, shared, projections, reserve, _lock: lock })
    }

    /// Reads everything and checks that it is whole. It takes as long as the store is large.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.shared.read(|tree, state| layout::verify(tree, state.head))
    }

    /// Reads on a thread of the pool.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Tree, State) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<'_, Result<T, StoreError>> {
        let shared = Arc::clone(&self.shared);
        self.pool.read(move || shared.read(read))
    }
}

impl Shared {
    /// Reads while no group is applied.
    fn read<T>(&self, read: impl FnOnce(&Tree, State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let state = self.state.read().map_err(|_| StoreError(PANICKED.into()))?;
        match &*state {
            Ok(state) => read(&self.tree, *state),
            Err(why) => Err(StoreError(why.clone())),
        }
    }
}

impl Store for SledStore {
    fn peek(&self, table: Table, key: &[u8]) -> Result<Peek, StoreError> {
        self.shared.read(|tree, _| layout::get(tree, Space::Rows(table), key)).map(Peek::Found)
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> Pending<'a, Result<Vec<Option<Row>>, StoreError>> {
        Box::pin(async {
            self.shared.read(|tree, _| {
                keys.iter().map(|name| layout::get(tree, Space::Rows(name.table), &name.key)).collect()
            })
        })
    }

    fn scan<'a>(
        &'a self,
        table: Table,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Pending<'a, Result<Scanned, StoreError>> {
        let range = Range::new(prefix, after);
        if range.is_empty() {
            return Box::pin(async { Ok(Vec::new()) });
        }
        self.read(move |tree, _| layout::scan(tree, Space::Rows(table), &range, limit).collect())
    }

    fn audit(&self, from: u64, limit: usize) -> Pending<'_, Result<Entries, StoreError>> {
        let range = Range { low: from.to_be_bytes().to_vec(), high: None };
        self.read(move |tree, _| {
            let entries = layout::scan(tree, Space::Audit, &range, limit).map(|found| {
                let (key, row) = found?;
                let number =
                    key.try_into().map_err(|_| StoreError("an audit entry's key is damaged".into()))?;
                Ok((u64::from_be_bytes(number), row.value))
            });
            entries.collect()
        })
    }

    fn audit_of<'a>(
        &'a self,
        key: &'a [u8],
        from: u64,
        limit: usize,
    ) -> Pending<'a, Result<Entries, StoreError>> {
        let key = key.to_vec();
        self.read(move |tree, _| index::read(tree, &key, from, limit))
    }

    fn head(&self) -> Pending<'_, Result<Head, StoreError>> {
        Box::pin(async { self.shared.read(|_, state| Ok(state.head)) })
    }

    /// sled has no snapshots: one moment could only be held by making all commits wait.
    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        Ok(None)
    }

    fn feed(&self, after: u64, limit: usize) -> Pending<'_, Result<Feed, StoreError>> {
        self.read(move |tree, state| feed::read(tree, state.truncated, after, limit))
    }

    fn follow(&self, projection: &Arc<dyn Projection>) {
        self.projections.add(projection);
    }

    fn commit(&self, change: Change, told: Told) {
        self.queue.commit(change, told);
    }

    fn writable(&self) -> Result<(), String> {
        self.shared.read(|_, _| Ok(())).map_err(|error| error.0)?;
        self.reserve.writable()
    }
}

/// A kill while sled opens leaves its next snapshot half written, under a name that makes every later opening fail.
fn remove_half_snapshots(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("snap.") && name.ends_with(".generating")) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn open_database(path: &Path, options: &Options) -> Result<Db, OpenError> {
    let patience = Instant::now() + PATIENCE;
    loop {
        let opened = ::sled::Config::new()
            .path(path)
            .cache_capacity(options.cache)
            // Flushes are ours, before each acknowledgement.
            .flush_every_ms(None)
            .open();
        match opened {
            Ok(db) => return Ok(db),
            // Our own lock is held, so no store has sled's; but sled leaves its own to the closing of its file, of which a
            // process that is being started may have a copy for a moment.
            Err(::sled::Error::Io(error)) if error.to_string().contains(SLED_LOCKED) => {
                if Instant::now() > patience {
                    return Err(OpenError::Locked(path.to_owned()));
                }
                std::thread::sleep(PATIENCE / 100);
            }
            Err(error @ ::sled::Error::Corruption { .. }) => {
                return Err(OpenError::Damaged { path: path.to_owned(), what: error.to_string() });
            }
            Err(error) => return Err(OpenError::failed(path, error)),
        }
    }
}

/// For how long sled's own lock is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// sled's message when its file is locked (its `config.rs`, `try_lock`).
const SLED_LOCKED: &str = "could not acquire lock";

const PANICKED: &str = "the store's writer died; restart the service";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_lingers_on_sleds_file_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store.sled");
        drop(SledStore::open(&path).unwrap());
        let file = std::fs::File::open(path.join("db")).unwrap();
        file.lock().unwrap();
        assert!(matches!(SledStore::open(&path), Err(OpenError::Locked(_))), "but not forever");
        let released = std::thread::spawn(move || {
            std::thread::sleep(PATIENCE / 5);
            drop(file);
        });
        SledStore::open(&path).unwrap();
        released.join().unwrap();
    }

    #[test]
    fn a_half_written_snapshot_does_not_stop_it_from_opening() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store.sled");
        drop(SledStore::open(&path).unwrap());
        let half = path.join("snap.0000000000000100.generating");
        std::fs::write(&half, b"half").unwrap();
        SledStore::open(&path).unwrap().verify().unwrap();
        assert!(!half.exists());
    }
}
