//! ECDSA on P-256 with SHA-256 (FIPS 186-5), signatures in ASN.1 DER.

use super::{InvalidSignature, Signer, SigningError, VerifyingKey};
use crate::hex::Hex;
use crate::{EntropyError, SecretBytes};
use alloc::vec::Vec;
use core::fmt;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};

/// The longest DER encoding of a P-256 signature, in bytes.
pub const P256_SIGNATURE_MAX: usize = 72;

/// A key that signs with P-256.
pub struct P256SigningKey {
    pair: EcdsaKeyPair,
    public: P256VerifyingKey,
}

impl P256SigningKey {
    /// A fresh key, as PKCS#8 DER for its keeper to seal.
    pub fn generate_pkcs8() -> Result<SecretBytes, EntropyError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        Ok(SecretBytes::from_vec(document.map_err(|_| EntropyError)?.as_ref().to_vec()))
    }

    /// The key in a PKCS#8 document (RFC 5958).
    pub fn from_pkcs8(document: &SecretBytes) -> Result<Self, SigningError> {
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            document.expose(),
            &SystemRandom::new(),
        )
        .map_err(|_| SigningError)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| SigningError)?;
        Ok(Self { pair, public: P256VerifyingKey(public) })
    }

    /// The public half.
    pub fn verifying_key(&self) -> &P256VerifyingKey {
        &self.public
    }

    /// A signature of `message`, DER, at most [`P256_SIGNATURE_MAX`] bytes.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| SigningError)?;
        Ok(signature.as_ref().to_vec())
    }
}

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
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }
}

impl fmt::Debug for P256VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}
