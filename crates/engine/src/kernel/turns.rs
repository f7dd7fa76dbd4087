//! Whose turn it is to decide again: decisions that conflict over one row take turns, in the order in which they did. Otherwise each of
//! many would lose to one of the others every time, and some more often than they may try.

use std::hash::{BuildHasher, RandomState};
use tokio::sync::{Mutex, MutexGuard};
use wardein_port::Table;

/// That no other decision of this node that conflicted over the same row is being made again.
pub(super) type Turn<'a> = MutexGuard<'a, ()>;

pub(crate) struct Turns {
    hasher: RandomState,
    shards: Vec<Mutex<()>>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Waits for its turn. One that has it waits for nobody: it commits, and goes.
    pub(super) async fn of(&self, table: Table, key: &[u8]) -> Turn<'_> {
        self.shards[self.hasher.hash_one((table, key)) as usize % SHARDS].lock().await
    }
}

const SHARDS: usize = 64;
