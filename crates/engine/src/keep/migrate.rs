//! Migrating a store that the previous release wrote to the format of this one.
//!
//! It goes table by table, some rows a commit, before anything is served. Each row says its format itself, so that a migration
//! that was cut short resumes where it was, and one that has ended finds nothing to do. The last commit names the format, with an
//! audit entry. The audit log and the history of devices are never rewritten: entries are read in the format that they were
//! written in.

use crate::keep::found::commit;
use crate::keep::tenant_keys::open_tenant_keys;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Draw, Error, Ports};
use crate::rows::seal::Keyring;
use crate::rows::{self, AUTHORITY, FORMAT, FORMAT_KEY, FormatRow, v1};
use std::collections::HashMap;
use wardein_domain::{ErrorCode, Event, FieldName};
use wardein_port::{Change, RootKey, Row, RowKey, Table};

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrating {
    /// The table that it goes over.
    pub table: Table,
    /// Rows that were rewritten so far, of all tables.
    pub rows: u64,
}

/// Rewrites the rows of an earlier release; whether there was anything to do. `progress` hears of it about every thousand rows.
///
/// Fails with `store-format-newer` where a later release wrote the store, and with `internal` where a row is damaged, which it
/// names by its table; nothing is lost then, and it can be run again.
pub async fn migrate(
    ports: &Ports,
    root_keys: impl IntoIterator<Item = RootKey>,
    progress: impl FnMut(Migrating),
) -> Result<bool, Error> {
    let root = Keyring::of(root_keys).ok_or_else(|| Error::internal("custody keeps no root key"))?;
    migrate_under(ports, &root, progress).await
}

/// The same under an opened root key.
pub(crate) async fn migrate_under(
    ports: &Ports,
    root: &Keyring,
    progress: impl FnMut(Migrating),
) -> Result<bool, Error> {
    let is_old = match format(ports).await? {
        Some(FORMAT) => false,
        Some(found) => return Err(newer(found)),
        None => row(ports, Table::Authority, AUTHORITY).await?.is_some(),
    };
    if !is_old {
        return Ok(false);
    }
    let mut migration =
        Migration { ports, root, rings: HashMap::new(), rows: 0, change: Change::default(), progress };
    for table in Table::ALL {
        migration.go_over(table).await?;
    }
    migration.end().await?;
    Ok(true)
}

/// Refuses a store that is not of this release's format.
pub(crate) async fn require_format(ports: &Ports) -> Result<(), Error> {
    match format(ports).await? {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(newer(found)),
        None if row(ports, Table::Authority, AUTHORITY).await?.is_none() => Err(Error::not_founded()),
        None => {
            let message = "the store was written by an earlier release and is not migrated yet; start it once with `wardein serve`";
            Err(Error::new(ErrorCode::StoreFormatOlder, message))
        }
    }
}

/// The change that names the format of a new store.
pub(crate) fn name_format(change: &mut Change) -> Result<(), Error> {
    change.insert(Table::Authority, FORMAT_KEY.to_vec(), rows::encode(&FormatRow { format: FORMAT })?);
    Ok(())
}

async fn format(ports: &Ports) -> Result<Option<u8>, Error> {
    let Some(row) = row(ports, Table::Authority, FORMAT_KEY).await? else { return Ok(None) };
    match row.value.first() {
        // The rows of a later release cannot be read, except their first byte.
        Some(found) if *found > FORMAT => Ok(Some(*found)),
        _ => rows::decode::<FormatRow>(Table::Authority, &row.value).map(|row| Some(row.format)),
    }
}

fn newer(found: u8) -> Error {
    let message = format_args!(
        "the store has rows of format {found}, and this release knows formats up to {FORMAT}; run the release that wrote it"
    );
    Error::new(ErrorCode::StoreFormatNewer, message)
}

async fn row(ports: &Ports, table: Table, key: &[u8]) -> Result<Option<Row>, Error> {
    Ok(ports.store.load(&[RowKey { table, key: key.to_vec() }]).await?.pop().flatten())
}

struct Migration<'a, P> {
    ports: &'a Ports,
    root: &'a Keyring,
    /// Tenants' keys by the key of their row.
    rings: HashMap<Vec<u8>, Keyring>,
    rows: u64,
    change: Change,
    progress: P,
}

impl<P: FnMut(Migrating)> Migration<'_, P> {
    async fn go_over(&mut self, table: Table) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.ports.store.scan(table, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return self.flush().await };
            after = Some(last.clone());
            for (key, row) in &page {
                if self.renew(table, key, row).await? {
                    self.rows += 1;
                }
                if self.change.writes.len() >= GROUP {
                    self.flush().await?;
                }
            }
            (self.progress)(Migrating { table, rows: self.rows });
        }
    }

    /// Adds the new form of a row to the change; whether it had an old one.
    async fn renew(&mut self, table: Table, key: &[u8], row: &Row) -> Result<bool, Error> {
        let old = row.value.first() == Some(&1);
        match table {
            // Written as audit entries are, or only since this format.
            Table::History | Table::DeviceHot | Table::Revocation | Table::Deed | Table::Prepared => {
                return Ok(false);
            }
            Table::DeviceKeys => {
                if self::row(self.ports, Table::DeviceHot, key).await?.is_some() {
                    return Ok(false);
                }
                self.split_keys(key, row).await?;
            }
            Table::Serial | Table::OperatorName if row.value.first() == Some(&FORMAT) => return Ok(false),
            Table::Serial | Table::OperatorName => {
                self.change.update(table, key.to_vec(), row.version, v1::renewed(table, key, &row.value)?);
            }
            _ if !old => return Ok(false),
            Table::Device => {
                let (device, readmitted_at) = v1::read::<v1::DeviceV1>(table, &row.value)?.renewed()?;
                self.change.update(table, key.to_vec(), row.version, rows::encode(&device)?);
                if let Some(issued_until) = readmitted_at {
                    let scope = rows::RuleScope::Device(rows::parse_device_key(key)?);
                    let rule = rows::RuleRow::readmitted(issued_until);
                    let key = rows::rule_key(&scope, &rule);
                    self.change.insert(Table::Revocation, key, rows::encode(&rule)?);
                }
            }
            Table::Certificate => {
                let (certificate, revoked) = v1::read::<v1::CertificateV1>(table, &row.value)?.renewed()?;
                self.change.update(table, key.to_vec(), row.version, rows::encode(&certificate)?);
                if let Some(revoked) = revoked {
                    let (_, serial) = rows::parse_certificate_key(key)
                        .ok_or_else(|| rows::damaged(table, "has a damaged key"))?;
                    self.change.insert(
                        Table::Revocation,
                        rows::revoked_key(&serial),
                        rows::encode(&revoked)?,
                    );
                }
            }
            _ => self.change.update(table, key.to_vec(), row.version, v1::renewed(table, key, &row.value)?),
        }
        Ok(true)
    }

    async fn split_keys(&mut self, key: &[u8], row: &Row) -> Result<(), Error> {
        let name = rows::parse_device_key(key)?;
        let tenant = name.tenant.as_str().as_bytes().to_vec();
        if !self.rings.contains_key(&tenant) {
            let (_, row) = rows::load(&*self.ports.store, Table::Tenant, &tenant)
                .await?
                .ok_or_else(|| Error::no_tenant(&name.tenant))?;
            self.rings.insert(tenant.clone(), open_tenant_keys(self.root, &tenant, &row)?);
        }
        let ring = self.rings.get(&tenant).ok_or_else(|| Error::no_tenant(&name.tenant))?;
        let keys = v1::read_keys(ring, key, &row.value)?;
        let nonce = Draw::new(&*self.ports.entropy).nonce()?;
        let cold = keys.seal_cold(nonce, ring, key)?;
        self.change.update(Table::DeviceKeys, key.to_vec(), row.version, cold);
        self.change.insert(Table::DeviceHot, key.to_vec(), keys.encode_hot());
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        if !self.change.is_empty() {
            commit(&*self.ports.store, std::mem::take(&mut self.change)).await?;
        }
        Ok(())
    }

    async fn end(mut self) -> Result<(), Error> {
        name_format(&mut self.change)?;
        let now_ms = self.ports.clock.now_ms();
        let entry = record::of_system(now_ms, Event::Migrated)
            .changed(FieldName::Format, FORMAT - 1, FORMAT)
            .with(FieldName::Rows, self.rows);
        self.change.record(&entry)?;
        self.flush().await
    }
}

/// Rows read at a time.
const PAGE: usize = 1_000;

/// Rows written in one commit.
const GROUP: usize = 100;
