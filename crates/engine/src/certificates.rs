//! Certificates on record.

use crate::api::{Caller, Certificate, Page, Paged};
use crate::audit::Recording;
use crate::kernel::{Decision, Engine, Error, Kind, Stop, Tx};
use crate::rows::{self, CertificateRow};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, Event, Outcome, Reason, Serial, TenantId};
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
        self.page(Table::Certificate, &prefix, &page, |key, value| {
            let (device, serial) = rows::parse_certificate_key(key)
                .ok_or_else(|| Error::internal("a certificate's key is damaged"))?;
            let mut row: CertificateRow = rows::decode(Table::Certificate, value)?;
            row.revoked = self.revocation(&device, row.issued_at, row.revoked);
            certificate(device, serial, row).map(Some)
        })
        .await
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
        let revoked_at = self.now();
        self.transact(|tx| {
            let FoundCertificate { name, key, version, mut row } = self
                .find_certificate(tx, &serial)?
                .filter(|found| found.name.tenant == tenant)
                .ok_or_else(|| {
                    let message = format_args!("there is no certificate {serial} in tenant {tenant}");
                    Error::new(Kind::NotFound, "certificate-unknown", message)
                })?;
            let mut change = Change::default();
            if row.revoked.is_none() {
                row.revoked = Some((revoked_at, reason.to_string()));
                change.update(Table::Certificate, key, version, rows::encode(&row)?);
                let target = crate::provisioning::target(&name);
                let entry = self.entry(caller, Event::CertificateRevoked, target, Outcome::Done);
                let entry = entry.in_tenant(&tenant).with(format_args!("serial {serial}: {reason}"));
                change.record_on(tx.draw(), &name, &entry)?;
            }
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// When and why a certificate of `device` was revoked: by itself, or because the device was readmitted since it was issued.
    pub(crate) fn revocation(
        &self,
        device: &DeviceName,
        issued_at: u64,
        revoked: Option<(u64, String)>,
    ) -> Option<(u64, String)> {
        let readmitted_at = self.memory.device(device).map_or(0, |known| known.readmitted_at);
        let is_before = readmitted_at != 0 && issued_at <= readmitted_at;
        revoked.or_else(|| is_before.then(|| (readmitted_at, "the device was readmitted".to_owned())))
    }

    /// A device's certificate by its serial.
    pub(crate) fn find_certificate(
        &self,
        tx: &Tx<'_>,
        serial: &Serial,
    ) -> Result<Option<FoundCertificate>, Stop> {
        let Some(found) = tx.get(Table::Serial, serial.as_bytes())? else { return Ok(None) };
        // An operator's serial leads elsewhere.
        let Some((name, _)) = rows::parse_certificate_key(&found.value) else { return Ok(None) };
        let row = tx.row(Table::Certificate, &found.value)?;
        Ok(row.map(|(version, row)| FoundCertificate { name, key: found.value, version, row }))
    }
}

/// A certificate's row: whose it is, where it is, and what it says.
pub(crate) struct FoundCertificate {
    pub(crate) name: DeviceName,
    key: Vec<u8>,
    version: u64,
    pub(crate) row: CertificateRow,
}

fn certificate(device: DeviceName, serial: Serial, row: CertificateRow) -> Result<Certificate, Error> {
    let CertificateRow { not_before, not_after, revoked, der, .. } = row;
    let revoked =
        revoked.map(|(at, reason)| Ok::<_, Error>((at, rows::word("reason", &reason)?))).transpose()?;
    Ok(Certificate { serial, device, not_before, not_after, revoked, der })
}
