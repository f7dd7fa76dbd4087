//! The writing side: a group is one batch, then a sync of sled's file.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::sled::Batch;
use wardein_engine::port::{Change, Check, CommitError, Expect, StoreError, Write};

use super::layout::{self, Space};
use super::{PANICKED, Shared, State};
use crate::open::OpenError;
use crate::place::Reserve;
use crate::queue::{Fault, Writer};

/// The writer, in its thread. It alone writes, so that what it looks up stays so until it writes.
pub(super) struct SledWriter {
    path: PathBuf,
    shared: Arc<Shared>,
    reserve: Reserve,
    /// sled's file, on a handle of ours: sled's own flush ends in `sync_file_range`, which neither flushes the disk's
    /// cache nor commits the file's size (sync_file_range(2), "Warning").
    file: File,
}

impl SledWriter {
    pub(super) fn open(path: &Path, shared: Arc<Shared>, reserve: Reserve) -> Result<Self, OpenError> {
        let file = File::open(path.join("db")).map_err(|error| OpenError::failed(path, error))?;
        let writer = Self { path: path.to_owned(), shared, reserve, file };
        // The mark of a new store.
        writer.sync().map_err(|why| OpenError::failed(path, why))?;
        Ok(writer)
    }

    fn sync(&self) -> Result<(), String> {
        self.shared.tree.flush().map_err(|error| error.to_string())?;
        self.file.sync_data().map_err(|error| error.to_string())
    }

    /// Any error is final for the handle: what sled holds in memory and what is on disk may differ from now on.
    fn fail(&self, why: &str) -> String {
        let why = format!("{}: {why}; restart the service to open the store again", self.path.display());
        if let Ok(mut state) = self.shared.state.write() {
            *state = Err(why.clone());
        }
        why
    }
}

impl Writer for SledWriter {
    fn write(&mut self, group: &[Change]) -> Result<Vec<Result<(), CommitError>>, Fault> {
        let before = match self.shared.read() {
            Ok(state) => state.as_ref().map_or(0, |state| state.last),
            Err(StoreError(why)) => return Err(Fault::Unavailable(why)),
        };
        self.reserve.check().map_err(Fault::Unavailable)?;
        let mut plan =
            Plan { shared: &self.shared, batch: Batch::default(), heads: HashMap::new(), last: before };
        let outcomes = match group.iter().map(|change| plan.add(change)).collect() {
            Ok(outcomes) => outcomes,
            Err(StoreError(why)) => return Err(Fault::Unavailable(self.fail(&why))),
        };
        let Plan { batch, last, .. } = plan;
        let applied = {
            let mut state = self.shared.state.write().map_err(|_| Fault::Unavailable(PANICKED.into()))?;
            let applied = self.shared.tree.apply_batch(batch);
            if applied.is_ok() {
                *state = Ok(State { last });
            }
            applied
        };
        applied
            .map_err(|error| error.to_string())
            .and_then(|()| self.sync())
            .map_err(|why| Fault::Unknown(self.fail(&why)))?;
        Ok(outcomes)
    }
}

/// A group in the making.
struct Plan<'a> {
    shared: &'a Shared,
    batch: Batch,
    /// What the group has made of rows, ahead of the tree: version and length.
    heads: HashMap<Vec<u8>, Option<(u64, usize)>>,
    last: u64,
}

impl Plan<'_> {
    /// Adds a change, or nothing of it where a row is not as expected.
    fn add(&mut self, change: &Change) -> Result<Result<(), CommitError>, StoreError> {
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
        for (Write { value, .. }, (key, head)) in change.writes.iter().zip(found) {
            let (version, length) = head.unwrap_or((0, 0));
            let after = match value {
                Some(value) => {
                    layout::put(&mut self.batch, &key, version + 1, value, length);
                    Some((version + 1, value.len()))
                }
                None => {
                    layout::remove(&mut self.batch, &key, length);
                    None
                }
            };
            self.heads.insert(key, after);
        }
        for entry in &change.audit {
            self.last += 1;
            let key = Space::Audit.key(&self.last.to_be_bytes());
            layout::put(&mut self.batch, &key, 1, entry, 0);
        }
        Ok(Ok(()))
    }

    /// Version and length of a row, as the group so far has made it.
    fn head(&self, key: &[u8]) -> Result<Option<(u64, usize)>, StoreError> {
        match self.heads.get(key) {
            Some(head) => Ok(*head),
            None => layout::head(&self.shared.tree, key),
        }
    }
}
