//! The two steps by which a device with a TPM is enrolled. Structures are as TPM 2.0 marshals them; the station reads none of them.

use crate::authority::CallError;
use wardein_crypto::SecretBytes;
use wardein_ddkg::DeviceName;
use wardein_domain::{EnrolledKey, PcrSelection, Quote, TpmChallenge, TpmEvidence};

/// What the TPM answers. The secret is the station's and the authority's to see: it shows once that the TPM could open it.
pub struct TpmActivation {
    /// Whose it is.
    pub device: DeviceName,
    /// From the first step.
    pub ticket: Vec<u8>,
    /// What TPM2_ActivateCredential gave.
    pub secret: SecretBytes,
    /// TPM2B_PUBLIC of the device's key.
    pub device_key: Vec<u8>,
    /// TPMS_ATTEST of TPM2_Certify of that key.
    pub attested: Vec<u8>,
    /// TPMT_SIGNATURE of it.
    pub signature: Vec<u8>,
    /// What was to be quoted.
    pub quote: Option<Quote>,
}

/// What a device with a TPM asks of the station that relays its enrollment.
#[allow(
    async_fn_in_trait,
    reason = "an enrollment runs on one thread; no caller needs the futures to be Send"
)]
pub trait TpmStation {
    /// Relays the first step.
    async fn begin(&mut self, device: &DeviceName, evidence: &TpmEvidence)
    -> Result<TpmChallenge, CallError>;
    /// Relays the second.
    async fn finish(&mut self, activation: &TpmActivation) -> Result<EnrolledKey, CallError>;
}

/// What the authority has on record, as it says it.
pub(crate) fn on_record(tenant: &str, key_id: &[u8], assurance: &str) -> Result<EnrolledKey, String> {
    Ok(EnrolledKey {
        tenant: tenant.parse().map_err(|error| format!("tenant: {error}"))?,
        key_id: key_id.try_into().map_err(|_| "key_id: has not 32 bytes".to_owned())?,
        assurance: assurance.parse().map_err(|_| format!("assurance: {assurance:?} is no level"))?,
    })
}

/// What is to be quoted, as the authority names it.
pub(crate) fn asked(bank: &str, numbers: &[u32]) -> Result<PcrSelection, String> {
    let bank = bank.parse().map_err(|error| format!("quote: {error}"))?;
    // A number that is none is refused with the others.
    let numbers: Vec<u8> = numbers.iter().map(|&number| u8::try_from(number).unwrap_or(u8::MAX)).collect();
    PcrSelection::new(bank, &numbers).map_err(|error| format!("quote: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_tpm_can_quote_is_not_asked() {
        assert_eq!(asked("sha384", &[7, 0]).unwrap().to_string(), "sha384:0,7");
        for (bank, numbers) in
            [("sha1", &[7][..]), ("", &[7]), ("sha256", &[]), ("sha256", &[24]), ("sha256", &[263])]
        {
            let refused = asked(bank, numbers).unwrap_err();
            assert!(refused.starts_with("quote: "), "{bank} {numbers:?}: {refused}");
        }
    }
}
