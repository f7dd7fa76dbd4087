//! Ed25519 (RFC 8032): for receivers whose conventions know no other asymmetric signature.

use crate::{InvalidSignature, Secret};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// The length of a public key, in bytes.
pub const ED25519_KEY_LEN: usize = 32;

/// The length of a signature, in bytes.
pub const ED25519_SIGNATURE_LEN: usize = 64;

/// A private key. ring keeps a copy of it, which it does not wipe.
pub struct Ed25519SigningKey(Ed25519KeyPair);

impl Ed25519SigningKey {
    /// The key of 32 random bytes (RFC 8032 §5.1.5).
    pub fn from_seed(seed: &Secret<32>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose());
        Self(pair.expect("each 32 bytes are the seed of a key"))
    }

    /// The public half, as RFC 8032 encodes it.
    pub fn verifying_key(&self) -> [u8; ED25519_KEY_LEN] {
        let public = self.0.public_key().as_ref();
        public.try_into().expect("a public key has 32 bytes")
    }

    /// The signature of `message`, which is the same each time.
    pub fn sign(&self, message: &[u8]) -> [u8; ED25519_SIGNATURE_LEN] {
        let signature = self.0.sign(message);
        signature.as_ref().try_into().expect("a signature has 64 bytes")
    }
}

/// A public key, as RFC 8032 encodes it. That it is a point of the curve is checked at each use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ed25519VerifyingKey(pub [u8; ED25519_KEY_LEN]);

impl Ed25519VerifyingKey {
    /// Whether `signature` is one of `message` by the owner of this key.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).map_err(|_| InvalidSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::decode_array;

    #[test]
    fn it_gives_the_published_answers() {
        // RFC 8032 §7.1, TEST 2 and TEST 3.
        for (seed, public, message, signature) in [
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                &b"\x72"[..],
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                 085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                &b"\xaf\x82"[..],
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                 18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ] {
            let key = Ed25519SigningKey::from_seed(&Secret::copied_from(&decode_array(seed).unwrap()));
            assert_eq!(Some(key.verifying_key()), decode_array(public));
            assert_eq!(Some(key.sign(message)), decode_array(signature));
        }
    }

    #[test]
    fn every_changed_bit_of_a_signature_is_refused() {
        let key = Ed25519SigningKey::from_seed(&Secret::copied_from(&[9; 32]));
        let (public, signature) = (Ed25519VerifyingKey(key.verifying_key()), key.sign(b"message"));
        assert_eq!(public.verify(b"message", &signature), Ok(()));
        for bit in 0..8 * ED25519_SIGNATURE_LEN {
            let mut changed = signature;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(public.verify(b"message", &changed), Err(InvalidSignature), "bit {bit}");
        }
        assert_eq!(public.verify(b"massage", &signature), Err(InvalidSignature));
        assert_eq!(public.verify(b"message", &signature[..63]), Err(InvalidSignature));
        assert_eq!(Ed25519VerifyingKey([0xff; 32]).verify(b"message", &signature), Err(InvalidSignature));
    }
}
