//! SHA-256 over bytes that come in pieces.

use crate::hex::Hex;
use crate::primitives::digest;
use core::fmt;

/// A SHA-256 digest: 32 public bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(bytes);
        hash.finish()
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

/// SHA-1 of the name or the key of a CA, by which most OCSP clients ask (RFC 6960 §4.1.1). It tells CAs apart and protects nothing; for
/// anything else it is broken.
#[cfg(feature = "ring")]
pub fn danger_sha1_to_name(bytes: &[u8]) -> [u8; 20] {
    digest::sha1(bytes)
}

/// SHA-1 of a file that is given in pieces, as updaters of others want it beside the length (hawkBit's DDI). It protects nothing: who gives it
/// has judged the file otherwise.
#[cfg(feature = "ring")]
pub struct DangerSha1(digest::Sha1);

#[cfg(feature = "ring")]
impl DangerSha1 {
    /// The hash of nothing yet.
    pub fn new() -> Self {
        Self(digest::Sha1::new())
    }

    /// Adds `bytes` to the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all that was added.
    pub fn finish(self) -> [u8; 20] {
        self.0.finish()
    }
}

#[cfg(feature = "ring")]
impl Default for DangerSha1 {
    fn default() -> Self {
        Self::new()
    }
}

/// SHA-256 (FIPS 180-4) of a message that is given in pieces.
pub struct Sha256(digest::Sha256);

impl Sha256 {
    /// The hash of nothing yet.
    pub fn new() -> Self {
        Self(digest::Sha256::new())
    }

    /// Adds `bytes` to the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        Digest(self.0.finish())
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, feature = "ring"))]
mod tests {
    use super::*;

    #[test]
    fn sha1_in_pieces_is_that_of_the_whole() {
        let mut hash = DangerSha1::new();
        hash.update(b"a");
        hash.update(b"bc");
        let whole = hash.finish();
        assert_eq!(whole, danger_sha1_to_name(b"abc"));
        // FIPS 180-4, the example of one block.
        assert_eq!(crate::hex::encode(&whole), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
