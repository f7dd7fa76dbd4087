//! A public key of any algorithm.

use super::{InvalidSignature, P256VerifyingKey, P384VerifyingKey, RsaVerifyingKey, SignatureAlgorithm};

/// A public key that verifies signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyingKey {
    /// On P-256.
    P256(P256VerifyingKey),
    /// On P-384.
    P384(P384VerifyingKey),
    /// RSA of 2048, 3072 or 4096 bits.
    Rsa(RsaVerifyingKey),
}

impl VerifyingKey {
    /// Whether `signature` is one of `message` by the owner of this key and by `algorithm`, which must be one of this kind of
    /// key.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        match (self, algorithm) {
            (Self::P256(key), SignatureAlgorithm::EcdsaP256Sha256) => key.verify(message, signature),
            (Self::P384(key), SignatureAlgorithm::EcdsaP384Sha384) => key.verify(message, signature),
            (Self::Rsa(key), SignatureAlgorithm::RsaPkcs1Sha256) => key.verify_sha256(message, signature),
            (Self::Rsa(key), SignatureAlgorithm::RsaPkcs1Sha384) => key.verify_sha384(message, signature),
            (Self::P256(_) | Self::P384(_) | Self::Rsa(_), _) => Err(InvalidSignature),
        }
    }

    /// How this kind of key signs: for RSA, which has a choice, with SHA-256.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::P256(_) => SignatureAlgorithm::EcdsaP256Sha256,
            Self::P384(_) => SignatureAlgorithm::EcdsaP384Sha384,
            Self::Rsa(_) => SignatureAlgorithm::RsaPkcs1Sha256,
        }
    }

    /// Whether this kind of key signs by `algorithm`.
    pub fn takes(&self, algorithm: SignatureAlgorithm) -> bool {
        match self {
            Self::P256(_) => algorithm == SignatureAlgorithm::EcdsaP256Sha256,
            Self::P384(_) => algorithm == SignatureAlgorithm::EcdsaP384Sha384,
            Self::Rsa(_) => {
                matches!(algorithm, SignatureAlgorithm::RsaPkcs1Sha256 | SignatureAlgorithm::RsaPkcs1Sha384)
            }
        }
    }

    /// The contents of the BIT STRING of a certificate's public key: the uncompressed point (RFC 5480 §2.2) or the RSAPublicKey
    /// (RFC 3279 §2.3.1).
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::P256(key) => &key.0,
            Self::P384(key) => &key.0,
            Self::Rsa(key) => key.der(),
        }
    }
}

impl From<P256VerifyingKey> for VerifyingKey {
    fn from(key: P256VerifyingKey) -> Self {
        Self::P256(key)
    }
}

impl From<P384VerifyingKey> for VerifyingKey {
    fn from(key: P384VerifyingKey) -> Self {
        Self::P384(key)
    }
}

impl From<RsaVerifyingKey> for VerifyingKey {
    fn from(key: RsaVerifyingKey) -> Self {
        Self::Rsa(key)
    }
}
