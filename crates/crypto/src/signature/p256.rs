//! ECDSA on P-256 with SHA-256 (FIPS 186-5), signatures in ASN.1 DER.

use super::{InvalidSignature, SigningError};
#[cfg(feature = "ring")]
use super::{Signer, VerifyingKey};
use crate::hex::Hex;
use crate::primitives::ecdsa;
use crate::{EntropyError, SecretBytes};
use alloc::vec::Vec;
use core::fmt;

/// The longest DER encoding of a P-256 signature, in bytes.
pub const P256_SIGNATURE_MAX: usize = 72;

/// A key that signs with P-256.
pub struct P256SigningKey {
    private: ecdsa::SigningKey,
    public: P256VerifyingKey,
}

impl P256SigningKey {
    /// A fresh key by the operating system's generator, as PKCS#8 DER for its keeper to seal.
    #[cfg(feature = "ring")]
    pub fn generate_pkcs8() -> Result<SecretBytes, EntropyError> {
        ecdsa::SigningKey::generate_pkcs8()
    }

    /// A fresh key by the caller's generator, as PKCS#8 DER for its keeper to seal.
    #[cfg(not(feature = "ring"))]
    pub fn generate_pkcs8_with(entropy: &mut impl crate::Entropy) -> Result<SecretBytes, EntropyError> {
        ecdsa::SigningKey::generate_pkcs8(entropy)
    }

    /// The key in a PKCS#8 document (RFC 5958).
    pub fn from_pkcs8(document: &SecretBytes) -> Result<Self, SigningError> {
        let (private, public) = ecdsa::SigningKey::from_pkcs8(document.expose())?;
        Ok(Self { private, public: P256VerifyingKey(public) })
    }

    /// The public half.
    pub fn verifying_key(&self) -> &P256VerifyingKey {
        &self.public
    }

    /// A signature of `message`, DER, at most [`P256_SIGNATURE_MAX`] bytes.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.private.sign(message)
    }
}

#[cfg(feature = "ring")]
impl Signer for P256SigningKey {
    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::P256(self.public)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        // The method of the type itself comes before that of the trait.
        self.sign(message)
    }
}

/// A public key that verifies with P-256: an uncompressed point, which is checked to be on the curve at each use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct P256VerifyingKey(pub [u8; crate::P256_POINT_LEN]);

impl P256VerifyingKey {
    /// Whether `signature` (DER) is one of `message` by the owner of this key.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        ecdsa::verify(&self.0, message, signature)
    }
}

impl fmt::Debug for P256VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}
