//! HMAC-SHA-256 (RFC 2104).

use crate::Secret;
use crate::primitives::hmac;

/// A 32-byte authentication tag. It is compared by [`MacKey::verify`] only, hence no `PartialEq`.
#[derive(Clone, Copy, Debug)]
pub struct Tag(pub [u8; 32]);

/// A key for HMAC-SHA-256 and nothing else.
pub struct MacKey(Secret<32>);

impl MacKey {
    /// A key made of `secret`.
    pub fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// The tag of `message`.
    pub fn tag(&self, message: &[u8]) -> Tag {
        Tag(hmac::tag(self.0.expose(), message))
    }

    /// Whether `tag` is the tag of `message`, in a time that does not depend on where they differ: both have 32 bytes
    /// by type, and all of them are compared without a branch.
    pub fn verify(&self, message: &[u8], tag: &Tag) -> Result<(), MacMismatch> {
        hmac::verify(self.0.expose(), message, &tag.0)
    }
}

/// The tag is not that of the message under this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MacMismatch;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_of_a_tag_is_refused() {
        let key = MacKey::new(Secret::copied_from(&[9; 32]));
        let tag = key.tag(b"message");
        assert_eq!(key.verify(b"message", &tag), Ok(()));
        for bit in 0..256 {
            let mut changed = tag;
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.verify(b"message", &changed), Err(MacMismatch), "bit {bit}");
        }
        assert_eq!(key.verify(b"another", &tag), Err(MacMismatch));
    }
}
