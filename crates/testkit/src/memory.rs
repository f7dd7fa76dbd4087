//! A store in memory, whose process can be made to die at a chosen commit.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use wardein_engine::port::{
    Change, Check, CommitError, Expect, MAX_KEY, MAX_VALUE, Row, Snapshot, Store, StoreError, Table, Write,
};

use crate::store_contract::Fixture;

/// A store in memory. A clone is another handle to the same rows.
///
/// It passes the contract suite, except that nothing survives the process: its restart is [`MemoryStore::restart`].
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

/// Where in a commit the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// Nothing of the change is there after the restart.
    BeforeApply,
    /// The whole change is there after the restart, and nobody was told.
    AfterApply,
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

    /// The store as the next process finds it; a crash that has not happened is called off.
    pub fn restart(&self) -> Self {
        let mut state = self.state();
        state.plan = None;
        state.crashed = false;
        drop(state);
        self.clone()
    }

    /// How many changes were handed in and within bounds, refused ones included: the crash points to walk through.
    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    /// Lets commits wait, as for a disk that is slow, until [`MemoryStore::release`].
    pub fn hold(&self) {
        self.state().is_held = true;
    }

    /// Lets all commits go on that wait, and those to come.
    pub fn release(&self) {
        let mut state = self.state();
        state.is_held = false;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    /// How many commits have come to wait since the last release.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    fn poll_released(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !state.is_held {
            return Poll::Ready(());
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere has said what is wrong; this state is whole, as nothing below panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        if state.crashed { Err(StoreError(CRASHED.into())) } else { Ok(state) }
    }
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        Ok(self.alive()?.held.rows.get(&(table, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        Ok(self.alive()?.held.scan(table, prefix, after, limit))
    }

    fn audit(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        Ok(self.alive()?.held.entries(from, limit))
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        let state = self.alive()?;
        let (held, at) = (state.held.clone(), state.written);
        Ok(Some(Box::new(Moment { held, at, store: self.clone() })))
    }

    fn last_audit(&self) -> Result<u64, StoreError> {
        Ok(self.alive()?.held.audit.len() as u64)
    }

    async fn commit(&self, change: Change) -> Result<(), CommitError> {
        check(&change)?;
        poll_fn(|cx| self.poll_released(cx)).await;
        let mut state = self.state();
        if state.crashed {
            return Err(CommitError::Unavailable(CRASHED.into()));
        }
        let now = state.plan.filter(|(nth, _)| *nth == state.commits).map(|(_, point)| point);
        state.commits += 1;
        if now == Some(CrashPoint::BeforeApply) {
            return Err(state.crash());
        }
        state.apply(change)?;
        if now == Some(CrashPoint::AfterApply) {
            return Err(state.crash());
        }
        Ok(())
    }
}

impl Fixture for MemoryStore {
    type Store = Self;

    fn open(&self) -> Self {
        self.restart()
    }
}

/// A copy of everything.
struct Moment {
    held: Held,
    at: u64,
    store: MemoryStore,
}

impl Snapshot for Moment {
    fn scan(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        drop(self.store.alive()?);
        Ok(self.held.scan(table, b"", after, limit))
    }

    fn audit(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        drop(self.store.alive()?);
        Ok(self.held.entries(from, limit))
    }

    fn held(&self) -> u64 {
        self.store.state().written - self.at
    }
}

#[derive(Debug, Clone, Default)]
struct Held {
    rows: BTreeMap<(Table, Vec<u8>), Row>,
    audit: Vec<Vec<u8>>,
}

impl Held {
    fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<(Vec<u8>, Row)> {
        let behind = match after {
            Some(after) if after >= prefix => Bound::Excluded((table, after.to_vec())),
            _ => Bound::Included((table, prefix.to_vec())),
        };
        self.rows
            .range((behind, Bound::Unbounded))
            .take_while(|((of, key), _)| *of == table && key.starts_with(prefix))
            .take(limit)
            .map(|((_, key), row)| (key.clone(), row.clone()))
            .collect()
    }

    fn entries(&self, from: u64, limit: usize) -> Vec<(u64, Vec<u8>)> {
        let before = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let entries = self.audit.iter().skip(before).take(limit);
        (from.max(1)..).zip(entries.cloned()).collect()
    }
}

#[derive(Debug, Default)]
struct State {
    held: Held,
    commits: u64,
    /// Bytes that were written, ever.
    written: u64,
    plan: Option<(u64, CrashPoint)>,
    crashed: bool,
    is_held: bool,
    waiting: Vec<Waker>,
}

impl State {
    fn apply(&mut self, change: Change) -> Result<(), CommitError> {
        for Check { table, key, version } in &change.checks {
            if self.held.rows.get(&(*table, key.clone())).map(|row| row.version) != Some(*version) {
                return Err(CommitError::Conflict { table: *table, key: key.clone() });
            }
        }
        for Write { table, key, expect, .. } in &change.writes {
            let found = self.held.rows.get(&(*table, key.clone())).map(|row| row.version);
            let expected = match expect {
                Expect::Absent => None,
                Expect::Version(version) => Some(*version),
            };
            if found != expected {
                return Err(CommitError::Conflict { table: *table, key: key.clone() });
            }
        }
        let writes = change.writes.iter().filter_map(|write| write.value.as_ref());
        self.written += writes.chain(&change.audit).map(|value| value.len() as u64).sum::<u64>();
        for Write { table, key, value, .. } in change.writes {
            let at = (table, key);
            match value {
                Some(value) => {
                    let version = self.held.rows.get(&at).map_or(0, |row| row.version) + 1;
                    self.held.rows.insert(at, Row { version, value });
                }
                None => {
                    self.held.rows.remove(&at);
                }
            }
        }
        self.held.audit.extend(change.audit);
        Ok(())
    }

    fn crash(&mut self) -> CommitError {
        self.crashed = true;
        CommitError::Unknown(CRASHED.into())
    }
}

fn check(change: &Change) -> Result<(), CommitError> {
    let mut keys: Vec<_> = change.writes.iter().map(|write| (write.table, &write.key)).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(CommitError::TooLarge("a key is written twice"));
    }
    for write in &change.writes {
        if write.key.is_empty() || write.key.len() > MAX_KEY {
            return Err(CommitError::TooLarge("a key has 1 to 512 bytes"));
        }
        if write.value.as_ref().is_some_and(|value| value.len() > MAX_VALUE) {
            return Err(CommitError::TooLarge("a value has at most 131072 bytes"));
        }
    }
    if change.audit.iter().any(|entry| entry.len() > MAX_VALUE) {
        return Err(CommitError::TooLarge("an audit entry has at most 131072 bytes"));
    }
    Ok(())
}

const CRASHED: &str = "the process has died";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_contract::block_on;

    crate::store_contract_tests!(MemoryStore::new());

    #[test]
    fn a_crash_before_applying_leaves_nothing_and_after_applying_everything() {
        for (point, there) in [(CrashPoint::BeforeApply, false), (CrashPoint::AfterApply, true)] {
            let store = MemoryStore::new();
            store.crash_at(1, point);
            let write = |key: u8| {
                let mut change = Change::default();
                change.insert(Table::Tenant, vec![key], vec![key]);
                change.audit.push(vec![key]);
                block_on(store.commit(change))
            };
            assert_eq!(write(1), Ok(()));
            assert!(matches!(write(2), Err(CommitError::Unknown(_))));
            assert!(store.crashed());
            assert!(matches!(write(3), Err(CommitError::Unavailable(_))));
            assert!(store.get(Table::Tenant, &[1]).is_err());

            let store = store.restart();
            assert!(store.get(Table::Tenant, &[1]).unwrap().is_some());
            assert_eq!(store.get(Table::Tenant, &[2]).unwrap().is_some(), there);
            assert_eq!(store.last_audit(), Ok(1 + u64::from(there)));
            assert_eq!(store.get(Table::Tenant, &[3]), Ok(None));
            assert_eq!(store.commits(), 2);
        }
    }
}
