//! The parts of TPM 2.0 evidence: hashes, derivation, the keys that it names, and the cipher of credentials.
//!
//! Only the authority has it; a device's code stays with `ring`. Of each algorithm it has the parts that a TPM's templates
//! use (TCG EK Credential Profile, annex B) and no more: SHA-256 and SHA-384, RSA with exponent 65537, P-256 and P-384.

mod cfb;
mod ec;
mod hash;
mod kdf;
mod rsa;

pub use crate::InvalidModulus;
pub use cfb::{AesKeyLength, cfb_encrypt};
pub use ec::{Curve, EcPublicKey, MAX_COORDINATE};
pub use hash::{HashAlgorithm, HashValue, hmac};
pub use kdf::{kdfa, kdfe};
pub use rsa::{RsaPublicKey, RsaScheme};

use crate::Secret;

impl<const N: usize> Secret<N> {
    /// Whether `shown` is this secret, in a time that depends on its length alone.
    pub fn matches(&self, shown: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.expose(), shown).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_alone() {
        let secret = Secret::copied_from(&[7; 32]);
        assert!(secret.matches(&[7; 32]));
        for bit in 0..256 {
            let mut shown = [7; 32];
            shown[bit / 8] ^= 1 << (bit % 8);
            assert!(!secret.matches(&shown), "bit {bit}");
        }
        assert!(!secret.matches(&[7; 31]) && !secret.matches(&[7; 33]) && !secret.matches(&[]));
    }
}
