use crate::{EntropyError, InvalidSignature, P256_POINT_LEN, SecretBytes, SigningError};
use alloc::vec::Vec;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};

pub(crate) struct SigningKey(EcdsaKeyPair);

impl SigningKey {
    /// A fresh key in PKCS#8. `ring` takes random bytes from the operating system alone.
    pub(crate) fn generate_pkcs8() -> Result<SecretBytes, EntropyError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        Ok(SecretBytes::from_vec(document.map_err(|_| EntropyError)?.as_ref().to_vec()))
    }

    /// The key in a PKCS#8 document, and its public point.
    pub(crate) fn from_pkcs8(document: &[u8]) -> Result<(Self, [u8; P256_POINT_LEN]), SigningError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document, &random)
            .map_err(|_| SigningError)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| SigningError)?;
        Ok((Self(pair), public))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| SigningError)?;
        Ok(signature.as_ref().to_vec())
    }
}

pub(crate) fn verify(
    key: &[u8; P256_POINT_LEN],
    message: &[u8],
    signature: &[u8],
) -> Result<(), InvalidSignature> {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
        .verify(message, signature)
        .map_err(|_| InvalidSignature)
}
