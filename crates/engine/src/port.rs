//! The ports: what the engine needs of the outside.

use std::future::Future;
use wardein_crypto::Secret;

/// Where records live: versioned rows in tables, and the audit log.
///
/// There is one way to write, [`Store::commit`], and one suite, in the testkit, that every store must pass.
pub trait Store: Send + Sync + 'static {
    /// The row at `key`, as of the last commit that was acknowledged, or a later one.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError>;

    /// At most `limit` rows whose keys start with `prefix`, in byte order, behind `after` where that is given.
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Row)>, StoreError>;

    /// At most `limit` audit entries from sequence number `from` on; numbers start at 1 and have no gaps.
    fn audit(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// The number of the last audit entry; 0 where there is none.
    fn last_audit(&self) -> Result<u64, StoreError>;

    /// All that is stored, as of the last commit that was acknowledged or a later one, whatever is committed meanwhile, which goes on; none
    /// where the store cannot hold a moment while it is written to.
    fn snapshot(&self) -> Result<Option<Box<dyn Snapshot>>, StoreError>;

    /// Applies `change` whole or not at all. The future resolves after the change is durable: it survives kill -9 and power
    /// loss from then on. A change whose future was dropped may be applied or not.
    fn commit(&self, change: Change) -> impl Future<Output = Result<(), CommitError>> + Send;
}

/// What a store held at one moment.
pub trait Snapshot: Send + 'static {
    /// At most `limit` rows in byte order, behind `after` where that is given.
    fn scan(
        &self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Row)>, StoreError>;

    /// At most `limit` audit entries from sequence number `from` on.
    fn audit(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// Bytes that came since and that the store cannot clear away before this is dropped, roughly.
    fn held(&self) -> u64;
}

/// The tables. Numbers are stored, and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// What there is one of: the authority's sealed keys, its name.
    Authority = 1,
    /// Tenants with their sealed keys.
    Tenant = 2,
    /// Operators, by serial.
    Operator = 3,
    /// Profiles, by tenant and name.
    Profile = 4,
    /// What is known of devices, by tenant and id.
    Device = 5,
    /// The sealed key records of devices, by tenant and id.
    DeviceKeys = 6,
    /// Certificates, by tenant, device and serial.
    Certificate = 7,
    /// Serials that were given out, each with the key of what it was given to.
    Serial = 8,
    /// Operators' serials by role, tenant and name.
    OperatorName = 9,
    /// Keys that are spent, by tenant, device, generation, purpose, epoch and number. Insert-only.
    Spent = 10,
    /// What platforms are granted, by tenant, platform, right and profile.
    Grant = 11,
    /// What happened to devices, by tenant, id and time: their audit entries but for signs of life.
    History = 12,
    /// The keys that devices sign with, by tenant and id.
    SignatureKey = 16,
    /// Which keys the devices of tenants may sign with, by tenant.
    KeyPolicy = 17,
    /// The endorsement keys that tenants list, by tenant and digest.
    EndorsementKey = 18,
    /// What is asked of the registers of devices' TPMs, by tenant and profile.
    PcrPolicy = 19,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 16] = [
        Self::Authority,
        Self::Tenant,
        Self::Operator,
        Self::Profile,
        Self::Device,
        Self::DeviceKeys,
        Self::Certificate,
        Self::Serial,
        Self::OperatorName,
        Self::Spent,
        Self::Grant,
        Self::History,
        Self::SignatureKey,
        Self::KeyPolicy,
        Self::EndorsementKey,
        Self::PcrPolicy,
    ];
}

/// A stored value with its version, which starts at 1 and rises by one with every write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The version.
    pub version: u64,
    /// The value: a format version, then what it says; at most [`MAX_VALUE`] bytes.
    pub value: Vec<u8>,
}

/// The most bytes of a key.
pub const MAX_KEY: usize = 512;

/// The most bytes of a value, or of an audit entry. The longest are the keys of a device that rekeyed all the time while its payloads
/// are retained, some 68 KB.
pub const MAX_VALUE: usize = 128 * 1024;

/// Everything that one decision alters. It is applied whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Rows that the decision rested on and does not write: the change is refused where one has another version by now.
    pub checks: Vec<Check>,
    /// The rows to write, each key at most once.
    pub writes: Vec<Write>,
    /// Audit entries; the store numbers them in the order in which changes are applied.
    pub audit: Vec<Vec<u8>>,
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
    /// What the decision was made on.
    pub expect: Expect,
    /// The new value, or `None` to delete the row.
    pub value: Option<Vec<u8>>,
}

/// What must be true of a row for a change to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is no row: insert-only.
    Absent,
    /// The row has this version.
    Version(u64),
}

impl Change {
    /// Adds a row that must not have changed since it was read.
    pub fn check(&mut self, table: Table, key: Vec<u8>, version: u64) {
        self.checks.push(Check { table, key, version });
    }

    /// Adds a row that must not be there yet.
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
}

/// Why a change was not applied. Nothing of it was, unless the error says that it is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A row is not as the decision assumed: load and decide again.
    #[error("a row of table {table:?} has changed since it was read")]
    Conflict {
        /// The table of the row.
        table: Table,
        /// Its key.
        key: Vec<u8>,
    },
    /// The change is out of bounds.
    #[error("the change is out of bounds: {0}")]
    TooLarge(&'static str),
    /// The store cannot write now; nothing was applied.
    #[error("the store cannot write: {0}")]
    Unavailable(String),
    /// The store failed while writing; whether the change was applied shows after a restart.
    #[error("the store failed while writing: {0}")]
    Unknown(String),
}

/// The store could not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot read: {0}")]
pub struct StoreError(pub String);

/// A version of the root key. Numbers start at 1 and rise.
pub struct RootKey {
    /// Its number.
    pub version: u32,
    /// The key.
    pub secret: Secret<32>,
}

/// Where the root key is kept, apart from the store.
pub trait Custody: Send + Sync + 'static {
    /// Keeps a further version beside those that are kept. It is durable when this returns.
    fn keep(&self, key: &RootKey) -> Result<(), CustodyError>;

    /// Keeps that version alone. It is durable when this returns; the same again is fine.
    fn keep_only(&self, version: u32) -> Result<(), CustodyError>;

    /// The versions that are kept, wrapped: what a backup is opened with, beside the passphrase or key file.
    fn wrapped(&self) -> Result<Vec<u8>, CustodyError>;
}

/// Custody could not keep a key; what it kept before, it keeps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CustodyError(pub String);

/// What time it is.
pub trait Clock: Send + Sync + 'static {
    /// Unix milliseconds.
    fn now_ms(&self) -> u64;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
