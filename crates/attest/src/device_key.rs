//! The device's own key: it signs requests for certificates, and never leaves its TPM.

use crate::Refusal;
use crate::ak::{BOUND, ensure};
use crate::public::{Attributes, Key, Name, Public};
use wardein_crypto::P256VerifyingKey;
use wardein_crypto::tpm::Curve;
use wardein_pki::PublicKey;

/// A key on P-256 that is known to be in a TPM, and to sign what the device wants. Only
/// [`TrustedAk::certified`](crate::TrustedAk::certified) makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKey {
    name: Name,
    key: PublicKey,
}

impl DeviceKey {
    /// Reads a TPM2B_PUBLIC. Whether the key is in a TPM is not known yet.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let public = Public::parse(bytes)?;
        ensure(public.attributes.has(BOUND.union(Attributes::SIGN)), Refusal::DeviceKeyAttributes)?;
        // A restricted key cannot sign a request, and one that decrypts could be used for another purpose.
        let other = Attributes::RESTRICTED.union(Attributes::DECRYPT);
        ensure(!public.attributes.has_any(other), Refusal::DeviceKeyAttributes)?;
        let point = match &public.key {
            Key::Ec(key) if key.curve() == Curve::P256 => key.point().try_into().ok(),
            _ => None,
        };
        let key = P256VerifyingKey(point.ok_or(Refusal::DeviceKeyKind)?);
        Ok(Self { name: public.name().clone(), key: PublicKey::from(key) })
    }

    /// What its TPM calls it by.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The key as certificates carry it.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }
}
