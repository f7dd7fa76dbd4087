//! A store whose commits are timed.

use crate::metrics::Metrics;
use std::sync::Arc;
use std::time::Instant;
use wardein_engine::port::{Change, CommitError, Row, Snapshot, Store, StoreError, Table};

/// A store that tells [`Metrics`] how long its commits take.
pub struct MeteredStore<S> {
    store: S,
    metrics: Arc<Metrics>,
}

impl<S: Store> MeteredStore<S> {
    /// `store`, timed.
    pub fn new(store: S, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }
}

impl<S: Store> Store for MeteredStore<S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.store.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.store.scan(table, prefix, after, limit)
    }

    fn audit(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.store.audit(from, limit)
    }

    fn last_audit(&self) -> Result<u64, StoreError> {
        self.store.last_audit()
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        self.store.snapshot()
    }

    async fn commit(&self, change: Change) -> Result<(), CommitError> {
        let started = Instant::now();
        let result = self.store.commit(change).await;
        self.metrics.committed(started.elapsed(), result.is_ok());
        result
    }
}
