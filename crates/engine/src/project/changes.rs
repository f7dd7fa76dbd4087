//! What changed a short time ago, for those who watch a tenant's devices.
//!
//! Each watched tenant has a ring of its last changes, which projection alone feeds. Nobody who reads it can hold projection up: what
//! is read is bounded, the oldest changes give way to later ones, and a thread of its own wakes who waits. A watcher that the
//! ring has left behind reads the store's feed.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;
use tokio::sync::watch;
use wardein_domain::{DeviceId, ProfileName, TenantId};

/// What a row changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changed {
    /// One device.
    Device(DeviceId),
    /// The devices of a profile.
    Profile(ProfileName),
    /// The trust policy of a profile, or of the tenant.
    Policy(Option<ProfileName>),
    /// No device, but perhaps whether a watcher may go on.
    Operator,
}

/// What is to be read after a revision.
pub(crate) enum Read {
    /// The ring begins later: what is between is in the store's feed, and all of it up to this revision was projected.
    Behind(u64),
    /// The changes up to `up_to`, in order.
    Since {
        changed: Vec<Changed>,
        up_to: u64,
        /// Whether nothing else was projected by then.
        is_all: bool,
        /// When the oldest of them was projected.
        oldest: Option<Instant>,
    },
}

/// The rings of all tenants that are watched.
#[derive(Default)]
pub(super) struct Changes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is somebody to wake.
    due: Condvar,
}

#[derive(Default)]
struct State {
    /// Everything up to this revision was projected.
    last: u64,
    rings: HashMap<TenantId, Ring>,
    /// The tenants whose watchers are to be woken.
    due: Vec<TenantId>,
    has_waker: bool,
    is_over: bool,
}

struct Ring {
    watchers: usize,
    /// It holds everything after this revision.
    floor: u64,
    entries: VecDeque<Entry>,
    wake: watch::Sender<()>,
    is_due: bool,
}

struct Entry {
    revision: u64,
    at: Instant,
    changed: Changed,
}

/// Keeps a tenant's ring, and wakes its holder.
pub(crate) struct Subscription {
    shared: Arc<Shared>,
    tenant: TenantId,
    woken: watch::Receiver<()>,
}

impl Changes {
    /// Notes what the commit of that revision changed, once it is in memory.
    pub(super) fn note(&self, revision: u64, changed: Vec<(TenantId, Changed)>) {
        let mut state = self.0.lock();
        // One that comes again after a recovery changes nothing.
        if revision <= state.last {
            return;
        }
        let State { last, rings, due, .. } = &mut *state;
        *last = revision;
        let now = (!changed.is_empty() && !rings.is_empty()).then(Instant::now);
        for (tenant, changed) in changed {
            let (Some(ring), Some(at)) = (rings.get_mut(&tenant), now) else { continue };
            if changed != Changed::Operator {
                ring.add(Entry { revision, at, changed });
            }
            if !ring.is_due {
                ring.is_due = true;
                due.push(tenant);
            }
        }
        if !due.is_empty() {
            drop(state);
            self.0.due.notify_one();
        }
    }

    /// Keeps the changes of a tenant from now on; with the revision up to which everything was projected.
    pub(super) fn subscribe(&self, tenant: &TenantId) -> io::Result<(Subscription, u64)> {
        let mut state = self.0.lock();
        if !state.has_waker {
            let shared = self.0.clone();
            thread::Builder::new().name("watchers".into()).spawn(move || shared.wake())?;
            state.has_waker = true;
        }
        let floor = state.last;
        let ring = state.rings.entry(tenant.clone()).or_insert_with(|| Ring {
            watchers: 0,
            floor,
            entries: VecDeque::new(),
            wake: watch::Sender::new(()),
            is_due: false,
        });
        ring.watchers += 1;
        let woken = ring.wake.subscribe();
        Ok((Subscription { shared: self.0.clone(), tenant: tenant.clone(), woken }, floor))
    }

    /// What changed of a tenant that is watched after that revision: some `limit` changes, and the rest of the last one's commit.
    pub(super) fn read(&self, tenant: &TenantId, after: u64, limit: usize) -> Read {
        let state = self.0.lock();
        let Some(ring) = state.rings.get(tenant) else { return Read::Behind(state.last) };
        if after < ring.floor {
            return Read::Behind(ring.floor);
        }
        let from = ring.entries.partition_point(|entry| entry.revision <= after);
        let mut changed = Vec::new();
        let mut up_to = after;
        let mut is_all = true;
        for entry in ring.entries.range(from..) {
            if changed.len() >= limit && entry.revision > up_to {
                is_all = false;
                break;
            }
            up_to = entry.revision;
            changed.push(entry.changed.clone());
        }
        if is_all {
            up_to = up_to.max(state.last);
        }
        let oldest = ring.entries.get(from).map(|entry| entry.at);
        Read::Since { changed, up_to, is_all, oldest }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.due.notify_all();
    }
}

impl Ring {
    fn add(&mut self, entry: Entry) {
        if self.entries.len() == KEPT
            && let Some(oldest) = self.entries.pop_front()
        {
            self.floor = oldest.revision;
        }
        self.entries.push_back(entry);
    }
}

impl Shared {
    /// Wakes those who wait, until all is over. Waking a thousand takes a millisecond, which is not projection's to spend.
    fn wake(&self) {
        let mut state = self.lock();
        while !state.is_over {
            if state.due.is_empty() {
                state = self.due.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let due = std::mem::take(&mut state.due);
            let wakes: Vec<_> = due
                .iter()
                .filter_map(|tenant| {
                    let ring = state.rings.get_mut(tenant)?;
                    ring.is_due = false;
                    Some(ring.wake.clone())
                })
                .collect();
            drop(state);
            wakes.iter().for_each(|wake| wake.send_replace(()));
            state = self.lock();
        }
    }

    /// A panic elsewhere cannot leave the state half-changed: nothing in it panics.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// What comes from now on wakes.
    pub(crate) fn look(&mut self) {
        self.woken.mark_unchanged();
    }

    /// Done when something came since the last look.
    pub(crate) async fn woken(&mut self) {
        // The ring lives for as long as this.
        drop(self.woken.changed().await);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(ring) = state.rings.get_mut(&self.tenant) {
            ring.watchers -= 1;
            if ring.watchers == 0 {
                state.rings.remove(&self.tenant);
            }
        }
    }
}

/// How many changes of a tenant are kept, at some 80 bytes each.
const KEPT: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    fn device(number: u64) -> Changed {
        Changed::Device(format!("pump-{number}").parse().unwrap())
    }

    fn note(changes: &Changes, revision: u64) {
        changes.note(revision, vec![(tenant("klinik"), device(revision))]);
    }

    fn read(changes: &Changes, after: u64, limit: usize) -> (Vec<Changed>, u64, bool) {
        match changes.read(&tenant("klinik"), after, limit) {
            Read::Behind(floor) => panic!("it begins at {floor}"),
            Read::Since { changed, up_to, is_all, .. } => (changed, up_to, is_all),
        }
    }

    #[test]
    fn a_reader_has_what_came_after_its_revision_and_no_commit_in_part() {
        let changes = Changes::default();
        changes.note(5, Vec::new());
        let (_held, at) = changes.subscribe(&tenant("klinik")).unwrap();
        assert_eq!(at, 5);
        changes.note(6, (0..3).map(|number| (tenant("klinik"), device(number))).collect());
        note(&changes, 8);
        changes.note(9, vec![(tenant("lab"), device(9)), (tenant("klinik"), Changed::Operator)]);
        assert_eq!(read(&changes, 5, 9), ([0, 1, 2, 8].map(device).to_vec(), 9, true));
        assert_eq!(read(&changes, 5, 1), ([0, 1, 2].map(device).to_vec(), 6, false));
        assert_eq!(read(&changes, 6, 1), (vec![device(8)], 9, true));
        assert_eq!(read(&changes, 9, 1), (vec![], 9, true));
        note(&changes, 8);
        assert_eq!(read(&changes, 9, 1), (vec![], 9, true), "one that comes again changes nothing");
        assert!(matches!(changes.read(&tenant("klinik"), 4, 1), Read::Behind(5)));
    }

    #[test]
    fn the_oldest_give_way_and_who_needs_them_is_behind() {
        let changes = Changes::default();
        let (_held, _) = changes.subscribe(&tenant("klinik")).unwrap();
        (1..=KEPT as u64 + 3).for_each(|revision| note(&changes, revision));
        assert!(matches!(changes.read(&tenant("klinik"), 2, 1), Read::Behind(3)));
        assert_eq!(read(&changes, 3, 1), (vec![device(4)], 4, false));
        assert_eq!(changes.0.lock().rings[&tenant("klinik")].entries.len(), KEPT);
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let changes = Changes::default();
        let one = changes.subscribe(&tenant("klinik")).unwrap();
        let two = changes.subscribe(&tenant("klinik")).unwrap();
        note(&changes, 1);
        drop(one);
        assert_eq!(changes.0.lock().rings.len(), 1);
        drop(two);
        assert!(changes.0.lock().rings.is_empty());
        note(&changes, 2);
        assert!(matches!(changes.read(&tenant("klinik"), 2, 1), Read::Behind(2)));
    }

    #[tokio::test]
    async fn a_change_wakes_who_waits_for_its_tenant() {
        let changes = Changes::default();
        let (mut held, _) = changes.subscribe(&tenant("klinik")).unwrap();
        held.look();
        note(&changes, 1);
        held.woken().await;
        held.look();
        changes.note(2, vec![(tenant("klinik"), Changed::Operator)]);
        held.woken().await;
    }
}
