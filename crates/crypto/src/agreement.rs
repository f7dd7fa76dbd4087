//! Elliptic-curve Diffie-Hellman on P-256 (NIST SP 800-56A, SEC 1).

use crate::{EntropyError, Secret};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;

/// Bytes in an uncompressed P-256 point (SEC 1 §2.3.3).
pub const P256_POINT_LEN: usize = 65;

/// Bytes in the shared secret: the x coordinate.
pub const P256_SHARED_LEN: usize = 32;

/// A private key for one agreement, which consumes it. It cannot be copied, stored or shown.
///
/// `ring` draws it from the operating system and takes no other source, so it is the one secret of the house that
/// the `Entropy` port does not feed.
pub struct EphemeralKey {
    private: EphemeralPrivateKey,
    public: [u8; P256_POINT_LEN],
}

impl EphemeralKey {
    /// A fresh key.
    pub fn generate() -> Result<Self, EntropyError> {
        let private =
            EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).map_err(|_| EntropyError)?;
        let point = private.compute_public_key().map_err(|_| EntropyError)?;
        let public = point.as_ref().try_into().map_err(|_| EntropyError)?;
        Ok(Self { private, public })
    }

    /// The public point, uncompressed.
    pub fn public(&self) -> &[u8; P256_POINT_LEN] {
        &self.public
    }

    /// The x coordinate shared with the owner of `peer`; `ring` checks that the point is on the curve.
    pub fn agree(self, peer: &[u8; P256_POINT_LEN]) -> Result<Secret<P256_SHARED_LEN>, InvalidPoint> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, peer.as_slice());
        agree_ephemeral(self.private, &peer, |shared| {
            Secret::try_filled(|out| {
                (shared.len() == out.len()).then(|| out.copy_from_slice(shared)).ok_or(InvalidPoint)
            })
        })
        .map_err(|_| InvalidPoint)?
    }
}

/// The peer's share is not an uncompressed point of P-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPoint;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_agree_and_a_point_off_the_curve_is_refused() {
        let (a, b) = (EphemeralKey::generate().unwrap(), EphemeralKey::generate().unwrap());
        let (a_public, b_public) = (*a.public(), *b.public());
        assert_eq!(a.agree(&b_public).unwrap().expose(), b.agree(&a_public).unwrap().expose());
        let mut off = a_public;
        off[64] ^= 1;
        assert_eq!(EphemeralKey::generate().unwrap().agree(&off).err(), Some(InvalidPoint));
        let zero = [0; P256_POINT_LEN];
        assert_eq!(EphemeralKey::generate().unwrap().agree(&zero).err(), Some(InvalidPoint));
    }
}
