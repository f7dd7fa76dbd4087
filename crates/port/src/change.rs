//! The changes of one decision.

use crate::Table;

/// A stored value with its version: the revision of the commit that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The version. A row that is deleted and inserted again never has a version that it had before.
    pub version: u64,
    /// The value: a format version, then the encoded row; at most [`MAX_VALUE`] bytes.
    pub value: Vec<u8>,
}

/// The name of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The table.
    pub table: Table,
    /// The key, 1 to [`MAX_KEY`] bytes.
    pub key: Vec<u8>,
}

/// Everything that one decision alters. It is applied whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Rows that the decision rests on and does not write: the change is refused where one has another version by now.
    pub checks: Vec<Check>,
    /// The rows to write, each key at most once.
    pub writes: Vec<Write>,
    /// Audit entries; the store numbers them in commit order.
    pub audit: Vec<Vec<u8>>,
    /// The keys under which audit entries are found, see [`crate::Store::audit_of`].
    pub index: Vec<Indexed>,
    /// Unix milliseconds by the authority's clock, by which the feed is truncated. It decides nothing.
    pub at_ms: u64,
    /// What it rests on beside rows, where other nodes could make it wrong: refused as a conflict where they may have.
    pub others: Option<Others>,
    /// Whether it may take the room that a store keeps free: with what starts and stops an authority, and takes a device out of trust
    /// once. Nobody may bring it about without end.
    pub may_use_reserve: bool,
}

/// Memory that a decision rests on, which follows other nodes, counted in their commits to tables that authorize.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Others {
    /// How many were projected here when it was looked at, by [`crate::Store::others`].
    pub heard: u64,
    /// How many more may have come since without making the decision wrong.
    pub most: u64,
    /// The row by which the conflict is named.
    pub row: RowKey,
}

/// A row that must have the version that it was read with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: Vec<u8>,
    /// Its version.
    pub version: u64,
}

/// One row to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The table.
    pub table: Table,
    /// The key, 1 to [`MAX_KEY`] bytes.
    pub key: Vec<u8>,
    /// The state of the row that the decision rests on.
    pub expect: Expect,
    /// The new value, or `None` to delete the row.
    pub value: Option<Vec<u8>>,
}

/// A key under which an audit entry is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// The key, 1 to [`MAX_KEY`] bytes.
    pub key: Vec<u8>,
    /// The entry. Under one key entries are in the order of their numbers: one that is not above the last is left out.
    pub entry: Numbered,
}

/// An audit entry of which a change says under what it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbered {
    /// The one at this place in the change.
    Here(usize),
    /// One that is stored already, by its number: a migration's.
    Stored(u64),
}

/// The condition on a row when a change is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is no row: insert-only.
    Absent,
    /// The row has this version.
    Version(u64),
}

impl Expect {
    /// The expectation of a decision that found this version, or no row.
    pub fn found(version: Option<u64>) -> Self {
        version.map_or(Self::Absent, Self::Version)
    }
}

impl Change {
    /// Whether it neither rests on anything nor alters anything.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.writes.is_empty() && self.audit.is_empty() && self.index.is_empty()
    }

    /// Adds a row that must not have changed since it was read.
    pub fn check(&mut self, table: Table, key: Vec<u8>, version: u64) {
        self.checks.push(Check { table, key, version });
    }

    /// Adds a row that must not exist yet.
    pub fn insert(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.writes.push(Write { table, key, expect: Expect::Absent, value: Some(value) });
    }

    /// Removes a row.
    pub fn delete(&mut self, table: Table, key: Vec<u8>, version: u64) {
        self.writes.push(Write { table, key, expect: Expect::Version(version), value: None });
    }

    /// Adds the next version of a row.
    pub fn update(&mut self, table: Table, key: Vec<u8>, version: u64, value: Vec<u8>) {
        self.writes.push(Write { table, key, expect: Expect::Version(version), value: Some(value) });
    }

    /// Inserts a row that was not found, or updates the version that was.
    pub fn put(&mut self, table: Table, key: Vec<u8>, found: Option<u64>, value: Vec<u8>) {
        self.writes.push(Write { table, key, expect: Expect::found(found), value: Some(value) });
    }
}

/// The most bytes of a key.
pub const MAX_KEY: usize = 512;

/// The most bytes of a value, or of an audit entry. The longest are the keys of a device that rekeyed all the time while its
/// payloads are retained, some 68 KB.
pub const MAX_VALUE: usize = 128 * 1024;
