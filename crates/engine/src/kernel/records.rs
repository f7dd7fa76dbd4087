//! The records of devices in use: one decision at a time on each, in the order in which they came, and the opened keys of those that
//! spoke lately, so that the next proof reads, opens and decodes nothing.
//!
//! The keys are a cache of rows. They may be behind the store, since others write the rows too: an acceptance that rests on them is
//! committed under the version that they came with, and a refusal that rests on them counts for nothing until the stored row says
//! the same.

use crate::rows::KeysRow;
use hashlink::LruCache;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use wardein_ddkg::DeviceName;

/// Opened keys with the versions of their rows.
pub(crate) struct Held {
    /// Of the cold row.
    pub(crate) cold: u64,
    /// Of the hot row, by which the keys are known to be the stored ones.
    pub(crate) version: u64,
    pub(crate) keys: Box<KeysRow>,
}

/// Bytes of opened keys that are kept. Those of a young device are taken for some 3 KB.
pub(crate) const KEPT: usize = 128 << 20;

/// All records.
pub(crate) struct Records {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
}

struct Shard {
    idle: Idle,
    /// Records that are held, with those that wait for them.
    busy: HashMap<DeviceName, VecDeque<oneshot::Sender<Guard>>>,
}

/// That a record is held. It travels with the commit, so that a caller that goes away leaves the next one to a durable record.
pub(crate) struct Guard {
    records: Arc<Records>,
    device: DeviceName,
    held: Option<Held>,
    /// Whether dropping it lets the record go.
    is_armed: bool,
}

impl Records {
    /// Keys that nobody uses are kept up to that many bytes.
    pub(crate) fn new(kept: usize) -> Arc<Self> {
        let shard = || Shard { idle: Idle::new(kept / SHARDS), busy: HashMap::new() };
        let shards = (0..SHARDS).map(|_| Mutex::new(shard())).collect();
        Arc::new(Self { hasher: RandomState::new(), shards })
    }

    /// Holds the record of `device`, unless somebody else does.
    pub(crate) fn try_hold(self: &Arc<Self>, device: &DeviceName) -> Option<Guard> {
        let mut shard = self.shard(device);
        if shard.busy.contains_key(device) {
            return None;
        }
        Some(self.take(&mut shard, device))
    }

    /// Holds the record of `device`, after all who asked before. Only a caller that was found right may wait: one without keys could
    /// otherwise hold up the device.
    pub(crate) async fn hold(self: &Arc<Self>, device: &DeviceName) -> Guard {
        loop {
            let turn = {
                let mut shard = self.shard(device);
                match shard.busy.get_mut(device) {
                    None => return self.take(&mut shard, device),
                    Some(waiting) => {
                        let (sender, turn) = oneshot::channel();
                        waiting.push_back(sender);
                        turn
                    }
                }
            };
            if let Ok(guard) = turn.await {
                return guard;
            }
        }
    }

    /// Forgets the opened keys of `device`, unless its record is held.
    pub(crate) fn forget(&self, device: &DeviceName) {
        drop(self.shard(device).idle.remove(device));
    }

    /// Forgets all opened keys.
    pub(crate) fn clear(&self) {
        self.shards.iter().for_each(|shard| lock(shard).idle.clear());
    }

    fn take(self: &Arc<Self>, shard: &mut Shard, device: &DeviceName) -> Guard {
        shard.busy.insert(device.clone(), VecDeque::new());
        let held = shard.idle.remove(device);
        Guard { records: self.clone(), device: device.clone(), held, is_armed: true }
    }

    fn shard(&self, device: &DeviceName) -> MutexGuard<'_, Shard> {
        lock(&self.shards[self.hasher.hash_one(device) as usize % SHARDS])
    }
}

impl Guard {
    pub(crate) fn device(&self) -> &DeviceName {
        &self.device
    }

    /// The opened keys, if they are in memory.
    pub(crate) fn take(&mut self) -> Option<Held> {
        self.held.take()
    }

    /// Keys for the next who holds the record.
    pub(crate) fn put(&mut self, held: Held) {
        self.held = Some(held);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.is_armed {
            return;
        }
        let mut held = self.held.take();
        loop {
            let mut shard = self.records.shard(&self.device);
            let waiting = shard.busy.get_mut(&self.device).and_then(VecDeque::pop_front);
            let Some(waiting) = waiting else {
                if let (Some((device, _)), Some(held)) = (shard.busy.remove_entry(&self.device), held) {
                    shard.idle.insert(device, held);
                }
                return;
            };
            drop(shard);
            let (records, device) = (self.records.clone(), self.device.clone());
            let next = Guard { records, device, held: held.take(), is_armed: true };
            // One that has gone away gives it back.
            match waiting.send(next) {
                Ok(()) => return,
                Err(mut back) => {
                    back.is_armed = false;
                    held = back.held.take();
                }
            }
        }
    }
}

/// Keys that nobody uses now, those of the longest ago going first. They are counted in bytes: how much a record takes is up to its
/// device, and the longest takes many times what a young one does.
struct Idle {
    kept: LruCache<DeviceName, (Held, usize)>,
    bytes: usize,
    most: usize,
}

impl Idle {
    fn new(most: usize) -> Self {
        Self { kept: LruCache::new_unbounded(), bytes: 0, most }
    }

    fn insert(&mut self, device: DeviceName, held: Held) {
        let bytes = ENTRY + held.keys.record.memory_len();
        self.bytes += bytes;
        if let Some((_, replaced)) = self.kept.insert(device, (held, bytes)) {
            self.bytes -= replaced;
        }
        while self.bytes > self.most
            && let Some((_, (_, bytes))) = self.kept.remove_lru()
        {
            self.bytes -= bytes;
        }
    }

    fn remove(&mut self, device: &DeviceName) -> Option<Held> {
        let (held, bytes) = self.kept.remove(device)?;
        self.bytes -= bytes;
        Some(held)
    }

    fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }
}

/// A panic elsewhere cannot leave a shard half-changed: each step is one insertion or removal.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 16;

/// Bytes that an entry takes beside its record: its name, twice, its place in the table, and what the allocator rounds up.
const ENTRY: usize = 1_024;
