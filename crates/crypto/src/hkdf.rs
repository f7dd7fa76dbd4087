//! HKDF-SHA-256 (RFC 5869).

use crate::primitives::hkdf;
use crate::{Secret, TooLong};

/// A pseudorandom key: the output of HKDF-Extract and the input of HKDF-Expand.
pub struct Prk(hkdf::Prk);

impl Prk {
    /// A secret that is uniform already and needs no extraction (RFC 5869 §3.3).
    pub fn uniform(secret: &Secret<32>) -> Self {
        Self(hkdf::Prk::uniform(secret.expose()))
    }

    /// HKDF-Extract (RFC 5869 §2.2).
    pub fn extract(salt: &[u8], input: &[u8]) -> Self {
        Self(hkdf::Prk::extract(salt, input))
    }

    /// HKDF-Expand with `info` in pieces into all of `out`, which has at most 255 × 32 bytes (RFC 5869 §2.3).
    pub fn expand_into(&self, info: &[&[u8]], out: &mut [u8]) -> Result<(), TooLong> {
        self.0.expand_into(info, out)
    }
}
