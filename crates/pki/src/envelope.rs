//! The envelope of a certificate and a request around the signed part: `SEQUENCE { signed, AlgorithmIdentifier, BIT STRING }`
//! (RFC 5280 §4.1.1, RFC 2986 §4.2).
//!
//! These bytes are the ones that no signature covers. The reader of the rest takes some spellings of them that are not DER, so
//! they are read here, where each byte has one right value.

use crate::algorithm;
use crate::der::{BIT_STRING, SEQUENCE, element, write};
use wardein_crypto::SignatureAlgorithm;

/// The parts of a signed structure.
pub(crate) struct Envelope<'a> {
    /// The DER of the signed part.
    pub(crate) signed: &'a [u8],
    /// How it says that it is signed.
    pub(crate) algorithm: SignatureAlgorithm,
    /// The signature.
    pub(crate) signature: &'a [u8],
}

/// Why bytes are not a signed structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EnvelopeError {
    Malformed,
    TrailingBytes,
    Algorithm,
}

/// The same before its algorithm is read.
pub(crate) struct Unread<'a> {
    pub(crate) signed: &'a [u8],
    /// The AlgorithmIdentifier, DER.
    pub(crate) algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> Unread<'a> {
    pub(crate) fn open(der: &'a [u8]) -> Result<Self, EnvelopeError> {
        let (outer, after) = element(der, SEQUENCE).ok_or(EnvelopeError::Malformed)?;
        if !after.is_empty() {
            return Err(EnvelopeError::TrailingBytes);
        }
        let (_, rest) = element(outer, SEQUENCE).ok_or(EnvelopeError::Malformed)?;
        let signed = &outer[..outer.len() - rest.len()];
        let (_, after_algorithm) = element(rest, SEQUENCE).ok_or(EnvelopeError::Malformed)?;
        let algorithm = &rest[..rest.len() - after_algorithm.len()];
        let (bits, end) = element(after_algorithm, BIT_STRING).ok_or(EnvelopeError::Malformed)?;
        // The first byte counts the unused bits; a signature is whole bytes.
        match bits {
            [0, signature @ ..] if end.is_empty() => Ok(Self { signed, algorithm, signature }),
            _ => Err(EnvelopeError::Malformed),
        }
    }
}

impl<'a> Envelope<'a> {
    pub(crate) fn open(der: &'a [u8]) -> Result<Self, EnvelopeError> {
        let Unread { signed, algorithm, signature } = Unread::open(der)?;
        let algorithm = algorithm::from_identifier(algorithm).ok_or(EnvelopeError::Algorithm)?;
        Ok(Self { signed, algorithm, signature })
    }

    /// The DER of the structure. `None` if it has more bytes than [`write`] takes.
    pub(crate) fn seal(&self) -> Option<Vec<u8>> {
        let bits = write(BIT_STRING, &[&[0], self.signature])?;
        write(SEQUENCE, &[self.signed, algorithm::identifier(self.algorithm), &bits])
    }
}
