//! RSA with exponent 65537, the public half: verifying (RFC 8017 §8) and encrypting (§7.1).

use super::HashAlgorithm;
use crate::signature::is_modulus;
use crate::{EntropyError, InvalidModulus, InvalidSignature, SecretBytes};
use alloc::vec;
use alloc::vec::Vec;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RsaPublicKeyComponents,
};

/// A public key of 2048, 3072 or 4096 bits with exponent 65537.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    modulus: Vec<u8>,
}

/// How a signature is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaScheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    Pkcs1,
    /// RSASSA-PSS (§8.1) with a salt as long as the digest.
    Pss,
}

impl RsaPublicKey {
    /// The key of this modulus, big endian.
    pub fn new(modulus: &[u8]) -> Result<Self, InvalidModulus> {
        is_modulus(modulus).then(|| Self { modulus: modulus.to_vec() }).ok_or(InvalidModulus)
    }

    /// The modulus, big endian, its highest bit set.
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// Whether `signature` is one of `message` by the owner of this key.
    pub fn verify(
        &self,
        scheme: RsaScheme,
        hash: HashAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let parameters = match (scheme, hash) {
            (RsaScheme::Pkcs1, HashAlgorithm::Sha256) => &RSA_PKCS1_2048_8192_SHA256,
            (RsaScheme::Pkcs1, HashAlgorithm::Sha384) => &RSA_PKCS1_2048_8192_SHA384,
            (RsaScheme::Pss, HashAlgorithm::Sha256) => &RSA_PSS_2048_8192_SHA256,
            (RsaScheme::Pss, HashAlgorithm::Sha384) => &RSA_PSS_2048_8192_SHA384,
        };
        self.components().verify(parameters, message, signature).map_err(|_| InvalidSignature)
    }

    /// RSAES-OAEP of `message` with `label`, whose final zero byte, where a TPM wants one, is part of it. The padding's seed is drawn by
    /// the library itself, which takes no other source. `message` is at most as long as the digest.
    pub fn oaep(
        &self,
        hash: HashAlgorithm,
        label: &[u8],
        message: &SecretBytes,
    ) -> Result<Vec<u8>, EntropyError> {
        let algorithm = match hash {
            HashAlgorithm::Sha256 => &OAEP_SHA256_MGF1SHA256,
            HashAlgorithm::Sha384 => &OAEP_SHA384_MGF1SHA384,
        };
        let key: PublicEncryptingKey = self.components().try_into().map_err(|_| EntropyError)?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| EntropyError)?;
        let mut ciphertext = vec![0; key.ciphertext_size()];
        let length = key
            .encrypt(algorithm, message.expose(), &mut ciphertext, Some(label))
            .map_err(|_| EntropyError)?
            .len();
        ciphertext.truncate(length);
        Ok(ciphertext)
    }

    fn components(&self) -> RsaPublicKeyComponents<&[u8]> {
        RsaPublicKeyComponents { n: &self.modulus, e: &EXPONENT }
    }
}

/// 65537, big endian.
const EXPONENT: [u8; 3] = [1, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
    use aws_lc_rs::signature::{
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RSA_PSS_SHA384,
    };

    #[test]
    fn what_the_library_signs_verifies_and_a_change_does_not() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let key = public(pair.public_key().as_ref());
        for (scheme, hash, signing) in [
            (RsaScheme::Pkcs1, HashAlgorithm::Sha256, &RSA_PKCS1_SHA256),
            (RsaScheme::Pkcs1, HashAlgorithm::Sha384, &RSA_PKCS1_SHA384),
            (RsaScheme::Pss, HashAlgorithm::Sha256, &RSA_PSS_SHA256),
            (RsaScheme::Pss, HashAlgorithm::Sha384, &RSA_PSS_SHA384),
        ] {
            let mut signature = vec![0; 256];
            pair.sign(signing, &SystemRandom::new(), b"message", &mut signature).unwrap();
            assert_eq!(key.verify(scheme, hash, b"message", &signature), Ok(()));
            assert_eq!(key.verify(scheme, hash, b"another", &signature), Err(InvalidSignature));
            signature[200] ^= 1;
            assert_eq!(key.verify(scheme, hash, b"message", &signature), Err(InvalidSignature));
        }
    }

    #[test]
    fn oaep_is_opened_by_the_private_key_with_the_same_label_alone() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = private.public_key().as_der().unwrap();
        let seed = SecretBytes::from_vec(vec![5; 32]);
        let ciphertext = public(der.as_ref()).oaep(HashAlgorithm::Sha256, b"IDENTITY\0", &seed).unwrap();
        let private = OaepPrivateDecryptingKey::new(private).unwrap();
        let mut out = vec![0; 256];
        let open = |label: &'static [u8], out: &mut [u8]| {
            private
                .decrypt(&OAEP_SHA256_MGF1SHA256, &ciphertext, out, Some(label))
                .map(|opened| opened.to_vec())
                .ok()
        };
        assert_eq!(open(b"IDENTITY\0", &mut out).as_deref(), Some(seed.expose()));
        assert_eq!(open(b"IDENTITY", &mut out), None);
    }

    /// The key in DER that ends with the modulus and then the exponent.
    fn public(der: &[u8]) -> RsaPublicKey {
        let modulus = der.strip_suffix(&[2, 3, 1, 0, 1]).unwrap();
        RsaPublicKey::new(&modulus[modulus.len() - 256..]).unwrap()
    }

    #[test]
    fn a_modulus_is_odd_and_of_a_whole_length() {
        let modulus = |length: usize, first: u8, last: u8| {
            let mut bytes = vec![0; length];
            bytes[0] = first;
            bytes[length - 1] = last;
            RsaPublicKey::new(&bytes).is_ok()
        };
        assert!(modulus(256, 0x80, 1) && modulus(384, 0xff, 0xff) && modulus(512, 0x80, 1));
        assert!(!modulus(256, 0x7f, 1) && !modulus(256, 0x80, 2));
        assert!(
            !modulus(255, 0x80, 1)
                && !modulus(257, 0x80, 1)
                && !modulus(128, 0x80, 1)
                && !modulus(1024, 0x80, 1)
        );
        assert_eq!(RsaPublicKey::new(&[]), Err(InvalidModulus));
    }
}
