//! A store that does everything that the port allows, by chance.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use wardein_port::{
    Change, CommitError, Entries, Feed, Head, Peek, Pending, Projection, Row, RowKey, Scanned, Snapshot,
    Store, StoreError, Table, Told,
};

use crate::held;
use crate::memory::MemoryStore;
use crate::store_contract::Fixture;

/// A [`MemoryStore`] that behaves as a store across a bad network may: rows are not at hand, answers come late and in another
/// order, commits wait and overtake each other, are refused, or have an unknown outcome. Its behavior follows from its seed,
/// where its callers are deterministic. A clone is another handle to the same rows.
#[derive(Clone)]
pub struct ChaosStore(Arc<Shared>);

/// How often each thing happens, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chaos {
    /// A row is not at hand: [`Peek::Later`].
    pub later: u32,
    /// An answer takes some turns of its runtime.
    pub slow: u32,
    /// A commit is applied some turns of the runtime later, so that others overtake it. Without a runtime nothing is delayed.
    pub delayed: u32,
    /// A commit is refused as [`CommitError::Unavailable`].
    pub unavailable: u32,
    /// A commit's outcome is [`CommitError::Unknown`]; half of these are applied.
    pub unknown: u32,
}

struct Shared {
    memory: MemoryStore,
    state: Mutex<State>,
}

struct State {
    chaos: Chaos,
    random: SplitMix64,
    /// Commits that are delayed, in their order.
    delayed: BTreeMap<u64, (Change, Told)>,
    next: u64,
}

impl Chaos {
    /// Much of everything.
    pub const ROUGH: Self = Self { later: 500, slow: 500, delayed: 300, unavailable: 50, unknown: 50 };
}

impl ChaosStore {
    /// An empty store.
    pub fn new(seed: u64, chaos: Chaos) -> Self {
        Self::over(MemoryStore::new(), seed, chaos)
    }

    /// The same over a store that exists.
    pub fn over(memory: MemoryStore, seed: u64, chaos: Chaos) -> Self {
        let state = State { chaos, random: SplitMix64(seed), delayed: BTreeMap::new(), next: 0 };
        Self(Arc::new(Shared { memory, state: Mutex::new(state) }))
    }

    /// The store beneath, which behaves.
    pub fn memory(&self) -> &MemoryStore {
        &self.0.memory
    }

    /// Sets how often each thing happens from now on.
    pub fn set(&self, chaos: Chaos) {
        self.state().chaos = chaos;
    }

    /// Applies delayed commits, recovers from unknown outcomes and projects everything: memory matches the rows.
    pub fn settle(&self) {
        loop {
            let Some((_, (change, told))) = self.state().delayed.pop_first() else { break };
            self.apply(change, told);
        }
        self.0.memory.recover();
    }

    fn apply(&self, change: Change, told: Told) {
        let is_unavailable = self.chance(|chaos| chaos.unavailable);
        let is_unknown = self.chance(|chaos| chaos.unknown);
        let is_applied = self.chance(|_| 500);
        if is_unavailable {
            return told(Err(CommitError::Unavailable("by chance".into())));
        }
        if is_unknown {
            self.0.memory.fail(is_applied.then_some(&change));
            return told(Err(CommitError::Unknown("by chance".into())));
        }
        self.0.memory.commit(change, told);
    }

    /// Delays an answer. It is of the moment of its request, or of its arrival.
    fn slowly<'a, T: Send + 'a>(&'a self, answer: Pending<'a, T>) -> Pending<'a, T> {
        let is_slow = self.chance(|chaos| chaos.slow);
        let turns = if is_slow { self.state().random.turns() } else { Turns(0) };
        let is_read_first = self.chance(|_| 500);
        Box::pin(async move {
            if is_read_first {
                let answer = answer.await;
                turns.await;
                return answer;
            }
            turns.await;
            answer.await
        })
    }

    fn chance(&self, thousandths: impl FnOnce(&Chaos) -> u32) -> bool {
        let mut state = self.state();
        let thousandths = thousandths(&state.chaos);
        state.random.next() % 1000 < thousandths.into()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole, as nothing here panics halfway.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for ChaosStore {
    fn peek(&self, table: Table, key: &[u8]) -> Result<Peek, StoreError> {
        if self.chance(|chaos| chaos.later) {
            return Ok(Peek::Later);
        }
        self.0.memory.peek(table, key)
    }

    fn load<'a>(&'a self, keys: &'a [RowKey]) -> Pending<'a, Result<Vec<Option<Row>>, StoreError>> {
        self.slowly(self.0.memory.load(keys))
    }

    fn scan<'a>(
        &'a self,
        table: Table,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> Pending<'a, Result<Scanned, StoreError>> {
        self.slowly(self.0.memory.scan(table, prefix, after, limit))
    }

    fn audit(&self, from: u64, limit: usize) -> Pending<'_, Result<Entries, StoreError>> {
        self.slowly(self.0.memory.audit(from, limit))
    }

    fn audit_of<'a>(
        &'a self,
        key: &'a [u8],
        from: u64,
        limit: usize,
    ) -> Pending<'a, Result<Entries, StoreError>> {
        self.slowly(self.0.memory.audit_of(key, from, limit))
    }

    fn head(&self) -> Pending<'_, Result<Head, StoreError>> {
        self.slowly(self.0.memory.head())
    }

    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError> {
        self.0.memory.snapshot()
    }

    fn feed(&self, after: u64, limit: usize) -> Pending<'_, Result<Feed, StoreError>> {
        self.slowly(self.0.memory.feed(after, limit))
    }

    fn follow(&self, projection: &Arc<dyn Projection>) {
        self.0.memory.follow(projection);
    }

    fn commit(&self, change: Change, told: Told) {
        if let Err(error) = held::check(&change) {
            return told(Err(error));
        }
        let is_delayed = self.chance(|chaos| chaos.delayed);
        let Some(runtime) = Handle::try_current().ok().filter(|_| is_delayed) else {
            return self.apply(change, told);
        };
        let mut state = self.state();
        let (turns, number) = (state.random.turns(), state.next);
        state.next += 1;
        state.delayed.insert(number, (change, told));
        drop(state);
        let store = self.clone();
        runtime.spawn(async move {
            turns.await;
            let delayed = store.state().delayed.remove(&number);
            // It may have been settled in the meantime.
            if let Some((change, told)) = delayed {
                store.apply(change, told);
            }
        });
    }

    fn writable(&self) -> Result<(), String> {
        self.0.memory.writable()
    }
}

impl Fixture for ChaosStore {
    fn open(&self) -> Arc<dyn Store> {
        self.settle();
        self.0.memory.restart();
        Arc::new(self.clone())
    }
}

/// Pending so many times.
struct Turns(u64);

impl Future for Turns {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn turns(&mut self) -> Turns {
        Turns(1 + self.next() % 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block_on, commit, get};
    use std::collections::BTreeMap;
    use wardein_port::Committed;

    // One caller's commits come in their order here, so that none is delayed; and each has the outcome that it must have.
    crate::store_contract_tests!(Some(ChaosStore::new(
        11,
        Chaos { later: 500, slow: 500, ..Chaos::default() }
    )));

    /// A copy of the tenants' rows, maintained by projections.
    #[derive(Default)]
    struct Copied {
        rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
        revisions: Mutex<Vec<u64>>,
        recoveries: Mutex<u32>,
    }

    impl Projection for Copied {
        fn project(&self, committed: &Committed) -> Result<(), String> {
            self.revisions.lock().unwrap().push(committed.revision);
            for row in &committed.rows {
                let mut rows = self.rows.lock().unwrap();
                match &row.value {
                    Some(value) => rows.insert(row.key.clone(), value.clone()),
                    None => rows.remove(&row.key),
                };
            }
            Ok(())
        }

        fn recovered(&self) {
            *self.recoveries.lock().unwrap() += 1;
        }
    }

    /// Adds 1 to a number, trying again after a conflict.
    async fn add(store: ChaosStore) -> Result<u64, CommitError> {
        loop {
            let row = get(&store, Table::Tenant, b"sum").await.unwrap();
            let sum = row.as_ref().map_or(0, |row| u64::from_be_bytes(row.value[..].try_into().unwrap()));
            let mut change = Change::default();
            change.put(
                Table::Tenant,
                b"sum".to_vec(),
                row.map(|row| row.version),
                (sum + 1).to_be_bytes().to_vec(),
            );
            match commit(&store, change).await {
                Err(CommitError::Conflict { .. }) => {}
                outcome => return outcome,
            }
        }
    }

    /// The outcomes of 200 additions at once: applied, refused, unknown, and the sum.
    fn run(seed: u64) -> (u64, u64, u64, u64) {
        let store = ChaosStore::new(seed, Chaos::ROUGH);
        let copied = Arc::new(Copied::default());
        let following: Arc<dyn Projection> = copied.clone();
        store.follow(&following);
        let outcomes = block_on(async {
            let tasks: Vec<_> = (0..200).map(|_| tokio::spawn(add(store.clone()))).collect();
            let mut outcomes = Vec::new();
            for task in tasks {
                outcomes.push(task.await.unwrap());
            }
            outcomes
        });
        store.settle();
        let (mut applied, mut refused, mut unknown) = (0, 0, 0);
        for outcome in outcomes {
            match outcome {
                Ok(_) => applied += 1,
                Err(CommitError::Unavailable(_)) => refused += 1,
                Err(CommitError::Unknown(_)) => unknown += 1,
                Err(other) => panic!("{other}"),
            }
        }
        let rows = block_on(store.memory().scan(Table::Tenant, b"", None, 9)).unwrap();
        let rows: BTreeMap<_, _> = rows.into_iter().map(|(key, row)| (key, row.value)).collect();
        assert_eq!(*copied.rows.lock().unwrap(), rows, "memory is as the rows are");
        let revisions = copied.revisions.lock().unwrap();
        assert!(revisions.is_sorted_by(|one, next| one < next), "{revisions:?}");
        assert_eq!(revisions.len() as u64, block_on(store.memory().head()).unwrap().revision);
        assert!(*copied.recoveries.lock().unwrap() > 0);
        let sum = u64::from_be_bytes(rows[&b"sum"[..]][..].try_into().unwrap());
        assert!((applied..=applied + unknown).contains(&sum), "{applied} and {unknown}: {sum}");
        (applied, refused, unknown, sum)
    }

    #[test]
    fn nothing_is_lost_in_the_chaos_and_a_seed_gives_one_run() {
        let (applied, refused, unknown, sum) = run(7);
        assert!(refused > 0 && unknown > 0 && sum > applied && sum < applied + unknown);
        assert_eq!(run(7), (applied, refused, unknown, sum));
        assert_ne!(run(8), (applied, refused, unknown, sum));
    }

    #[test]
    fn what_is_unknown_is_projected_at_the_next_commit_and_not_before() {
        let unknown = Chaos { unknown: 1000, ..Chaos::default() };
        let store = ChaosStore::new(1, unknown);
        let copied = Arc::new(Copied::default());
        let following: Arc<dyn Projection> = copied.clone();
        store.follow(&following);
        let tenant = |key: u8| {
            let mut change = Change::default();
            change.insert(Table::Tenant, vec![key], vec![key]);
            block_on(commit(&store, change))
        };
        (0..20).for_each(|key| assert!(matches!(tenant(key), Err(CommitError::Unknown(_)))));
        let rows = block_on(store.memory().scan(Table::Tenant, b"", None, 99)).unwrap().len();
        assert!(rows > 0 && rows < 20, "{rows}");
        assert_eq!(copied.rows.lock().unwrap().len(), 0);
        store.set(Chaos::default());
        assert_eq!(tenant(50), Ok(rows as u64 + 1));
        assert_eq!(copied.rows.lock().unwrap().len(), rows + 1);
        assert_eq!(*copied.recoveries.lock().unwrap(), 1);
    }

    #[test]
    fn commits_overtake_each_other_and_none_stays_behind() {
        let store = ChaosStore::new(3, Chaos { delayed: 500, ..Chaos::default() });
        let audit = |n: u8| Change { audit: vec![vec![n]], ..Change::default() };
        block_on(async {
            let outcomes: Vec<_> = (0..20).map(|n| commit(&store, audit(n))).collect();
            for outcome in outcomes {
                outcome.await.unwrap();
            }
        });
        let entries = block_on(store.audit(1, 99)).unwrap();
        let order: Vec<_> = entries.into_iter().map(|(_, entry)| entry[0]).collect();
        assert_eq!(order.len(), 20);
        assert!(!order.is_sorted(), "{order:?}");
        // The runtime ends before they are applied.
        let waiting: Vec<_> = block_on(async { (0..20).map(|n| commit(&store, audit(n))).collect() });
        assert!(block_on(store.head()).unwrap().revision < 40);
        store.settle();
        assert_eq!(block_on(store.head()).unwrap().revision, 40);
        waiting.into_iter().for_each(|outcome| assert!(block_on(outcome).is_ok()));
    }
}
