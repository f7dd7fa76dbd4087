//! Certificates of platforms: of the server that devices deliver to, and of the key that signs their firmware.
//!
//! The CA of the tenant's devices issues them, so that they are revoked, listed and answered for like those of devices. Who did not hear
//! the answer asks again within a day, with the same request, and gets the same certificate.

use crate::issue::prepared::{Certified, refused};
use crate::issue::serial::new_serial;
use crate::keep::clock::ca_not_valid;
use crate::kernel::record::{Recording, hex, listed};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::project::KnownCa;
use crate::rows::{self, AnswerRow, CertificateRow, Link};
use std::sync::Arc;
use wardein_crypto::Digest;
use wardein_domain::{
    AuditEntry, CaId, CommonName, DnsName, ErrorCode, Event, FieldName, KeyKinds, Outcome, PlatformProfile,
    Role, Serial, Target, TenantId, UnixSeconds,
};
use wardein_pki::{
    CsrError, DeviceCsr, Issued, Issuing, PkiError, PlatformIdentity, ToBeSigned, Validity, issuer_key_id,
};
use wardein_port::{Change, Table};

/// A platform's certificate to be issued.
#[derive(Debug, Clone)]
pub struct PlatformOrder {
    /// Whose platform it is.
    pub tenant: TenantId,
    /// What it is for.
    pub profile: PlatformProfile,
    /// A PKCS#10 request, DER; only its key is taken.
    pub csr: Vec<u8>,
    /// The common name, for a profile without DNS names.
    pub common_name: Option<CommonName>,
    /// The names of the server.
    pub dns_names: Vec<DnsName>,
    /// Seconds for which it is valid.
    pub validity: u64,
}

/// A platform's certificate, as it is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformCertificate {
    /// Its serial.
    pub serial: Serial,
    /// Unix seconds until which it is valid.
    pub not_after: u64,
    /// The certificate followed by those of the CAs above it, PEM, as devices have theirs.
    pub pem: String,
}

impl Engine {
    /// Issues a certificate for a platform's key. The same order again, for the same key, gets the same certificate for a day, while that
    /// is valid.
    pub async fn issue_platform(
        &self,
        caller: &Caller,
        order: PlatformOrder,
    ) -> Result<PlatformCertificate, Error> {
        self.require_tenant(caller, &order.tenant)?;
        order.check()?;
        self.may_name_server(caller, &order)?;
        let csr = DeviceCsr::parse(&order.csr, KeyKinds::STRONG).map_err(|error| match error {
            CsrError::KeyNotAccepted => Error::new(
                error.code(),
                format_args!("csr: a platform's certificate is for keys of {}", KeyKinds::STRONG),
            ),
            error => Error::new(error.code(), error),
        })?;
        self.may_certify()?;
        let asked = order.digest(&csr);
        let answer = self
            .transact_by(caller, |tx| {
                if let Some((serial, row)) = self.answered_platform(tx, caller, &asked)? {
                    return Ok(Decision::unchanged(Answer::Again(serial, row)));
                }
                self.certify_platform(tx, caller, &order, &csr, &asked)
            })
            .await?;
        let (serial, not_after, der) = match answer {
            Answer::Again(serial, row) => (serial, row.not_after.get(), row.der),
            Answer::Signed(ordered, issued) => {
                (ordered.serial, ordered.validity.not_after(), issued.into_der())
            }
            Answer::Prepared(ordered, tbs) => {
                let record = |tx: &Tx<'_>, issued: &Issued, change: &mut Change| {
                    ordered.put(tx, issued, change)?;
                    let entry = self.platform_entry(caller, Event::PlatformCertified, &order, &ordered);
                    Ok(change.record(&with_digest(entry, issued))?)
                };
                let issued = self.complete(ordered.ca.key()?, *tbs, record).await?;
                (ordered.serial, ordered.validity.not_after(), issued.into_der())
            }
        };
        // The answer of the first time may be of a CA that has been followed by another since.
        let ca = CaId::new(issuer_key_id(&der).map_err(Error::internal)?);
        let ca = self
            .memory
            .ca(&ca)
            .ok_or_else(|| Error::internal("the CA of a certificate on record is unknown"))?;
        let pem = self.authority.platform_chain(&ca, &der, self.now())?;
        Ok(PlatformCertificate { serial, not_after, pem })
    }

    fn certify_platform(
        &self,
        tx: &mut Tx<'_>,
        caller: &Caller,
        order: &PlatformOrder,
        csr: &DeviceCsr,
        asked: &[u8; 32],
    ) -> Result<Decision<Answer>, Stop> {
        let PlatformOrder { tenant, profile, common_name, dns_names, validity, .. } = order.clone();
        let now = self.time();
        let serial = new_serial(tx.draw())?;
        let ca = self.issuer_of(&tenant)?;
        let issuing = ca.key()?;
        let mut change = Change::default();
        // As with devices: a CA that was switched from or distrusted since certifies nothing.
        change.check(Table::IssuingCa, ca.id.as_bytes().to_vec(), ca.version);
        let validity = Validity::starting(now.get(), validity)
            .and_then(|validity| validity.within(ca.certificate.validity()))
            .map_err(|_| ca_not_valid(now.get()))?;
        self.refuse_revoked((&tenant, None), &ca.id, now)?;
        let key = rows::platform_certificate_key(&tenant, &serial);
        let platform = PlatformIdentity { serial, tenant, profile, common_name, dns_names, validity };
        let certificate = issuing.platform_order(csr, &platform).map_err(|error| match error {
            PkiError::Purposes => Error::new(
                error.code(),
                format_args!("profile: the certificates of the tenant's CA cannot be for {profile}"),
            ),
            error => refused(error),
        })?;
        let (era, asked) = (self.clock.era(), *asked);
        let ordered = Ordered { ca: ca.clone(), key, serial, validity, issued_at: now, era, asked };
        change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(&ordered.key));
        let (event, answer) = match self.certify(issuing, &certificate, &mut change)? {
            Certified::Signed(issued) => {
                ordered.put(tx, &issued, &mut change)?;
                (Event::PlatformCertified, Answer::Signed(ordered, issued))
            }
            Certified::Prepared(tbs) => {
                (Event::CertificatePrepared, Answer::Prepared(ordered, Box::new(tbs)))
            }
        };
        let entry = match &answer {
            Answer::Signed(ordered, issued) => {
                with_digest(self.platform_entry(caller, event, order, ordered), issued)
            }
            Answer::Prepared(ordered, _) => self.platform_entry(caller, event, order, ordered),
            Answer::Again(..) => return Ok(Decision::unchanged(answer)),
        };
        change.record(&entry)?;
        Ok(Decision::new(change, answer))
    }

    /// The answer to the same order of a short time ago, while its certificate is valid.
    fn answered_platform(
        &self,
        tx: &Tx<'_>,
        caller: &Caller,
        asked: &[u8; 32],
    ) -> Result<Option<(Serial, CertificateRow)>, Stop> {
        let row: Option<(u64, AnswerRow)> = tx.row(Table::OperatorAnswer, asked)?;
        let Some((_, AnswerRow { serial, .. })) = row else { return Ok(None) };
        let Some(found) = self.find_certificate(tx, &serial)? else { return Ok(None) };
        let is_revoked = self.revocation(tx, &found.holder, &serial, &found.row)?.is_some();
        if is_revoked || found.row.not_after < self.time() {
            return Ok(None);
        }
        // There is no commit that would check the caller.
        self.operator_version(tx, &caller.principal)?;
        Ok(Some((serial, found.row)))
    }

    /// Refuses names of the authority's own server: clients would take the platform for the authority. And a tenant's administrator names
    /// that a platform of another tenant may have, for all certificates lead to one root; those are for an administrator of the authority.
    fn may_name_server(&self, caller: &Caller, order: &PlatformOrder) -> Result<(), Error> {
        if let Some(own) = order.dns_names.iter().find(|name| self.server_names.has(name)) {
            let message = format_args!("dns_names: `{own}` is the authority's own name");
            return Err(Error::new(ErrorCode::CertificateNameUnfit, message));
        }
        let suffix = format!(".{}", order.tenant);
        let foreign = order.dns_names.iter().find(|name| !name.as_str().ends_with(&suffix));
        match foreign {
            Some(name) if caller.principal.role != Role::Admin => {
                let message = format_args!(
                    "dns_names: a tenant's administrator has names certified that end with `{suffix}`; `{name}` is for an administrator \
                     of the authority"
                );
                Err(Error::new(ErrorCode::RoleInsufficient, message))
            }
            _ => Ok(()),
        }
    }

    fn platform_entry(
        &self,
        caller: &Caller,
        event: Event,
        order: &PlatformOrder,
        ordered: &Ordered,
    ) -> AuditEntry {
        let target = Target::Tenant(order.tenant.clone());
        let entry = self
            .entry(caller, event, target, Outcome::Done)
            .in_tenant(&order.tenant)
            .with(FieldName::Serial, ordered.serial)
            .with(FieldName::NotAfter, ordered.validity.not_after())
            .with(FieldName::CertificateProfile, order.profile.as_str());
        match &order.common_name {
            Some(name) => entry.with(FieldName::CommonName, name.as_str()),
            None => entry.with(FieldName::DnsNames, listed(&order.dns_names)),
        }
    }
}

/// What becomes of an order.
enum Answer {
    /// The certificate of the first time.
    Again(Serial, CertificateRow),
    Signed(Ordered, Issued),
    /// To be signed by a signer in another process.
    Prepared(Ordered, Box<ToBeSigned<Issuing>>),
}

/// A certificate as it goes on record.
struct Ordered {
    ca: Arc<KnownCa>,
    /// Of its row.
    key: Vec<u8>,
    serial: Serial,
    validity: Validity,
    issued_at: UnixSeconds,
    era: u32,
    asked: [u8; 32],
}

impl Ordered {
    /// The certificate, and that it is the answer to this order.
    fn put(&self, tx: &Tx<'_>, issued: &Issued, change: &mut Change) -> Result<(), Stop> {
        let row = CertificateRow {
            issued_at: self.issued_at,
            not_before: UnixSeconds::new(self.validity.not_before()),
            not_after: UnixSeconds::new(self.validity.not_after()),
            era: self.era,
            der: issued.der().to_vec(),
        };
        change.insert(Table::Certificate, self.key.clone(), rows::encode(&row)?);
        let present = tx.get(Table::OperatorAnswer, &self.asked)?.map(|row| row.version);
        // The certificate is in its own row.
        let answer = AnswerRow { at: self.issued_at, serial: self.serial, certificate: Vec::new() };
        change.put(Table::OperatorAnswer, self.asked.to_vec(), present, rows::encode(&answer)?);
        Ok(())
    }
}

impl PlatformOrder {
    fn check(&self) -> Result<(), Error> {
        let Self { profile, validity, dns_names, common_name, .. } = self;
        let (seconds, count) = (profile.validity(), profile.dns_names());
        if !seconds.contains(validity) {
            let (least, most) = (seconds.start(), seconds.end());
            let message = format_args!("is {validity}; {profile} takes {least} to {most} seconds");
            return Err(Error::wrong("validity", message));
        }
        if !count.contains(&dns_names.len()) {
            let (least, most) = (count.start(), count.end());
            let message = format_args!("are {}; {profile} takes {least} to {most}", dns_names.len());
            return Err(Error::wrong("dns_names", message));
        }
        let is_twice = |at: usize, name: &DnsName| dns_names.iter().take(at).any(|before| before == name);
        if let Some((_, name)) = dns_names.iter().enumerate().find(|(at, name)| is_twice(*at, name)) {
            return Err(Error::wrong("dns_names", format_args!("has `{name}` twice")));
        }
        // Verifiers that find no DNS name go by the common name.
        match (common_name.is_some(), *count.end() == 0) {
            (true, false) => Err(Error::wrong("common_name", format_args!("is not for {profile}"))),
            (false, true) => {
                Err(Error::wrong("common_name", format_args!("is missing; {profile} takes one")))
            }
            _ => Ok(()),
        }
    }

    /// What is asked for, to the byte: SHA-256.
    fn digest(&self, csr: &DeviceCsr) -> [u8; 32] {
        let names = self.dns_names.iter().map(DnsName::as_str).collect::<Vec<_>>();
        let common_name = self.common_name.as_ref().map_or("", CommonName::as_str);
        // Each part before the text has a fixed length, and no name has a zero.
        let text =
            [&[self.profile.as_str(), self.tenant.as_str(), common_name], &names[..]].concat().join("\0");
        let key = Digest::of(&csr.key().spki()).0;
        Digest::of(&[&[PLATFORM][..], &key, &self.validity.to_be_bytes(), text.as_bytes()].concat()).0
    }
}

fn with_digest(entry: AuditEntry, issued: &Issued) -> AuditEntry {
    entry.with(FieldName::Certificate, hex(&Digest::of(issued.der()).0))
}

/// Distinguishes these orders from those of operators (`access/answers.rs`).
const PLATFORM: u8 = 3;
