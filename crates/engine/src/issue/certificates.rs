//! Certificates on record.

use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, SCANNED, Stop, Tx};
use crate::rows::{self, CertificateRow, Link, RevokedRow, RuleRow, RuleScope};
use std::ops::RangeInclusive;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    DeviceId, ErrorCode, Event, FieldName, Outcome, Reason, Serial, Target, TenantId, UnixSeconds,
};
use wardein_port::{Change, Table};

/// A certificate on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its serial.
    pub serial: Serial,
    /// Whose it is.
    pub device: DeviceName,
    /// Unix seconds from which it is valid.
    pub not_before: u64,
    /// Unix seconds until which it is valid.
    pub not_after: u64,
    /// Unix seconds at which it was revoked, and why.
    pub revoked: Option<(u64, Reason)>,
    /// The certificate, DER.
    pub der: Vec<u8>,
}

/// The certificates that a rule revokes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issued {
    /// Certificates of a device.
    ToDevice(DeviceName),
    /// Certificates of all devices of a tenant.
    InTenant(TenantId),
    /// Certificates that the issuing CA signed, of all tenants.
    ByCa,
}

impl Engine {
    /// The certificates of a tenant, optionally of one device.
    pub async fn list_certificates(
        &self,
        caller: &Caller,
        tenant: TenantId,
        device: Option<DeviceId>,
        page: Page,
    ) -> Result<Paged<Certificate>, Error> {
        self.require_tenant(caller, &tenant)?;
        let prefix = match &device {
            Some(device) => rows::certificate_prefix(&tenant, device),
            None => rows::tenant_prefix(&tenant),
        };
        let mut pager = self.pager(Table::Certificate, &prefix, &page, SCANNED)?;
        while let Some((key, row)) = pager.next().await? {
            let (device, serial) = rows::parse_certificate_key(&key)
                .ok_or_else(|| rows::damaged(Table::Certificate, "has a damaged key"))?;
            let row: CertificateRow = rows::decode(Table::Certificate, &row.value)?;
            let revoked =
                self.look(|tx| self.revocation(tx, &device, &serial, (row.issued_at, row.era))).await?;
            let CertificateRow { not_before, not_after, der, .. } = row;
            let (not_before, not_after) = (not_before.get(), not_after.get());
            pager.keep(Some(Certificate { serial, device, not_before, not_after, revoked, der }));
        }
        Ok(pager.done())
    }

    /// Revokes one certificate: trust queries by it are answered accordingly at once. Revoking twice is fine.
    pub async fn revoke_certificate(
        &self,
        caller: &Caller,
        tenant: TenantId,
        serial: Serial,
        reason: Reason,
    ) -> Result<(), Error> {
        self.require_tenant(caller, &tenant)?;
        self.transact_by(caller, |tx| {
            let FoundCertificate { name, .. } = self
                .find_certificate(tx, &serial)?
                .filter(|found| found.name.tenant == tenant)
                .ok_or_else(|| {
                    let message = format_args!("there is no certificate {serial} in tenant {tenant}");
                    Error::new(ErrorCode::CertificateUnknown, message).about("wardein.v1.Certificate", serial)
                })?;
            let key = rows::revoked_key(&serial);
            let mut change = Change::default();
            if tx.get(Table::Revocation, &key)?.is_none() {
                let row = RevokedRow { at: self.time(), reason: reason.clone() };
                change.insert(Table::Revocation, key, rows::encode(&row)?);
                let target = crate::kernel::record::target(&name);
                let entry = self.entry(caller, Event::CertificateRevoked, target, Outcome::Done);
                let entry =
                    entry.in_tenant(&tenant).with(FieldName::Serial, serial).with(FieldName::Reason, &reason);
                change.record(&entry)?;
            }
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// When, in Unix seconds, and why a certificate of `device` was revoked: by itself, by the device's rule, or because it is of
    /// an era whose clock ran ahead.
    pub(crate) fn revocation(
        &self,
        tx: &Tx<'_>,
        device: &DeviceName,
        serial: &Serial,
        (issued_at, era): (UnixSeconds, u32),
    ) -> Result<Option<(u64, Reason)>, Stop> {
        let row: Option<(u64, RevokedRow)> = tx.row(Table::Revocation, &rows::revoked_key(serial))?;
        if let Some((_, RevokedRow { at, reason })) = row {
            return Ok(Some((at.get(), reason)));
        }
        if let Some(began) = self.clock.ran_ahead(era, issued_at) {
            let reason = "issued by a clock that ran ahead".parse().map_err(Error::internal)?;
            return Ok(Some((began.get(), reason)));
        }
        let rule = self.memory.revocation_rule(device, self.issuing_ca(), issued_at);
        Ok(rule.map(|rule| (rule.at.get(), rule.reason)))
    }

    /// Refuses to issue a certificate that a rule already revokes: a certificate of the second in which the device was
    /// readmitted, of a clock that ran ahead then, or of a CA that is not to be trusted any more.
    pub(crate) fn refuse_revoked(&self, device: &DeviceName, now: UnixSeconds) -> Result<(), Error> {
        let Some(rule) = self.memory.revocation_rule(device, self.issuing_ca(), now) else { return Ok(()) };
        let (until, reason) = (rule.issued_until.get(), rule.reason);
        let message = format_args!(
            "certificates of this device that are issued until Unix second {until} are revoked: {reason}; ask again after that"
        );
        Err(Error::new(ErrorCode::IssuanceRevoked, message))
    }

    /// Revokes by one rule the certificates issued in a span of Unix seconds, both ends inclusive: to a device, in a tenant, or
    /// by the issuing CA. It costs the same however many certificates there are. The same again changes nothing.
    pub async fn revoke_issued(
        &self,
        caller: &Caller,
        issued: Issued,
        span: RangeInclusive<u64>,
        reason: Reason,
    ) -> Result<(), Error> {
        if span.is_empty() {
            return Err(Error::wrong("span", "ends before it begins"));
        }
        let scope = match issued {
            Issued::ToDevice(name) => {
                self.require_tenant(caller, &name.tenant)?;
                RuleScope::Device(name)
            }
            Issued::InTenant(tenant) => {
                self.require_tenant(caller, &tenant)?;
                RuleScope::Tenant(tenant)
            }
            Issued::ByCa if caller.principal.tenant.is_none() => RuleScope::Ca(*self.issuing_ca()),
            Issued::ByCa => {
                let message =
                    "only an operator of the authority may revoke the CA's certificates of all tenants";
                return Err(Error::new(ErrorCode::RoleInsufficient, message));
            }
        };
        let (issued_from, issued_until) = (UnixSeconds::new(*span.start()), UnixSeconds::new(*span.end()));
        self.transact_by(caller, |tx| {
            let rule = RuleRow {
                issued_from,
                issued_until,
                at: self.time(),
                era: self.clock.era(),
                reason: reason.clone(),
            };
            let mut change = Change::default();
            if let RuleScope::Device(name) = &scope {
                self.device_row(tx, name)?;
            }
            if !self.put_rule(tx, &mut change, &scope, rule)? {
                return Ok(Decision::unchanged(()));
            }
            let (target, tenant) = match &scope {
                RuleScope::Device(name) => (crate::kernel::record::target(name), Some(&name.tenant)),
                RuleScope::Tenant(tenant) => (Target::Tenant(tenant.clone()), Some(tenant)),
                RuleScope::Ca(_) => (Target::Authority, None),
            };
            let entry = self.entry(caller, Event::CertificateRevoked, target, Outcome::Done);
            let entry = tenant.into_iter().fold(entry, wardein_domain::AuditEntry::in_tenant);
            let entry = entry
                .with(FieldName::IssuedFrom, issued_from.get())
                .with(FieldName::IssuedUntil, issued_until.get())
                .with(FieldName::Reason, &reason);
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// Adds a rule to `change`; whether there is anything to add. A device has one, which is widened.
    pub(crate) fn put_rule(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        scope: &RuleScope,
        mut rule: RuleRow,
    ) -> Result<bool, Stop> {
        let key = rows::rule_key(scope, &rule);
        let present: Option<(u64, RuleRow)> = tx.row(Table::Revocation, &key)?;
        let (version, present) = present.unzip();
        if let Some(present) = present.map(|present| present.read_by(&self.clock)) {
            if present.covers(rule.issued_from) && present.covers(rule.issued_until) {
                return Ok(false);
            }
            rule.issued_from = rule.issued_from.min(present.issued_from);
            rule.issued_until = rule.issued_until.max(present.issued_until);
        }
        change.put(Table::Revocation, key, version, rows::encode(&rule)?);
        Ok(true)
    }

    /// The key identifier of the CA that certifies devices.
    fn issuing_ca(&self) -> &[u8; 20] {
        self.authority.issuing.certificate().key_id()
    }

    /// A device's certificate by its serial.
    pub(crate) fn find_certificate(
        &self,
        tx: &Tx<'_>,
        serial: &Serial,
    ) -> Result<Option<FoundCertificate>, Stop> {
        let Some(found) = tx.get(Table::Serial, serial.as_bytes())? else { return Ok(None) };
        let key = Link::decode(Table::Serial, &found.value)?;
        // An operator's serial leads elsewhere.
        let Some((name, serial)) = rows::parse_certificate_key(key) else { return Ok(None) };
        let row = tx.row(Table::Certificate, key)?;
        Ok(row.map(|(_, row)| FoundCertificate { name, serial, row }))
    }
}

/// A certificate on record: its holder, and its row.
pub(crate) struct FoundCertificate {
    pub(crate) name: DeviceName,
    pub(crate) serial: Serial,
    pub(crate) row: CertificateRow,
}
