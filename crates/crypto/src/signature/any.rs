//! The port in front of private keys, and the algorithms as values.

use super::{SigningError, VerifyingKey};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A private key that signs, wherever it is.
pub trait Signer: Send + Sync {
    /// The public half.
    fn verifying_key(&self) -> VerifyingKey;

    /// How [`Signer::sign`] signs. An RSA key has a choice; unless its signer makes another, it is with SHA-256.
    fn algorithm(&self) -> SignatureAlgorithm {
        self.verifying_key().algorithm()
    }

    /// A signature of `message` by [`Signer::algorithm`]: of ECDSA in DER (RFC 3279 §2.2.3), of RSA as long as the modulus.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError>;

    /// Whether the key is in another process (PKCS#11, a key management service). A crash can separate such a signer's signature
    /// from its record, so it may sign only bytes that are already recorded.
    fn is_external(&self) -> bool {
        false
    }
}

impl<S: Signer + ?Sized> Signer for Arc<S> {
    fn verifying_key(&self) -> VerifyingKey {
        (**self).verifying_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        (**self).algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        (**self).sign(message)
    }

    fn is_external(&self) -> bool {
        (**self).is_external()
    }
}

/// How a message is hashed and signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5).
    #[default]
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2) with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
}

impl SignatureAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::EcdsaP256Sha256, Self::EcdsaP384Sha384, Self::RsaPkcs1Sha256, Self::RsaPkcs1Sha384];

    /// The stable name, for configuration and storage.
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
            Self::RsaPkcs1Sha384 => "rsa-pkcs1-sha384",
        }
    }

    /// The algorithm that [`SignatureAlgorithm::name`] is the name of.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back() {
        for algorithm in SignatureAlgorithm::ALL {
            assert_eq!(SignatureAlgorithm::from_name(algorithm.name()), Some(algorithm));
        }
        assert_eq!(SignatureAlgorithm::from_name("rsa-pkcs1-sha1"), None);
        assert_eq!(SignatureAlgorithm::default(), SignatureAlgorithm::EcdsaP256Sha256);
    }
}
