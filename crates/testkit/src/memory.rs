//! A store in memory, whose process can be made to die at a chosen commit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wardein_port::{
    Change, CommitError, Committed, Entries, Feed, Head, Outcome, Peek, Pending, Projection, Projections,
    Row, RowKey, Scanned, Snapshot, Store, StoreError, Table, Told,
};

use crate::held::{self, Held};
use crate::store_contract::Fixture;

/// A store in memory. It applies and projects a change, and notifies its caller, before [`Store::commit`] returns, unless commits
/// are held back. A clone is another handle to the same rows. Where a projection fails, it panics.
///
/// It passes the contract suite, except that nothing survives the process: its restart is [`MemoryStore::restart`].
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

/// Where in a commit the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// Nothing of the change is there after the restart.
    BeforeApply,
    /// The whole change is there after the restart, and no memory has heard of it.
    DurableNotProjected,
    /// The whole change is there after the restart and was projected, and its caller has no answer.
    AfterApply,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Held while a commit is applied and projected, so that commits are projected in their order.
    order: Mutex<()>,
    /// Those of the process that runs.
    projections: Mutex<Arc<Projections>>,
}

#[derive(Default)]
struct State {
    held: Held,
    /// The last revision that was projected.
    projected: u64,
    /// Whether a commit was answered as unknown since the last recovery.
    has_failed: bool,
    commits: u64,
    /// Bytes that were written, ever.
    written: u64,
    plan: Option<(u64, CrashPoint)>,
    crashed: bool,
    is_held: bool,
    has_nodes: bool,
    waiting: VecDeque<(Change, Told)>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the process die at the commit number `nth` from now, the next one being 0. From then on nothing works until
    /// [`MemoryStore::restart`].
    pub fn crash_at(&self, nth: u64, point: CrashPoint) {
        let mut state = self.state();
        state.plan = Some((state.commits + nth, point));
    }

    /// Whether the planned crash has happened.
    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// The store as the next process finds it. Its followers are forgotten, as are the commits that wait; a crash that has not
    /// happened is called off.
    pub fn restart(&self) -> Self {
        let mut state = self.state();
        state.plan = None;
        (state.crashed, state.has_failed) = (false, false);
        state.projected = state.held.head().revision;
        let forgotten = std::mem::take(&mut state.waiting);
        drop(state);
        *self.0.projections.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
        // Their callers may look at the store as they go.
        drop(forgotten);
        self.clone()
    }

    /// How many changes were handed in, within bounds and not held back, refused ones included: the crash points to walk through.
    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    /// Lets commits wait, as for a disk that is slow, until [`MemoryStore::release`].
    pub fn hold(&self) {
        self.state().is_held = true;
    }

    /// Applies all commits that wait, in their order, and lets later ones proceed.
    pub fn release(&self) {
        let mut state = self.state();
        state.is_held = false;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for (change, told) in waiting {
            told(self.apply(change));
        }
    }

    /// Says from now on whether other nodes use it.
    pub fn has_nodes(&self, has_nodes: bool) {
        self.state().has_nodes = has_nodes;
    }

    /// How many commits wait.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Fails as a disk does: the outcome is unknown, and the applied part of `change`, if it was handed in at all, is projected
    /// at the next recovery.
    pub(crate) fn fail(&self, change: Option<&Change>) {
        let _order = self.order();
        let mut state = self.state();
        state.has_failed = true;
        if let Some(change) = change {
            // Refused, it is as if it had not been handed in.
            let _ = state.held.apply(change);
        }
    }

    /// Recovers, if it failed: changes applied since the last projected commit are projected.
    pub(crate) fn recover(&self) {
        let _order = self.order();
        self.recover_in_order();
    }

    fn recover_in_order(&self) {
        let mut state = self.state();
        if !std::mem::take(&mut state.has_failed) {
            return;
        }
        let feed = state.held.feed(state.projected, usize::MAX);
        state.projected = state.held.head().revision;
        drop(state);
        let projections = self.projections();
        projections.recovered();
        match feed {
            Feed::Since(commits) => {
                commits.iter().for_each(|committed| projections.project(committed).unwrap())
            }
            Feed::Truncated { .. } => unreachable!("the feed is truncated up to what was projected at most"),
        }
    }

    fn apply(&self, change: Change) -> Outcome {
        let _order = self.order();
        self.recover_in_order();
        let mut state = self.state();
        if state.crashed {
            return Err(CommitError::Unavailable(CRASHED.into()));
        }
        let now = state.plan.filter(|(nth, _)| *nth == state.commits).map(|(_, point)| point);
        state.commits += 1;
        if now == Some(CrashPoint::BeforeApply) {
            return Err(state.crash());
        }
        let revision = state.held.apply(&change)?;
        let values = change.writes.iter().filter_map(|write| write.value.as_ref());
        state.written += values.chain(&change.audit).map(|value| value.len() as u64).sum::<u64>();
        if now == Some(CrashPoint::DurableNotProjected) {
            return Err(state.crash());
        }
        state.projected = revision;
        state.held.truncate(revision);
        drop(state);
        if let Some(committed) = Committed::of(revision, change) {
            self.projections().project(&committed).unwrap();
        }
        if now == Some(CrashPoint::AfterApply) { Err(self.state().crash()) } else { Ok(revision) }
    }

    // A test that panicked elsewhere has reported its fault; the locked values are whole, as nothing here panics halfway.

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self) -> MutexGuard<'_, ()> {
        self.0.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn projections(&self) -> Arc<Projections> {
        Arc::clone(&self.0.projections.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn read<T>(&self, read: impl FnOnce(&Held) -> T) -> Result<T, StoreError> {
        let state = self.state();
        if state.crashed { Err(StoreError(CRASHED.into())) } else { Ok(read(&state.held)) }
    }
}

impl Store for MemoryStore {
    fn peek(&self, table: Table, key: &[u8]) -> Result<Peek, StoreError> {
        self.read(|held| Peek::Found(held.get(table, key).cloned()))
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> Pending<'a, Result<Vec<Option<Row>>, StoreError>> {
        let row = |held: &Held, RowKey { table, key }: &RowKey| held.get(*table, key).cloned();
        Box::pin(async move { self.read(|held| keys.iter().map(|name| row(held, name)).collect()) })
    }

    fn scan<'a>(
        &'a self,
        table: Table,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Pending<'a, Result<Scanned, StoreError>> {
        Box::pin(async move { self.read(|held| held.scan(table, prefix, after, limit)) })
    }

    fn audit(&self, from: u64, limit: usize) -> Pending<'_, Result<Entries, StoreError>> {
        Box::pin(async move { self.read(|held| held.entries(from, limit)) })
    }

    fn audit_of<'a>(
        &'a self,
        key: &'a [u8],
        from: u64,
        limit: usize,
    ) -> Pending<'a, Result<Entries, StoreError>> {
        Box::pin(async move { self.read(|held| held.entries_of(key, from, limit)) })
    }

    fn head(&self) -> Pending<'_, Result<Head, StoreError>> {
        Box::pin(async { self.read(Held::head) })
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        let held = self.read(Held::clone)?;
        let at = self.state().written;
        Ok(Some(Box::new(Moment { held, at, store: self.clone() })))
    }

    fn feed(&self, after: u64, limit: usize) -> Pending<'_, Result<Feed, StoreError>> {
        Box::pin(async move { self.read(|held| held.feed(after, limit)) })
    }

    fn follow(&self, projection: &Arc<dyn Projection>) {
        self.projections().add(projection);
    }

    fn commit(&self, change: Change, told: Told) {
        if let Err(error) = held::check(&change) {
            return told(Err(error));
        }
        let mut state = self.state();
        if state.is_held {
            return state.waiting.push_back((change, told));
        }
        drop(state);
        told(self.apply(change));
    }

    fn writable(&self) -> Result<(), String> {
        self.read(|_| ()).map_err(|error| error.0)
    }

    fn is_alone(&self) -> bool {
        !self.state().has_nodes
    }
}

impl Fixture for MemoryStore {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.restart())
    }
}

/// A copy of everything.
struct Moment {
    held: Held,
    at: u64,
    store: MemoryStore,
}

impl Snapshot for Moment {
    fn scan(&self, table: Table, after: Option<&[u8]>, limit: usize) -> Result<Scanned, StoreError> {
        self.store.read(|_| self.held.scan(table, b"", after, limit))
    }

    fn audit(&self, from: u64, limit: usize) -> Result<Entries, StoreError> {
        self.store.read(|_| self.held.entries(from, limit))
    }

    fn held(&self) -> u64 {
        self.store.state().written - self.at
    }
}

impl State {
    fn crash(&mut self) -> CommitError {
        self.crashed = true;
        CommitError::Unknown(CRASHED.into())
    }
}

const CRASHED: &str = "the process has died";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block_on, commit, get};
    use std::sync::atomic::{AtomicUsize, Ordering};

    crate::store_contract_tests!(Some(MemoryStore::new()));

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Projection for Counted {
        fn project(&self, _: &Committed) -> Result<(), String> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }

        fn recovered(&self) {}
    }

    fn tenant(key: u8) -> Change {
        let mut change = Change::default();
        change.insert(Table::Tenant, vec![key], vec![key]);
        change.audit.push(vec![key]);
        change
    }

    #[test]
    fn a_crash_leaves_all_or_nothing() {
        for (point, is_there, is_projected) in [
            (CrashPoint::BeforeApply, false, false),
            (CrashPoint::DurableNotProjected, true, false),
            (CrashPoint::AfterApply, true, true),
        ] {
            let store = MemoryStore::new();
            let counted = Arc::new(Counted::default());
            let following: Arc<dyn Projection> = counted.clone();
            store.follow(&following);
            store.crash_at(1, point);
            let write = |key| block_on(commit(&store, tenant(key)));
            assert_eq!(write(1), Ok(1));
            assert!(matches!(write(2), Err(CommitError::Unknown(_))));
            assert!(store.crashed() && store.writable().is_err());
            assert!(matches!(write(3), Err(CommitError::Unavailable(_))));
            assert!(store.peek(Table::Tenant, &[1]).is_err());
            assert_eq!(counted.0.load(Ordering::SeqCst), 1 + usize::from(is_projected));

            let store = store.restart();
            let is_found = |key| block_on(get(&store, Table::Tenant, &[key])).unwrap().is_some();
            assert_eq!([1, 2, 3].map(is_found), [true, is_there, false]);
            let last = 1 + u64::from(is_there);
            assert_eq!(block_on(store.head()), Ok(Head { revision: last, last_audit: last }));
            assert_eq!(store.commits(), 2);
            assert_eq!(block_on(commit(&store, tenant(4))), Ok(last + 1));
            let heard = counted.0.load(Ordering::SeqCst);
            assert_eq!(heard, 1 + usize::from(is_projected), "the process that followed is gone");
        }
    }

    #[test]
    fn held_commits_are_applied_in_their_order() {
        let store = MemoryStore::new();
        store.hold();
        let told = Arc::new(Mutex::new(Vec::new()));
        for key in 0..5 {
            let told = Arc::clone(&told);
            store.commit(tenant(key), Box::new(move |outcome| told.lock().unwrap().push(outcome)));
        }
        assert_eq!((store.waiting(), store.commits(), told.lock().unwrap().len()), (5, 0, 0));
        store.release();
        assert_eq!(*told.lock().unwrap(), [1, 2, 3, 4, 5].map(Ok));
        assert_eq!((store.waiting(), store.commits()), (0, 5));
        assert_eq!(block_on(commit(&store, tenant(5))), Ok(6));
        store.hold();
        let lost = commit(&store, tenant(6));
        let store = store.restart();
        assert!(matches!(block_on(lost), Err(CommitError::Unknown(_))), "it dies with its process");
        store.release();
        assert_eq!(block_on(store.head()).unwrap().revision, 6);
    }
}
