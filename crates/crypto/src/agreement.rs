//! Elliptic-curve Diffie-Hellman on P-256 (NIST SP 800-56A, SEC 1).

use crate::primitives::agreement::PrivateKey;
use crate::{Entropy, EntropyError, Secret};

/// Bytes in an uncompressed P-256 point (SEC 1 §2.3.3).
pub const P256_POINT_LEN: usize = 65;

/// Bytes in the shared secret: the x coordinate.
pub const P256_SHARED_LEN: usize = 32;

/// A private key for one agreement, which consumes it. It cannot be copied, stored or shown.
///
/// With `ring` it is the one secret of the house that the `Entropy` port does not feed: `ring` draws it from the operating
/// system and takes no other source.
pub struct EphemeralKey {
    private: PrivateKey,
    public: [u8; P256_POINT_LEN],
}

impl EphemeralKey {
    /// A fresh key.
    pub fn generate(entropy: &mut impl Entropy) -> Result<Self, EntropyError> {
        let (private, public) = PrivateKey::generate(entropy)?;
        Ok(Self { private, public })
    }

    /// The public point, uncompressed.
    pub fn public(&self) -> &[u8; P256_POINT_LEN] {
        &self.public
    }

    /// The x coordinate shared with the owner of `peer`, once the point is found to be on the curve.
    pub fn agree(self, peer: &[u8; P256_POINT_LEN]) -> Result<Secret<P256_SHARED_LEN>, InvalidPoint> {
        Secret::try_filled(|out| self.private.agree(peer, out))
    }
}

/// The peer's share is not an uncompressed point of P-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPoint;
