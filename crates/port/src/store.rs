//! Where rows live.

use crate::{Change, Feed, Projection, Row, RowKey, Table};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// An answer that may have to be waited for.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Rows of a scan: each key with its row, in byte order.
pub type Scanned = Vec<(Vec<u8>, Row)>;

/// Audit entries with their numbers, in order.
pub type Entries = Vec<(u64, Vec<u8>)>;

/// Where rows live: versioned rows in tables, the audit log, and the feed of authorizing changes.
///
/// There is one way to write, [`Store::commit`], and one suite, in the testkit, that every store must pass.
pub trait Store: Send + Sync + 'static {
    /// The row at `key`, as of the last acknowledged commit or a later one, where it can be read without waiting for a network.
    /// Embedded stores never say [`Peek::Later`].
    fn peek(&self, table: Table, key: &[u8]) -> Result<Peek, StoreError>;

    /// The rows of `keys`, in their order, as of the last acknowledged commit or a later one.
    fn load<'a>(&'a self, keys: &'a [RowKey]) -> Pending<'a, Result<Vec<Option<Row>>, StoreError>>;

    /// At most `limit` rows whose keys start with `prefix`, in byte order, after `after` where that is given.
    fn scan<'a>(
        &'a self,
        table: Table,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Pending<'a, Result<Scanned, StoreError>>;

    /// At most `limit` audit entries from sequence number `from` on; numbers start at 1 and have no gaps.
    fn audit(&self, from: u64, limit: usize) -> Pending<'_, Result<Entries, StoreError>>;

    /// At most `limit` of the audit entries that were indexed under `key`, from the `from`th on. Each has its place among those of
    /// the key, which starts at 1 and has no gaps: it says nothing of entries under other keys.
    fn audit_of<'a>(
        &'a self,
        key: &'a [u8],
        from: u64,
        limit: usize,
    ) -> Pending<'a, Result<Entries, StoreError>>;

    /// The last revision and the number of the last audit entry.
    fn head(&self) -> Pending<'_, Result<Head, StoreError>>;

    /// All stored data, as of the last acknowledged commit or a later one. Commits continue in the meantime. `None` where the
    /// store has no point-in-time snapshots.
    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError>;

    /// The commits to tables that authorize after revision `after`: at most `limit` commits, oldest first. The stored feed names
    /// rows, and this gives their present values: a row that was written twice comes twice as it is now, and of a deleted one the
    /// feed keeps no copy.
    fn feed(&self, after: u64, limit: usize) -> Pending<'_, Result<Feed, StoreError>>;

    /// Has every later commit projected, in order, before its caller is notified. It ends when the projection is dropped.
    fn follow(&self, projection: &Arc<dyn Projection>);

    /// Applies `change` whole or not at all, and calls `told` once: with the commit's revision after the change is durable and
    /// projected, or with the reason why it was not applied. Durable means that it survives kill -9 and power loss from then on.
    /// If `told` is dropped without a call, the outcome is unknown. Nothing depends on the caller: it may be gone by then.
    fn commit(&self, change: Change, told: Told);

    /// Whether it would take a change now, and if not, why and what to do.
    fn writable(&self) -> Result<(), String>;

    /// Whether everything is projected here that was committed longer than some seconds ago, on whichever node, and if not, why.
    /// Memory that follows the store must not answer while it is not. One process alone always knows everything.
    fn current(&self) -> Result<(), String> {
        Ok(())
    }

    /// How many commits of other nodes to tables that authorize were projected here so far.
    fn others(&self) -> u64 {
        0
    }

    /// Whether other processes may use the store at the same time.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether no other process uses the store at the same time, as of the last look.
    fn is_alone(&self) -> bool {
        true
    }

    /// Whether upkeep of what all nodes share is this process's. That of one that stops passes to another after some seconds.
    fn keeps(&self) -> bool {
        true
    }
}

/// Receives the outcome of a change.
pub type Told = Box<dyn FnOnce(Outcome) + Send>;

/// The revision of a commit, or why there was none.
pub type Outcome = Result<u64, CommitError>;

/// An answer that was at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peek {
    /// The row, or its absence.
    Found(Option<Row>),
    /// It has to be loaded.
    Later,
}

/// How far a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The revision of the last commit; 0 before the first. Revisions rise with commit order.
    pub revision: u64,
    /// The number of the last audit entry; 0 before the first.
    pub last_audit: u64,
}

/// The contents of a store at one moment.
pub trait Snapshot: Send + 'static {
    /// At most `limit` rows in byte order, after `after` where that is given. It reads from the disk.
    fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Scanned, StoreError>;

    /// At most `limit` audit entries from sequence number `from` on. It reads from the disk.
    fn audit(&self, from: u64, limit: usize) -> Result<Entries, StoreError>;

    /// Bytes written since that the store cannot clear away before this is dropped, roughly.
    fn held(&self) -> u64;
}

/// Why a change was not applied. Nothing of it was, unless the error says that the outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A row is not as the decision assumed: load and decide again.
    #[error("a row of table {table:?} has changed since it was read")]
    Conflict {
        /// The table of the row.
        table: Table,
        /// Its key.
        key: Vec<u8>,
    },
    /// The change is out of bounds.
    #[error("the change is out of bounds: {0}")]
    TooLarge(&'static str),
    /// The store cannot write now; nothing was applied.
    #[error("the store cannot write: {0}")]
    Unavailable(String),
    /// The store failed while writing; whether the change was applied shows when it has recovered.
    #[error("the store failed while writing: {0}")]
    Unknown(String),
}

/// The store could not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot read: {0}")]
pub struct StoreError(pub String);
