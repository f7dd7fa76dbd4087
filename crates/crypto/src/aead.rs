//! Authenticated encryption, in place.

use crate::primitives::aead::Aead;
use crate::{Secret, SecretBytes, TooLong};
use alloc::vec::Vec;

/// Bytes in a nonce of either AEAD.
pub const AES_256_GCM_NONCE_LEN: usize = 12;

/// Bytes that sealing adds behind the ciphertext.
pub const TAG_LEN: usize = 16;

/// A key for one AEAD. The caller sees to it that no nonce is used twice with one key.
pub struct AeadKey(Aead);

impl AeadKey {
    /// AES-256-GCM (NIST SP 800-38D).
    pub fn aes_256_gcm(secret: &Secret<32>) -> Self {
        Self(Aead::aes_256_gcm(secret.expose()))
    }

    /// ChaCha20-Poly1305 (RFC 8439).
    pub fn chacha20_poly1305(secret: &Secret<32>) -> Self {
        Self(Aead::chacha20_poly1305(secret.expose()))
    }

    /// Turns `buffer` from plaintext into ciphertext followed by the tag; [`TooLong`] where the AEAD has its bound.
    pub fn seal(&self, nonce: &[u8; 12], additional: &[u8], buffer: &mut Vec<u8>) -> Result<(), TooLong> {
        let tag = self.0.seal(nonce, additional, buffer)?;
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Turns `bytes` after its first `header` bytes into ciphertext, adds the tag, and gives all of it: what was secret
    /// is so no more, and no copy of it was made. [`TooLong`] where the AEAD has its bound.
    ///
    /// Panics where `bytes` is shorter than `header`.
    pub fn seal_behind(
        &self,
        nonce: &[u8; 12],
        additional: &[u8],
        header: usize,
        bytes: SecretBytes,
    ) -> Result<Vec<u8>, TooLong> {
        bytes.sealed(|bytes| self.0.seal(nonce, additional, &mut bytes[header..]))
    }

    /// Turns `buffer` from ciphertext and tag into plaintext, its tag cut off; after an error it holds nothing of use.
    pub fn open(&self, nonce: &[u8; 12], additional: &[u8], buffer: &mut Vec<u8>) -> Result<(), OpenError> {
        let opened = self.0.open(nonce, additional, buffer);
        buffer.truncate(opened.unwrap_or(0));
        opened.map(|_| ())
    }
}

/// The ciphertext, its tag, nonce or additional data are not those that were sealed under this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenError;
