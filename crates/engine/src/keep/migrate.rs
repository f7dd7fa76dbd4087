//! Migrating a store of an earlier format to the present one.
//!
//! It goes table by table, some rows a commit, before anything is served. Each row says its format itself, so that a migration
//! that was cut short resumes where it was, and one that has ended finds nothing to do. The last commit names the format, with an
//! audit entry. The audit log is never rewritten: entries are read in the format that they were written in.
//!
//! - Format 1 is version 0.1's. Its rows are rewritten in format 2, which is still theirs.
//! - Format 2 wrote devices' entries a second time. Format 3 has an index of the audit log instead, and one of operators by tenant.
//! - Format 3 had one issuing CA, in the authority's row. In format 4 each has a row of its own.
//! - Format 4 found no certificate by its fingerprint. Format 5 has what leads to each of a device's.
//! - Format 5 found no device by its UDI or its serial number. Format 6 has what leads to each that has one.

use crate::issue::authority::place;
use crate::keep::clock::stored_clock;
use crate::keep::found::commit;
use crate::keep::tenant_keys::open_tenant_keys;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Draw, Error, Ports};
use crate::rows::audit::decode;
use crate::rows::seal::Keyring;
use crate::rows::{
    self, AUTHORITY, AuthorityRow, CaKeyColumn, CertificateRow, Claim, ClaimRow, DeviceRow, FORMAT,
    FORMAT_KEY, FormatRow, IssuingCaRow, Link, OperatorRow, ca_place, v1,
};
use std::collections::HashMap;
use wardein_ddkg::DeviceName;
use wardein_domain::{CaId, CaState, ErrorCode, Event, FieldName, Serial, Udi};
use wardein_pki::{CaCertificate, Issuing};
use wardein_port::{Change, RootKey, Row, RowKey, Table, Write};

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
    let found = match format(ports).await? {
        Some((_, STORE_FORMAT)) => return Ok(false),
        Some((_, found)) if found > STORE_FORMAT => return Err(newer(found)),
        None if row(ports, Table::Authority, AUTHORITY).await?.is_none() => return Ok(false),
        found => found,
    };
    if !ports.store.is_alone() {
        let message =
            "the database is in the format of an earlier release, of which other nodes run; stop them first";
        return Err(Error::new(ErrorCode::NodesRunning, message));
    }
    let mut migration =
        Migration { ports, root, rings: HashMap::new(), rows: 0, change: Change::default(), progress };
    if found.is_none() {
        for table in Table::ALL {
            migration.go_over(table, Step::Second).await?;
        }
    }
    if found.is_none_or(|(_, format)| format < 3) {
        migration.index_log().await?;
        // The history last: without it the index could not be compared.
        for table in [Table::Operator, Table::History] {
            migration.go_over(table, Step::Third).await?;
        }
    }
    migration.go_over(Table::Authority, Step::Fourth).await?;
    migration.file_fingerprints().await?;
    migration.file_udis().await?;
    migration.end(found).await?;
    Ok(true)
}

/// Refuses a store that is not of this release's format.
pub(crate) async fn require_format(ports: &Ports) -> Result<(), Error> {
    match format(ports).await? {
        Some((_, STORE_FORMAT)) => Ok(()),
        Some((_, found)) if found > STORE_FORMAT => Err(newer(found)),
        None if row(ports, Table::Authority, AUTHORITY).await?.is_none() => Err(Error::not_founded()),
        _ => {
            let message = "the store was written by an earlier release and is not migrated yet; start it once with `wardein serve`";
            Err(Error::new(ErrorCode::StoreFormatOlder, message))
        }
    }
}

/// The change that names the format of a new store.
pub(crate) fn name_format(change: &mut Change) -> Result<(), Error> {
    put_format(change, None)
}

fn put_format(change: &mut Change, version: Option<u64>) -> Result<(), Error> {
    let row = rows::encode(&FormatRow { format: STORE_FORMAT })?;
    change.put(Table::Authority, FORMAT_KEY.to_vec(), version, row);
    Ok(())
}

/// The format of the store, with the version of the row that names it.
async fn format(ports: &Ports) -> Result<Option<(u64, u8)>, Error> {
    let Some(Row { version, value }) = row(ports, Table::Authority, FORMAT_KEY).await? else {
        return Ok(None);
    };
    named(&value).map(|found| Some((version, found)))
}

/// The format that a row names.
fn named(value: &[u8]) -> Result<u8, Error> {
    match value.first() {
        // The rows of a later release cannot be read, except their first byte.
        Some(found) if *found > FORMAT => Ok(*found),
        _ => rows::decode::<FormatRow>(Table::Authority, value).map(|row| row.format),
    }
}

/// Refuses the row at [`FORMAT_KEY`] of a store that a later release wrote.
pub(crate) fn require_known(value: &[u8]) -> Result<(), Error> {
    match named(value)? {
        found if found > STORE_FORMAT => Err(newer(found)),
        _ => Ok(()),
    }
}

fn newer(found: u8) -> Error {
    let message = format_args!(
        "the store has format {found}, and this release knows formats up to {STORE_FORMAT}; run the release that wrote it"
    );
    Error::new(ErrorCode::StoreFormatNewer, message)
}

async fn row(ports: &Ports, table: Table, key: &[u8]) -> Result<Option<Row>, Error> {
    Ok(ports.store.load(&[RowKey { table, key: key.to_vec() }]).await?.pop().flatten())
}

/// The format that a row is brought to.
#[derive(Clone, Copy)]
enum Step {
    Second,
    Third,
    Fourth,
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
    async fn go_over(&mut self, table: Table, step: Step) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.ports.store.scan(table, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return self.flush().await };
            after = Some(last.clone());
            for (key, row) in &page {
                let is_old = match step {
                    Step::Second => self.renew(table, key, row).await?,
                    Step::Third => self.renew_to_third(table, key, row).await?,
                    Step::Fourth => self.renew_to_fourth(key, row)?,
                };
                self.rows += u64::from(is_old);
                if self.change.writes.len() >= GROUP {
                    self.flush().await?;
                }
            }
            (self.progress)(Migrating { table, rows: self.rows });
        }
    }

    /// Files the entries of the log under their tenants and devices. Those that are filed already are left alone.
    async fn index_log(&mut self) -> Result<(), Error> {
        let mut next = 1;
        loop {
            let page = self.ports.store.audit(next, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            next = last + 1;
            for (number, value) in &page {
                self.change.index_again(*number, &decode(value)?);
            }
            self.flush().await?;
            (self.progress)(Migrating { table: Table::History, rows: self.rows });
        }
    }

    /// Files the certificates of devices under their fingerprints. Those that are filed already are left alone.
    async fn file_fingerprints(&mut self) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.ports.store.scan(Table::Certificate, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return self.flush().await };
            after = Some(last.clone());
            let (mut found, mut places) = (Vec::with_capacity(page.len()), Vec::with_capacity(page.len()));
            for (key, row) in page {
                let (holder, _) = rows::parse_certificate_key(&key)
                    .ok_or_else(|| rows::damaged(Table::Certificate, "has a damaged key"))?;
                if holder.device().is_some() {
                    let row: CertificateRow = rows::decode(Table::Certificate, &row.value)?;
                    let by = row.fingerprint().as_bytes().to_vec();
                    places.push(RowKey { table: Table::CertificateFingerprint, key: by });
                    found.push(Link::encode(&key));
                }
            }
            let present = self.ports.store.load(&places).await?;
            for ((place, link), present) in places.into_iter().zip(found).zip(present) {
                if present.is_none() {
                    self.change.insert(place.table, place.key, link);
                    self.rows += 1;
                }
                if self.change.writes.len() >= GROUP {
                    self.flush().await?;
                }
            }
            (self.progress)(Migrating { table: Table::CertificateFingerprint, rows: self.rows });
        }
    }

    /// Files devices under their UDIs and serial numbers. Those that are filed already are left alone. Where several have one UDI,
    /// all stay: another one is refused from then on.
    async fn file_udis(&mut self) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.ports.store.scan(Table::Device, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return self.flush().await };
            after = Some(last.clone());
            for (key, row) in &page {
                let device: DeviceRow = rows::decode(Table::Device, &row.value)?;
                let Some((of, serial)) = device.udi.as_ref().and_then(Udi::numbered) else { continue };
                let name = rows::parse_device_key(key)?;
                let by_serial = rows::serial_key(&name.tenant, serial, &name.device);
                // It is written in one change with the claim.
                if self::row(self.ports, Table::DeviceClaim, &by_serial).await?.is_some() {
                    continue;
                }
                self.claim(&name, &[Claim::Udi(of, serial)]).await?;
                let filed = ClaimRow { holders: vec![name.device] };
                self.change.insert(Table::DeviceClaim, by_serial, rows::encode(&filed)?);
                self.rows += 1;
                if self.change.writes.len() >= GROUP {
                    self.flush().await?;
                }
            }
            (self.progress)(Migrating { table: Table::DeviceClaim, rows: self.rows });
        }
    }

    async fn renew_to_third(&mut self, table: Table, key: &[u8], row: &Row) -> Result<bool, Error> {
        if table == Table::History {
            self.change.delete(table, key.to_vec(), row.version);
            return Ok(true);
        }
        let serial = Serial::from_bytes(key).map_err(Error::internal)?;
        let operator: OperatorRow = rows::decode(table, &row.value)?;
        let by_tenant = rows::tenant_operator_key(&operator.principal(serial));
        if self::row(self.ports, Table::TenantOperator, &by_tenant).await?.is_some() {
            return Ok(false);
        }
        self.change.insert(Table::TenantOperator, by_tenant, rows::encode(&())?);
        Ok(true)
    }

    /// Gives the issuing CA a row of its own, in one change with the authority's.
    fn renew_to_fourth(&mut self, key: &[u8], row: &Row) -> Result<bool, Error> {
        if key != AUTHORITY {
            return Ok(false);
        }
        let mut authority: AuthorityRow = rows::decode(Table::Authority, &row.value)?;
        let der = std::mem::take(&mut authority.issuing_der);
        let sealed = std::mem::take(&mut authority.issuing_key);
        if der.is_empty() {
            return Ok(false);
        }
        let id = CaId::new(*CaCertificate::<Issuing>::parse(&der).map_err(Error::internal)?.key_id());
        let key = if sealed.is_empty() {
            CaKeyColumn::Elsewhere
        } else {
            let (document, nonce) =
                (self.root.open(place("issuing"), &sealed)?, Draw::new(&*self.ports.entropy).nonce()?);
            CaKeyColumn::Sealed(self.root.seal(nonce, ca_place(&id), document.expose())?)
        };
        let made_at = authority.founded_at;
        let ca = IssuingCaRow {
            tenant: None,
            state: CaState::Active,
            der,
            key,
            made_at,
            since: made_at,
            cross: Vec::new(),
        };
        self.change.insert(Table::IssuingCa, id.as_bytes().to_vec(), rows::encode(&ca)?);
        self.change.update(Table::Authority, AUTHORITY.to_vec(), row.version, rows::encode(&authority)?);
        Ok(true)
    }

    /// Adds the format 2 of a row to the change; whether it had an old one.
    async fn renew(&mut self, table: Table, key: &[u8], row: &Row) -> Result<bool, Error> {
        let old = row.value.first() == Some(&1);
        match table {
            // Written as audit entries are, or only since this format.
            Table::History
            | Table::DeviceHot
            | Table::CertificateFingerprint
            | Table::Revocation
            | Table::Deed
            | Table::Prepared
            | Table::DeviceClaim
            | Table::VendorRoot
            | Table::TenantOperator
            | Table::Invitation
            | Table::IdempotencyKey
            | Table::Transfer
            | Table::OperatorAnswer
            | Table::OpenInvitations
            | Table::IssuingCa
            | Table::Voucher
            | Table::PlatformPins
            | Table::TrustPolicy
            | Table::StatusEntry
            | Table::BearerTokens
            | Table::ApprovalPolicy
            | Table::Proposal
            | Table::OpenProposals
            | Table::ServicePolicy
            | Table::Visit
            | Table::DeviceVisits
            | Table::ServiceCa
            | Table::EmergencyUses
            | Table::Webhook
            | Table::WebhookPosition
            | Table::UpdateRepository
            | Table::ProductLine
            | Table::SiteUpdates
            | Table::Readers
            | Table::UpdateFile
            | Table::AuditSink => return Ok(false),
            Table::DeviceKeys => {
                if self::row(self.ports, Table::DeviceHot, key).await?.is_some() {
                    return Ok(false);
                }
                self.split_keys(key, row).await?;
            }
            Table::Serial | Table::OperatorName if row.value.first() == Some(&FORMAT) => return Ok(false),
            Table::Serial | Table::OperatorName => {
                self.change.update(table, key.to_vec(), row.version, v1::renewed(table, &row.value)?);
            }
            _ if !old => return Ok(false),
            Table::Authority if key == v1::SWEEP_KEY => {
                self.change.delete(table, key.to_vec(), row.version);
            }
            Table::Device => {
                let (device, readmitted_at) = v1::read::<v1::DeviceV1>(table, &row.value)?.renewed()?;
                let name = rows::parse_device_key(key)?;
                self.claim(&name, &[Claim::Id(&name.device)]).await?;
                self.change.update(table, key.to_vec(), row.version, rows::encode(&device)?);
                if let Some(issued_until) = readmitted_at {
                    let scope = rows::RuleScope::Device(name);
                    let rule = rows::RuleRow::readmitted(issued_until, 0);
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
            Table::SignatureKey => {
                let value = v1::renewed(table, &row.value)?;
                let signing: rows::SignatureKeyRow = rows::decode(table, &value)?;
                let (name, key_id) = (rows::parse_device_key(key)?, rows::key_id(&signing.key()).0);
                let claims = [Some(Claim::Key(&key_id)), signing.ek.as_ref().map(Claim::Tpm)];
                self.claim(&name, &claims.into_iter().flatten().collect::<Vec<_>>()).await?;
                self.change.update(table, key.to_vec(), row.version, value);
            }
            Table::KeyPolicy => {
                let (policy, ders) = v1::read::<v1::KeyPolicyV1>(table, &row.value)?.renewed()?;
                self.change.update(table, key.to_vec(), row.version, rows::encode(&policy)?);
                let tenant = rows::word("tenant", std::str::from_utf8(key).unwrap_or_default())?;
                for (root, der) in policy.vendor_roots.iter().zip(ders) {
                    let value = rows::encode(&rows::VendorRootRow { der })?;
                    self.change.insert(Table::VendorRoot, root.row_key(&tenant), value);
                }
            }
            _ => self.change.update(table, key.to_vec(), row.version, v1::renewed(table, &row.value)?),
        }
        Ok(true)
    }

    /// Adds claims of a device to the change, which then holds the device's own row as well.
    async fn claim(&mut self, name: &DeviceName, claims: &[Claim<'_>]) -> Result<(), Error> {
        let keys: Vec<_> = claims.iter().map(|claim| claim.row_key(&name.tenant)).collect();
        // Another device of the same change may have one.
        let is_pending = |write: &Write| write.table == Table::DeviceClaim && keys.contains(&write.key);
        if self.change.writes.iter().any(is_pending) {
            self.flush().await?;
        }
        for key in keys {
            let present = self::row(self.ports, Table::DeviceClaim, &key).await?;
            let version = present.as_ref().map(|row| row.version);
            let mut claim: ClaimRow = match present {
                Some(row) => rows::decode(Table::DeviceClaim, &row.value)?,
                None => ClaimRow::default(),
            };
            if !claim.holders.contains(&name.device) {
                claim.holders.push(name.device.clone());
            }
            self.change.put(Table::DeviceClaim, key, version, rows::encode(&claim)?);
        }
        Ok(())
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

    async fn end(mut self, found: Option<(u64, u8)>) -> Result<(), Error> {
        let (version, before) = found.unzip();
        put_format(&mut self.change, version)?;
        let now_ms = stored_clock(self.ports).await?.now_ms();
        let entry = record::of_system(now_ms, Event::Migrated)
            .changed(FieldName::Format, before.unwrap_or(1), STORE_FORMAT)
            .with(FieldName::Rows, self.rows);
        self.change.record(&entry)?;
        self.flush().await
    }
}

/// The format of the store that this release writes.
const STORE_FORMAT: u8 = 6;

/// Rows read at a time.
const PAGE: usize = 1_000;

/// Rows written in one commit.
const GROUP: usize = 100;
