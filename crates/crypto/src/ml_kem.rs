//! ML-KEM-768 (FIPS 203), deterministic: the caller brings the randomness.
//!
//! What computes is not inlined: its frames take tens of KiB, which a caller would have on the stack for longer than it takes.

use crate::Secret;
use ml_kem::kem::{Decapsulate, KeyExport};
use ml_kem::{DecapsulationKey768, EncapsulationKey768};

/// Bytes in an encapsulation key.
pub const ML_KEM_768_KEY_LEN: usize = 1184;

/// Bytes in a ciphertext.
pub const ML_KEM_768_CIPHERTEXT_LEN: usize = 1088;

/// The seed `d ‖ z` of FIPS 203 §7.1 in place of the 2400-byte private key that it expands to.
pub struct MlKemSeed(Secret<64>);

impl MlKemSeed {
    /// The key pair that `d_z`, uniform, expands to.
    pub fn new(d_z: Secret<64>) -> Self {
        Self(d_z)
    }

    /// The public encapsulation key.
    #[inline(never)]
    pub fn encapsulation_key(&self) -> [u8; ML_KEM_768_KEY_LEN] {
        self.expanded().encapsulation_key().to_bytes().into()
    }

    /// The shared secret in `ciphertext`; of a forged one an unrelated secret, as FIPS 203 §6.3 rejects implicitly.
    #[inline(never)]
    pub fn decapsulate(&self, ciphertext: &[u8; ML_KEM_768_CIPHERTEXT_LEN]) -> Secret<32> {
        let mut shared = self.expanded().decapsulate(&(*ciphertext).into());
        Secret::filled(|out| {
            out.copy_from_slice(&shared);
            zeroize::Zeroize::zeroize(shared.as_mut_slice());
        })
    }

    #[inline(never)]
    fn expanded(&self) -> DecapsulationKey768 {
        let mut seed = (*self.0.expose()).into();
        let key = DecapsulationKey768::from_seed(seed);
        zeroize::Zeroize::zeroize(seed.as_mut_slice());
        key
    }
}

/// A ciphertext for the owner of `key` and the secret within, from 32 uniform bytes `m` (FIPS 203 §6.2).
#[inline(never)]
pub fn ml_kem_encapsulate(
    key: &[u8; ML_KEM_768_KEY_LEN],
    m: &Secret<32>,
) -> Result<([u8; ML_KEM_768_CIPHERTEXT_LEN], Secret<32>), InvalidEncapsulationKey> {
    let key = EncapsulationKey768::new(&(*key).into()).map_err(|_| InvalidEncapsulationKey)?;
    let mut seed = (*m.expose()).into();
    let (ciphertext, mut shared) = key.encapsulate_deterministic(&seed);
    zeroize::Zeroize::zeroize(seed.as_mut_slice());
    let secret = Secret::filled(|out| {
        out.copy_from_slice(&shared);
        zeroize::Zeroize::zeroize(shared.as_mut_slice());
    });
    Ok((ciphertext.into(), secret))
}

/// The encapsulation key fails the modulus check of FIPS 203 §7.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEncapsulationKey;
