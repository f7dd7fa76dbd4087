//! Trust queries.

use crate::api::{Answer, Caller, Subject};
use crate::certificates::FoundCertificate;
use crate::kernel::{Engine, Error, Kind, Stop, Tx};

use wardein_ddkg::DeviceName;
use wardein_domain::{CertificateFacts, DeviceFacts, Profile, TenantId, Verdict};
use wardein_pki::CertificateError;

impl Engine {
    /// Whether to trust a device of the caller's tenant, or one that shows a certificate. By device id it touches memory only,
    /// and one row where the device's key is in a TPM; it never waits for a write.
    pub async fn check(&self, caller: &Caller, subject: Subject) -> Result<Answer, Error> {
        let tenant = caller.principal.tenant.clone().ok_or_else(|| {
            Error::new(Kind::Denied, "role-insufficient", "only an operator of a tenant asks whom to trust")
        })?;
        let decided_at = self.now();
        match subject {
            Subject::Device(device) => {
                let name = DeviceName { tenant, device };
                self.look(|tx| self.answer_on(tx, &name, decided_at)).await
            }
            Subject::Certificate(der) => {
                self.look(|tx| self.check_certificate(tx, tenant.clone(), &der, decided_at)).await
            }
        }
    }

    /// A certificate counts if our issuing CA signed it and it is, byte for byte, the one on record under its serial.
    fn check_certificate(
        &self,
        tx: &Tx<'_>,
        tenant: TenantId,
        der: &[u8],
        decided_at: u64,
    ) -> Result<Answer, Stop> {
        let found = match self.authority.issuing.recognize(der) {
            Ok(identity) => self.find_certificate(tx, &identity.serial)?,
            Err(error @ (CertificateError::TooLong | CertificateError::Malformed)) => {
                let message = format_args!("certificate: {error}");
                return Err(Error::new(Kind::Invalid, error.code(), message).into());
            }
            // A certificate, and none of ours.
            Err(_) => None,
        };
        let found = found.filter(|found| found.name.tenant == tenant && found.row.der == der);
        let name = found.as_ref().map(|found| found.name.clone());
        let facts = name.as_ref().and_then(|name| self.facts(name));
        let certificate = match &found {
            Some(FoundCertificate { name, serial, row }) => Some(CertificateFacts {
                not_before: row.not_before.get(),
                not_after: row.not_after.get(),
                is_revoked: self.revocation(tx, name, serial, row.issued_at)?.is_some(),
            }),
            None => None,
        };
        let verdict = Verdict::on_certificate(facts, certificate, decided_at);
        self.answer(tx, tenant, name, facts, verdict, decided_at)
    }

    /// The verdict on a device at Unix second `now`.
    pub(crate) fn answer_on(&self, tx: &Tx<'_>, name: &DeviceName, now: u64) -> Result<Answer, Stop> {
        let facts = self.facts(name);
        self.answer(tx, name.tenant.clone(), Some(name.clone()), facts, Verdict::on_device(facts, now), now)
    }

    fn facts(&self, name: &DeviceName) -> Option<DeviceFacts> {
        let known = self.memory.device(name)?;
        let profile = self.memory.profile(&name.tenant, &known.profile).unwrap_or(Profile::DEFAULT);
        Some(DeviceFacts { state: known.state, verdict_lifetime: profile.verdict_lifetime() })
    }

    fn answer(
        &self,
        tx: &Tx<'_>,
        tenant: TenantId,
        name: Option<DeviceName>,
        facts: Option<DeviceFacts>,
        (verdict, reasons, keep_until): (Verdict, Vec<wardein_domain::VerdictReason>, u64),
        decided_at: u64,
    ) -> Result<Answer, Stop> {
        let known = name.as_ref().and_then(|name| self.memory.device(name));
        let assurance = known.and_then(|known| known.assurance);
        let last_quote = match &name {
            Some(name) if assurance.is_some_and(|level| level.is_tpm()) => {
                self.signature_key(tx, name)?.and_then(|(_, row)| row.last_quote())
            }
            _ => None,
        };
        Ok(Answer {
            verdict,
            reasons,
            keep_until,
            decided_at,
            tenant,
            device: facts.and(name).map(|name| name.device),
            state: facts.map(|facts| facts.state),
            assurance,
            last_quote,
        })
    }
}
