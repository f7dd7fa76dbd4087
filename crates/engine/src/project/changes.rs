//! What changed a short time ago, for those who watch a tenant's devices.
//!
//! Each watched tenant has a ring of its last changes, which projection alone feeds. Nobody who reads it can hold projection up: what
//! is read is bounded, the oldest changes give way to later ones, and a thread of its own wakes who waits. A watcher that the
//! ring has left behind reads the store's feed.
//!
//! Time alone changes verdicts under a trust policy with ages. Who hands out a verdict says until when it holds, and the ring keeps an index
//! of these times: when one comes, the device is to be looked at again. So nobody walks over all devices to find whose time has come.

use super::NodeClock;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
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
    /// Which releases their makers approve.
    Releases,
    /// No device, but perhaps whether a watcher may go on.
    Operator,
}

/// What is to be read after a revision.
pub(crate) enum Read {
    /// The ring begins later: what is between is in the store's feed, and all of it up to this place was projected.
    Behind(Cursor),
    /// It has lost whose time has come: all whose verdicts time changes are to be looked at.
    Late(Cursor),
    /// The changes up to `up_to`, in order, and behind them the devices whose time has come.
    Since {
        changed: Vec<Changed>,
        up_to: Cursor,
        /// Whether nothing else was projected by then.
        is_all: bool,
        /// When the oldest of them was projected.
        oldest: Option<Instant>,
    },
}

/// How far a watcher has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Everything up to this revision.
    pub(crate) revision: u64,
    /// So many devices whose time had come.
    pub(crate) turned: u64,
}

/// The rings of all tenants that are watched.
#[derive(Default)]
pub(super) struct Changes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The time by which verdicts end; none where nothing has a time.
    clock: Option<Arc<NodeClock>>,
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
    /// Which devices are to be looked at when, in Unix seconds, and how many that are. A time that means nothing any more does no harm.
    times: Times,
    expected: usize,
    /// The last devices whose time has come, and how many there were from the beginning.
    turned: VecDeque<DeviceId>,
    turns: u64,
    /// Who has read less has missed some.
    turned_floor: u64,
    /// The authority's time when it was looked at last.
    now: u64,
    wake: watch::Sender<()>,
    is_due: bool,
}

type Times = BTreeMap<u64, BTreeSet<DeviceId>>;

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
    /// Those in which time by that clock changes verdicts.
    pub(super) fn by(clock: Arc<NodeClock>) -> Self {
        Self(Arc::new(Shared { clock: Some(clock), ..Shared::default() }))
    }

    /// Whether somebody watches a tenant.
    pub(super) fn is_watched(&self, tenant: &TenantId) -> bool {
        self.0.lock().rings.contains_key(tenant)
    }

    /// Has devices of a tenant looked at again at these Unix seconds.
    pub(super) fn expect(&self, tenant: &TenantId, times: Vec<(u64, DeviceId)>) {
        let mut state = self.0.lock();
        let Some(ring) = state.rings.get_mut(tenant) else { return };
        let were_none = ring.times.is_empty();
        for (at, device) in times {
            ring.expected += usize::from(ring.times.entry(at).or_default().insert(device));
        }
        if ring.expected > MOST_TIMES {
            ring.lose();
        }
        if were_none {
            drop(state);
            // The thread that wakes others waits without an end where there is no time to come.
            self.0.due.notify_one();
        }
    }

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
    pub(super) fn subscribe(&self, tenant: &TenantId) -> io::Result<(Subscription, Cursor)> {
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
            times: Times::new(),
            expected: 0,
            turned: VecDeque::new(),
            turns: 0,
            turned_floor: 0,
            now: 0,
            wake: watch::Sender::new(()),
            is_due: false,
        });
        ring.watchers += 1;
        let woken = ring.wake.subscribe();
        let place = Cursor { revision: floor, turned: ring.turns };
        Ok((Subscription { shared: self.0.clone(), tenant: tenant.clone(), woken }, place))
    }

    /// What changed of a tenant that is watched after that place, by Unix second `now`: some `limit` changes, and the rest of the last
    /// one's commit.
    pub(super) fn read(&self, tenant: &TenantId, after: Cursor, limit: usize, now: u64) -> Read {
        let (read, turned) = self.0.lock().read(tenant, after, limit, now);
        // Behind the lock: it may be a million.
        drop(turned);
        read
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.due.notify_all();
    }
}

impl Ring {
    /// Moves the devices whose time has come; where they are more than are kept, all who watch look at all again. What it returns is to be
    /// dropped.
    fn turn(&mut self, now: u64) -> Times {
        if now < self.now {
            // Somebody set the clock back: what was to come has come later by now.
            self.lose();
        }
        self.now = now;
        if self.times.first_key_value().is_none_or(|(at, _)| *at > now) {
            return Times::new();
        }
        let later = self.times.split_off(&now.saturating_add(1));
        let due = std::mem::replace(&mut self.times, later);
        let count = due.values().map(BTreeSet::len).sum::<usize>();
        self.expected -= count;
        if count > KEPT {
            self.turned.clear();
            self.turns += count as u64;
            self.turned_floor = self.turns;
            return due;
        }
        for device in due.values().flatten() {
            if self.turned.len() == KEPT {
                self.turned.pop_front();
                self.turned_floor += 1;
            }
            self.turned.push_back(device.clone());
            self.turns += 1;
        }
        due
    }

    /// Forgets whose time has come or is to come: all who watch look at all again.
    fn lose(&mut self) {
        self.times.clear();
        self.expected = 0;
        self.turned.clear();
        self.turns += 1;
        self.turned_floor = self.turns;
    }

    fn add(&mut self, entry: Entry) {
        if self.entries.len() == KEPT
            && let Some(oldest) = self.entries.pop_front()
        {
            self.floor = oldest.revision;
        }
        self.entries.push_back(entry);
    }
}

impl State {
    /// As [`Changes::read`]; what else it returns is to be dropped.
    fn read(&mut self, tenant: &TenantId, after: Cursor, limit: usize, now: u64) -> (Read, Times) {
        let Self { last, rings, .. } = self;
        let Some(ring) = rings.get_mut(tenant) else {
            return (Read::Behind(Cursor { revision: *last, turned: 0 }), Times::new());
        };
        let due = ring.turn(now);
        let turned = ring.turns;
        if after.revision < ring.floor {
            return (Read::Behind(Cursor { revision: ring.floor, turned }), due);
        }
        if after.turned < ring.turned_floor {
            return (Read::Late(Cursor { turned, ..after }), due);
        }
        let from = ring.entries.partition_point(|entry| entry.revision <= after.revision);
        let mut changed = Vec::new();
        let mut up_to = after.revision;
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
            up_to = up_to.max(*last);
        }
        let oldest = ring.entries.get(from).map(|entry| entry.at);
        let unread =
            usize::try_from(turned.saturating_sub(after.turned)).unwrap_or(usize::MAX).min(ring.turned.len());
        let skipped = ring.turned.len() - unread;
        let come = ring.turned.iter().skip(skipped).take(limit.saturating_sub(changed.len()));
        let before = changed.len();
        changed.extend(come.cloned().map(Changed::Device));
        let read = changed.len() - before;
        let is_all = is_all && read == unread;
        let up_to = Cursor { revision: up_to, turned: after.turned + read as u64 };
        (Read::Since { changed, up_to, is_all, oldest }, due)
    }

    /// Has those woken for whom a time has come. What it returns is to be dropped.
    fn turn(&mut self, now: u64) -> Vec<Times> {
        let mut all = Vec::new();
        for (tenant, ring) in &mut self.rings {
            let before = ring.turns;
            all.push(ring.turn(now));
            if ring.turns != before && !ring.is_due {
                ring.is_due = true;
                self.due.push(tenant.clone());
            }
        }
        all
    }
}

impl Shared {
    /// Wakes those who wait, until all is over. Waking a thousand takes a millisecond, which is not projection's to spend.
    fn wake(&self) {
        let mut state = self.lock();
        while !state.is_over {
            if state.due.is_empty() {
                let clock =
                    self.clock.as_ref().filter(|_| state.rings.values().any(|ring| !ring.times.is_empty()));
                state = match clock {
                    Some(clock) => {
                        let waited = self.due.wait_timeout(state, TICK);
                        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                        let turned = state.turn(clock.now().get());
                        // It may be a million.
                        drop(state);
                        drop(turned);
                        self.lock()
                    }
                    None => self.due.wait(state).unwrap_or_else(PoisonError::into_inner),
                };
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

/// How many times to come are kept for a tenant, at some 50 bytes each. Each change of a device adds one, and it goes when its time comes.
const MOST_TIMES: usize = 8_000_000;

/// How often it is looked whether a time has come.
const TICK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
