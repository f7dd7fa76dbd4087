//! Private keys of any algorithm, kept in this process.
//!
//! RSA is with `aws-lc-rs`: `ring` generates no RSA keys.

use super::p384::P384SigningKey;
use super::{P256SigningKey, RsaVerifyingKey, SignatureAlgorithm, Signer, SigningError, VerifyingKey};
use crate::{EntropyError, SecretBytes};
use alloc::vec;
use alloc::vec::Vec;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RsaSignatureEncoding};

/// A key in this process that signs by the algorithm that it was read for.
pub struct SigningKey {
    private: Private,
    public: VerifyingKey,
    algorithm: SignatureAlgorithm,
}

impl SigningKey {
    /// A fresh key, as PKCS#8 DER for its keeper to seal. An RSA key takes a second or more.
    pub fn generate_pkcs8(algorithm: KeyAlgorithm) -> Result<SecretBytes, EntropyError> {
        match algorithm {
            KeyAlgorithm::P256 => P256SigningKey::generate_pkcs8(),
            KeyAlgorithm::P384 => P384SigningKey::generate_pkcs8(),
            KeyAlgorithm::Rsa3072 => generate_rsa(KeySize::Rsa3072),
            KeyAlgorithm::Rsa4096 => generate_rsa(KeySize::Rsa4096),
        }
    }

    /// The same of RSA with 2048 bits: legacy, for devices, and none that a CA may have.
    pub fn generate_rsa_2048_pkcs8() -> Result<SecretBytes, EntropyError> {
        generate_rsa(KeySize::Rsa2048)
    }

    /// The key in a PKCS#8 document (RFC 5958), which must be one that signs by `algorithm`. RSA keys have 2048, 3072 or 4096 bits and
    /// the exponent 65537.
    pub fn from_pkcs8(algorithm: SignatureAlgorithm, document: &SecretBytes) -> Result<Self, SigningError> {
        let (private, public) = match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => {
                let key = P256SigningKey::from_pkcs8(document)?;
                let public = VerifyingKey::P256(*key.verifying_key());
                (Private::P256(key), public)
            }
            SignatureAlgorithm::EcdsaP384Sha384 => {
                let (key, public) = P384SigningKey::from_pkcs8(document)?;
                (Private::P384(key), VerifyingKey::P384(public))
            }
            SignatureAlgorithm::RsaPkcs1Sha256 => rsa(document, &RSA_PKCS1_SHA256)?,
            SignatureAlgorithm::RsaPkcs1Sha384 => rsa(document, &RSA_PKCS1_SHA384)?,
        };
        Ok(Self { private, public, algorithm })
    }
}

impl Signer for SigningKey {
    fn verifying_key(&self) -> VerifyingKey {
        self.public.clone()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.private {
            Private::P256(key) => key.sign(message),
            Private::P384(key) => key.sign(message),
            Private::Rsa { pair, padding } => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SigningError)?;
                Ok(signature)
            }
        }
    }
}

/// Which key is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum KeyAlgorithm {
    /// On P-256.
    #[default]
    P256,
    /// On P-384.
    P384,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
}

impl KeyAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::P256, Self::P384, Self::Rsa3072, Self::Rsa4096];

    /// The stable name, for configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// The algorithm that [`KeyAlgorithm::name`] is the name of.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// How such a key signs: for RSA, which has a choice, with SHA-256.
    pub fn signature(self) -> SignatureAlgorithm {
        match self {
            Self::P256 => SignatureAlgorithm::EcdsaP256Sha256,
            Self::P384 => SignatureAlgorithm::EcdsaP384Sha384,
            Self::Rsa3072 | Self::Rsa4096 => SignatureAlgorithm::RsaPkcs1Sha256,
        }
    }
}

enum Private {
    P256(P256SigningKey),
    P384(P384SigningKey),
    Rsa { pair: RsaKeyPair, padding: &'static RsaSignatureEncoding },
}

fn generate_rsa(size: KeySize) -> Result<SecretBytes, EntropyError> {
    let pair = RsaKeyPair::generate(size).map_err(|_| EntropyError)?;
    // The library wipes its own copy.
    let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| EntropyError)?;
    Ok(SecretBytes::from_vec(document.as_ref().to_vec()))
}

fn rsa(
    document: &SecretBytes,
    padding: &'static RsaSignatureEncoding,
) -> Result<(Private, VerifyingKey), SigningError> {
    let pair = RsaKeyPair::from_pkcs8(document.expose()).map_err(|_| SigningError)?;
    let public = RsaVerifyingKey::from_der(pair.public_key().as_ref()).map_err(|_| SigningError)?;
    Ok((Private::Rsa { pair, padding }, VerifyingKey::Rsa(public)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InvalidSignature;

    fn documents() -> [(KeyAlgorithm, SecretBytes); 4] {
        KeyAlgorithm::ALL.map(|algorithm| (algorithm, SigningKey::generate_pkcs8(algorithm).unwrap()))
    }

    #[test]
    fn each_key_signs_by_its_own_algorithms_and_no_other() {
        for (kind, document) in documents() {
            for algorithm in SignatureAlgorithm::ALL {
                let key = SigningKey::from_pkcs8(algorithm, &document);
                let is_rsa = |algorithm| {
                    matches!(
                        algorithm,
                        SignatureAlgorithm::RsaPkcs1Sha256 | SignatureAlgorithm::RsaPkcs1Sha384
                    )
                };
                let fits = algorithm == kind.signature() || is_rsa(algorithm) && is_rsa(kind.signature());
                assert_eq!(key.is_ok(), fits, "{kind:?} {algorithm:?}");
                let Ok(key) = key else { continue };
                assert!(!key.is_external());
                assert_eq!(key.algorithm(), algorithm);
                let public = key.verifying_key();
                let mut signature = key.sign(b"message").unwrap();
                for other in SignatureAlgorithm::ALL {
                    let wanted = if other == algorithm { Ok(()) } else { Err(InvalidSignature) };
                    assert_eq!(public.verify(other, b"message", &signature), wanted, "{kind:?} {other:?}");
                    assert_eq!(
                        public.takes(other),
                        other == kind.signature() || is_rsa(other) && is_rsa(algorithm)
                    );
                }
                assert_eq!(public.verify(algorithm, b"another", &signature), Err(InvalidSignature));
                let last = signature.len() - 1;
                signature[last] ^= 1;
                assert_eq!(public.verify(algorithm, b"message", &signature), Err(InvalidSignature));
            }
        }
    }

    #[test]
    fn a_generated_key_is_of_the_kind_that_was_asked_for() {
        for (kind, document) in documents() {
            let key = SigningKey::from_pkcs8(kind.signature(), &document).unwrap();
            assert_eq!(key.verifying_key().algorithm(), kind.signature());
            match (kind, key.verifying_key()) {
                (KeyAlgorithm::Rsa3072, VerifyingKey::Rsa(key)) => assert_eq!(key.bits(), 3072),
                (KeyAlgorithm::Rsa4096, VerifyingKey::Rsa(key)) => assert_eq!(key.bits(), 4096),
                (KeyAlgorithm::P256 | KeyAlgorithm::P384, VerifyingKey::P256(_) | VerifyingKey::P384(_)) => {}
                (kind, key) => panic!("{kind:?} gave {key:?}"),
            }
            assert_eq!(KeyAlgorithm::from_name(kind.name()), Some(kind));
        }
        assert_eq!(KeyAlgorithm::from_name("rsa-1024"), None);
    }

    #[test]
    fn a_document_of_other_bytes_holds_no_key() {
        let none = SecretBytes::from_vec(vec![0x30, 0]);
        for algorithm in SignatureAlgorithm::ALL {
            assert!(SigningKey::from_pkcs8(algorithm, &none).is_err());
        }
    }
}
