//! A key as certificates carry it: SubjectPublicKeyInfo, in the one DER form of each kind.

use crate::public::Key;
use wardein_crypto::tpm::{Curve, RsaPublicKey};

impl Key {
    /// The SubjectPublicKeyInfo: rsaEncryption (RFC 3279 §2.3.1), or a named curve and an uncompressed point (RFC 5480 §2).
    pub fn spki(&self) -> Vec<u8> {
        let algorithm: &[u8] = match self {
            Self::Rsa(_) => &RSA_ENCRYPTION,
            Self::Ec(key) => match key.curve() {
                Curve::P256 => &EC_P256,
                Curve::P384 => &EC_P384,
            },
        };
        let bits = element(BIT_STRING, &[&[0], &self.bits()]);
        element(SEQUENCE, &[algorithm, &bits])
    }

    /// What is in the BIT STRING of it: the RSAPublicKey (RFC 8017 §A.1.1), or the point.
    pub(crate) fn bits(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => rsa_public_key(key),
            Self::Ec(key) => key.point().to_vec(),
        }
    }
}

fn rsa_public_key(key: &RsaPublicKey) -> Vec<u8> {
    // A number whose highest bit is set takes a zero byte before it, to be positive.
    let modulus = element(INTEGER, &[&[0], key.modulus()]);
    element(SEQUENCE, &[&modulus, &[INTEGER, 3, 1, 0, 1]])
}

/// One element of at most 65,535 bytes, its length in the shortest form (X.690 §10.1).
fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let mut der = vec![tag];
    match contents.len() {
        length @ 0..=0x7f => der.push(length as u8),
        length @ 0x80..=0xff => der.extend([0x81, length as u8]),
        length => der.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    der.extend(contents);
    der
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// `SEQUENCE { rsaEncryption, NULL }`
const RSA_ENCRYPTION: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// `SEQUENCE { id-ecPublicKey, prime256v1 }`
const EC_P256: [u8; 21] = [
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07,
];

/// `SEQUENCE { id-ecPublicKey, secp384r1 }`
const EC_P384: [u8; 18] = [
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x22,
];
