//! The action `certificate`.

use super::{Body, Done};
use crate::fleet::profiles::certificate_names;
use crate::issue::prepared::Certified;
use crate::issue::serial::new_serial;
use crate::keep::clock::ca_not_valid;
use crate::kernel::record::{self, Recording, hex, target};
use crate::kernel::{Engine, Error, Tx};
use crate::project::{KnownCa, Rules};
use crate::rows::{self, CertificateRow, Link};
use std::sync::Arc;
use wardein_crypto::Digest;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Actor, Assurance, Call, CertificateNames, ErrorCode, Event, FieldName, Fields, KeyPurposes, Outcome,
    ProfileName, Serial, UnixSeconds,
};
use wardein_pki::{DeviceCsr, DeviceIdentity, Issued, Issuing, PkiError, ToBeSigned, Validity};
use wardein_port::{Change, Table};

/// The inputs for issuing a certificate, and the change that it goes into.
pub(crate) struct Certifying<'a> {
    pub(crate) name: &'a DeviceName,
    pub(crate) profile: &'a ProfileName,
    pub(crate) rules: &'a Rules,
    /// Unix seconds.
    pub(crate) now: u64,
    /// How surely the key is where it is said to be, where that is known.
    pub(crate) assurance: Option<Assurance>,
    pub(crate) change: &'a mut Change,
}

impl Engine {
    /// Builds and lints a certificate. It is on record, with its serial, in the same change as the proof; signed, unless the CA's
    /// key is in another process.
    pub(crate) fn issue_certificate(
        &self,
        tx: &mut Tx<'_>,
        csr: &DeviceCsr,
        certifying: Certifying<'_>,
    ) -> Result<Done, Error> {
        let Certifying { name, profile, rules, now, assurance, change } = certifying;
        self.may_certify()?;
        let serial = new_serial(tx.draw())?;
        let ca = self.issuer_of(&name.tenant)?;
        let issuing = ca.key()?;
        // A CA that was switched from or distrusted since certifies nothing, whatever the memory of this node says.
        change.check(Table::IssuingCa, ca.id.as_bytes().to_vec(), ca.version);
        let validity = Validity::starting(now, rules.profile.certificate_validity())
            .and_then(|validity| validity.within(ca.certificate.validity()))
            .map_err(|_| ca_not_valid(now))?;
        self.refuse_revoked((&name.tenant, Some(name)), &ca.id, UnixSeconds::new(now))?;
        let names = certificate_names(rules, name, profile)?;
        let purposes = rules.profile.certificate_profile().purposes();
        self.refuse_own_name(purposes, &names)?;
        let no_rev_avail = rules.profile.certificate_no_rev_avail();
        let (tenant, device) = (name.tenant.clone(), name.device.clone());
        let device =
            DeviceIdentity { serial, tenant, device, names, validity, assurance, purposes, no_rev_avail };
        let order = issuing.device_order(csr, &device).map_err(|error| match error {
            PkiError::Purposes => {
                let message = format_args!(
                    "profile {profile}: {} is for servers, too, and the issuing CA certifies clients alone",
                    rules.profile.certificate_profile()
                );
                Error::new(error.code(), message)
            }
            error => Error::internal(error),
        })?;
        let (issued_at, era) = (UnixSeconds::new(now), self.clock.era());
        let ordered = Ordered { name: name.clone(), serial, issued_at, validity, era };
        let renewal = Some(rules.profile.renewal_window(now, validity.not_after()));
        let key = rows::certificate_key(name, &serial);
        change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(&key));
        Ok(match self.certify(issuing, &order, change)? {
            Certified::Signed(issued) => {
                ordered.put(&issued, change)?;
                let fields = ordered.fields().with(FieldName::Certificate, digest(&issued));
                let body = Body::Ready(self.authority.device_chain(&ca, issued.der(), now));
                Done { event: Event::CertificateIssued, fields, body, renewal }
            }
            Certified::Prepared(tbs) => {
                let fields = ordered.fields();
                let body = Body::Unsigned(Box::new(Unsigned { before: Vec::new(), ordered, ca, tbs }));
                Done { event: Event::CertificatePrepared, fields, body, renewal }
            }
        })
    }

    /// Refuses to certify a server for a name of the authority's own server: clients would take the device for the authority.
    fn refuse_own_name(&self, purposes: KeyPurposes, names: &CertificateNames) -> Result<(), Error> {
        if !purposes.includes(KeyPurposes::SERVER) {
            return Ok(());
        }
        // Where there is no DNS name, verifiers such as OpenSSL go by the common name.
        let common_name = names.common_name.as_ref().and_then(|name| name.as_str().parse().ok());
        let named = [("certificate_dns", names.dns.clone()), ("certificate_cn", common_name)];
        for (field, name) in named {
            if let Some(name) = name.filter(|name| self.server_names.has(name)) {
                let message = format_args!("{field} makes `{name}` of it, which is the authority's own name");
                return Err(Error::new(ErrorCode::CertificateNameUnfit, message));
            }
        }
        Ok(())
    }

    /// The reply body of an action whose change is durable.
    pub(crate) async fn body(&self, call: &Call, body: Body) -> Result<Vec<u8>, Error> {
        let Unsigned { before, ordered, ca, tbs } = match body {
            Body::Ready(body) => return Ok(body),
            Body::Unsigned(unsigned) => *unsigned,
        };
        let issued = self
            .complete(ca.key()?, tbs, |_, issued, change| {
                ordered.put(issued, change)?;
                let name = &ordered.name;
                let actor = Actor::Device(name.tenant.clone(), name.device.clone());
                let (now_ms, event) = (self.clock.now_ms(), Event::CertificateIssued);
                let entry = record::entry(now_ms, actor, event, target(name), Outcome::Done, call);
                let fields = ordered.fields().with(FieldName::Certificate, digest(issued));
                Ok(change.record(&entry.with_all(fields))?)
            })
            .await?;
        let chain = self.authority.device_chain(&ca, issued.der(), self.now());
        Ok([before, chain].concat())
    }
}

/// A certificate that the CA's key, in another process, is yet to sign.
pub(crate) struct Unsigned {
    /// What the reply body has in front of the chain.
    before: Vec<u8>,
    ordered: Ordered,
    ca: Arc<KnownCa>,
    tbs: ToBeSigned<Issuing>,
}

impl Unsigned {
    /// The same with `bytes` in front of the reply body.
    pub(super) fn behind(self, bytes: Vec<u8>) -> Self {
        Self { before: [bytes, self.before].concat(), ..self }
    }
}

/// A certificate as it goes on record.
struct Ordered {
    name: DeviceName,
    serial: Serial,
    issued_at: UnixSeconds,
    validity: Validity,
    era: u32,
}

impl Ordered {
    fn put(&self, issued: &Issued, change: &mut Change) -> Result<(), Error> {
        let row = CertificateRow {
            issued_at: self.issued_at,
            not_before: UnixSeconds::new(self.validity.not_before()),
            not_after: UnixSeconds::new(self.validity.not_after()),
            era: self.era,
            der: issued.der().to_vec(),
        };
        row.put_of_device(rows::certificate_key(&self.name, &self.serial), change)
    }

    fn fields(&self) -> Fields {
        let fields = Fields::default().with(FieldName::Serial, self.serial);
        fields.with(FieldName::NotAfter, self.validity.not_after())
    }
}

fn digest(issued: &Issued) -> String {
    hex(&Digest::of(issued.der()).0)
}
