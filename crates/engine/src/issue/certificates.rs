//! Certificates on record.

use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, SCANNED, Stop, Tx};
use crate::project::Revoked;
use crate::rows::{self, CertificateRow, Holder, Link, RevokedRow, RuleRow, RuleScope};
use std::ops::RangeInclusive;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    CaId, DeviceId, ErrorCode, Event, FieldName, Fingerprint, Outcome, Reason, RevocationReason, Serial,
    Target, TenantId, UnixSeconds,
};
use wardein_port::{Change, Table};

/// A certificate on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its serial.
    pub serial: Serial,
    /// Whose it is; none: the platform's.
    pub device: Option<DeviceId>,
    /// Unix seconds from which it is valid.
    pub not_before: u64,
    /// Unix seconds until which it is valid.
    pub not_after: u64,
    /// When and why it was revoked, or put on hold: by itself, by a rule, or by the state of its device.
    pub revoked: Option<Revoked>,
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
    /// Certificates that an issuing CA signed.
    ByCa(CaId),
}

impl Engine {
    /// The certificates of a tenant, those of its platform among them, optionally of one device.
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
            let (holder, serial) = rows::parse_certificate_key(&key)
                .ok_or_else(|| rows::damaged(Table::Certificate, "has a damaged key"))?;
            let row: CertificateRow = rows::decode(Table::Certificate, &row.value)?;
            let revoked = self.look(|tx| self.listed_revocation(tx, &holder, &serial, &row)).await?;
            let CertificateRow { not_before, not_after, der, .. } = row;
            let (not_before, not_after) = (not_before.get(), not_after.get());
            let device = holder.device().map(|name| name.device.clone());
            pager.keep(Some(Certificate { serial, device, not_before, not_after, revoked, der }));
        }
        Ok(pager.done())
    }

    /// Revokes one certificate, for good or, with [`RevocationReason::CertificateHold`], until it is released. Trust queries by it are
    /// answered accordingly at once, and lists within seconds. Revoking twice is fine, also what was on hold; what is revoked for good
    /// stays so.
    pub async fn revoke_certificate(
        &self,
        caller: &Caller,
        tenant: TenantId,
        serial: Serial,
        code: RevocationReason,
        reason: Reason,
    ) -> Result<(), Error> {
        self.require_tenant(caller, &tenant)?;
        self.transact_by(caller, |tx| {
            let FoundCertificate { holder, row, .. } = self.certificate_in(tx, &tenant, &serial)?;
            let key = rows::revoked_key(&serial);
            let (version, present) = tx.row::<RevokedRow>(Table::Revocation, &key)?.unzip();
            match present.filter(|present| !present.is_released).map(|present| present.code) {
                Some(present) if !present.is_hold() && code.is_hold() => {
                    return Err(revoked_for_good(&serial).into());
                }
                Some(present) if present == code || !present.is_hold() => {
                    return Ok(Decision::unchanged(()));
                }
                _ => {}
            }
            let revoked = row.revoked(self.time(), reason.clone(), code)?;
            let mut change = Change::default();
            change.put(Table::Revocation, key, version, rows::encode(&revoked)?);
            let target = holder.target();
            let entry = self.entry(caller, Event::CertificateRevoked, target, Outcome::Done);
            let entry = entry
                .in_tenant(&tenant)
                .with(FieldName::Serial, serial)
                .with(FieldName::RevocationReason, code)
                .with(FieldName::Reason, &reason);
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// Releases a certificate that is on hold by itself. It may stay revoked by a rule, or on hold by the state of its device. Releasing
    /// what is not on hold changes nothing; what is revoked for good is refused.
    pub async fn release_certificate(
        &self,
        caller: &Caller,
        tenant: TenantId,
        serial: Serial,
        reason: Reason,
    ) -> Result<(), Error> {
        self.require_tenant(caller, &tenant)?;
        self.transact_by(caller, |tx| {
            let FoundCertificate { holder, .. } = self.certificate_in(tx, &tenant, &serial)?;
            let key = rows::revoked_key(&serial);
            let present = tx.row::<RevokedRow>(Table::Revocation, &key)?;
            let Some((version, row)) = present.filter(|(_, row)| !row.is_released) else {
                return Ok(Decision::unchanged(()));
            };
            if !row.code.is_hold() {
                return Err(revoked_for_good(&serial).into());
            }
            let mut change = Change::default();
            let released = RevokedRow { is_released: true, at: self.time(), ..row };
            change.update(Table::Revocation, key, version, rows::encode(&released)?);
            let target = holder.target();
            let entry = self.entry(caller, Event::CertificateReleased, target, Outcome::Done);
            let entry =
                entry.in_tenant(&tenant).with(FieldName::Serial, serial).with(FieldName::Reason, &reason);
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// A certificate of a device of that tenant, or of its platform.
    fn certificate_in(
        &self,
        tx: &Tx<'_>,
        tenant: &TenantId,
        serial: &Serial,
    ) -> Result<FoundCertificate, Stop> {
        let found = self.find_certificate(tx, serial)?.filter(|found| found.holder.tenant() == tenant);
        Ok(found.ok_or_else(|| {
            let message = format_args!("there is no certificate {serial} in tenant {tenant}");
            Error::new(ErrorCode::CertificateUnknown, message).about("wardein.v1.Certificate", serial)
        })?)
    }

    /// When and why a certificate of `holder` was revoked: by itself, by a rule, or because it is of an era whose clock ran ahead. The
    /// state of the device is not asked: verdicts say it themselves.
    pub(crate) fn revocation(
        &self,
        tx: &Tx<'_>,
        holder: &Holder,
        serial: &Serial,
        row: &CertificateRow,
    ) -> Result<Option<Revoked>, Stop> {
        self.revocation_by(tx, holder, serial, (&row.ca()?, row))
    }

    /// The same where the key identifier of the CA that issued it was read before.
    pub(crate) fn revocation_by(
        &self,
        tx: &Tx<'_>,
        holder: &Holder,
        serial: &Serial,
        (ca, row): (&[u8; 20], &CertificateRow),
    ) -> Result<Option<Revoked>, Stop> {
        let single: Option<(u64, RevokedRow)> = tx.row(Table::Revocation, &rows::revoked_key(serial))?;
        let single = single.map(|(_, row)| row).filter(|row| !row.is_released);
        let single = single.map(|RevokedRow { at, code, reason, .. }| Revoked { at: at.get(), code, reason });
        Ok(match single {
            Some(revoked) if !revoked.code.is_hold() => Some(revoked),
            single => self.memory.ruled_revocation(holder, ca, row).or(single),
        })
    }

    /// The same as lists say it: with the state of the device.
    pub(crate) fn listed_revocation(
        &self,
        tx: &Tx<'_>,
        holder: &Holder,
        serial: &Serial,
        row: &CertificateRow,
    ) -> Result<Option<Revoked>, Stop> {
        let revoked = self.revocation(tx, holder, serial, row)?;
        let by_state = holder.device().and_then(|device| self.memory.revocation_by_state(device));
        Ok(match (revoked, by_state) {
            (Some(held), Some(state)) if held.code.is_hold() && !state.code.is_hold() => Some(state),
            (revoked, by_state) => revoked.or(by_state),
        })
    }

    /// Refuses to issue a certificate that a rule already revokes: a certificate of the second in which the device was
    /// readmitted, of a clock that ran ahead then, or of a CA that is not to be trusted any more.
    pub(crate) fn refuse_revoked(
        &self,
        holder: (&TenantId, Option<&DeviceName>),
        ca: &CaId,
        now: UnixSeconds,
    ) -> Result<(), Error> {
        let Some(rule) = self.memory.revocation_rule(holder, ca.as_bytes(), now) else { return Ok(()) };
        let (until, reason) = (rule.issued_until.get(), rule.reason);
        let message = format_args!(
            "certificates that are issued to it until Unix second {until} are revoked: {reason}; ask again after that"
        );
        Err(Error::new(ErrorCode::IssuanceRevoked, message))
    }

    /// Revokes by one rule the certificates issued in a span of Unix seconds, both ends inclusive: to a device, in a tenant, or
    /// by an issuing CA. It costs the same however many certificates there are. The same again changes nothing.
    pub async fn revoke_issued(
        &self,
        caller: &Caller,
        issued: Issued,
        span: RangeInclusive<u64>,
        code: RevocationReason,
        reason: Reason,
    ) -> Result<(), Error> {
        if span.is_empty() {
            return Err(Error::wrong("span", "ends before it begins"));
        }
        if code.is_hold() {
            return Err(Error::wrong(
                "code",
                "a rule cannot be taken back; hold certificates by serial, or suspend the device",
            ));
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
            Issued::ByCa(id) if caller.principal.tenant.is_none() => {
                self.known_ca(&id)?;
                RuleScope::Ca(*id.as_bytes())
            }
            Issued::ByCa(_) => {
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
                code,
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
                .with(FieldName::RevocationReason, code)
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
            // Of the two reasons a key that is known to others is the graver, whichever came first.
            let is_graver = rule.code == RevocationReason::KeyCompromise && present.code != rule.code;
            if present.covers(rule.issued_from) && present.covers(rule.issued_until) && !is_graver {
                return Ok(false);
            }
            if present.code == RevocationReason::KeyCompromise {
                rule.code = present.code;
            }
            rule.issued_from = rule.issued_from.min(present.issued_from);
            rule.issued_until = rule.issued_until.max(present.issued_until);
        }
        change.put(Table::Revocation, key, version, rows::encode(&rule)?);
        Ok(true)
    }

    /// A certificate of an issuing CA by its serial.
    pub(crate) fn find_certificate(
        &self,
        tx: &Tx<'_>,
        serial: &Serial,
    ) -> Result<Option<FoundCertificate>, Stop> {
        let Some(found) = tx.get(Table::Serial, serial.as_bytes())? else { return Ok(None) };
        let key = Link::decode(Table::Serial, &found.value)?;
        // An operator's serial leads elsewhere.
        let Some((holder, serial)) = rows::parse_certificate_key(key) else { return Ok(None) };
        let row = tx.row(Table::Certificate, key)?;
        Ok(row.map(|(_, row)| FoundCertificate { holder, serial, row }))
    }

    /// A certificate of a device by its fingerprint. It counts if the one on record has it.
    pub(crate) fn find_by_fingerprint(
        &self,
        tx: &Tx<'_>,
        fingerprint: &Fingerprint,
    ) -> Result<Option<FoundCertificate>, Stop> {
        let Some(found) = tx.get(Table::CertificateFingerprint, fingerprint.as_bytes())? else {
            return Ok(None);
        };
        let key = Link::decode(Table::CertificateFingerprint, &found.value)?;
        let Some((holder, serial)) = rows::parse_certificate_key(key) else { return Ok(None) };
        let row = tx.row::<CertificateRow>(Table::Certificate, key)?.map(|(_, row)| row);
        let row = row.filter(|row| row.fingerprint() == *fingerprint);
        Ok(row.map(|row| FoundCertificate { holder, serial, row }))
    }
}

impl Holder {
    /// The target of an entry about its certificate.
    pub(crate) fn target(&self) -> Target {
        match self {
            Self::Device(name) => crate::kernel::record::target(name),
            Self::Platform(tenant) => Target::Tenant(tenant.clone()),
        }
    }
}

fn revoked_for_good(serial: &Serial) -> Error {
    let message = format_args!("certificate {serial} is revoked for good");
    Error::new(ErrorCode::CertificateRevokedForGood, message).about("wardein.v1.Certificate", serial)
}

/// A certificate on record: its holder, and its row.
pub(crate) struct FoundCertificate {
    pub(crate) holder: Holder,
    pub(crate) serial: Serial,
    pub(crate) row: CertificateRow,
}
