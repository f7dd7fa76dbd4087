//! The contract of every [`Store`], as tests.
//!
//! A store's own tests say `wardein_testkit::store_contract_tests!(Some(fixture))`, which makes one `#[test]` of each promise. A
//! fresh fixture is made for each.

mod feed;
mod index;
mod lasting;
mod revisions;
mod rows;
mod scans;
mod together;

use std::future::Future;
use std::sync::Arc;

use wardein_port::{Change, CommitError, Expect, Outcome, Row, Store, StoreError, Table, Write};

pub use crate::calls::{block_on, commit, get};
pub use feed::*;
pub use index::*;
pub use lasting::*;
pub use revisions::*;
pub use rows::*;
pub use scans::*;
pub use together::*;

/// A place for a store, empty at first.
pub trait Fixture {
    /// Opens the store at this place, the one before having been dropped; the first time it is empty.
    fn open(&self) -> Arc<dyn Store>;
}

/// Makes a `#[test]` of each promise of the contract, each over a new fixture; where that is `None`, of none.
#[macro_export]
macro_rules! store_contract_tests {
    ($fixture:expr) => {
        $crate::store_contract_tests! { @each $fixture,
            an_empty_store, insert_only, only_the_current_version_is_accepted, deletes, checks,
            absence_can_be_asserted, tables_are_apart,
            a_conflict_refuses_the_whole_change, a_conflict_refuses_only_its_change, scans_in_byte_order,
            scans_by_prefix, scans_page_by_page, audit_has_no_gaps, audit_has_no_gaps_across_groups, bounds,
            a_key_twice_in_a_change, large_values, everything_survives_reopening, no_increment_is_lost,
            one_wins_an_insert, dropped_callers_change_nothing, reads_while_writing_see_whole_changes,
            many_writes_in_a_change, a_snapshot_is_of_one_moment, many_rows_are_loaded_in_their_order,
            any_executor_will_do, a_version_is_the_revision_of_its_commit, revisions_rise_in_commit_order,
            revisions_go_on_over_reopenings, a_version_never_comes_again,
            the_feed_is_what_authorizes_in_commit_order, the_feed_is_read_page_by_page,
            followers_hear_each_commit_once_before_its_caller, a_feed_is_truncated_by_age,
            a_feed_without_times_is_kept, it_is_writable, entries_are_found_by_their_keys,
            groups_are_indexed_as_single_changes_are, stored_entries_are_indexed_once, an_index_has_bounds,
        }
    };
    (@each $fixture:expr, $($case:ident,)*) => {$(
        #[test]
        fn $case() {
            // A place that this machine cannot have says so by itself.
            if let Some(fixture) = $fixture {
                $crate::store_contract::$case(&fixture);
            }
        }
    )*};
}

const T: Table = Table::Certificate;
const NONE: [&[u8]; 0] = [];

fn put(store: &Arc<dyn Store>, table: Table, key: &[u8], expect: Expect, value: &[u8]) -> Outcome {
    let write = Write { table, key: key.to_vec(), expect, value: Some(value.to_vec()) };
    done(store, Change { writes: vec![write], ..Change::default() })
}

fn delete(store: &Arc<dyn Store>, key: &[u8], expect: Expect) -> Outcome {
    let write = Write { table: T, key: key.to_vec(), expect, value: None };
    done(store, Change { writes: vec![write], ..Change::default() })
}

/// The outcome of a change.
fn done(store: &Arc<dyn Store>, change: Change) -> Outcome {
    block_on(async { commit(&**store, change).await })
}

fn read(store: &Arc<dyn Store>, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
    block_on(get(&**store, table, key))
}

fn row(version: u64, value: &[u8]) -> Result<Option<Row>, StoreError> {
    Ok(Some(Row { version, value: value.to_vec() }))
}

fn conflict(table: Table, key: &[u8]) -> Outcome {
    Err(CommitError::Conflict { table, key: key.to_vec() })
}

fn scan(store: &Arc<dyn Store>, table: Table, prefix: &[u8], limit: usize) -> Vec<(Vec<u8>, Row)> {
    block_on(store.scan(table, prefix, None, limit)).unwrap()
}

fn keys(store: &Arc<dyn Store>, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Vec<u8>> {
    let rows = block_on(store.scan(T, prefix, after, limit)).unwrap();
    rows.into_iter().map(|(key, _)| key).collect()
}

fn audit(store: &Arc<dyn Store>, from: u64, limit: usize) -> Vec<(u64, Vec<u8>)> {
    block_on(store.audit(from, limit)).unwrap()
}

fn last_audit(store: &Arc<dyn Store>) -> u64 {
    block_on(store.head()).unwrap().last_audit
}

fn revision(store: &Arc<dyn Store>) -> u64 {
    block_on(store.head()).unwrap().revision
}

fn commit_of(store: &Arc<dyn Store>, change: Change) -> impl Future<Output = Outcome> + Send + 'static {
    let store = Arc::clone(store);
    async move { commit(&*store, change).await }
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
