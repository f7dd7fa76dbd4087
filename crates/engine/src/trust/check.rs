//! Trust queries.

use crate::issue::certificates::FoundCertificate;
use crate::kernel::{Caller, Engine, Error, Stop, Tx};
use crate::project::KnownDevice;
use crate::trust::policy::SetTrustPolicy;
use crate::trust::watch::DeviceVerdict;
use std::sync::Arc;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Assurance, CertificateFacts, DeviceFacts, DeviceId, DeviceState, ErrorCode, Fingerprint, Judgment,
    Offline, PcrStanding, ProfileName, Serial, TenantId, TrustPolicy, Verdict, VerdictReason,
};
use wardein_pki::{CertificateError, spiffe};

/// Whom a trust query is about.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A device of the caller's tenant.
    Device(DeviceId),
    /// A certificate that a device showed, DER.
    Certificate(Vec<u8>),
    /// The SPIFFE id of a device, as it is in its certificates.
    SpiffeId(String),
    /// The serial number of a certificate.
    Serial(Serial),
    /// The fingerprint of a certificate.
    Fingerprint(Fingerprint),
}

/// The answer to a trust query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<VerdictReason>,
    /// Unix seconds until which it may be kept.
    pub keep_until: u64,
    /// The Unix second from which time alone makes another one; none where it does not.
    pub valid_until: Option<u64>,
    /// Unix seconds at which it was given.
    pub decided_at: u64,
    /// The tenant.
    pub tenant: TenantId,
    /// The device, where one is known.
    pub device: Option<DeviceId>,
    /// Its state on record.
    pub state: Option<DeviceState>,
    /// How surely the key that it signs with is where it is said to be; none for a device that derives its keys.
    pub assurance: Option<Assurance>,
    /// The last accepted quote of its TPM's PCRs: by which comparison it was found good, and when in Unix seconds.
    pub last_quote: Option<(PcrStanding, u64)>,
    /// Whether another device was enrolled with its key or its TPM, as the tenant's policy allows.
    pub is_shared: bool,
    /// The revision by which it was given: memory had taken in the commits up to it.
    pub revision: u64,
    /// What it may be used for when it is stale, and for how long after `keep_until`.
    pub offline: Offline,
    /// The trust policy by which it was given, where one holds.
    pub policy: Option<Arc<SetTrustPolicy>>,
}

/// Verdicts that are given at one moment, one after the other.
pub struct VerdictBatch<'a> {
    engine: &'a Engine,
    tenant: TenantId,
    decided_at: u64,
    revision: u64,
    /// The profile of the last device, the lifetime of its verdicts in seconds, and its trust policy. Most devices of a batch are of
    /// one profile, whose rules are then looked up once.
    rules: Option<(ProfileName, u64, Option<Arc<SetTrustPolicy>>)>,
}

impl VerdictBatch<'_> {
    /// The Unix second at which they are given.
    pub fn decided_at(&self) -> u64 {
        self.decided_at
    }

    /// The revision by which they are given, as in [`Answer::revision`].
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The verdict on the next device.
    pub fn verdict(&mut self, device: DeviceId) -> DeviceVerdict {
        let Self { engine, tenant, decided_at: now, rules, .. } = self;
        let name = DeviceName { tenant: tenant.clone(), device };
        engine.memory.with_device(&name, |known| {
            let device = name.device.clone();
            let Some(known) = known else {
                return DeviceVerdict::of(device, None, Verdict::on_device(None, *now));
            };
            let (_, lifetime, policy) = match rules.take() {
                Some(same) if same.0 == known.profile => rules.insert(same),
                _ => {
                    let (lifetime, policy) = engine.memory.trust(tenant, &known.profile);
                    rules.insert((known.profile.clone(), lifetime, policy))
                }
            };
            let judge = |facts: &DeviceFacts<'_>| Verdict::on_device(Some(facts), *now);
            let judgment = engine.judge_under(known, (*lifetime, policy.as_deref()), judge);
            DeviceVerdict::of(device, Some(known), judgment)
        })
    }
}

impl Engine {
    /// The same as [`Engine::check`] where memory alone has the answer; `None` where a row is needed: for a certificate, and for
    /// a device whose key is in a TPM.
    pub fn check_in_memory(&self, caller: &Caller, subject: &Subject) -> Result<Option<Answer>, Error> {
        let tenant = tenant_of(caller)?;
        let Subject::Device(device) = subject else { return Ok(None) };
        let name = DeviceName { tenant: tenant.clone(), device: device.clone() };
        let (revision, now) = (self.memory.revision(), self.now());
        let found = self.memory.with_device(&name, |known| {
            if known.is_some_and(KnownDevice::is_in_tpm) {
                return None;
            }
            let judged = self.judge_by(&name.tenant, known, |facts| Verdict::on_device(facts, now));
            let shown = known.map_or((None, None, false), |known| (known.assurance, None, known.is_shared));
            Some((known.map(|known| known.state), judged, shown))
        });
        let DeviceName { tenant, device } = name;
        Ok(found.map(|(state, judged, shown)| {
            answer(tenant, Some(device), state, judged, shown, (now, revision))
        }))
    }

    /// A batch of verdicts on devices of the caller's tenant, from memory alone.
    pub async fn batch(&self, caller: &Caller) -> Result<VerdictBatch<'_>, Error> {
        self.authenticate(&caller.principal).await?;
        let tenant = tenant_of(caller)?.clone();
        let (revision, decided_at) = (self.memory.revision(), self.now());
        Ok(VerdictBatch { engine: self, tenant, decided_at, revision, rules: None })
    }

    /// Whether to trust a device of the caller's tenant, or one that shows a certificate. By device id it touches memory only,
    /// and one row where the device's key is in a TPM; it never waits for a write.
    pub async fn check(&self, caller: &Caller, subject: Subject) -> Result<Answer, Error> {
        let tenant = tenant_of(caller)?;
        let decided_at = self.now();
        match subject {
            Subject::Device(device) => {
                let name = DeviceName { tenant: tenant.clone(), device };
                self.look(|tx| self.answer_on(tx, &name, decided_at)).await
            }
            Subject::Certificate(der) => {
                self.look(|tx| self.check_certificate(tx, tenant.clone(), &der, decided_at)).await
            }
            Subject::SpiffeId(id) => {
                let name = self.parse_spiffe_id(tenant, &id)?;
                self.look(|tx| self.answer_on(tx, &name, decided_at)).await
            }
            Subject::Serial(serial) => {
                self.look(|tx| {
                    let found = self.find_certificate(tx, &serial)?;
                    self.answer_on_certificate(tx, tenant.clone(), found, decided_at)
                })
                .await
            }
            Subject::Fingerprint(fingerprint) => {
                self.look(|tx| {
                    let found = self.find_by_fingerprint(tx, &fingerprint)?;
                    self.answer_on_certificate(tx, tenant.clone(), found, decided_at)
                })
                .await
            }
        }
    }

    /// The device that a SPIFFE id names. One of another authority or tenant is a mistake of the caller's, and no device of its own.
    fn parse_spiffe_id(&self, tenant: &TenantId, id: &str) -> Result<DeviceName, Error> {
        let (domain, of, device) =
            spiffe::parse_device(id).map_err(|error| Error::wrong("spiffe_id", error))?;
        if domain != self.authority.trust_domain {
            let ours = &self.authority.trust_domain;
            return Err(Error::wrong("spiffe_id", format_args!("is of another trust domain than {ours}")));
        }
        if of != *tenant {
            return Err(Error::wrong("spiffe_id", format_args!("is of another tenant than {tenant}")));
        }
        Ok(DeviceName { tenant: of, device })
    }

    /// A certificate counts if one of our issuing CAs signed it and it is, byte for byte, the one on record under its serial.
    fn check_certificate(
        &self,
        tx: &Tx<'_>,
        tenant: TenantId,
        der: &[u8],
        decided_at: u64,
    ) -> Result<Answer, Stop> {
        let found = match self.recognize(der) {
            Ok(identity) => self.find_certificate(tx, &identity.serial)?,
            Err(error @ (CertificateError::TooLong | CertificateError::Malformed)) => {
                let code = match error {
                    CertificateError::TooLong => ErrorCode::CertificateTooLong,
                    _ => ErrorCode::CertificateMalformed,
                };
                return Err(Error::new(code, format_args!("certificate: {error}")).into());
            }
            // A certificate, but not one of ours.
            Err(_) => None,
        };
        let found = found.filter(|found| found.row.der == der);
        self.answer_on_certificate(tx, tenant, found, decided_at)
    }

    /// The verdict on a certificate on record, which counts if it is of the tenant.
    fn answer_on_certificate(
        &self,
        tx: &Tx<'_>,
        tenant: TenantId,
        found: Option<FoundCertificate>,
        decided_at: u64,
    ) -> Result<Answer, Stop> {
        let revision = self.memory.revision();
        // That of a platform is no device's.
        let found = found.filter(|found| *found.holder.tenant() == tenant && found.holder.device().is_some());
        let name = found.as_ref().and_then(|found| found.holder.device().cloned());
        let known = name.as_ref().and_then(|name| self.memory.device(name));
        let certificate = match &found {
            Some(FoundCertificate { holder, serial, row }) => Some(CertificateFacts {
                not_before: row.not_before.get(),
                not_after: row.not_after.get(),
                is_revoked: self.revocation(tx, holder, serial, row)?.is_some(),
            }),
            None => None,
        };
        let judgment = self.judge_by(&tenant, known.as_deref(), |facts| {
            Verdict::on_certificate(facts, certificate, decided_at)
        });
        let shown = self.shown(tx, name.as_ref(), known.as_deref())?;
        let state = known.map(|known| known.state);
        Ok(answer(tenant, name.map(|name| name.device), state, judgment, shown, (decided_at, revision)))
    }

    /// The verdict on a device at Unix second `now`.
    pub(crate) fn answer_on(&self, tx: &Tx<'_>, name: &DeviceName, now: u64) -> Result<Answer, Stop> {
        let revision = self.memory.revision();
        let known = self.memory.device(name);
        let shown = self.shown(tx, Some(name), known.as_deref())?;
        let judgment = self.judge_by(&name.tenant, known.as_deref(), |facts| Verdict::on_device(facts, now));
        let (state, at) = (known.map(|known| known.state), (now, revision));
        Ok(answer(name.tenant.clone(), Some(name.device.clone()), state, judgment, shown, at))
    }

    /// The verdict on a device, as memory knows it, at Unix second `now`.
    pub(crate) fn judge_device(&self, tenant: &TenantId, known: Option<&KnownDevice>, now: u64) -> Judgment {
        self.judge_by(tenant, known, |facts| Verdict::on_device(facts, now)).0
    }

    fn judge_by(
        &self,
        tenant: &TenantId,
        known: Option<&KnownDevice>,
        judge: impl FnOnce(Option<&DeviceFacts<'_>>) -> Judgment,
    ) -> (Judgment, Option<Arc<SetTrustPolicy>>) {
        let Some(known) = known else { return (judge(None), None) };
        let (lifetime, set) = self.memory.trust(tenant, &known.profile);
        (self.judge_under(known, (lifetime, set.as_deref()), |facts| judge(Some(facts))), set)
    }

    /// Judges a device by the verdict lifetime of its profile, in seconds, and the trust policy that holds for it.
    fn judge_under(
        &self,
        known: &KnownDevice,
        (lifetime, set): (u64, Option<&SetTrustPolicy>),
        judge: impl FnOnce(&DeviceFacts<'_>) -> Judgment,
    ) -> Judgment {
        let policy = set.map_or(TrustPolicy::NONE, |set| &set.policy);
        let is_approved = self.memory.approves(known, policy);
        judge(&known.facts(lifetime, policy, is_approved))
    }

    /// How surely a device's key is where it is said to be, and its last quote.
    fn shown(
        &self,
        tx: &Tx<'_>,
        name: Option<&DeviceName>,
        known: Option<&KnownDevice>,
    ) -> Result<Shown, Stop> {
        let last_quote = match (name, known) {
            (Some(name), Some(known)) if known.is_in_tpm() => {
                self.signature_key(tx, name)?.and_then(|(_, row)| row.last_quote())
            }
            _ => None,
        };
        let (assurance, is_shared) = known.map_or((None, false), |known| (known.assurance, known.is_shared));
        Ok((assurance, last_quote, is_shared))
    }
}

/// The assurance of a device's key, its last quote (how its PCRs were found, and when in Unix seconds), and whether it is shared.
type Shown = (Option<Assurance>, Option<(PcrStanding, u64)>, bool);

pub(super) fn tenant_of(caller: &Caller) -> Result<&TenantId, Error> {
    caller.principal.tenant.as_ref().ok_or_else(|| {
        Error::new(ErrorCode::RoleInsufficient, "only an operator of a tenant may ask for trust verdicts")
    })
}

fn answer(
    tenant: TenantId,
    device: Option<DeviceId>,
    state: Option<DeviceState>,
    (judgment, policy): (Judgment, Option<Arc<SetTrustPolicy>>),
    (assurance, last_quote, is_shared): Shown,
    (decided_at, revision): (u64, u64),
) -> Answer {
    let Judgment { verdict, reasons, keep_until, valid_until, offline, .. } = judgment;
    Answer {
        verdict,
        reasons,
        keep_until,
        valid_until,
        decided_at,
        tenant,
        device: state.and(device),
        state,
        assurance,
        last_quote,
        is_shared,
        revision,
        offline,
        policy,
    }
}
