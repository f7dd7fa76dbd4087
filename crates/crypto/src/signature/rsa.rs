//! RSA with exponent 65537, the public half: verifying by RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2).
//!
//! With `ring`, so that a device can verify its chain under a CA whose key is RSA.

use super::InvalidSignature;
use super::weak::{self, WeakModulus};
use crate::hex::Hex;
use alloc::vec::Vec;
use core::fmt;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
};

/// A public key of 2048, 3072 or 4096 bits with exponent 65537.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaVerifyingKey {
    /// The RSAPublicKey (RFC 8017 §A.1.1), DER.
    der: Vec<u8>,
}

impl RsaVerifyingKey {
    /// The key of this modulus, big endian.
    pub fn new(modulus: &[u8]) -> Result<Self, InvalidModulus> {
        is_modulus(modulus).then_some(()).ok_or(InvalidModulus)?;
        let length = |length: usize| u16::try_from(length).map(u16::to_be_bytes).map_err(|_| InvalidModulus);
        // Both lengths take two bytes. The zero keeps the modulus positive, whose highest bit is set.
        let [integer, sequence] =
            [length(1 + modulus.len())?, length(4 + 1 + modulus.len() + EXPONENT.len())?];
        let header = [0x30, 0x82, sequence[0], sequence[1], 0x02, 0x82, integer[0], integer[1], 0];
        Ok(Self { der: [&header, modulus, &EXPONENT].concat() })
    }

    /// The key in an RSAPublicKey, DER.
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidModulus> {
        let modulus = der.strip_suffix(&EXPONENT).and_then(|rest| rest.get(HEADER_LEN..));
        // There is one encoding of each modulus; another one of the same is refused.
        let key = Self::new(modulus.ok_or(InvalidModulus)?)?;
        (key.der == der).then_some(key).ok_or(InvalidModulus)
    }

    /// The RSAPublicKey, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The modulus, big endian, its highest bit set.
    pub fn modulus(&self) -> &[u8] {
        &self.der[HEADER_LEN..self.der.len() - EXPONENT.len()]
    }

    /// Bits in the modulus: 2048, 3072 or 4096.
    pub fn bits(&self) -> usize {
        8 * self.modulus().len()
    }

    /// The weakness of the modulus that is known from outside, if it has one.
    pub fn weakness(&self) -> Option<WeakModulus> {
        weak::weakness(self.modulus())
    }

    /// Whether `signature` is one of `message`, hashed with SHA-256, by the owner of this key.
    pub(super) fn verify_sha256(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.der)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    /// The same with SHA-384.
    pub(super) fn verify_sha384(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA384, &self.der)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    /// The same with SHA-512, which requests for certificates may have.
    pub fn verify_sha512(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA512, &self.der)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }
}

impl fmt::Debug for RsaVerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(self.modulus()), f)
    }
}

/// The bytes are not an odd number of 2048, 3072 or 4096 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidModulus;

/// Whether it has exactly 2048, 3072 or 4096 bits and is odd, as the product of two large primes is.
pub(crate) fn is_modulus(modulus: &[u8]) -> bool {
    let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else { return false };
    matches!(modulus.len(), 256 | 384 | 512) && first >> 7 == 1 && last & 1 == 1
}

/// Bytes before the modulus.
const HEADER_LEN: usize = 9;

/// The INTEGER 65537.
const EXPONENT: [u8; 5] = [2, 3, 1, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn modulus(length: usize, first: u8, last: u8) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[0] = first;
        bytes[length - 1] = last;
        bytes
    }

    #[test]
    fn a_key_has_one_encoding() {
        for length in [256, 384, 512] {
            let key = RsaVerifyingKey::new(&modulus(length, 0x80, 1)).unwrap();
            assert_eq!((key.bits(), key.modulus()), (8 * length, &modulus(length, 0x80, 1)[..]));
            assert_eq!(RsaVerifyingKey::from_der(key.der()), Ok(key.clone()));
            for position in (0..HEADER_LEN).chain(length + HEADER_LEN..length + HEADER_LEN + 5) {
                let mut changed = key.der().to_vec();
                changed[position] ^= 1;
                assert_eq!(RsaVerifyingKey::from_der(&changed), Err(InvalidModulus), "byte {position}");
            }
            assert!(RsaVerifyingKey::from_der(&[key.der(), &[0]].concat()).is_err());
        }
        assert_eq!(RsaVerifyingKey::from_der(&[]), Err(InvalidModulus));
        assert_eq!(RsaVerifyingKey::from_der(&EXPONENT), Err(InvalidModulus));
    }

    #[test]
    fn a_modulus_is_odd_and_of_a_whole_length() {
        assert!(is_modulus(&modulus(256, 0x80, 1)) && is_modulus(&modulus(512, 0xff, 0xff)));
        assert!(!is_modulus(&modulus(256, 0x7f, 1)) && !is_modulus(&modulus(256, 0x80, 2)));
        for length in [1, 128, 255, 257, 1024] {
            assert!(!is_modulus(&modulus(length, 0x81, 0x81)), "{length} bytes");
        }
        assert!(!is_modulus(&[]));
        for bytes in [modulus(256, 0x7f, 1), modulus(256, 0x80, 2), modulus(257, 0x80, 1)] {
            assert_eq!(RsaVerifyingKey::new(&bytes), Err(InvalidModulus));
        }
    }
}
