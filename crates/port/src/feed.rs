//! The feed: commits to the tables that authorize, in commit order. Everything that must learn of a change follows it.

use crate::{Change, Table};
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// The writes of one commit to tables that authorize, and to those that say when a device was last heard of ([`Table::is_of_signs`]),
/// which the stored feed leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its revision.
    pub revision: u64,
    /// The rows, in the order of the change.
    pub rows: Vec<FeedRow>,
}

/// A row as a commit left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRow {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None` where the row was deleted.
    pub value: Option<Vec<u8>>,
}

/// A part of the stored feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// The commits that follow.
    Since(Vec<Committed>),
    /// The feed begins after the requested revision: read everything again.
    Truncated {
        /// The revision up to which it was truncated.
        up_to: u64,
    },
}

/// Memory that is fed by committed changes, in order, and by nothing else.
///
/// Memory that no longer follows the store must not answer: where a projection fails, the process ends.
pub trait Projection: Send + Sync + 'static {
    /// Applies a commit. It may come again after a recovery, and then changes nothing. The error says why it cannot be applied.
    fn project(&self, committed: &Committed) -> Result<(), String>;

    /// The store has recovered from a failure: commits that were answered as unknown may have been applied. Caches of rows are
    /// void.
    fn recovered(&self);
}

impl Committed {
    /// The writes of `change` to tables that are projected, committed as `revision`; `None` where it writes nothing there.
    pub fn of(revision: u64, change: Change) -> Option<Self> {
        let is_projected = |table: Table| table.authorizes() || table.is_of_signs();
        if !change.writes.iter().any(|write| is_projected(write.table)) {
            return None;
        }
        let writes = change.writes.into_iter().filter(|write| is_projected(write.table));
        let rows =
            writes.map(|write| FeedRow { table: write.table, key: write.key, value: write.value }).collect();
        Some(Self { revision, rows })
    }
}

/// The projections that follow a store, for its adapters.
#[derive(Default)]
pub struct Projections(RwLock<Vec<Weak<dyn Projection>>>);

impl Projections {
    /// Adds one, and forgets those that are gone.
    pub fn add(&self, projection: &Arc<dyn Projection>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(projection));
    }

    /// Projects a commit everywhere. Where that fails, the process must end.
    pub fn project(&self, committed: &Committed) -> Result<(), String> {
        self.all().iter().try_for_each(|projection| projection.project(committed))
    }

    /// Says everywhere that the store has recovered.
    pub fn recovered(&self) {
        self.all().iter().for_each(|projection| projection.recovered());
    }

    fn all(&self) -> Vec<Arc<dyn Projection>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    }
}

impl std::fmt::Debug for Projections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projections").finish_non_exhaustive()
    }
}
