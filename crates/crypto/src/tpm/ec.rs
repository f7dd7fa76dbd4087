//! Keys on P-256 and P-384 (FIPS 186-5, SP 800-186), the public half: verifying, and an ephemeral key's agreement with them.

use crate::hex::Hex;
use crate::{Entropy, EntropyError, InvalidPoint, InvalidSignature, SecretBytes};
use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, ParsedPublicKey,
};
use core::fmt;

/// Bytes in the longest coordinate.
pub const MAX_COORDINATE: usize = 48;

/// Which curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256, for which signatures are with SHA-256.
    P256,
    /// NIST P-384, for which signatures are with SHA-384.
    P384,
}

impl Curve {
    /// Bytes in a coordinate, and in each number of a signature.
    pub fn coordinate(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    fn agreement(self) -> &'static agreement::Algorithm {
        match self {
            Self::P256 => &ECDH_P256,
            Self::P384 => &ECDH_P384,
        }
    }

    fn ecdsa(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
        }
    }
}

/// A point on its curve, and not the one at infinity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EcPublicKey {
    curve: Curve,
    /// Uncompressed (SEC 1 §2.3.3); beyond the curve's length, zeros.
    point: [u8; 1 + 2 * MAX_COORDINATE],
}

impl EcPublicKey {
    /// The key with these coordinates, big endian. Leading zeros may be absent, as some TPMs leave them out; more bytes than
    /// the curve's are refused.
    pub fn new(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, InvalidPoint> {
        let length = curve.coordinate();
        let mut point = [0; 1 + 2 * MAX_COORDINATE];
        point[0] = UNCOMPRESSED;
        pad(&mut point[1..=length], x).ok_or(InvalidPoint)?;
        pad(&mut point[1 + length..=2 * length], y).ok_or(InvalidPoint)?;
        let key = Self { curve, point };
        ParsedPublicKey::new(curve.ecdsa(), key.point()).map_err(|_| InvalidPoint)?;
        Ok(key)
    }

    /// Which curve it is on.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The point, uncompressed.
    pub fn point(&self) -> &[u8] {
        &self.point[..=2 * self.curve.coordinate()]
    }

    /// The x coordinate, in the curve's length.
    pub fn x(&self) -> &[u8] {
        &self.point[1..=self.curve.coordinate()]
    }

    /// The y coordinate, in the curve's length.
    pub fn y(&self) -> &[u8] {
        &self.point()[1 + self.curve.coordinate()..]
    }

    /// Whether `r` and `s`, big endian and of at most the curve's length, are a signature of `message` by the owner of this
    /// key, with the hash of its curve.
    pub fn verify(&self, message: &[u8], r: &[u8], s: &[u8]) -> Result<(), InvalidSignature> {
        let length = self.curve.coordinate();
        let mut fixed = [0; 2 * MAX_COORDINATE];
        pad(&mut fixed[..length], r).ok_or(InvalidSignature)?;
        pad(&mut fixed[length..2 * length], s).ok_or(InvalidSignature)?;
        signature::UnparsedPublicKey::new(self.curve.ecdsa(), self.point())
            .verify(message, &fixed[..2 * length])
            .map_err(|_| InvalidSignature)
    }

    /// A fresh key of the same curve agrees with this one: its public half, and the x coordinate that both share.
    pub fn agree(&self, entropy: &mut dyn Entropy) -> Result<(Self, SecretBytes), EntropyError> {
        let private = draw(self.curve, entropy)?;
        let public = private.compute_public_key().map_err(|_| EntropyError)?;
        let (x, y) = public.as_ref()[1..].split_at(self.curve.coordinate());
        let ephemeral = Self::new(self.curve, x, y).map_err(|_| EntropyError)?;
        let peer = UnparsedPublicKey::new(self.curve.agreement(), self.point());
        let shared = agreement::agree(&private, peer, EntropyError, |shared| {
            Ok(SecretBytes::from_vec(shared.to_vec()))
        })?;
        Ok((ephemeral, shared))
    }
}

impl fmt::Debug for EcPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(self.point()), f)
    }
}

/// A private key by rejection sampling (FIPS 186-5 §A.2.2): the library refuses zero and values not below the order.
fn draw(curve: Curve, entropy: &mut dyn Entropy) -> Result<PrivateKey, EntropyError> {
    for _ in 0..DRAWS {
        let bytes = SecretBytes::try_filled(curve.coordinate(), |bytes| {
            entropy.fill(bytes)?;
            Ok(bytes.len())
        })?;
        if let Ok(key) = PrivateKey::from_private_key(curve.agreement(), bytes.expose()) {
            return Ok(key);
        }
    }
    Err(EntropyError)
}

fn pad(to: &mut [u8], number: &[u8]) -> Option<()> {
    let zeros = to.len().checked_sub(number.len())?;
    to[..zeros].fill(0);
    to[zeros..].copy_from_slice(number);
    Some(())
}

/// The first byte of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A draw is refused once in 2^32 times on P-256, and practically never on P-384: that many refusals are a broken source.
const DRAWS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    };
    use std::vec::Vec;

    const CURVES: [Curve; 2] = [Curve::P256, Curve::P384];

    #[test]
    fn both_ends_agree() {
        for curve in CURVES {
            let private = draw(curve, &mut SystemEntropy::default()).unwrap();
            let public = key(curve, private.compute_public_key().unwrap().as_ref());
            let (ephemeral, shared) = public.agree(&mut SystemEntropy::default()).unwrap();
            let peer = UnparsedPublicKey::new(curve.agreement(), ephemeral.point());
            let other = agreement::agree(&private, peer, (), |z| Ok::<Vec<u8>, ()>(z.to_vec())).unwrap();
            assert_eq!(shared.expose(), other);
            assert_eq!(shared.expose().len(), curve.coordinate());
        }
    }

    #[test]
    fn a_point_off_the_curve_or_of_another_length_is_refused() {
        for curve in CURVES {
            let private = draw(curve, &mut SystemEntropy::default()).unwrap();
            let good = key(curve, private.compute_public_key().unwrap().as_ref());
            let mut y = good.y().to_vec();
            y[0] ^= 1;
            assert_eq!(EcPublicKey::new(curve, good.x(), &y), Err(InvalidPoint));
            assert_eq!(EcPublicKey::new(curve, &[], &[]), Err(InvalidPoint));
            let longer = [&[0], good.x()].concat();
            assert_eq!(EcPublicKey::new(curve, &longer, good.y()), Err(InvalidPoint));
        }
    }

    #[test]
    fn leading_zeros_of_coordinates_and_signatures_may_be_absent() {
        for curve in CURVES {
            // A key whose x begins with a zero byte is found within some hundred draws.
            let short = core::iter::repeat_with(|| {
                let private = draw(curve, &mut SystemEntropy::default()).unwrap();
                key(curve, private.compute_public_key().unwrap().as_ref())
            })
            .find(|key| key.x()[0] == 0);
            let whole = short.unwrap();
            assert_eq!(EcPublicKey::new(curve, &whole.x()[1..], whole.y()), Ok(whole));
        }
    }

    #[test]
    fn what_the_library_signs_verifies_and_a_change_does_not() {
        for (curve, signing) in
            CURVES.into_iter().zip([&ECDSA_P256_SHA256_FIXED_SIGNING, &ECDSA_P384_SHA384_FIXED_SIGNING])
        {
            let pair = EcdsaKeyPair::generate(signing).unwrap();
            let public = key(curve, pair.public_key().as_ref());
            let signature = core::iter::repeat_with(|| pair.sign(&SystemRandom::new(), b"message").unwrap())
                .find(|signature| signature.as_ref()[0] == 0)
                .unwrap();
            let (r, s) = signature.as_ref().split_at(curve.coordinate());
            assert_eq!(public.verify(b"message", r, s), Ok(()));
            assert_eq!(public.verify(b"message", &r[1..], s), Ok(()));
            assert_eq!(public.verify(b"another", r, s), Err(InvalidSignature));
            assert_eq!(public.verify(b"message", s, r), Err(InvalidSignature));
            assert_eq!(public.verify(b"message", &[&[0], r].concat(), s), Err(InvalidSignature));
            assert_eq!(public.verify(b"message", &[], &[]), Err(InvalidSignature));
        }
    }

    #[test]
    fn a_broken_source_gives_no_key() {
        struct Constant(u8);
        impl Entropy for Constant {
            fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
                bytes.fill(self.0);
                Ok(())
            }
        }
        for curve in CURVES {
            assert!(draw(curve, &mut Constant(0)).is_err());
            assert!(draw(curve, &mut Constant(0xff)).is_err());
            assert!(draw(curve, &mut Constant(1)).is_ok());
        }
    }

    fn key(curve: Curve, point: &[u8]) -> EcPublicKey {
        let (x, y) = point[1..].split_at(curve.coordinate());
        EcPublicKey::new(curve, x, y).unwrap()
    }
}
