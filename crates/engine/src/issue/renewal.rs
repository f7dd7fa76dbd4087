//! A certificate for who has one: EST's simpleenroll and simplereenroll by a client certificate (RFC 7030 §3.3.2).
//!
//! The caller has seen, by its handshake, that its peer has the key of the certificate. It counts if it is, byte for byte, the one on
//! record under its serial, valid, and neither revoked nor on hold; and its device if it is active.

use super::made_key::MadeKey;
use crate::derive::actions::{Body, Certifying, Done, refused_csr};
use crate::kernel::record::{self, Recording, device_text, target};
use crate::kernel::{Decision, Engine, Error, Stop, Tx};
use crate::project::KnownDevice;
use crate::rows::{self, CertificateRow, Holder};
use std::sync::Arc;
use wardein_crypto::SecretBytes;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Actor, Assurance, AuditEntry, Call, DeviceState, ErrorCode, ErrorKind, EstOperation, Event, FieldName,
    KeyKind, KeyKinds, Outcome, Target, UnixSeconds,
};
use wardein_pki::{CsrError, DeviceCsr, HeldCertificate, SubjectKey, pem};
use wardein_port::{Change, Table};

/// A request by EST, as far as its audit entries say it.
#[derive(Debug, Clone, Copy)]
pub struct EstCall<'a> {
    /// The call.
    pub call: &'a Call,
    /// What it asks for.
    pub operation: EstOperation,
}

/// What a certificate is wanted for.
pub enum Wanted<'a> {
    /// The key of a request, DER.
    Csr(&'a [u8]),
    /// A key of that kind that the authority makes.
    Made(KeyKind),
}

impl Wanted<'_> {
    /// Refuses what no key has to be made for.
    pub(crate) fn judge(&self, accepted: KeyKinds) -> Result<(), Error> {
        match self {
            Self::Made(kind) => require_accepted(*kind, accepted),
            Self::Csr(_) => Ok(()),
        }
    }
}

/// Refuses a kind of key that a profile does not accept.
pub(crate) fn require_accepted(kind: KeyKind, accepted: KeyKinds) -> Result<(), Error> {
    accepted.contains(kind).then_some(()).ok_or_else(|| refused_csr(CsrError::KeyNotAccepted, accepted))
}

/// A certificate that was issued, with its key where that was made.
pub struct Enrolled {
    /// The certificate alone, DER.
    pub leaf: Vec<u8>,
    /// PKCS#8, DER.
    pub key: Option<SecretBytes>,
}

impl Engine {
    /// The CAs' certificates, DER: the root and those that certify devices (RFC 7030 §4.1).
    pub fn est_certificates(&self) -> Result<Vec<Vec<u8>>, Error> {
        pem::decode_certificates(&self.trust_bundle().pem).map_err(Error::internal)
    }

    /// A certificate by who has shown to have the key of the certificate `shown`. The names and the purposes are those of the device's
    /// profile: what a request says of them is not read.
    pub async fn renew(
        &self,
        asked: EstCall<'_>,
        shown: &[u8],
        wanted: &Wanted<'_>,
    ) -> Result<Enrolled, Error> {
        let held = HeldCertificate::read(shown).ok_or_else(holder_unknown)?;
        let name = DeviceName { tenant: held.tenant.clone(), device: held.device.clone() };
        let mut renewal = Renewal { asked, held, name, shown, wanted, made: None };
        if let Wanted::Made(kind) = wanted {
            // What would be refused uses no key up; it is refused, and recorded, below.
            let may = self.look(|tx| self.judge_renewal(tx, &renewal, self.time())).await;
            if may.is_ok() {
                renewal.made = Some(self.make_key(*kind, &renewal.name)?);
            }
        }
        let judge = |tx: &mut Tx<'_>| self.on_record(tx, &renewal).map(|_| ());
        let body = self.transact_on(&renewal.name, judge, |tx| self.decide_renewal(tx, &renewal)).await?;
        let leaf = leaf_of(&self.body(asked.call, body).await?)?;
        Ok(Enrolled { leaf, key: renewal.made.map(|made| made.pkcs8) })
    }

    fn judge_renewal(&self, tx: &Tx<'_>, renewal: &Renewal<'_>, now: UnixSeconds) -> Result<(), Stop> {
        let (row, known) = (self.on_record(tx, renewal)?, self.known(&renewal.name)?);
        self.may_renew(tx, renewal, (&row, &known), now)?;
        let rules = self.memory.rules(&renewal.name.tenant, &known.profile).unwrap_or_default();
        renewal.wanted.judge(rules.profile.certificate_keys())?;
        self.require_free_key(tx, &renewal.name)
    }

    /// Refuses to make a key for a device that signs with one.
    pub(crate) fn require_free_key(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<(), Stop> {
        match self.signature_key(tx, name)? {
            Some(_) => Err(Error::new(CsrError::KeyOfAnother.code(), CsrError::KeyOfAnother).into()),
            None => Ok(()),
        }
    }

    fn decide_renewal(&self, tx: &mut Tx<'_>, renewal: &Renewal<'_>) -> Result<Decision<Body>, Stop> {
        let (row, known) = (self.on_record(tx, renewal)?, self.known(&renewal.name)?);
        let now_ms = self.clock.now_ms();
        let mut change = Change::default();
        let done = match self.may_renew(tx, renewal, (&row, &known), UnixSeconds::new(now_ms / 1000)) {
            Ok(()) => self.certify_by_certificate(tx, renewal, &known, now_ms / 1000, &mut change),
            Err(stop) => Err(stop),
        };
        let (asked, name) = (renewal.asked, &renewal.name);
        match done {
            Ok(done) => {
                // A device that was suspended in the meantime gets none, whatever the memory of this node says.
                change.check(Table::Device, rows::device_key(name), known.version);
                let actor = Actor::Device(name.tenant.clone(), name.device.clone());
                let entry = record::entry(now_ms, actor, done.event, target(name), Outcome::Done, asked.call);
                let entry = entry.with_all(done.fields).with(FieldName::PreviousSerial, renewal.held.serial);
                let entry = with_made(entry, renewal.made.as_ref());
                change.record(&entry)?;
                Ok(Decision::new(change, done.body))
            }
            Err(Stop::Refuse(error)) if error.kind() != ErrorKind::Internal => {
                self.refused_by_est(tx, asked, name, error).map_err(Stop::from)
            }
            Err(stop) => Err(stop),
        }
    }

    /// The row of the certificate that was shown. Its names say where that is, and count only because it is the same byte for byte: one
    /// that somebody else made leads to a row of another certificate, or to none. A platform has its certificates of an administrator.
    fn on_record(&self, tx: &Tx<'_>, renewal: &Renewal<'_>) -> Result<CertificateRow, Stop> {
        let key = rows::certificate_key(&renewal.name, &renewal.held.serial);
        let row: Option<(u64, CertificateRow)> = tx.row(Table::Certificate, &key)?;
        let row = row.map(|(_, row)| row).filter(|row| row.der == renewal.shown);
        Ok(row.ok_or_else(holder_unknown)?)
    }

    /// The device as this node has it in memory: no row is read for it, as the change rests on its version.
    fn known(&self, name: &DeviceName) -> Result<Arc<KnownDevice>, Error> {
        self.memory.device(name).ok_or_else(|| Error::no_device(name))
    }

    fn may_renew(
        &self,
        tx: &Tx<'_>,
        renewal: &Renewal<'_>,
        (row, known): (&CertificateRow, &KnownDevice),
        now: UnixSeconds,
    ) -> Result<(), Stop> {
        let Renewal { name, held: HeldCertificate { serial, issuer, .. }, .. } = renewal;
        self.require_active(known.state)?;
        let holder = Holder::Device(name.clone());
        if let Some(revoked) = self.revocation_by(tx, &holder, serial, (issuer, row))? {
            let message = format_args!("the client certificate {serial} was revoked: {}", revoked.reason);
            return Err(Error::new(ErrorCode::HolderRevoked, message).into());
        }
        if !(row.not_before..=row.not_after).contains(&now) {
            let message = format_args!(
                "the client certificate {serial} is valid from Unix second {} to {}",
                row.not_before.get(),
                row.not_after.get()
            );
            return Err(Error::new(ErrorCode::HolderExpired, message).into());
        }
        Ok(())
    }

    fn certify_by_certificate(
        &self,
        tx: &mut Tx<'_>,
        renewal: &Renewal<'_>,
        known: &KnownDevice,
        now: u64,
        change: &mut Change,
    ) -> Result<Done, Stop> {
        let (name, profile) = (&renewal.name, &known.profile);
        let rules = self.memory.rules(&name.tenant, profile).unwrap_or_default();
        let accepted = rules.profile.certificate_keys();
        renewal.wanted.judge(accepted)?;
        let csr = match (renewal.wanted, &renewal.made) {
            (Wanted::Csr(der), _) => DeviceCsr::parse_by_holder(der, &renewal.held.key, accepted)
                .map_err(|error| refused_csr(error, accepted))?,
            (Wanted::Made(_), Some(made)) => DeviceCsr::of_made(&made.key),
            // It was refused a moment ago, and is not now.
            (Wanted::Made(_), None) => return Err(Error::contended().into()),
        };
        // Only a device that signs has a level, and only it has the row of a key.
        let assurance = match known.assurance {
            Some(_) => self.assurance_of(tx, name, csr.key())?,
            None => None,
        };
        let certifying = Certifying { name, profile, rules: &rules, now, assurance, change };
        Ok(self.issue_certificate(tx, &csr, certifying)?)
    }

    /// How surely a key is where it is said to be: of a device that signs, whose certificates are for its enrolled key and no other.
    pub(crate) fn assurance_of(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
        key: &SubjectKey,
    ) -> Result<Option<Assurance>, Stop> {
        let Some((_, signing)) = self.signature_key(tx, name)? else { return Ok(None) };
        if *key != SubjectKey::from(&signing.key()) {
            let error = CsrError::KeyOfAnother;
            return Err(Error::new(error.code(), error).into());
        }
        Ok(Some(signing.assurance))
    }

    /// Refuses a device that is not active.
    fn require_active(&self, state: DeviceState) -> Result<(), Error> {
        state.refusal().map_or(Ok(()), |code| {
            let message = format_args!("the device is {state}; an administrator must decide");
            Err(Error::new(code, message))
        })
    }

    /// A device that showed who it is, and may not: like every refusal of an authenticated caller it is on record.
    pub(crate) fn refused_by_est<T>(
        &self,
        tx: &Tx<'_>,
        EstCall { call, operation }: EstCall<'_>,
        name: &DeviceName,
        error: Error,
    ) -> Result<Decision<T>, Error> {
        let mut change = Change::default();
        let called = Target::Est(operation);
        if self.records_refusal_of(tx, name, called.clone(), error.code, call) {
            let actor = Actor::Device(name.tenant.clone(), name.device.clone());
            let (now_ms, outcome) = (self.clock.now_ms(), Outcome::refused(error.code));
            let entry = record::entry(now_ms, actor, Event::CallRefused, called, outcome, call);
            let entry = entry.with(FieldName::Device, device_text(&name.tenant, &name.device));
            change.record(&entry.with(FieldName::Message, &error.message))?;
        }
        Ok(Decision::refused(change, error))
    }
}

struct Renewal<'a> {
    asked: EstCall<'a>,
    held: HeldCertificate,
    /// The device that it names.
    name: DeviceName,
    /// The certificate, DER.
    shown: &'a [u8],
    wanted: &'a Wanted<'a>,
    made: Option<MadeKey>,
}

/// An entry about a certificate whose key was made.
pub(crate) fn with_made(entry: AuditEntry, made: Option<&MadeKey>) -> AuditEntry {
    match made {
        Some(made) => entry.with(FieldName::KeyMade, made.key.kind().as_str()),
        None => entry,
    }
}

/// The first certificate of a chain as the action `certificate` answers it (DDKG-1 §8).
pub(crate) fn leaf_of(chain: &[u8]) -> Result<Vec<u8>, Error> {
    let leaf = chain.split_first_chunk().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        Some(rest.get(..length)?.to_vec())
    });
    leaf.ok_or_else(|| Error::internal("a chain has no first certificate"))
}

/// One answer for every certificate that is not on record.
fn holder_unknown() -> Error {
    let message = "the client certificate is not one that this authority issued to a device";
    Error::new(ErrorCode::HolderUnknown, message)
}
