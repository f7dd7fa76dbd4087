//! What every [`Store`] must keep, as tests.
//!
//! A store's own tests say `wardein_testkit::store_contract_tests!(fixture)`, which makes one `#[test]` of each promise. The
//! fixture is made anew for each.

mod lasting;
mod rows;
mod scans;
mod together;

use std::future::Future;
use std::sync::Arc;

use wardein_engine::port::{Change, CommitError, Expect, Row, Store, StoreError, Table, Write};

pub use lasting::*;
pub use rows::*;
pub use scans::*;
pub use together::*;

/// A place for a store, empty at first.
pub trait Fixture {
    /// The store that is tested.
    type Store: Store;

    /// Opens the store at this place, the one before having been dropped; the first time it is empty.
    fn open(&self) -> Self::Store;
}

/// Makes a `#[test]` of each promise of the contract, each over a new fixture.
#[macro_export]
macro_rules! store_contract_tests {
    ($fixture:expr) => {
        $crate::store_contract_tests! { @each $fixture,
            an_empty_store, insert_only, versions_rise_by_one, deletes, checks, absence_can_be_asserted,
            tables_are_apart,
            a_conflict_refuses_the_whole_change, a_conflict_refuses_only_its_change, scans_in_byte_order,
            scans_by_prefix, scans_page_by_page, audit_has_no_gaps, audit_has_no_gaps_across_groups, bounds,
            a_key_twice_in_a_change, large_values, everything_survives_reopening, no_increment_is_lost,
            one_wins_an_insert, dropped_futures_harm_nothing, reads_while_writing_see_whole_changes,
            many_writes_in_a_change, a_snapshot_is_of_one_moment,
        }
    };
    (@each $fixture:expr, $($case:ident,)*) => {$(
        #[test]
        fn $case() {
            $crate::store_contract::$case(&$fixture);
        }
    )*};
}

/// Runs `future` on a runtime of this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

const T: Table = Table::Certificate;
const NONE: [&[u8]; 0] = [];

fn put(
    store: &impl Store,
    table: Table,
    key: &[u8],
    expect: Expect,
    value: &[u8],
) -> Result<(), CommitError> {
    let write = Write { table, key: key.to_vec(), expect, value: Some(value.to_vec()) };
    block_on(store.commit(Change { writes: vec![write], ..Change::default() }))
}

fn delete(store: &impl Store, key: &[u8], expect: Expect) -> Result<(), CommitError> {
    let write = Write { table: T, key: key.to_vec(), expect, value: None };
    block_on(store.commit(Change { writes: vec![write], ..Change::default() }))
}

fn row(version: u64, value: &[u8]) -> Result<Option<Row>, StoreError> {
    Ok(Some(Row { version, value: value.to_vec() }))
}

fn conflict(table: Table, key: &[u8]) -> Result<(), CommitError> {
    Err(CommitError::Conflict { table, key: key.to_vec() })
}

fn keys(store: &impl Store, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Vec<u8>> {
    store.scan(T, prefix, after, limit).unwrap().into_iter().map(|(key, _)| key).collect()
}

fn commit_of<S: Store>(
    store: &Arc<S>,
    change: Change,
) -> impl Future<Output = Result<(), CommitError>> + Send + 'static {
    let store = Arc::clone(store);
    async move { store.commit(change).await }
}

/// Runs `count` futures at once on this thread; their outcomes in order.
fn at_once<F>(count: u64, make: impl Fn(u64) -> F) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tasks: Vec<_> = (0..count).map(|n| runtime.spawn(make(n))).collect();
    runtime.block_on(async {
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    })
}

/// Runs `count` futures on four threads.
fn on_threads<F>(count: u64, make: impl Fn(u64) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let tasks: Vec<_> = (0..count).map(|n| runtime.spawn(make(n))).collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
}
