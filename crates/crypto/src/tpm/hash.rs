//! SHA-256 and SHA-384 (FIPS 180-4), and HMAC with them (FIPS 198-1).

use crate::hex::Hex;
use aws_lc_rs::{digest, hmac};
use core::fmt;

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
}

impl HashAlgorithm {
    /// Bytes in a digest.
    #[allow(clippy::len_without_is_empty, reason = "a digest is never empty")]
    pub fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    /// The digest of `parts`, one after the other.
    pub fn digest(self, parts: &[&[u8]]) -> HashValue {
        let mut context = digest::Context::new(match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
        });
        parts.iter().for_each(|part| context.update(part));
        HashValue::copied_from(self, context.finish().as_ref())
    }
}

/// The HMAC of `parts`, one after the other, under `key`.
pub fn hmac(algorithm: HashAlgorithm, key: &[u8], parts: &[&[u8]]) -> HashValue {
    let key = hmac::Key::new(
        match algorithm {
            HashAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HashAlgorithm::Sha384 => hmac::HMAC_SHA384,
        },
        key,
    );
    let mut context = hmac::Context::with_key(&key);
    parts.iter().for_each(|part| context.update(part));
    HashValue::copied_from(algorithm, context.sign().as_ref())
}

/// A public digest, with the algorithm that it is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashValue {
    algorithm: HashAlgorithm,
    /// Beyond the algorithm's length, zeros.
    bytes: [u8; MAX_LEN],
}

impl HashValue {
    /// The value that these bytes are; `None` unless they are as many as the algorithm gives.
    pub fn from_bytes(algorithm: HashAlgorithm, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == algorithm.len()).then(|| Self::copied_from(algorithm, bytes))
    }

    /// Which hash it is a value of.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// `from` has the algorithm's length.
    fn copied_from(algorithm: HashAlgorithm, from: &[u8]) -> Self {
        let mut bytes = [0; MAX_LEN];
        bytes[..algorithm.len()].copy_from_slice(from);
        Self { algorithm, bytes }
    }
}

impl AsRef<[u8]> for HashValue {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.algorithm.len()]
    }
}

impl fmt::Debug for HashValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(self.as_ref()), f)
    }
}

const MAX_LEN: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn digests_of_fips_180_4() {
        let of = |algorithm: HashAlgorithm| format!("{:?}", algorithm.digest(&[b"a", b"", b"bc"]));
        assert_eq!(
            of(HashAlgorithm::Sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            of(HashAlgorithm::Sha384),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
        );
    }

    #[test]
    fn hmacs_of_rfc_4231_case_2() {
        let of =
            |algorithm| format!("{:?}", hmac(algorithm, b"Jefe", &[b"what do ya want ", b"for nothing?"]));
        assert_eq!(
            of(HashAlgorithm::Sha256),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            of(HashAlgorithm::Sha384),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"
        );
    }

    #[test]
    fn a_value_has_its_algorithms_length() {
        assert!(HashValue::from_bytes(HashAlgorithm::Sha256, &[0; 32]).is_some());
        for length in [0, 31, 33, 48] {
            assert!(HashValue::from_bytes(HashAlgorithm::Sha256, &[0; 48][..length]).is_none());
        }
        assert!(HashValue::from_bytes(HashAlgorithm::Sha384, &[0; 32]).is_none());
    }
}
