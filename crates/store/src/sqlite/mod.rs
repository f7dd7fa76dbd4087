//! The default store: SQLite with a write-ahead log, synced at each group's commit.
//!
//! What: one writing connection in a thread of its own, reading connections for everybody else; WAL lets neither wait for the
//! other. Rows are looked up in the caller's thread, and long reads run on a pool of threads. What it does not do: no
//! memory-mapped reads, as a failing disk would then be a signal instead of an error.

mod copier;
mod feed;
mod index;
mod read;
mod readers;
mod relog;
mod schema;
mod snapshot;
mod whole;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wardein_port::{
    Change, Entries, Feed, Head, Peek, Pending, Projection, Projections, Row, RowKey, Scanned, Snapshot,
    Store, StoreError, Table, Told,
};

use crate::open::{OpenError, Options};
use crate::place::{Lock, Reserve};
use crate::pool::Pool;
use crate::queue::Queue;
use crate::range::Range;
use readers::Readers;
use writer::SqliteWriter;

pub(crate) use whole::SqliteTarget;

/// A store in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    // In the order in which they must go: the writer ends and closes, then the readers, then the lock is released.
    queue: Queue,
    pool: Pool,
    readers: Arc<Readers>,
    projections: Arc<Projections>,
    down: Arc<Down>,
    reserve: Reserve,
    /// How many pages the write-ahead log has.
    log: Arc<AtomicI32>,
    _lock: Arc<Lock>,
}

impl SqliteStore {
    /// Opens or creates the store at `path`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, &Options::default())
    }

    /// Opens or creates the store at `path`, with options.
    pub fn open_with(path: impl AsRef<Path>, options: &Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let lock = Arc::new(Lock::acquire(path)?);
        let mut reserve = Reserve::new(path, options.reserve);
        reserve.make_room();
        schema::prepare(path)?;
        let shared = writer::Shared::default();
        let (down, log) = (Arc::clone(&shared.down), Arc::clone(&shared.log));
        let projections = Arc::clone(&shared.projections);
        let writer = SqliteWriter::open(path, options, shared, Arc::clone(&lock))?;
        let readers = Arc::new(Readers::open(path, options)?);
        let queue = Queue::start(path, writer, Arc::clone(&projections), reserve.clone())?;
        let (path, pool) = (path.to_owned(), Pool::start(path)?);
        Ok(Self { path, queue, pool, readers, projections, down, reserve, log, _lock: lock })
    }

    /// Reads everything and checks that it is whole. It takes as long as the store is large.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.readers.read(read::verify)?
    }

    /// Reads on a thread of the pool.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Pending<'_, Result<T, StoreError>> {
        let readers = Arc::clone(&self.readers);
        self.pool.read(move || readers.read(read))
    }
}

impl Store for SqliteStore {
    fn peek(&self, table: Table, key: &[u8]) -> Result<Peek, StoreError> {
        self.readers.read(|reader| read::get(reader, table, key)).map(Peek::Found)
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> Pending<'a, Result<Vec<Option<Row>>, StoreError>> {
        Box::pin(async {
            self.readers
                .read(|reader| keys.iter().map(|name| read::get(reader, name.table, &name.key)).collect())
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
        self.read(move |reader| read::scan(reader, table, &range, limit))
    }

    fn audit(&self, from: u64, limit: usize) -> Pending<'_, Result<Entries, StoreError>> {
        self.read(move |reader| read::audit(reader, from, limit))
    }

    fn audit_of<'a>(
        &'a self,
        key: &'a [u8],
        from: u64,
        limit: usize,
    ) -> Pending<'a, Result<Entries, StoreError>> {
        let key = key.to_vec();
        self.read(move |reader| index::read(reader, &key, from, limit))
    }

    fn head(&self) -> Pending<'_, Result<Head, StoreError>> {
        self.read(read::head)
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        let snapshot = self.readers.snapshot(Arc::clone(&self.log))?;
        Ok(Some(Box::new(snapshot)))
    }

    fn feed(&self, after: u64, limit: usize) -> Pending<'_, Result<Feed, StoreError>> {
        self.read(move |reader| feed::read(reader, after, limit))
    }

    fn follow(&self, projection: &Arc<dyn Projection>) {
        self.projections.add(projection);
    }

    fn commit(&self, change: Change, told: Told) {
        self.queue.commit(change, told);
    }

    /// A writer that failed is made to try again.
    fn writable(&self) -> Result<(), String> {
        if let Some(why) = self.down.why() {
            self.queue.nudge();
            return Err(why);
        }
        self.reserve.writable()
    }
}

/// Why the writer is down, shared with readiness checks.
#[derive(Debug, Default)]
struct Down {
    why: Mutex<Option<String>>,
    /// How many of the next commits fail after they were applied.
    #[cfg(test)]
    failing: std::sync::atomic::AtomicU32,
}

impl Down {
    fn why(&self) -> Option<String> {
        self.lock().clone()
    }

    fn set(&self, why: Option<String>) {
        *self.lock() = why;
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        // Its value is whole, whichever thread panicked.
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Down {
    /// The writer calls this after each commit that it has made.
    fn fail_if_asked(&self) -> rusqlite::Result<()> {
        use std::sync::atomic::Ordering;
        let left = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map_or(Ok(()), |_| Err(rusqlite::Error::InvalidQuery))
    }
}

pub(crate) const AUDIT_GAP: &str = "the audit log has gaps";
pub(crate) const INDEX_BEYOND: &str = "the index of the audit log names an entry that is not there";
pub(crate) const VERSION_BEYOND: &str = "a row has a version beyond the last revision";

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};
    use wardein_port::{CommitError, Committed, Outcome};
    use wardein_testkit::store_contract::block_on;

    /// Records its notifications: revisions, and 0 for a recovery.
    #[derive(Default)]
    struct Heard(Mutex<Vec<u64>>);

    impl Projection for Heard {
        fn project(&self, committed: &Committed) -> Result<(), String> {
            self.0.lock().unwrap().push(committed.revision);
            Ok(())
        }

        fn recovered(&self) {
            self.0.lock().unwrap().push(0);
        }
    }

    fn insert(table: Table, key: u8) -> Change {
        let mut change = Change::default();
        change.insert(table, vec![key], vec![key]);
        change.audit.push(vec![key]);
        change
    }

    fn commit(store: &SqliteStore, change: Change) -> Outcome {
        block_on(wardein_testkit::commit(store, change))
    }

    /// SQLite says of a commit that it failed, and it was made: as with a disk that fails at the last moment.
    #[test]
    fn what_was_unknown_is_projected_before_the_next_commit() {
        let place = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(place.path().join("store.db")).unwrap();
        let heard = Arc::new(Heard::default());
        let following: Arc<dyn Projection> = heard.clone();
        store.follow(&following);
        assert_eq!(commit(&store, insert(Table::Tenant, 1)), Ok(1));
        store.down.failing.store(1, Ordering::SeqCst);
        let outcome = commit(&store, insert(Table::Tenant, 2));
        assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
        assert_eq!(*heard.0.lock().unwrap(), [1]);
        assert!(store.writable().is_err());
        let patience = Instant::now() + Duration::from_secs(20);
        while store.writable().is_err() {
            assert!(Instant::now() < patience, "{:?}", store.writable());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(*heard.0.lock().unwrap(), [1, 0, 2], "it recovers, and what was applied is projected");
        assert_eq!(commit(&store, insert(Table::Serial, 3)), Ok(3), "no revision is given twice");
        assert_eq!(commit(&store, insert(Table::Tenant, 4)), Ok(4));
        assert_eq!(*heard.0.lock().unwrap(), [1, 0, 2, 4]);
        assert_eq!(block_on(store.head()), Ok(Head { revision: 4, last_audit: 4 }));
        store.verify().unwrap();
    }

    /// A disk that forgets synced data: continuing would give revisions twice.
    #[test]
    fn a_store_that_lost_what_was_acknowledged_does_not_go_on() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("store.db");
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(commit(&store, insert(Table::Tenant, 1)), Ok(1));
        store.down.failing.store(1, Ordering::SeqCst);
        assert!(commit(&store, insert(Table::Tenant, 2)).is_err());
        let lost = "UPDATE head SET revision = 0; DELETE FROM audit; DELETE FROM rows;";
        rusqlite::Connection::open(&path).unwrap().execute_batch(lost).unwrap();
        let patience = Instant::now() + Duration::from_secs(20);
        while !store.writable().is_err_and(|why| why.contains("was acknowledged")) {
            assert!(Instant::now() < patience, "{:?}", store.writable());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(matches!(commit(&store, insert(Table::Tenant, 3)), Err(CommitError::Unavailable(_))));
    }

    /// A thread that serves must not wait for a disk that another scan keeps busy.
    #[test]
    fn what_may_take_long_is_not_read_on_the_thread_that_asks() {
        let place = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(place.path().join("store.db")).unwrap();
        assert_eq!(commit(&store, insert(Table::Tenant, 1)), Ok(1));
        let (holders, mut busy): (Vec<_>, Vec<_>) = (0..2)
            .map(|_| {
                let (holder, held) = std::sync::mpsc::channel::<()>();
                (holder, store.pool.read(move || Ok(held.recv().is_ok())))
            })
            .unzip();
        block_on(async {
            for held in &mut busy {
                assert!(is_pending(held).await);
            }
            let (mut scan, mut audit) = (store.scan(Table::Tenant, b"", None, 9), store.audit(1, 9));
            let (mut head, mut feed) = (store.head(), store.feed(0, 9));
            assert!(is_pending(&mut scan).await && is_pending(&mut audit).await);
            assert!(is_pending(&mut head).await && is_pending(&mut feed).await);
            assert!(matches!(store.peek(Table::Tenant, &[1]), Ok(Peek::Found(Some(_)))));
            drop(holders);
            assert_eq!((scan.await.unwrap().len(), audit.await.unwrap().len()), (1, 1));
            assert_eq!(head.await.unwrap().revision, 1);
            assert!(matches!(feed.await, Ok(Feed::Since(commits)) if commits.len() == 1));
        });
    }

    async fn is_pending<T>(answer: &mut Pending<'_, T>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(answer.as_mut().poll(cx).is_pending())).await
    }
}
