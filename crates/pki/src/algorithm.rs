//! Signature algorithms as certificates name them: for our own bytes, for the writer and for the reader.

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PKCS_RSA_SHA384};
use wardein_crypto::SignatureAlgorithm;
use x509_parser::asn1_rs::Tag;
use x509_parser::oid_registry::{
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
};
use x509_parser::x509::AlgorithmIdentifier;

/// The AlgorithmIdentifier, DER: of ECDSA without parameters (RFC 5758 §3.2), of RSA with NULL (RFC 4055 §5).
pub(crate) fn identifier(algorithm: SignatureAlgorithm) -> &'static [u8] {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &ECDSA_WITH_SHA256,
        SignatureAlgorithm::EcdsaP384Sha384 => &ECDSA_WITH_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha256 => &SHA256_WITH_RSA,
        SignatureAlgorithm::RsaPkcs1Sha384 => &SHA384_WITH_RSA,
    }
}

/// The algorithm that these bytes are [`identifier`] of. ECDSA does not name its curve there: with which hash it signs says it,
/// because keys on each curve sign with one.
pub(crate) fn from_identifier(der: &[u8]) -> Option<SignatureAlgorithm> {
    SignatureAlgorithm::ALL.into_iter().find(|algorithm| identifier(*algorithm) == der)
}

/// The parsed identifier is this algorithm.
pub(crate) fn is(found: &AlgorithmIdentifier<'_>, algorithm: SignatureAlgorithm) -> bool {
    let (oid, has_null) = match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => (OID_SIG_ECDSA_WITH_SHA256, false),
        SignatureAlgorithm::EcdsaP384Sha384 => (OID_SIG_ECDSA_WITH_SHA384, false),
        SignatureAlgorithm::RsaPkcs1Sha256 => (OID_PKCS1_SHA256WITHRSA, true),
        SignatureAlgorithm::RsaPkcs1Sha384 => (OID_PKCS1_SHA384WITHRSA, true),
    };
    let are_parameters = match &found.parameters {
        Some(parameters) => has_null && parameters.tag() == Tag::Null && parameters.data.is_empty(),
        None => !has_null,
    };
    found.algorithm == oid && are_parameters
}

/// The writer's name of it.
pub(crate) fn writer(algorithm: SignatureAlgorithm) -> &'static rcgen::SignatureAlgorithm {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &PKCS_ECDSA_P256_SHA256,
        SignatureAlgorithm::EcdsaP384Sha384 => &PKCS_ECDSA_P384_SHA384,
        SignatureAlgorithm::RsaPkcs1Sha256 => &PKCS_RSA_SHA256,
        SignatureAlgorithm::RsaPkcs1Sha384 => &PKCS_RSA_SHA384,
    }
}

const ECDSA_WITH_SHA256: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_WITH_SHA384: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const SHA256_WITH_RSA: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];
/// Of requests alone: no CA of ours signs with it.
pub(crate) const SHA512_WITH_RSA: [u8; 15] =
    [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13, 5, 0];
const SHA384_WITH_RSA: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12, 5, 0];

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::FromDer;

    #[test]
    fn the_reader_reads_each_as_itself_and_no_other() {
        for algorithm in SignatureAlgorithm::ALL {
            let der = identifier(algorithm);
            assert_eq!(from_identifier(der), Some(algorithm));
            let (_, read) = AlgorithmIdentifier::from_der(der).unwrap();
            for other in SignatureAlgorithm::ALL {
                assert_eq!(is(&read, other), other == algorithm, "{algorithm:?} {other:?}");
            }
        }
    }

    #[test]
    fn parameters_are_as_the_algorithm_has_them() {
        let with_null = [&[0x30, 12], &ECDSA_WITH_SHA256[2..], &[5, 0]].concat();
        let without = [&[0x30, 11], &SHA256_WITH_RSA[2..13]].concat();
        let other = [&SHA256_WITH_RSA[..13], &[4, 0]].concat();
        for der in [with_null, without, other] {
            assert_eq!(from_identifier(&der), None);
            let (_, read) = AlgorithmIdentifier::from_der(&der).unwrap();
            assert!(SignatureAlgorithm::ALL.into_iter().all(|algorithm| !is(&read, algorithm)), "{der:02x?}");
        }
    }
}
