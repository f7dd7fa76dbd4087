//! Certificates on record.

use crate::api::{Caller, Certificate, Page, Paged};
use crate::audit::Recording;
use crate::kernel::{Decision, Engine, Error, Kind, SCANNED, Stop, Tx};
use crate::rows::{self, CertificateRow, Link, RevokedRow};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, Event, Outcome, Reason, Serial, TenantId, UnixSeconds};
use wardein_port::{Change, Table};

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
            let revoked = self.look(|tx| self.revocation(tx, &device, &serial, row.issued_at)).await?;
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
                    Error::new(Kind::NotFound, "certificate-unknown", message)
                })?;
            let key = rows::revoked_key(&serial);
            let mut change = Change::default();
            if tx.get(Table::Revocation, &key)?.is_none() {
                let row = RevokedRow { at: self.time(), reason: reason.clone() };
                change.insert(Table::Revocation, key, rows::encode(&row)?);
                let target = crate::provisioning::target(&name);
                let entry = self.entry(caller, Event::CertificateRevoked, target, Outcome::Done);
                let entry = entry.in_tenant(&tenant).with(format_args!("serial {serial}: {reason}"));
                change.record_on(tx.draw(), &name, &entry)?;
            }
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// When, in Unix seconds, and why a certificate of `device` was revoked: by itself, or by the device's rule.
    pub(crate) fn revocation(
        &self,
        tx: &Tx<'_>,
        device: &DeviceName,
        serial: &Serial,
        issued_at: UnixSeconds,
    ) -> Result<Option<(u64, Reason)>, Stop> {
        let row: Option<(u64, RevokedRow)> = tx.row(Table::Revocation, &rows::revoked_key(serial))?;
        if let Some((_, RevokedRow { at, reason })) = row {
            return Ok(Some((at.get(), reason)));
        }
        let rule = self.memory.device_rule(device).filter(|rule| issued_at <= rule.issued_until);
        Ok(rule.map(|rule| (rule.issued_until.get(), rule.reason)))
    }

    /// Refuses to issue what a rule revokes already: a certificate of the second in which the device was readmitted, or of a clock that
    /// ran ahead then.
    pub(crate) fn refuse_revoked(&self, device: &DeviceName, now: UnixSeconds) -> Result<(), Error> {
        match self.memory.device_rule(device).filter(|rule| now <= rule.issued_until) {
            Some(rule) => {
                let until = rule.issued_until.get();
                let message = format_args!(
                    "certificates of this device that are issued until Unix second {until} are revoked; ask again after it"
                );
                Err(Error::new(Kind::Precondition, "issuance-revoked", message))
            }
            None => Ok(()),
        }
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

/// A certificate on record: whose it is, and what its row says.
pub(crate) struct FoundCertificate {
    pub(crate) name: DeviceName,
    pub(crate) serial: Serial,
    pub(crate) row: CertificateRow,
}
