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

    /// The key that HMAC makes of `label` under another secret, of any length: a step of a chain of keys, as AWS Signature Version
    /// 4 has it.
    pub fn derived(from: &[u8], label: &[u8]) -> Self {
        Self(Secret::filled(|key| *key = hmac::tag(from, label)))
    }

    /// The next key of such a chain.
    pub fn derive(&self, label: &[u8]) -> Self {
        Self::derived(self.0.expose(), label)
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

    /// RFC 4231, test cases 1 and 6: keys of 20 and of 131 bytes.
    #[test]
    fn keys_are_derived_from_secrets_of_any_length() {
        let short = MacKey::derived(&[0x0b; 20], b"Hi There");
        assert_eq!(
            crate::hex::encode(short.0.expose()),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        let long = MacKey::derived(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(
            crate::hex::encode(long.0.expose()),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
        let next = short.derive(b"region");
        assert_eq!(next.0.expose(), &short.tag(b"region").0);
    }

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
