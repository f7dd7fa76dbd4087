//! The public half of a private key of any algorithm: for a device that is given one, and signs with it by other programs.

use super::{P256SigningKey, P384_POINT_LEN, P384VerifyingKey, RsaVerifyingKey, VerifyingKey};
use crate::SecretBytes;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

/// The public half of the key in a PKCS#8 document (RFC 5958), which must be whole: on P-256 or P-384, or of RSA with 2048, 3072 or
/// 4096 bits and the exponent 65537. `None` for any other.
pub fn public_half(document: &SecretBytes) -> Option<VerifyingKey> {
    if let Ok(key) = P256SigningKey::from_pkcs8(document) {
        return Some(VerifyingKey::P256(*key.verifying_key()));
    }
    let der = document.expose();
    if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der, &SystemRandom::new()) {
        let point: [u8; P384_POINT_LEN] = key.public_key().as_ref().try_into().ok()?;
        return Some(VerifyingKey::P384(P384VerifyingKey(point)));
    }
    let key = rsa::KeyPair::from_pkcs8(der).ok()?;
    RsaVerifyingKey::from_der(key.public().as_ref()).ok().map(VerifyingKey::Rsa)
}

#[cfg(all(test, feature = "authority"))]
mod tests {
    use super::*;
    use crate::{KeyAlgorithm, Signer, SigningKey};
    use alloc::vec::Vec;

    #[test]
    fn a_key_of_any_algorithm_has_its_public_half() {
        let keys = [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa3072];
        let documents = keys.map(|algorithm| SigningKey::generate_pkcs8(algorithm).unwrap());
        for (algorithm, document) in keys.into_iter().zip(&documents) {
            let key = SigningKey::from_pkcs8(algorithm.signature(), document).unwrap();
            assert_eq!(public_half(document), Some(key.verifying_key()));
            let cut = document.expose().len() - 1;
            let cut = SecretBytes::from_vec(Vec::from(&document.expose()[..cut]));
            assert_eq!(public_half(&cut), None);
        }
        let legacy = SigningKey::generate_rsa_2048_pkcs8().unwrap();
        assert!(matches!(public_half(&legacy), Some(VerifyingKey::Rsa(key)) if key.bits() == 2048));
        assert_eq!(public_half(&SecretBytes::from_vec(Vec::new())), None);
    }
}
