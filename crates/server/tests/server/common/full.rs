//! A store whose disk may be full: it reads, and takes no change. It panics over one key. Its reads of tenants' audit entries may be
//! held up.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use wardein_port::{
    Change, CommitError, Entries, Feed, Head, Peek, Pending, Projection, Row, RowKey, Scanned, Snapshot,
    Store, StoreError, Table, Told,
};

/// A row that nobody survives to look for.
pub(crate) const PANICS: &str = "panics";

/// A store before another one.
pub(crate) struct FullStore {
    store: Arc<dyn Store>,
    is_full: Arc<AtomicBool>,
    gate: Arc<Gate>,
}

/// Holds up those who read: their thread, as much work would.
#[derive(Default)]
pub(crate) struct Gate {
    closed: Mutex<()>,
    inside: AtomicUsize,
}

impl Gate {
    /// Until the result is dropped.
    pub(crate) fn close(&self) -> impl Sized + '_ {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are held up.
    pub(crate) fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }

    fn pass(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        drop(self.close());
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FullStore {
    /// `store`, whose reads are held up while `gate` is closed.
    pub(crate) fn behind(store: Arc<dyn Store>, gate: Arc<Gate>) -> Self {
        Self { store, is_full: Arc::default(), gate }
    }

    /// `store` while `is_full` says no.
    pub(crate) fn new(store: Arc<dyn Store>, is_full: Arc<AtomicBool>) -> Self {
        Self { store, is_full, gate: Arc::default() }
    }
}

impl Store for FullStore {
    fn peek(&self, table: Table, key: &[u8]) -> Result<Peek, StoreError> {
        assert_ne!(key, PANICS.as_bytes(), "this test's own panic");
        self.store.peek(table, key)
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> Pending<'a, Result<Vec<Option<Row>>, StoreError>> {
        self.store.load(keys)
    }

    fn scan<'a>(
        &'a self,
        table: Table,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Pending<'a, Result<Scanned, StoreError>> {
        self.store.scan(table, prefix, after, limit)
    }

    fn audit(&self, from: u64, limit: usize) -> Pending<'_, Result<Entries, StoreError>> {
        self.store.audit(from, limit)
    }

    fn audit_of<'a>(
        &'a self,
        key: &'a [u8],
        from: u64,
        limit: usize,
    ) -> Pending<'a, Result<Entries, StoreError>> {
        self.gate.pass();
        self.store.audit_of(key, from, limit)
    }

    fn head(&self) -> Pending<'_, Result<Head, StoreError>> {
        self.store.head()
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        self.store.snapshot()
    }

    fn feed(&self, after: u64, limit: usize) -> Pending<'_, Result<Feed, StoreError>> {
        self.store.feed(after, limit)
    }

    fn follow(&self, projection: &Arc<dyn Projection>) {
        self.store.follow(projection);
    }

    fn commit(&self, change: Change, told: Told) {
        match self.writable() {
            Ok(()) => self.store.commit(change, told),
            Err(why) => told(Err(CommitError::Unavailable(why))),
        }
    }

    fn writable(&self) -> Result<(), String> {
        let is_full = self.is_full.load(Ordering::SeqCst);
        (!is_full).then_some(()).ok_or_else(|| "the disk is full".to_owned())
    }
}
