//! What the device knows of itself, for people and for scripts.

use crate::certificate::{self, Certificate};
use crate::config::Config;
use crate::directory::Files;
use crate::error::Error;
use crate::signing::SigningKey;
use serde::Serialize;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};
use wardein_crypto::{Digest, hex};
use wardein_ddkg::device::DeviceState;
use wardein_pki::PublicKey;

/// The answer of `wardein-device status`. It is read without the lock, and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    tenant: String,
    device_id: String,
    endpoint: String,
    /// What the device holds of an enrollment; `None` before it.
    enrollment: Option<Enrollment>,
    /// The key in a TPM that the device was enrolled with, if it signs.
    signing: Option<SigningStatus>,
    certificate: Option<CertificateStatus>,
    /// Why the certificate that is stored cannot be used.
    certificate_damaged: Option<String>,
    /// The authority's time at the last ack, in Unix seconds.
    last_contact: Option<u64>,
    /// What was asked for then.
    last_action: Option<String>,
    /// The last time that an ack told and a file holds, in Unix seconds.
    known_time: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Enrollment {
    generation: u64,
    suite: u16,
    epoch: u32,
    /// Whether a proof was acknowledged; until then the confirmation is sent again when it is asked for.
    confirmed: bool,
    period: u64,
    max_uses: u64,
    /// When the generation was agreed, in Unix seconds.
    agreed_at: u64,
    /// The TPM that sealed the state, and opened it for this answer; `None` where it lies in the clear.
    sealed_by: Option<String>,
    /// When it is agreed again by the device's own schedule, in Unix seconds.
    rekey_at: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct SigningStatus {
    /// SHA-256 of the key's SubjectPublicKeyInfo, in hex.
    key_id: String,
    /// How surely the authority takes it to be in the TPM.
    assurance: String,
    /// Where the TPM is.
    tpm: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct CertificateStatus {
    serial: String,
    not_before: u64,
    not_after: u64,
    /// Whether known time lies behind its end.
    expired: bool,
    /// From when to when it is to be renewed, in Unix seconds.
    renewal_start: u64,
    renewal_end: u64,
}

impl Status {
    /// What `files` tell.
    pub fn read(files: &Files) -> Result<Self, Error> {
        let config = files.config()?.ok_or_else(|| files.not_configured())?;
        let state = files.state(&config)?;
        let contact = files.contact();
        let signing = match &config.signs_with {
            Some(_) => files.signing_key()?,
            None => None,
        };
        let of_state = state.as_ref().map(DeviceState::known_time);
        let of_contact = contact.as_ref().map(|contact| contact.server_time);
        let known_time = match (of_state, &signing) {
            (Some(of_state), _) => Some(of_state.max(of_contact.unwrap_or_default())),
            (None, Some(_)) => of_contact,
            (None, None) => None,
        };
        let (certificate, certificate_damaged) = match stored(files, &config, signing.as_ref()) {
            Ok(certificate) => (certificate, None),
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(Self {
            tenant: config.device.tenant.to_string(),
            device_id: config.device.device.to_string(),
            endpoint: config.endpoint,
            enrollment: state.map(|mut state| Enrollment {
                generation: state.generation(),
                suite: state.suite().number(),
                epoch: state.proof_epoch(),
                period: state.schedule().period,
                max_uses: state.schedule().max_uses,
                agreed_at: state.schedule().not_before,
                rekey_at: (config.rekey_after != 0)
                    .then(|| state.schedule().not_before.saturating_add(config.rekey_after)),
                confirmed: state.confirmation().is_none(),
                sealed_by: config.sealed_by,
            }),
            signing: signing.zip(config.signs_with).map(|(enrolled, tpm)| SigningStatus {
                key_id: hex::encode(&Digest::of(&PublicKey::from(enrolled.key).spki()).0),
                assurance: enrolled.assurance.to_string(),
                tpm: tpm.tcti,
            }),
            certificate: certificate.map(|certificate| CertificateStatus {
                serial: certificate.serial.to_string(),
                not_before: certificate.not_before,
                not_after: certificate.not_after,
                expired: known_time.is_some_and(|time| time > certificate.not_after),
                renewal_start: certificate.renewal.start(),
                renewal_end: certificate.renewal.end(),
            }),
            certificate_damaged,
            last_contact: contact.as_ref().map(|contact| contact.server_time),
            last_action: contact.map(|contact| contact.action),
            known_time,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: Option<u64>| time.map_or_else(|| "never".into(), utc);
        writeln!(f, "device        {}/{}", self.tenant, self.device_id)?;
        writeln!(f, "authority     {}", self.endpoint)?;
        match (&self.enrollment, &self.signing) {
            (None, Some(signing)) => {
                writeln!(f, "enrolled      yes, by a key in the TPM at {}", signing.tpm)?;
                writeln!(f, "key           {}", signing.key_id)?;
                writeln!(f, "assurance     {}", signing.assurance)?;
            }
            (None, None) => writeln!(f, "enrolled      no; run: wardein-device enroll")?,
            (Some(enrollment), _) => {
                let standing = if enrollment.confirmed { "yes" } else { "yes, no proof acknowledged yet" };
                writeln!(f, "enrolled      {standing}")?;
                writeln!(f, "generation    {} (suite {})", enrollment.generation, enrollment.suite)?;
                writeln!(f, "agreed        {}", utc(enrollment.agreed_at))?;
                let again = enrollment.rekey_at.map_or_else(|| "when the authority asks".into(), utc);
                writeln!(f, "rekeys        {again}")?;
                writeln!(f, "epoch         {}", enrollment.epoch)?;
                match &enrollment.sealed_by {
                    Some(tpm) => writeln!(f, "state         sealed by the TPM at {tpm}")?,
                    None => writeln!(f, "state         not sealed")?,
                }
            }
        }
        match (&self.certificate, &self.certificate_damaged) {
            (Some(certificate), _) => {
                let expired = if certificate.expired { " (expired)" } else { "" };
                writeln!(f, "certificate   {}", certificate.serial)?;
                writeln!(f, "valid until   {}{expired}", utc(certificate.not_after))?;
                writeln!(f, "renewed from  {}", utc(certificate.renewal_start))?;
            }
            (None, Some(why)) => writeln!(f, "certificate   unusable: {why}")?,
            (None, None) => writeln!(f, "certificate   none; run: wardein-device certificate")?,
        }
        let action = self.last_action.as_deref().map(|action| format!(" ({action})")).unwrap_or_default();
        writeln!(f, "last contact  {}{action}", time(self.last_contact))?;
        write!(f, "known time    {}", time(self.known_time))
    }
}

fn stored(
    files: &Files,
    config: &Config,
    signing: Option<&SigningKey>,
) -> Result<Option<Certificate>, Error> {
    let key = match signing {
        Some(signing) => Some(signing.key.into()),
        None => files.key(config)?.map(|key| key.verifying_key()),
    };
    key.map_or(Ok(None), |key| certificate::stored(files, config, &key))
}

/// A Unix second as RFC 3339.
pub fn utc(seconds: u64) -> String {
    // humantime writes years up to 9999.
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST))).to_string()
}

/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
