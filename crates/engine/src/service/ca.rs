//! The SSH CA of a tenant, the certificates of visits, and what devices get of both.

use super::visits::{VisitId, of, visible};
use crate::kernel::record::{Recording, hex, target};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, DeviceVisitsRow, OpenVisitRow, ServiceCaRow, VisitRow, service_ca_place};
use wardein_crypto::{P256SigningKey, SecretBytes};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, Event, FieldName, Outcome, SourceAddress, TenantId};
use wardein_pki::ssh::{SshCa, SshCertificateOrder, SshKey, revocation_list};
use wardein_port::{Change, Table};

/// An SSH certificate of a visit.
#[derive(Debug, Clone)]
pub struct VisitCertificate {
    /// The line of its `-cert.pub` file.
    pub line: String,
    /// Its serial.
    pub serial: u64,
    /// The account's principal, `dev:TENANT/DEVICE`.
    pub principal: String,
    /// Unix second from which it is valid.
    pub valid_after: u64,
    /// Unix second from which it is not.
    pub valid_before: u64,
}

impl Engine {
    /// The line of a tenant's SSH CA; none before its first visit was released, or release at the device was switched on.
    pub async fn get_service_ca(&self, caller: &Caller, tenant: TenantId) -> Result<Option<String>, Error> {
        self.require_tenant(caller, &tenant)?;
        self.look(|tx| Ok(service_ca(tx, &tenant)?.map(|(_, row)| SshCa::new(&row.public).line()))).await
    }

    /// Certifies the technician's key for one device of a visit, for at most an hour: only during the window of a visit that was released.
    pub async fn certify_visit(
        &self,
        caller: &Caller,
        tenant: TenantId,
        id: VisitId,
        device: DeviceId,
    ) -> Result<VisitCertificate, Error> {
        self.require_tenant(caller, &tenant)?;
        self.transact_by(caller, |tx| {
            let (version, mut row) = visible(tx, caller, &tenant, &id)?;
            let name = DeviceName { tenant: tenant.clone(), device: device.clone() };
            self.require_visited(tx, &name, &id, &row)?;
            let missing = || rows::damaged(Table::ServiceCa, "is missing where a visit was released");
            let (_, ca) = service_ca(tx, &tenant)?.ok_or_else(missing)?;
            let certificate = self.sign_certificate(tx, &name, &id, &row, &ca)?;
            let mut change = Change::default();
            // One that is ended at the same time certifies nothing.
            match row.certified.contains(&device) {
                true => change.check(Table::Visit, rows::visit_key(&tenant, &id), version),
                false => {
                    // From now on a protocol of that device is awaited.
                    row.certified.push(device.clone());
                    let value = rows::encode(&row)?;
                    change.update(Table::Visit, rows::visit_key(&tenant, &id), version, value);
                }
            }
            let entry = self.entry(caller, Event::VisitCertified, target(&name), Outcome::Done);
            let entry = of(entry, &tenant, &id, &row)
                .with(FieldName::SshSerial, certificate.serial)
                .with(FieldName::NotAfter, certificate.valid_before);
            change.record(&entry)?;
            Ok(Decision::new(change, certificate))
        })
        .await
    }

    fn sign_certificate(
        &self,
        tx: &mut Tx<'_>,
        name: &DeviceName,
        id: &VisitId,
        row: &VisitRow,
        ca: &ServiceCaRow,
    ) -> Result<VisitCertificate, Stop> {
        let damaged = || rows::damaged(Table::ServiceCa, "holds another key than it says");
        let document = self.root.ring().open(service_ca_place(&ca.public), &ca.sealed)?;
        let signer = P256SigningKey::from_pkcs8(&document).map_err(|_| damaged())?;
        if *signer.verifying_key() != ca.public {
            return Err(damaged().into());
        }
        let key = SshKey::from_blob(&row.ssh_key).map_err(|error| rows::damaged(Table::Visit, error))?;
        let (now, window) = (self.time().get(), row.window());
        // A device's clock may be a little behind; before the window it lets nobody in.
        let valid_after = now.saturating_sub(SKEW).max(window.from().get());
        let valid_before = now.saturating_add(LIFETIME).min(window.until().get());
        let (serial, nonce) = (u64::from_be_bytes(tx.draw().public()?), tx.draw().public()?);
        let principal = format!("dev:{}/{}", name.tenant, name.device);
        let VisitRow { scope, work_order, technician, .. } = row;
        // Each word is of a type without blanks and characters that a shell reads. `=` keeps a name that begins with `-` from being an option.
        let force_command = format!(
            "wardein-device service session --visit={} --scope={scope} --work-order={work_order} \
             --technician={technician} --until={}",
            hex(id),
            window.until().get()
        );
        let sources: Vec<_> = row.sources.iter().map(SourceAddress::to_string).collect();
        let order = SshCertificateOrder {
            key: &key,
            serial,
            key_id: &key_id(&name.tenant, id),
            principal: &principal,
            valid_after,
            valid_before,
            force_command: &force_command,
            sources: &sources,
            verify_required: row.needs_verification,
        };
        let line = SshCa::new(&ca.public)
            .certify(&signer, &nonce, &order)
            .map_err(|_| Error::internal("the SSH CA's key did not sign"))?;
        Ok(VisitCertificate { line, serial, principal, valid_after, valid_before })
    }

    /// Makes the tenant's SSH CA in a change, unless there is one. `document` is a key that nothing else has.
    pub(super) fn ensure_service_ca(
        &self,
        tx: &Tx<'_>,
        tenant: &TenantId,
        document: &SecretBytes,
        change: &mut Change,
    ) -> Result<(), Stop> {
        if service_ca(tx, tenant)?.is_some() {
            return Ok(());
        }
        // No key is sealed under a version of the root key that is being left.
        self.rest_on_authority(tx, change)?;
        let damaged = |_| Error::internal("a key that was just made is damaged");
        let public = *P256SigningKey::from_pkcs8(document).map_err(damaged)?.verifying_key();
        let sealed = self.root.ring().seal(tx.nonce()?, service_ca_place(&public), document.expose())?;
        let row = ServiceCaRow { public, sealed, made: self.time() };
        change.insert(Table::ServiceCa, rows::tenant_prefix(tenant), rows::encode(&row)?);
        Ok(())
    }

    /// What a device needs to let technicians in: `u8(1) ‖ frame(CA line) ‖ frame(revocation list) ‖ frame(ids of ended visits)`, the first
    /// two empty where the tenant has no SSH CA (DDKG-1 §8.4).
    pub(crate) fn service_bundle(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<Vec<u8>, Stop> {
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        if let Some((_, row)) = service_ca(tx, &name.tenant)? {
            let ca = SshCa::new(&row.public);
            let found: Option<(u64, DeviceVisitsRow)> =
                tx.row(Table::DeviceVisits, &rows::device_key(name))?;
            let (version, visits) = found.unwrap_or_default();
            // What was made before the authority was restored may have been ended since the backup.
            let is_revoked =
                |visit: &&OpenVisitRow| visit.is_ended || visit.restored_at != self.authority.restored_at;
            let ended: Vec<_> = visits.open.iter().filter(is_revoked).map(|visit| visit.id).collect();
            let ids: Vec<_> = ended.iter().map(|id| key_id(&name.tenant, id)).collect();
            let list = revocation_list(&ca, version, self.time().get(), ids.iter().map(String::as_str));
            parts = [ca.line().into_bytes(), list, ended.concat()];
        }
        let mut out = vec![1];
        for part in parts {
            out.extend((part.len() as u32).to_be_bytes());
            out.extend(part);
        }
        Ok(out)
    }

    /// Seals the keys of SSH CAs under the newest version of the root key.
    pub(crate) async fn renew_service_cas(&self) -> Result<(), Error> {
        for tenant in self.memory.tenants() {
            self.transact(|tx| {
                let mut change = Change::default();
                let Some((version, mut row)) = service_ca(tx, &tenant)? else {
                    return Ok(Decision::unchanged(()));
                };
                let place = service_ca_place(&row.public);
                if let Some(sealed) = self.root.ring().renew(tx.nonce()?, place, &row.sealed)? {
                    row.sealed = sealed;
                    let key = rows::tenant_prefix(&tenant);
                    change.update(Table::ServiceCa, key, version, rows::encode(&row)?);
                }
                Ok(Decision::new(change, ()))
            })
            .await?;
        }
        Ok(())
    }
}

pub(super) fn service_ca(tx: &Tx<'_>, tenant: &TenantId) -> Result<Option<(u64, ServiceCaRow)>, Stop> {
    tx.row(Table::ServiceCa, &rows::tenant_prefix(tenant))
}

/// The name of a visit's certificates in logs and revocation lists.
fn key_id(tenant: &TenantId, id: &VisitId) -> String {
    format!("visit:{tenant}/{}", hex(id))
}

/// Seconds for which a certificate is valid at most. One of a visit that was ended is good so long at a device that does not hear of it.
const LIFETIME: u64 = 3_600;

/// Seconds by which a device's clock may be behind.
const SKEW: u64 = 60;
