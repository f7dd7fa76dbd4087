//! The public keys of operators, servers, and devices that sign their requests: P-256, uncompressed, and nothing else.

use crate::SubjectKey;
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use wardein_crypto::{P256_POINT_LEN, P256VerifyingKey, VerifyingKey};

/// A P-256 public key as certificates carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(P256VerifyingKey);

impl PublicKey {
    /// Bytes in [`PublicKey::spki`].
    pub const SPKI_LEN: usize = SPKI_PREFIX.len() + P256_POINT_LEN;

    /// The SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> [u8; Self::SPKI_LEN] {
        let mut spki = [0; Self::SPKI_LEN];
        let (prefix, point) = spki.split_at_mut(SPKI_PREFIX.len());
        prefix.copy_from_slice(&SPKI_PREFIX);
        point.copy_from_slice(&self.0.0);
        spki
    }

    /// The key that verifies.
    pub fn verifying_key(&self) -> &P256VerifyingKey {
        &self.0
    }
}

impl From<P256VerifyingKey> for PublicKey {
    fn from(key: P256VerifyingKey) -> Self {
        Self(key)
    }
}

/// A key is of another kind than P-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotP256;

impl TryFrom<&SubjectKey> for PublicKey {
    type Error = NotP256;

    fn try_from(key: &SubjectKey) -> Result<Self, NotP256> {
        match key.verifying_key() {
            VerifyingKey::P256(key) => Ok(Self(*key)),
            VerifyingKey::P384(_) | VerifyingKey::Rsa(_) => Err(NotP256),
        }
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// One of our subject or authority key identifiers.
pub(crate) type KeyId = [u8; 20];

/// `SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING` up to the point.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
