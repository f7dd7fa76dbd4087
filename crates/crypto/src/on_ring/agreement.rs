use crate::{Entropy, EntropyError, InvalidPoint, P256_POINT_LEN, P256_SHARED_LEN};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;

pub(crate) struct PrivateKey(EphemeralPrivateKey);

impl PrivateKey {
    /// A fresh key and its public point. `ring` takes random bytes from the operating system alone.
    pub(crate) fn generate(_: &mut impl Entropy) -> Result<(Self, [u8; P256_POINT_LEN]), EntropyError> {
        let private =
            EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).map_err(|_| EntropyError)?;
        let point = private.compute_public_key().map_err(|_| EntropyError)?;
        let point = point.as_ref().try_into().map_err(|_| EntropyError)?;
        Ok((Self(private), point))
    }

    /// Writes the x coordinate shared with the owner of `peer`, which is checked to be on the curve.
    pub(crate) fn agree(
        self,
        peer: &[u8; P256_POINT_LEN],
        out: &mut [u8; P256_SHARED_LEN],
    ) -> Result<(), InvalidPoint> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, peer.as_slice());
        agree_ephemeral(self.0, &peer, |shared| {
            (shared.len() == out.len()).then(|| out.copy_from_slice(shared)).ok_or(InvalidPoint)
        })
        .map_err(|_| InvalidPoint)?
    }
}
