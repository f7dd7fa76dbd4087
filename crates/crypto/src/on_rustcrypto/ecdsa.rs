use super::agreement::secret_key;
use crate::{Entropy, EntropyError, InvalidSignature, P256_POINT_LEN, SecretBytes, SigningError};
use alloc::vec::Vec;
use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{self, Signature, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey};

pub(crate) struct SigningKey(ecdsa::SigningKey);

impl SigningKey {
    /// A fresh key in PKCS#8.
    pub(crate) fn generate_pkcs8(entropy: &mut impl Entropy) -> Result<SecretBytes, EntropyError> {
        let document = secret_key(entropy)?.to_pkcs8_der().map_err(|_| EntropyError)?;
        Ok(SecretBytes::from_vec(document.as_bytes().to_vec()))
    }

    pub(crate) fn from_pkcs8(document: &[u8]) -> Result<(Self, [u8; P256_POINT_LEN]), SigningError> {
        let key = ecdsa::SigningKey::from_pkcs8_der(document).map_err(|_| SigningError)?;
        let point = key.verifying_key().to_sec1_point(false);
        let public = point.as_bytes().try_into().map_err(|_| SigningError)?;
        Ok((Self(key), public))
    }

    /// The signature's secret number is derived from key and message (RFC 6979), so that it needs no random bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature: Signature = self.0.try_sign(message).map_err(|_| SigningError)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

#[inline(never)]
pub(crate) fn verify(
    key: &[u8; P256_POINT_LEN],
    message: &[u8],
    signature: &[u8],
) -> Result<(), InvalidSignature> {
    let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| InvalidSignature)?;
    let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
    key.verify(message, &signature).map_err(|_| InvalidSignature)
}
