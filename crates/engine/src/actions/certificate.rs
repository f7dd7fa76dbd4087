//! The action `certificate`.

use super::{Done, Performing};
use crate::engine::Engine;
use crate::error::Error;
use crate::operators::new_serial;
use crate::port::{Clock, Store, Table};
use crate::rows::{self, CertificateRow};
use wardein_domain::Event;
use wardein_pki::{Csr, DeviceIdentity, Validity};

impl<S: Store, C: Clock> Engine<S, C> {
    /// Builds, lints and signs a certificate; it is on record, with its serial, in the same change as the proof.
    pub(super) fn issue_certificate(&self, csr: &Csr, performing: Performing<'_>) -> Result<Done, Error> {
        let Performing { name, rules, now, change, .. } = performing;
        let serial = new_serial()?;
        let validity = Validity::starting(now, rules.profile.certificate_validity())
            .and_then(|validity| validity.within(self.authority.issuing.certificate().validity()))
            .map_err(Error::internal)?;
        let (not_before, not_after) = (validity.not_before(), validity.not_after());
        let device =
            DeviceIdentity { serial, tenant: name.tenant.clone(), device: name.device.clone(), validity };
        let issued = self.authority.issuing.issue_device(csr, &device).map_err(Error::internal)?;
        let row = CertificateRow { not_before, not_after, revoked: None, der: issued.der().to_vec() };
        let key = rows::certificate_key(name, &serial);
        change.insert(Table::Certificate, key.clone(), rows::encode(&row)?);
        change.insert(Table::Serial, serial.as_bytes().to_vec(), key);
        let detail = format!("serial {serial}, until {not_after}");
        let reply = self.authority.device_chain(issued.der());
        Ok(Done { event: Event::CertificateIssued, detail, reply })
    }
}
