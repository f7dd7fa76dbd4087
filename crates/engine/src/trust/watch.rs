//! Watching: the verdicts on all devices of a tenant, and each that changes, told without being asked.
//!
//! A [`Watch`] is a cursor. It reads what changed since from the ring of its tenant (`project/changes.rs`), or from the store's feed
//! where the ring has left it behind, and gives the verdict that memory has by then: a device that changed twice may be told once.
//! Nothing waits for it. Its revision moves when all that belongs to it was handed out, so that who goes on from it misses nothing.
//!
//! Under a trust policy with ages time alone changes verdicts, and what a device does moves those times without a trace in the feed. Each
//! verdict that is handed out has its time noted (`Engine::hand_out`), and is told again when that comes. Who goes on from an earlier stream
//! is told all such devices first: what times it has of them nobody knows.

use crate::kernel::{Caller, Detail, Engine, Error};
use crate::project::{Changed, Cursor, KnownDevice, Read, Subscription};
use crate::rows;
use crate::trust::check::tenant_of;
use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use wardein_domain::{
    Assurance, DeviceId, DeviceState, ErrorCode, Judgment, Offline, Principal, ProfileName, TenantId,
    Verdict, VerdictReason,
};
use wardein_port::{Feed, FeedRow, Table};

/// From where to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchFrom {
    /// All devices first, then what changes.
    Snapshot,
    /// What changed after this revision, as it was handed out.
    Revision(Vec<u8>),
}

/// The verdict on a device, as a watcher keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceVerdict {
    /// The device.
    pub device: DeviceId,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<VerdictReason>,
    /// For how many seconds it may be kept after the last bookmark.
    pub lifetime: u64,
    /// The Unix second of the authority's time from which time alone makes another one; none where it does not.
    pub valid_until: Option<u64>,
    /// Its state on record.
    pub state: Option<DeviceState>,
    /// How surely the key that it signs with is where it is said to be; none for a device that derives its keys.
    pub assurance: Option<Assurance>,
    /// Whether another device was enrolled with its key or its TPM.
    pub is_shared: bool,
    /// What it may be used for when it is stale, and for how long.
    pub offline: Offline,
}

impl DeviceVerdict {
    /// What was judged of a device, with what is known of it.
    pub(super) fn of(device: DeviceId, known: Option<&KnownDevice>, judgment: Judgment) -> Self {
        let Judgment { verdict, reasons, lifetime, valid_until, offline, .. } = judgment;
        let state = known.map(|known| known.state);
        let (assurance, is_shared) = known.map_or((None, false), |known| (known.assurance, known.is_shared));
        Self { device, verdict, reasons, lifetime, valid_until, state, assurance, is_shared, offline }
    }
}

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// Some of all devices.
    Snapshot(Vec<DeviceVerdict>),
    /// Those were all. What changed after this revision follows.
    SnapshotEnd {
        /// The revision.
        revision: Vec<u8>,
        /// How many devices there were.
        devices: u64,
    },
    /// Some devices changed.
    Change {
        /// The revision that was handed out before.
        previous: Vec<u8>,
        /// That of this change; the previous one while more of the same change follows.
        revision: Vec<u8>,
        /// The devices, each once.
        devices: Vec<DeviceVerdict>,
        /// How long ago the first of it was projected; none where it is from the stored feed.
        lag: Option<Duration>,
    },
    /// There is nothing else for now. It comes once, before the next change is waited for.
    Current,
}

/// Everything that had changed by then was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark {
    /// The revision.
    pub revision: Vec<u8>,
    /// The authority's time, in Unix seconds.
    pub time: u64,
    /// The same moment by the machine's steady clock.
    pub as_of: Instant,
}

/// A platform that watches its tenant's devices. Dropping it ends that.
pub struct Watch {
    /// Who watches; none where the authority itself does, for a webhook.
    principal: Option<Principal>,
    tenant: TenantId,
    subscription: Subscription,
    /// Everything up to this place was handed out.
    at: Cursor,
    /// The last revision that was handed out itself.
    said: u64,
    phase: Phase,
    /// A moment up to which everything was handed out, and of which no bookmark has told.
    complete: Option<Moment>,
    is_current: bool,
}

#[derive(Clone, Copy)]
struct Moment {
    time: u64,
    as_of: Instant,
}

enum Phase {
    Snapshot {
        walk: Walk,
        devices: u64,
    },
    Follow,
    /// Devices that changed together, by what they have in common.
    Wide {
        walk: Walk,
        over: Over,
        batch: Batch,
    },
}

/// Which of a tenant's devices.
#[derive(Default)]
struct Over {
    is_all: bool,
    profiles: HashSet<ProfileName>,
    /// Those whose verdicts time changes.
    timed: bool,
}

/// What was read at one time.
struct Batch {
    up_to: Cursor,
    /// When it was read, if it was all that there was.
    complete: Option<Moment>,
    oldest: Option<Instant>,
}

/// A walk over all devices of a tenant, a part at a time.
#[derive(Default)]
struct Walk {
    part: usize,
    rest: std::vec::IntoIter<(DeviceId, Arc<KnownDevice>)>,
    page: Vec<DeviceVerdict>,
}

impl Engine {
    /// Watches the devices of the caller's tenant. A revision that is too old to go on from shows at the first [`Watch::next`].
    pub async fn watch(&self, caller: &Caller, from: WatchFrom) -> Result<Watch, Error> {
        self.watch_tenant(tenant_of(caller)?, Some(caller.principal.clone()), from).await
    }

    pub(super) async fn watch_tenant(
        &self,
        tenant: &TenantId,
        principal: Option<Principal>,
        from: WatchFrom,
    ) -> Result<Watch, Error> {
        let tenant = tenant.clone();
        let (subscription, last) = self.memory.watch(&tenant)?;
        let (at, phase) = match from {
            // What memory takes in after this revision is told once more behind the snapshot.
            WatchFrom::Snapshot => (last, Phase::Snapshot { walk: Walk::default(), devices: 0 }),
            WatchFrom::Revision(bytes) => {
                let at = Cursor { revision: self.known_revision(&bytes).await?, ..last };
                let batch = Batch { up_to: at, complete: None, oldest: None };
                let over = Over { timed: true, ..Over::default() };
                let phase = match self.memory.looks_at_signs(&tenant) {
                    true => Phase::Wide { walk: Walk::default(), over, batch },
                    false => Phase::Follow,
                };
                (at, phase)
            }
        };
        let (said, complete, is_current) = (at.revision, None, false);
        Ok(Watch { principal, tenant, subscription, at, said, phase, complete, is_current })
    }

    async fn known_revision(&self, bytes: &[u8]) -> Result<u64, Error> {
        let revision = self.incarnation.parse(bytes)?;
        if revision > self.store.head().await?.revision {
            let message = "the authority has not reached this revision; watch from a snapshot";
            return Err(Error::new(ErrorCode::RevisionAhead, message));
        }
        Ok(revision)
    }

    /// Notes when verdicts that are about to be handed out at Unix second `now` end by time: a little before, so that a device that was
    /// heard of in the meantime goes on without a break, and at that second.
    pub(super) fn hand_out(&self, tenant: &TenantId, devices: &[DeviceVerdict], now: u64) {
        let time = |device: &DeviceVerdict| {
            let at = device.valid_until?;
            let ahead = at.saturating_sub(AHEAD);
            Some((if ahead > now { ahead } else { at }, device.device.clone()))
        };
        let times: Vec<_> = devices.iter().filter_map(time).collect();
        if !times.is_empty() {
            self.memory.expect(tenant, times);
        }
    }

    pub(super) fn device_verdict(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        known: Option<&KnownDevice>,
        now: u64,
    ) -> DeviceVerdict {
        DeviceVerdict::of(device, known, self.judge_device(tenant, known, now))
    }
}

impl Watch {
    /// What is to be told next; it waits until there is something. It ends with an error when its caller may not call any more, or
    /// must begin again from a snapshot. A call that is dropped loses nothing.
    pub async fn next(&mut self, engine: &Engine) -> Result<Watched, Error> {
        loop {
            may_watch(engine, self.principal.as_ref()).await?;
            let told = match self.phase {
                Phase::Snapshot { .. } => self.snapshot(engine),
                Phase::Wide { .. } => self.wide(engine),
                Phase::Follow => self.follow(engine).await?,
            };
            match told {
                Some(told) => return Ok(told),
                // A long walk, or one behind many changes of others, leaves room to others on its thread.
                None => yielded().await,
            }
        }
    }

    /// A bookmark of now, or of the last moment of which none told; none while something is still to be handed out. As
    /// [`Watch::next`], it ends with its caller.
    pub async fn bookmark(&mut self, engine: &Engine) -> Result<Option<Bookmark>, Error> {
        may_watch(engine, self.principal.as_ref()).await?;
        if !matches!(self.phase, Phase::Follow) {
            return Ok(None);
        }
        let now = Moment::now(engine);
        if let Read::Since { changed, up_to, is_all: true, .. } =
            engine.memory.changes(&self.tenant, self.at, 1, now.time)
            && changed.is_empty()
        {
            (self.at, self.complete) = (up_to, Some(now));
        }
        Ok(self.complete.take().map(|Moment { time, as_of }| {
            self.said = self.at.revision;
            Bookmark { revision: engine.incarnation.wire(self.said), time, as_of }
        }))
    }

    fn snapshot(&mut self, engine: &Engine) -> Option<Watched> {
        let Phase::Snapshot { walk, devices } = &mut self.phase else { return None };
        let (page, is_done) = walk.page(engine, &self.tenant, |_| true)?;
        if !page.is_empty() {
            *devices += page.len() as u64;
            return Some(Watched::Snapshot(page));
        }
        let devices = *devices;
        is_done.then(|| {
            self.phase = Phase::Follow;
            Watched::SnapshotEnd { revision: engine.incarnation.wire(self.at.revision), devices }
        })
    }

    fn wide(&mut self, engine: &Engine) -> Option<Watched> {
        let Phase::Wide { walk, over, batch } = &mut self.phase else { return None };
        let (page, is_done) =
            walk.page(engine, &self.tenant, |known| over.has(engine, &self.tenant, known))?;
        if is_done {
            let batch = Batch { ..*batch };
            self.phase = Phase::Follow;
            return Some(self.end(engine, batch, page));
        }
        let oldest = batch.oldest;
        Some(self.more(engine, oldest, page))
    }

    async fn follow(&mut self, engine: &Engine) -> Result<Option<Watched>, Error> {
        self.subscription.look();
        let now = Moment::now(engine);
        let mut is_late = false;
        let (changed, batch) = match engine.memory.changes(&self.tenant, self.at, BATCH, now.time) {
            Read::Behind(floor) => {
                let (changed, batch) = self.stored(engine, floor).await?;
                // The stored feed has nothing of what devices did: once at its end.
                is_late =
                    batch.up_to.revision == floor.revision && engine.memory.looks_at_signs(&self.tenant);
                (changed, batch)
            }
            Read::Late(up_to) => {
                is_late = true;
                (Vec::new(), Batch { up_to, complete: None, oldest: None })
            }
            Read::Since { changed, up_to, is_all: true, .. } if changed.is_empty() => {
                (self.at, self.complete) = (up_to, Some(now));
                if !std::mem::replace(&mut self.is_current, true) {
                    return Ok(Some(Watched::Current));
                }
                self.subscription.woken().await;
                return Ok(None);
            }
            Read::Since { changed, up_to, is_all, oldest } => {
                (changed, Batch { up_to, complete: is_all.then_some(now), oldest })
            }
        };
        self.is_current = false;
        if changed.is_empty() && !is_late {
            self.at = batch.up_to;
            return Ok(None);
        }
        let (devices, mut over) = sorted(changed);
        over.timed = is_late;
        let at = engine.now();
        let devices = devices.into_iter().map(|device| {
            let name = wardein_ddkg::DeviceName { tenant: self.tenant.clone(), device };
            let known = engine.memory.device(&name);
            engine.device_verdict(&self.tenant, name.device, known.as_deref(), at)
        });
        let devices: Vec<_> = devices.collect();
        engine.hand_out(&self.tenant, &devices, at);
        if over.is_empty() {
            return Ok(Some(self.end(engine, batch, devices)));
        }
        let oldest = batch.oldest;
        self.phase = Phase::Wide { walk: Walk::default(), over, batch };
        Ok((!devices.is_empty()).then(|| self.more(engine, oldest, devices)))
    }

    /// The last message of a batch.
    fn end(&mut self, engine: &Engine, batch: Batch, devices: Vec<DeviceVerdict>) -> Watched {
        let Batch { up_to, complete, oldest } = batch;
        let (previous, lag) = (engine.incarnation.wire(self.said), oldest.map(|at| at.elapsed()));
        (self.at, self.said) = (up_to, up_to.revision);
        self.complete = complete.or(self.complete);
        Watched::Change { previous, revision: engine.incarnation.wire(self.said), devices, lag }
    }

    /// A message of a batch behind which more of it follows.
    fn more(&self, engine: &Engine, oldest: Option<Instant>, devices: Vec<DeviceVerdict>) -> Watched {
        let previous = engine.incarnation.wire(self.said);
        let lag = oldest.map(|at| at.elapsed());
        Watched::Change { revision: previous.clone(), previous, devices, lag }
    }

    /// Changes from the stored feed, up to `floor` at most: what is stored behind that may not be in memory yet.
    async fn stored(&self, engine: &Engine, place: Cursor) -> Result<(Vec<Changed>, Batch), Error> {
        let floor = place.revision;
        let commits = match engine.store.feed(self.at.revision, FEED_PAGE).await? {
            Feed::Since(commits) => commits,
            Feed::Truncated { up_to } => {
                let message = "changes after this revision are not kept any more; watch from a snapshot";
                let oldest = Detail::OldestRevision(engine.incarnation.wire(up_to));
                return Err(Error::new(ErrorCode::RevisionCompacted, message).with(oldest));
            }
        };
        let last = if commits.len() < FEED_PAGE { None } else { commits.last() };
        let up_to = last.map_or(floor, |last| last.revision.min(floor));
        let mut changed = Vec::new();
        for row in commits.iter().filter(|commit| commit.revision <= floor).flat_map(|commit| &commit.rows) {
            changed.extend(of_row(&self.tenant, row)?);
        }
        let turned = if up_to == floor { place.turned } else { self.at.turned };
        let up_to = Cursor { revision: up_to, turned };
        Ok((changed, Batch { up_to, complete: None, oldest: None }))
    }
}

impl Moment {
    fn now(engine: &Engine) -> Self {
        Self { time: engine.now(), as_of: Instant::now() }
    }
}

impl Over {
    fn is_empty(&self) -> bool {
        !self.is_all && !self.timed && self.profiles.is_empty()
    }

    fn has(&self, engine: &Engine, tenant: &TenantId, known: &KnownDevice) -> bool {
        let is_timed = || {
            let (_, set) = engine.memory.trust(tenant, &known.profile);
            set.is_some_and(|set| set.policy.looks_at_signs())
        };
        self.is_all || self.profiles.contains(&known.profile) || self.timed && is_timed()
    }
}

impl Walk {
    /// The next [`BATCH`] devices that are let through, or those that are left, and whether those are the last. None where it has looked
    /// at so many that others are to go first.
    fn page(
        &mut self,
        engine: &Engine,
        tenant: &TenantId,
        lets_through: impl Fn(&KnownDevice) -> bool,
    ) -> Option<(Vec<DeviceVerdict>, bool)> {
        let now = engine.now();
        for _ in 0..PARTS {
            let own = self.rest.by_ref().filter(|(_, known)| lets_through(known));
            let verdict = |(device, known): (DeviceId, Arc<KnownDevice>)| {
                engine.device_verdict(tenant, device, Some(&known), now)
            };
            let before = self.page.len();
            self.page.extend(own.take(BATCH - before).map(verdict));
            engine.hand_out(tenant, self.page.get(before..).unwrap_or_default(), now);
            if self.page.len() == BATCH {
                return Some((std::mem::take(&mut self.page), false));
            }
            let Some(part) = engine.memory.devices(tenant, self.part) else {
                return Some((std::mem::take(&mut self.page), true));
            };
            (self.part, self.rest) = (self.part + 1, part.into_iter());
        }
        None
    }
}

/// The authority itself may, where it knows what is so now.
async fn may_watch(engine: &Engine, principal: Option<&Principal>) -> Result<(), Error> {
    match principal {
        Some(principal) => engine.authenticate(principal).await,
        None => engine.current(),
    }
}

/// What the row of a stored commit changed for that tenant.
fn of_row(tenant: &TenantId, row: &FeedRow) -> Result<Option<Changed>, Error> {
    match row.table {
        Table::Device => {
            let name = rows::parse_device_key(&row.key)?;
            Ok((name.tenant == *tenant).then_some(Changed::Device(name.device)))
        }
        Table::Profile => {
            let (of, name) = rows::parse_profile_key(&row.key)?;
            Ok((of == *tenant).then_some(Changed::Profile(name)))
        }
        Table::TrustPolicy => {
            let (of, profile) = rows::parse_trust_policy_key(&row.key)?;
            Ok((of == *tenant).then_some(Changed::Policy(profile)))
        }
        Table::ProductLine => Ok(Some(Changed::Releases)),
        _ => Ok(None),
    }
}

/// The devices, each once, and those that changed together.
fn sorted(changed: Vec<Changed>) -> (Vec<DeviceId>, Over) {
    let (mut seen, mut devices, mut profiles) = (HashSet::new(), Vec::new(), HashSet::new());
    let mut is_wide = false;
    for changed in changed {
        match changed {
            Changed::Device(device) if seen.insert(device.clone()) => devices.push(device),
            Changed::Profile(name) | Changed::Policy(Some(name)) => {
                // Every other profile inherits from this one.
                is_wide |= name.as_str() == ProfileName::DEFAULT;
                profiles.insert(name);
            }
            Changed::Policy(None) | Changed::Releases => is_wide = true,
            Changed::Device(_) | Changed::Operator => {}
        }
    }
    (devices, Over { is_all: is_wide, profiles, timed: false })
}

/// Lets others on the same thread go first.
async fn yielded() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Seconds before a verdict ends by time at which the device is looked at again.
const AHEAD: u64 = 5;

/// Devices in a message: some 30 KB, 80 KB at most.
const BATCH: usize = 512;

/// How many parts of memory are looked at before others on the same thread go on.
const PARTS: usize = 32;

/// Commits of the stored feed that are read at a time.
const FEED_PAGE: usize = 256;
