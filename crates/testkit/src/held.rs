//! The contents of a store in memory, and how a change alters them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use wardein_port::{
    Change, Check, CommitError, Committed, Entries, Expect, Feed, FeedRow, Head, Indexed, MAX_KEY, MAX_VALUE,
    Numbered, Outcome, Row, RowKey, Scanned, Table, Write,
};

/// Rows, audit log and feed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    rows: BTreeMap<(Table, Vec<u8>), Row>,
    audit: Vec<Vec<u8>>,
    /// The numbers of entries by the keys under which they are found.
    index: BTreeMap<Vec<u8>, Vec<u64>>,
    revision: u64,
    feed: VecDeque<Entry>,
    /// The revision up to which the feed is truncated.
    truncated: u64,
    newest_ms: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    revision: u64,
    at_ms: u64,
    names: Vec<RowKey>,
}

impl Held {
    pub(crate) fn head(&self) -> Head {
        Head { revision: self.revision, last_audit: self.audit.len() as u64 }
    }

    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Option<&Row> {
        self.rows.get(&(table, key.to_vec()))
    }

    pub(crate) fn scan(&self, table: Table, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Scanned {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded((table, after.to_vec())),
            _ => Bound::Included((table, prefix.to_vec())),
        };
        self.rows
            .range((start, Bound::Unbounded))
            .take_while(|((of, key), _)| *of == table && key.starts_with(prefix))
            .take(limit)
            .map(|((_, key), row)| (key.clone(), row.clone()))
            .collect()
    }

    pub(crate) fn entries(&self, from: u64, limit: usize) -> Entries {
        let before = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let entries = self.audit.iter().skip(before).take(limit);
        (from.max(1)..).zip(entries.cloned()).collect()
    }

    pub(crate) fn entries_of(&self, key: &[u8], from: u64, limit: usize) -> Entries {
        let before = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let numbers = self.index.get(key).into_iter().flatten().skip(before).take(limit);
        numbers.zip(from.max(1)..).map(|(number, n)| (n, self.audit[*number as usize - 1].clone())).collect()
    }

    pub(crate) fn feed(&self, after: u64, limit: usize) -> Feed {
        if after < self.truncated {
            return Feed::Truncated { up_to: self.truncated };
        }
        let row = |RowKey { table, key }: &RowKey| FeedRow {
            table: *table,
            key: key.clone(),
            value: self.get(*table, key).map(|row| row.value.clone()),
        };
        let entries = self.feed.iter().filter(|entry| entry.revision > after).take(limit);
        let committed = |entry: &Entry| Committed {
            revision: entry.revision,
            rows: entry.names.iter().map(row).collect(),
        };
        Feed::Since(entries.map(committed).collect())
    }

    /// Applies a change whole or not at all.
    pub(crate) fn apply(&mut self, change: &Change) -> Outcome {
        if change.is_empty() {
            return Ok(self.revision);
        }
        let version = |table: Table, key: &[u8]| self.get(table, key).map(|row| row.version);
        for Check { table, key, version: expected } in &change.checks {
            if version(*table, key) != Some(*expected) {
                return Err(CommitError::Conflict { table: *table, key: key.clone() });
            }
        }
        for Write { table, key, expect, .. } in &change.writes {
            if Expect::found(version(*table, key)) != *expect {
                return Err(CommitError::Conflict { table: *table, key: key.clone() });
            }
        }
        self.revision += 1;
        for Write { table, key, value, .. } in &change.writes {
            let at = (*table, key.clone());
            match value {
                Some(value) => {
                    self.rows.insert(at, Row { version: self.revision, value: value.clone() });
                }
                None => {
                    self.rows.remove(&at);
                }
            }
        }
        for Indexed { key, entry } in &change.index {
            let number = match entry {
                Numbered::Here(at) => (self.audit.len() + at + 1) as u64,
                Numbered::Stored(number) => *number,
            };
            let numbers = self.index.entry(key.clone()).or_default();
            if numbers.last().is_none_or(|last| *last < number) {
                numbers.push(number);
            }
        }
        self.audit.extend(change.audit.iter().cloned());
        self.newest_ms = self.newest_ms.max(change.at_ms);
        let authorizing = change.writes.iter().filter(|write| write.table.authorizes());
        let names: Vec<_> =
            authorizing.map(|write| RowKey { table: write.table, key: write.key.clone() }).collect();
        if !names.is_empty() {
            self.feed.push_back(Entry { revision: self.revision, at_ms: self.newest_ms, names });
        }
        Ok(self.revision)
    }

    /// Truncates the feed by age, up to `projected` at most. Entries from before there was a time go with the first one that has
    /// one.
    pub(crate) fn truncate(&mut self, projected: u64) {
        let Some(before) = self.newest_ms.checked_sub(KEPT_MS) else { return };
        let has_old =
            self.feed.iter().find(|entry| entry.at_ms > 0).is_some_and(|entry| entry.at_ms < before);
        while has_old
            && let Some(oldest) =
                self.feed.pop_front_if(|entry| entry.at_ms < before && entry.revision <= projected)
        {
            self.truncated = oldest.revision;
        }
    }
}

/// Refuses a change that is out of the port's bounds.
pub(crate) fn check(change: &Change) -> Result<(), CommitError> {
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
    for Indexed { key, entry } in &change.index {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(CommitError::TooLarge("a key has 1 to 512 bytes"));
        }
        if matches!(entry, Numbered::Here(at) if *at >= change.audit.len()) {
            return Err(CommitError::TooLarge("an index names an entry that is not there"));
        }
    }
    if change.audit.iter().any(|entry| entry.len() > MAX_VALUE) {
        return Err(CommitError::TooLarge("an audit entry has at most 131072 bytes"));
    }
    Ok(())
}

/// For how long entries of the feed are kept, as in the stores that ship: 7 days.
const KEPT_MS: u64 = 7 * 24 * 60 * 60 * 1000;
