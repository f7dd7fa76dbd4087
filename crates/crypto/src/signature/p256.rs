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

/// The length of a P-256 signature as R and S, 32 bytes each (RFC 7518 §3.4).
pub const P256_FIXED_LEN: usize = 64;

/// R and S of a signature in DER (RFC 3279 §2.2.3); `None` where it is not one.
pub fn p256_fixed(der: &[u8]) -> Option<[u8; P256_FIXED_LEN]> {
    // A sequence of so few bytes has one byte for its length.
    let [0x30, length, rest @ ..] = der else { return None };
    if usize::from(*length) != rest.len() {
        return None;
    }
    let (r, rest) = integer(rest)?;
    let (s, rest) = integer(rest)?;
    let mut fixed = [0; P256_FIXED_LEN];
    fixed[..32].copy_from_slice(&r);
    fixed[32..].copy_from_slice(&s);
    rest.is_empty().then_some(fixed)
}

/// The positive INTEGER of at most 256 bits at the start of `der`, and the rest.
fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [0x02, length, rest @ ..] = der else { return None };
    let (value, rest) = rest.split_at_checked(usize::from(*length))?;
    let value = value.strip_prefix(&[0]).unwrap_or(value);
    let mut padded = [0; 32];
    padded.get_mut(32_usize.checked_sub(value.len())?..)?.copy_from_slice(value);
    Some((padded, rest))
}

/// The signature in DER.
fn p256_der(fixed: &[u8; P256_FIXED_LEN]) -> Vec<u8> {
    let mut content = Vec::with_capacity(P256_SIGNATURE_MAX);
    for half in fixed.chunks(32) {
        let zeros = half.iter().take(31).take_while(|byte| **byte == 0).count();
        let value = &half[zeros..];
        // A first bit that is set would make it negative (X.690 §8.3.3).
        let is_padded = value[0] & 0x80 != 0;
        content.extend_from_slice(&[0x02, (value.len() + usize::from(is_padded)) as u8]);
        content.extend(is_padded.then_some(0));
        content.extend_from_slice(value);
    }
    let mut der = Vec::with_capacity(P256_SIGNATURE_MAX);
    der.extend_from_slice(&[0x30, content.len() as u8]);
    der.extend(content);
    der
}

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

    /// The same for a signature of R and S.
    pub fn verify_fixed(
        &self,
        message: &[u8],
        signature: &[u8; P256_FIXED_LEN],
    ) -> Result<(), InvalidSignature> {
        self.verify(message, &p256_der(signature))
    }
}

impl fmt::Debug for P256VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

#[cfg(all(test, feature = "ring"))]
mod tests {
    use super::*;

    #[test]
    fn a_signature_of_two_numbers_is_the_same_as_in_der() {
        let document = P256SigningKey::generate_pkcs8().unwrap();
        let key = P256SigningKey::from_pkcs8(&document).unwrap();
        // Often enough that numbers with a first bit that is set, and shorter ones, are among them.
        for number in 0..600_u32 {
            let message = number.to_be_bytes();
            let der = key.sign(&message).unwrap();
            let fixed = p256_fixed(&der).unwrap();
            assert_eq!(p256_der(&fixed), der);
            assert_eq!(key.verifying_key().verify_fixed(&message, &fixed), Ok(()));
            let mut other = fixed;
            other[number as usize % P256_FIXED_LEN] ^= 1;
            assert_eq!(key.verifying_key().verify_fixed(&message, &other), Err(InvalidSignature));
        }
    }

    #[test]
    fn what_is_not_a_signature_has_no_two_numbers() {
        let der = p256_der(&[0x81; P256_FIXED_LEN]);
        assert_eq!(der.len(), P256_SIGNATURE_MAX);
        for cut in 0..der.len() {
            assert_eq!(p256_fixed(&der[..cut]), None);
        }
        assert_eq!(p256_fixed(&[&der[..], &[0]].concat()), None);
        let long = [&[0x30, 70, 0x02, 33][..], &[1; 33], &[0x02, 33], &[1; 33]].concat();
        assert_eq!(p256_fixed(&long), None, "numbers of more than 256 bits");
        // The least numbers, which no key signs with.
        assert_eq!(p256_der(&[0; P256_FIXED_LEN]), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        let document = P256SigningKey::generate_pkcs8().unwrap();
        let key = P256SigningKey::from_pkcs8(&document).unwrap();
        for zeros in [[0; P256_FIXED_LEN], [0xff; P256_FIXED_LEN]] {
            assert_eq!(key.verifying_key().verify_fixed(b"m", &zeros), Err(InvalidSignature));
        }
    }
}
