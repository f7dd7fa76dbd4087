//! The keys of devices that proved something lately, opened, so that the next proof reads, opens and decodes nothing.
//!
//! What is here may be behind the store: others write the rows too. So an acceptance that rests on it is committed under the
//! version that it came with, and a refusal that rests on it counts for nothing until the stored row says the same.

use crate::keys_row::KeysRow;
use hashlink::LruCache;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use wardein_ddkg::DeviceName;

/// Opened keys with the version of their row.
pub(crate) type Held = (u64, Box<KeysRow>);

pub(crate) struct RecentKeys {
    hasher: RandomState,
    shards: Vec<Mutex<LruCache<DeviceName, Held>>>,
}

impl RecentKeys {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(LruCache::new(KEPT / SHARDS))).collect();
        Self { hasher: RandomState::new(), shards }
    }

    /// Takes the keys out: whoever changes them puts them back when the change is durable, and nobody else sees them meanwhile.
    pub(crate) fn take(&self, name: &DeviceName) -> Option<Held> {
        self.shard(name).lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    pub(crate) fn put(&self, name: DeviceName, held: Held) {
        self.shard(&name).lock().unwrap_or_else(PoisonError::into_inner).insert(name, held);
    }

    fn shard(&self, name: &DeviceName) -> &Mutex<LruCache<DeviceName, Held>> {
        &self.shards[self.hasher.hash_one(name) as usize % SHARDS]
    }
}

const SHARDS: usize = 16;

/// Devices whose keys are kept: about 1 KB each when they are young, at most some 12 KB.
const KEPT: usize = 32_768;
