//! The feed in its space: the names of the rows that each commit wrote to tables that authorize.
//!
//! A key is the revision and the number of the row in its commit; a value is the time by which it is truncated, the table, and
//! the row's key.

use ::sled::{Batch, IVec, Tree};
use wardein_port::{Committed, Feed, FeedRow, StoreError, Table, Write};

use super::layout::{self, Revisions, Space, told};
use crate::age::{AT_A_TIME, Age};

/// The commits after `after`, at most `limit`, with the values that their rows have now. The caller keeps the writer away.
pub(super) fn read(tree: &Tree, truncated: u64, after: u64, limit: usize) -> Result<Feed, StoreError> {
    if after < truncated {
        return Ok(Feed::Truncated { up_to: truncated });
    }
    let mut commits: Vec<Committed> = Vec::new();
    let first = Space::Feed.key(&after.saturating_add(1).to_be_bytes());
    for found in tree.range(first..Space::Feed.end()) {
        let entry = Entry::parse(&found.map_err(told)?)?;
        let is_another = commits.last().is_none_or(|last| last.revision != entry.revision);
        if is_another && commits.len() == limit {
            break;
        }
        let value = layout::get(tree, Space::Rows(entry.table), &entry.key)?.map(|row| row.value);
        let row = FeedRow { table: entry.table, key: entry.key, value };
        match commits.last_mut() {
            Some(last) if !is_another => last.rows.push(row),
            _ => commits.push(Committed { revision: entry.revision, rows: vec![row] }),
        }
    }
    Ok(Feed::Since(commits))
}

/// Adds the writes of a change to tables that authorize, at the time to note.
pub(super) fn add(batch: &mut Batch, revision: u64, writes: &[Write], age: &mut Age) {
    for (n, write) in (0_u32..).zip(writes.iter().filter(|write| write.table.authorizes())) {
        let key = [&revision.to_be_bytes()[..], &n.to_be_bytes()].concat();
        let value = [&age.note().to_be_bytes()[..], &[write.table as u8], &write.key].concat();
        batch.insert(Space::Feed.key(&key), value);
    }
}

/// The times of the feed.
pub(super) fn age(tree: &Tree) -> Result<Age, StoreError> {
    let newest = tree.scan_prefix(Space::Feed.key(&[])).next_back().transpose().map_err(told)?;
    let newest = newest.map(|found| Entry::parse(&found)).transpose()?.map_or(0, |entry| entry.at_ms);
    Ok(Age::new(oldest(tree, 0)?, newest))
}

/// Removes some of the entries from before `before`, or without a time. Returns where the feed begins then, and the oldest time
/// that is left.
pub(super) fn truncate(
    tree: &Tree,
    batch: &mut Batch,
    revisions: Revisions,
    before: u64,
) -> Result<(Revisions, u64), StoreError> {
    let mut after = revisions;
    for (n, found) in tree.scan_prefix(Space::Feed.key(&[])).enumerate() {
        let found = found.map_err(told)?;
        let entry = Entry::parse(&found)?;
        // Times rise with revisions. A commit's entries go together.
        if entry.at_ms >= before || n >= AT_A_TIME && entry.revision != after.truncated {
            break;
        }
        batch.remove(found.0);
        after.truncated = entry.revision;
    }
    layout::put_revisions(batch, after);
    Ok((after, oldest(tree, after.truncated)?))
}

/// The time of the oldest entry after `after` that has one; 0 if there is none.
fn oldest(tree: &Tree, after: u64) -> Result<u64, StoreError> {
    let first = Space::Feed.key(&after.saturating_add(1).to_be_bytes());
    for found in tree.range(first..Space::Feed.end()) {
        let at_ms = Entry::parse(&found.map_err(told)?)?.at_ms;
        if at_ms > 0 {
            return Ok(at_ms);
        }
    }
    Ok(0)
}

struct Entry {
    revision: u64,
    at_ms: u64,
    table: Table,
    key: Vec<u8>,
}

impl Entry {
    fn parse((key, value): &(IVec, IVec)) -> Result<Self, StoreError> {
        let parsed = || {
            let (revision, _) = key.get(1..)?.split_first_chunk()?;
            let (at_ms, name) = value.split_first_chunk()?;
            let (number, key) = name.split_first()?;
            let table = Table::ALL.into_iter().find(|table| *table as u8 == *number)?;
            let (revision, at_ms) = (u64::from_be_bytes(*revision), u64::from_be_bytes(*at_ms));
            Some(Self { revision, at_ms, table, key: key.to_vec() })
        };
        parsed().ok_or_else(|| StoreError("an entry of the feed is damaged".into()))
    }
}
