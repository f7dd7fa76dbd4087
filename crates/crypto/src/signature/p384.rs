//! ECDSA on P-384 with SHA-384 (FIPS 186-5), signatures in ASN.1 DER.

use super::InvalidSignature;
#[cfg(feature = "authority")]
use super::SigningError;
use crate::hex::Hex;
#[cfg(feature = "authority")]
use crate::{EntropyError, SecretBytes};
#[cfg(feature = "authority")]
use alloc::vec::Vec;
use core::fmt;
#[cfg(feature = "authority")]
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};
#[cfg(feature = "authority")]
use ring::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

/// Bytes in an uncompressed point.
pub const P384_POINT_LEN: usize = 97;

/// A public key that verifies with P-384: an uncompressed point, which is checked to be on the curve at each use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct P384VerifyingKey(pub [u8; P384_POINT_LEN]);

impl P384VerifyingKey {
    /// Whether `signature` (DER) is one of `message` by the owner of this key.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, &self.0)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    /// The same for a message hashed with SHA-256, by which `openssl req` signs for any key unless it is told another hash.
    pub fn verify_sha256(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&ECDSA_P384_SHA256_ASN1, &self.0)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }
}

impl fmt::Debug for P384VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

/// A key that signs with P-384.
#[cfg(feature = "authority")]
pub(super) struct P384SigningKey(EcdsaKeyPair);

#[cfg(feature = "authority")]
impl P384SigningKey {
    pub(super) fn generate_pkcs8() -> Result<SecretBytes, EntropyError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &SystemRandom::new());
        Ok(SecretBytes::from_vec(document.map_err(|_| EntropyError)?.as_ref().to_vec()))
    }

    pub(super) fn from_pkcs8(document: &SecretBytes) -> Result<(Self, P384VerifyingKey), SigningError> {
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P384_SHA384_ASN1_SIGNING,
            document.expose(),
            &SystemRandom::new(),
        )
        .map_err(|_| SigningError)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| SigningError)?;
        Ok((Self(pair), P384VerifyingKey(public)))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| SigningError)?;
        Ok(signature.as_ref().to_vec())
    }
}
