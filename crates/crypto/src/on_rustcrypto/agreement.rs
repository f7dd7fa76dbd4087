use crate::{Entropy, EntropyError, InvalidPoint, P256_POINT_LEN, P256_SHARED_LEN, Secret};
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};

pub(crate) struct PrivateKey(SecretKey);

impl PrivateKey {
    #[inline(never)]
    pub(crate) fn generate(entropy: &mut impl Entropy) -> Result<(Self, [u8; P256_POINT_LEN]), EntropyError> {
        let private = secret_key(entropy)?;
        let point = private.public_key().to_sec1_point(false);
        let point = point.as_bytes().try_into().map_err(|_| EntropyError)?;
        Ok((Self(private), point))
    }

    #[inline(never)]
    pub(crate) fn agree(
        self,
        peer: &[u8; P256_POINT_LEN],
        out: &mut [u8; P256_SHARED_LEN],
    ) -> Result<(), InvalidPoint> {
        let peer = PublicKey::from_sec1_bytes(peer).map_err(|_| InvalidPoint)?;
        out.copy_from_slice(self.0.diffie_hellman(&peer).raw_secret_bytes());
        Ok(())
    }
}

/// A uniform private key, by rejection (FIPS 186-5 §A.2.2). One draw in 2³² is refused; a source that gives only such is broken.
pub(super) fn secret_key(entropy: &mut impl Entropy) -> Result<SecretKey, EntropyError> {
    for _ in 0..4 {
        let drawn: Secret<32> = entropy.secret()?;
        if let Ok(key) = SecretKey::from_slice(drawn.expose()) {
            return Ok(key);
        }
    }
    Err(EntropyError)
}
