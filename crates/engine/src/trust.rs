//! Trust queries.

use crate::api::{Answer, Caller, Subject};
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::port::{Clock, Store};
use wardein_ddkg::DeviceName;
use wardein_domain::{CertificateFacts, DeviceFacts, Profile, TenantId, Verdict};
use wardein_pki::CertificateError;

impl<S: Store, C: Clock> Engine<S, C> {
    /// Whether to trust a device of the caller's tenant, or one that shows a certificate. By device id it touches memory only,
    /// and one row where the device's key is in a TPM; it never waits for a write.
    pub fn check(&self, caller: &Caller, subject: Subject) -> Result<Answer, Error> {
        let tenant = caller.principal.tenant.clone().ok_or_else(|| {
            Error::new(Kind::Denied, "role-insufficient", "only an operator of a tenant asks whom to trust")
        })?;
        let decided_at = self.now();
        match subject {
            Subject::Device(device) => self.answer_on(&DeviceName { tenant, device }, decided_at),
            Subject::Certificate(der) => self.check_certificate(tenant, &der, decided_at),
        }
    }

    /// A certificate counts if our issuing CA signed it and it is, byte for byte, the one on record under its serial.
    fn check_certificate(&self, tenant: TenantId, der: &[u8], decided_at: u64) -> Result<Answer, Error> {
        let found = match self.authority.issuing.recognize(der) {
            Ok(identity) => self.find_certificate(&identity.serial)?,
            Err(error @ (CertificateError::TooLong | CertificateError::Malformed)) => {
                return Err(Error::new(Kind::Invalid, error.code(), format_args!("certificate: {error}")));
            }
            // A certificate, and none of ours.
            Err(_) => None,
        };
        let found = found.filter(|found| found.name.tenant == tenant && found.row.der == der);
        let name = found.as_ref().map(|found| found.name.clone());
        let facts = name.as_ref().and_then(|name| self.facts(name));
        let certificate = found.map(|found| CertificateFacts {
            not_before: found.row.not_before,
            not_after: found.row.not_after,
            is_revoked: self.revocation(&found.name, found.row.issued_at, found.row.revoked).is_some(),
        });
        let verdict = Verdict::on_certificate(facts, certificate, decided_at);
        self.answer(tenant, name, facts, verdict, decided_at)
    }

    /// The verdict on a device at Unix second `now`.
    pub(crate) fn answer_on(&self, name: &DeviceName, now: u64) -> Result<Answer, Error> {
        let facts = self.facts(name);
        self.answer(name.tenant.clone(), Some(name.clone()), facts, Verdict::on_device(facts, now), now)
    }

    fn facts(&self, name: &DeviceName) -> Option<DeviceFacts> {
        let known = self.directory.device(name)?;
        let profile = self.directory.profile(&name.tenant, &known.profile).unwrap_or(Profile::DEFAULT);
        Some(DeviceFacts { state: known.state, verdict_lifetime: profile.verdict_lifetime() })
    }

    fn answer(
        &self,
        tenant: TenantId,
        name: Option<DeviceName>,
        facts: Option<DeviceFacts>,
        (verdict, reasons, keep_until): (Verdict, Vec<wardein_domain::VerdictReason>, u64),
        decided_at: u64,
    ) -> Result<Answer, Error> {
        let known = name.as_ref().and_then(|name| self.directory.device(name));
        let assurance = known.and_then(|known| known.assurance);
        let last_quote = match &name {
            Some(name) if assurance.is_some_and(|level| level.is_tpm()) => {
                self.signature_key(name)?.map(|(_, row)| row.last_quote()).transpose()?.flatten()
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
