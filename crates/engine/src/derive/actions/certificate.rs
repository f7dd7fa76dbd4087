//! The action `certificate`.

use super::Done;
use crate::issue::serial::new_serial;
use crate::kernel::record::hex;
use crate::kernel::{Engine, Error, Tx};
use crate::project::Rules;
use crate::rows::{self, CertificateRow, Link};
use wardein_crypto::Digest;
use wardein_ddkg::DeviceName;
use wardein_domain::{Assurance, Event, FieldName, Fields, UnixSeconds};
use wardein_pki::{Csr, DeviceIdentity, Validity};
use wardein_port::{Change, Table};

/// The inputs for issuing a certificate, and the change that it goes into.
pub(crate) struct Certifying<'a> {
    pub(crate) name: &'a DeviceName,
    pub(crate) rules: &'a Rules,
    /// Unix seconds.
    pub(crate) now: u64,
    /// How surely the key is where it is said to be, where that is known.
    pub(crate) assurance: Option<Assurance>,
    pub(crate) change: &'a mut Change,
}

impl Engine {
    /// Builds, lints and signs a certificate; it is on record, with its serial, in the same change as the proof.
    pub(crate) fn issue_certificate(
        &self,
        tx: &mut Tx<'_>,
        csr: &Csr,
        certifying: Certifying<'_>,
    ) -> Result<Done, Error> {
        let Certifying { name, rules, now, assurance, change } = certifying;
        let serial = new_serial(tx.draw())?;
        let validity = Validity::starting(now, rules.profile.certificate_validity())
            .and_then(|validity| validity.within(self.authority.issuing.certificate().validity()))
            .map_err(Error::internal)?;
        let (not_before, not_after) = (validity.not_before(), validity.not_after());
        self.refuse_revoked(name, UnixSeconds::new(now))?;
        let (tenant, device) = (name.tenant.clone(), name.device.clone());
        let device = DeviceIdentity { serial, tenant, device, validity, assurance };
        let issued = self.authority.issuing.issue_device(csr, &device).map_err(Error::internal)?;
        let row = CertificateRow {
            issued_at: UnixSeconds::new(now),
            not_before: UnixSeconds::new(not_before),
            not_after: UnixSeconds::new(not_after),
            der: issued.der().to_vec(),
        };
        let key = rows::certificate_key(name, &serial);
        change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(&key));
        change.insert(Table::Certificate, key, rows::encode(&row)?);
        let fields = Fields::default()
            .with(FieldName::Serial, serial)
            .with(FieldName::NotAfter, not_after)
            .with(FieldName::Certificate, hex(&Digest::of(issued.der()).0));
        let reply = self.authority.device_chain(issued.der());
        Ok(Done { event: Event::CertificateIssued, fields, reply })
    }
}
