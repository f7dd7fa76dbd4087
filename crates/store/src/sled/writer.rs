//! The writing side: a group is one batch, then a sync of sled's file.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::sled::Batch;
use wardein_port::{Change, Check, CommitError, Expect, Head, Outcome, StoreError, Write};

use super::flush::flush;
use super::layout::{self, Revisions, Space};
use super::{PANICKED, Shared, State, feed, index};
use crate::age::Age;
use crate::open::OpenError;
use crate::place::Lock;
use crate::postings::{Filing, Tails};
use crate::queue::{Fault, Writer};

/// The writer, in its thread. It alone writes, so that its lookups stay valid until it writes.
pub(super) struct SledWriter {
    path: PathBuf,
    shared: Arc<Shared>,
    /// sled's file, on our own handle: sled's own flush ends in `sync_file_range`, which neither flushes the disk's
    /// cache nor commits the file's size (sync_file_range(2), "Warning").
    file: File,
    age: Age,
    tails: Tails,
    /// Also here, as the thread may outlive the store.
    _lock: Arc<Lock>,
}

impl SledWriter {
    pub(super) fn open(path: &Path, shared: Arc<Shared>, lock: Arc<Lock>) -> Result<Self, OpenError> {
        let file = File::open(path.join("db")).map_err(|error| OpenError::failed(path, error))?;
        let age = feed::age(&shared.tree).map_err(|error| OpenError::failed(path, error))?;
        let writer = Self { path: path.to_owned(), shared, file, age, tails: Tails::default(), _lock: lock };
        // The mark of a store that is new, or was upgraded.
        writer.sync().map_err(|why| OpenError::failed(path, why))?;
        Ok(writer)
    }

    fn sync(&self) -> Result<(), String> {
        flush(&self.shared.tree)?;
        self.file.sync_data().map_err(|error| error.to_string())
    }

    /// Any error is final for the handle: sled's memory and the disk may differ from now on.
    fn fail(&self, why: &str) -> String {
        let why = format!("{}: {why}; restart the service to open the store again", self.path.display());
        if let Ok(mut state) = self.shared.state.write() {
            *state = Err(why.clone());
        }
        why
    }
}

impl Writer for SledWriter {
    fn write(&mut self, group: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let state = self.state().map_err(Fault::Unavailable)?;
        let mut plan = Plan {
            shared: &self.shared,
            batch: Batch::default(),
            heads: HashMap::new(),
            head: state.head,
            age: self.age,
        };
        let mut filing = Filing::default();
        let outcomes = group.iter().map(|change| {
            let before = plan.head.last_audit;
            let outcome = plan.add(change)?;
            if outcome.is_ok() {
                filing.add(change, before);
            }
            Ok(outcome)
        });
        let outcomes = outcomes.collect::<Result<Vec<_>, StoreError>>().and_then(|outcomes| {
            index::add(&self.shared.tree, &mut plan.batch, filing, &mut self.tails)?;
            Ok(outcomes)
        });
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(StoreError(why)) => return Err(Fault::Unavailable(self.fail(&why))),
        };
        let Plan { mut batch, head, age, .. } = plan;
        if head.revision > state.head.revision {
            let revisions = Revisions { last: head.revision, truncated: state.truncated };
            layout::put_revisions(&mut batch, revisions);
        }
        self.apply(batch, State { head, ..state })
            .and_then(|()| self.sync())
            .map_err(|why| Fault::Unknown(self.fail(&why)))?;
        self.age = age;
        Ok(outcomes)
    }

    fn rest(&mut self) {
        let (Some(before), Ok(state)) = (self.age.due(), self.state()) else { return };
        let revisions = Revisions { last: state.head.revision, truncated: state.truncated };
        let mut batch = Batch::default();
        let truncated = feed::truncate(&self.shared.tree, &mut batch, revisions, before)
            .map_err(|error| error.0)
            .and_then(|(after, oldest)| {
                // The removal need not be durable by itself: it comes to disk before the next group does.
                self.apply(batch, State { truncated: after.truncated, ..state }).map(|()| oldest)
            });
        match truncated {
            Ok(oldest) => self.age.truncated(oldest),
            Err(why) => drop(self.fail(&why)),
        }
    }
}

impl SledWriter {
    fn state(&self) -> Result<State, String> {
        self.shared.read(|_, state| Ok(state)).map_err(|error| error.0)
    }

    fn apply(&self, batch: Batch, after: State) -> Result<(), String> {
        let mut state = self.shared.state.write().map_err(|_| PANICKED)?;
        self.shared.tree.apply_batch(batch).map_err(|error| error.to_string())?;
        *state = Ok(after);
        Ok(())
    }
}

/// A group in the making.
struct Plan<'a> {
    shared: &'a Shared,
    batch: Batch,
    /// The group's changes of rows, ahead of the tree: version and length.
    heads: HashMap<Vec<u8>, Option<(u64, usize)>>,
    head: Head,
    age: Age,
}

impl Plan<'_> {
    /// Adds a change, or nothing of it where a row is not as expected.
    fn add(&mut self, change: &Change) -> Result<Outcome, StoreError> {
        if change.is_empty() {
            return Ok(Ok(self.head.revision));
        }
        for Check { table, key, version } in &change.checks {
            let head = self.head(&Space::Rows(*table).key(key))?;
            if head.is_none_or(|(found, _)| found != *version) {
                return Ok(Err(CommitError::Conflict { table: *table, key: key.clone() }));
            }
        }
        let mut found = Vec::with_capacity(change.writes.len());
        for write in &change.writes {
            let key = Space::Rows(write.table).key(&write.key);
            let head = self.head(&key)?;
            let holds = match write.expect {
                Expect::Absent => head.is_none(),
                Expect::Version(version) => head.is_some_and(|(found, _)| found == version),
            };
            if !holds {
                return Ok(Err(CommitError::Conflict { table: write.table, key: write.key.clone() }));
            }
            found.push((key, head));
        }
        let revision = self.head.revision + 1;
        for (Write { value, .. }, (key, head)) in change.writes.iter().zip(found) {
            let length = head.map_or(0, |(_, length)| length);
            let after = match value {
                Some(value) => {
                    layout::put(&mut self.batch, &key, revision, value, length);
                    Some((revision, value.len()))
                }
                None => {
                    layout::remove(&mut self.batch, &key, length);
                    None
                }
            };
            self.heads.insert(key, after);
        }
        for entry in &change.audit {
            self.head.last_audit += 1;
            let key = Space::Audit.key(&self.head.last_audit.to_be_bytes());
            layout::put(&mut self.batch, &key, 1, entry, 0);
        }
        self.head.revision = revision;
        self.age.pass(change.at_ms);
        feed::add(&mut self.batch, revision, &change.writes, &mut self.age);
        Ok(Ok(revision))
    }

    /// Version and length of a row, as the group so far has made it.
    fn head(&self, key: &[u8]) -> Result<Option<(u64, usize)>, StoreError> {
        match self.heads.get(key) {
            Some(head) => Ok(*head),
            None => layout::head(&self.shared.tree, key),
        }
    }
}
