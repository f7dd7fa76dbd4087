//! AES in cipher feedback mode (NIST SP 800-38A §6.3), as a TPM encrypts credentials.

use crate::SecretBytes;
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

/// Bits in an AES key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AesKeyLength {
    /// AES-128.
    Bits128,
    /// AES-256.
    Bits256,
}

impl AesKeyLength {
    /// Bytes in the key.
    pub fn bytes(self) -> u16 {
        match self {
            Self::Bits128 => 16,
            Self::Bits256 => 32,
        }
    }
}

/// Encrypts `data` in place with an initial vector of zeros: `key` must never encrypt anything else (TPM 2.0 Library, part 1,
/// §24.4). `None` if the key has not this length.
#[must_use]
pub fn cfb_encrypt(length: AesKeyLength, key: &SecretBytes, data: &mut [u8]) -> Option<()> {
    let algorithm = match length {
        AesKeyLength::Bits128 => &AES_128,
        AesKeyLength::Bits256 => &AES_256,
    };
    let key = EncryptingKey::cfb128(UnboundCipherKey::new(algorithm, key.expose()).ok()?).ok()?;
    let zeros = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(data, zeros).ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::cipher::{DecryptingKey, DecryptionContext};

    #[test]
    fn the_first_block_is_the_zero_block_encrypted() {
        // FIPS 197's AES of sixteen zero bytes under a key of zeros.
        let mut data = [0; 16];
        cfb_encrypt(AesKeyLength::Bits128, &SecretBytes::from_vec(std::vec![0; 16]), &mut data).unwrap();
        assert_eq!(data[..4], [0x66, 0xe9, 0x4b, 0xd4]);
        let mut data = [0; 16];
        cfb_encrypt(AesKeyLength::Bits256, &SecretBytes::from_vec(std::vec![0; 32]), &mut data).unwrap();
        assert_eq!(data[..4], [0xdc, 0x95, 0xc0, 0x78]);
    }

    #[test]
    fn what_is_encrypted_decrypts_and_a_key_of_another_length_is_refused() {
        let mut data = *b"thirty-four bytes, not whole block";
        let key = SecretBytes::from_vec((0..16).collect());
        cfb_encrypt(AesKeyLength::Bits128, &key, &mut data).unwrap();
        let decrypting =
            DecryptingKey::cfb128(UnboundCipherKey::new(&AES_128, key.expose()).unwrap()).unwrap();
        let zeros = DecryptionContext::Iv128(FixedLength::from([0; 16]));
        assert_eq!(decrypting.decrypt(&mut data, zeros).unwrap(), b"thirty-four bytes, not whole block");
        assert!(cfb_encrypt(AesKeyLength::Bits256, &key, &mut data).is_none());
    }
}
