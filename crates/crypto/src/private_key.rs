//! Private keys under a passphrase: PKCS#8 `EncryptedPrivateKeyInfo` (RFC 5958 §3) by PBES2 (RFC 8018 §6.2), as openssl reads and writes
//! it.

use crate::{Entropy, SecretBytes};
use alloc::vec::Vec;
use pkcs8::der::Encode;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{self, Kdf, Parameters, Pbkdf2Prf, Salt, ScryptParams};
use pkcs8::{EncryptedPrivateKeyInfo, EncryptedPrivateKeyInfoRef};

/// Why an encrypted key is not opened, or not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEncryptionError {
    /// It is not PKCS#8 `EncryptedPrivateKeyInfo`.
    Malformed,
    /// It is not under AES by PBKDF2 with a SHA-2, or by scrypt.
    Unsupported,
    /// It asks for more memory or time than any passphrase is worth.
    TooCostly,
    /// The passphrase is wrong, or the bytes were changed: CBC does not say which.
    Passphrase,
    /// There are no random bytes.
    Entropy,
}

/// `pkcs8` under `passphrase`: AES-256-CBC by scrypt with N = 2^14, r = 8, p = 5. openssl opens it with the 32 MiB that it gives scrypt, and
/// a guess costs what OWASP's least does (Password Storage Cheat Sheet).
pub fn encrypt_private_key(
    pkcs8: &[u8],
    passphrase: &[u8],
    entropy: &mut impl Entropy,
) -> Result<Vec<u8>, KeyEncryptionError> {
    let (salt, iv) = (entropy.array::<16>(), entropy.array::<16>());
    let (Ok(salt), Ok(iv)) = (salt, iv) else { return Err(KeyEncryptionError::Entropy) };
    let kdf = Kdf::Scrypt(ScryptParams {
        salt: Salt::new(salt).map_err(|_| KeyEncryptionError::Malformed)?,
        cost_parameter: 1 << 14,
        block_size: 8,
        parallelization: 5,
        key_length: None,
    });
    let parameters = Parameters { kdf, encryption: pbes2::EncryptionScheme::Aes256Cbc { iv } };
    let encrypted = parameters.encrypt(passphrase, pkcs8).map_err(|_| KeyEncryptionError::Malformed)?;
    let encrypted_data = OctetStringRef::new(&encrypted).map_err(|_| KeyEncryptionError::Malformed)?;
    let info = EncryptedPrivateKeyInfo { encryption_algorithm: parameters.into(), encrypted_data };
    info.to_der().map_err(|_| KeyEncryptionError::Malformed)
}

/// The PKCS#8 private key in `der`, which is what anybody may have written: its cost is judged before any of it is paid.
pub fn decrypt_private_key(der: &[u8], passphrase: &[u8]) -> Result<SecretBytes, KeyEncryptionError> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| KeyEncryptionError::Malformed)?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(KeyEncryptionError::Unsupported);
    };
    judge_cost(&parameters.kdf)?;
    let opened = parameters.decrypt(passphrase, info.encrypted_data.as_bytes());
    opened.map(SecretBytes::from_vec).map_err(|error| match error {
        pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. } => KeyEncryptionError::Unsupported,
        pkcs8::pkcs5::Error::AlgorithmParametersInvalid { .. } => KeyEncryptionError::Malformed,
        _ => KeyEncryptionError::Passphrase,
    })
}

fn judge_cost(kdf: &Kdf) -> Result<(), KeyEncryptionError> {
    let is_fair = match kdf {
        Kdf::Pbkdf2(parameters) if parameters.prf == Pbkdf2Prf::HmacWithSha1 => {
            return Err(KeyEncryptionError::Unsupported);
        }
        Kdf::Pbkdf2(parameters) => parameters.iteration_count <= MAX_ITERATIONS,
        Kdf::Scrypt(parameters) => {
            let memory = parameters.cost_parameter.checked_mul(128 * u64::from(parameters.block_size));
            memory.is_some_and(|memory| memory <= MAX_MEMORY) && parameters.parallelization <= MAX_LANES
        }
        _ => return Err(KeyEncryptionError::Unsupported),
    };
    is_fair.then_some(()).ok_or(KeyEncryptionError::TooCostly)
}

/// Some ten times what is advised today for PBKDF2 with SHA-256, and some seconds.
const MAX_ITERATIONS: u32 = 10_000_000;

/// What scrypt may take: 256 MiB, twice what is advised today.
const MAX_MEMORY: u64 = 256 << 20;

const MAX_LANES: u16 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    const SECRET: &[u8] = b"thirty-two bytes of a private key";

    fn encrypted() -> Vec<u8> {
        encrypt_private_key(SECRET, b"correct horse", &mut SystemEntropy::default()).unwrap()
    }

    /// The same with another function in front of the key.
    fn with(kdf: Kdf) -> Vec<u8> {
        let encryption = pbes2::EncryptionScheme::Aes256Cbc { iv: [0; 16] };
        let encryption_algorithm = Parameters { kdf, encryption }.into();
        let encrypted_data = OctetStringRef::new(&[0; 48]).unwrap();
        EncryptedPrivateKeyInfo { encryption_algorithm, encrypted_data }.to_der().unwrap()
    }

    fn code(der: &[u8]) -> KeyEncryptionError {
        decrypt_private_key(der, b"correct horse").err().unwrap()
    }

    #[test]
    fn a_passphrase_gives_the_key_back_and_another_does_not() {
        let (one, two) = (encrypted(), encrypted());
        assert_ne!(one, two, "salt and IV are random");
        assert_eq!(decrypt_private_key(&one, b"correct horse").unwrap().expose(), SECRET);
        assert!(!one.windows(8).any(|part| SECRET.windows(8).any(|of| of == part)));
        // Of 256 wrong passphrases one gives well-formed padding.
        let opened = (0..4u8).filter_map(|n| decrypt_private_key(&one, &[n; 9]).ok());
        assert!(opened.into_iter().all(|opened| opened.expose() != SECRET));
        assert_eq!(code(&one[..one.len() - 1]), KeyEncryptionError::Malformed);
        assert_eq!(code(b""), KeyEncryptionError::Malformed);
        assert_eq!(code(&[&one[..], b"x"].concat()), KeyEncryptionError::Malformed);
    }

    #[test]
    fn a_hostile_file_costs_neither_memory_nor_time() {
        let salt = || Salt::new([7; 16]).unwrap();
        let scrypt = |cost_parameter, block_size, parallelization| {
            let salt = salt();
            with(Kdf::Scrypt(ScryptParams {
                salt,
                cost_parameter,
                block_size,
                parallelization,
                key_length: None,
            }))
        };
        for costly in [
            scrypt(1 << 30, 8, 1),
            scrypt(1 << 18, u16::MAX, 1),
            scrypt(1 << 14, 8, 17),
            scrypt(u64::MAX, 8, 1),
        ] {
            assert_eq!(code(&costly), KeyEncryptionError::TooCostly);
        }
        assert_eq!(code(&scrypt(1000, 8, 1)), KeyEncryptionError::Malformed, "N is a power of two");
        let pbkdf2 = |iteration_count, prf| {
            with(Kdf::Pbkdf2(pbes2::Pbkdf2Params { salt: salt(), iteration_count, key_length: None, prf }))
        };
        assert_eq!(
            code(&pbkdf2(MAX_ITERATIONS + 1, Pbkdf2Prf::HmacWithSha256)),
            KeyEncryptionError::TooCostly
        );
        assert_eq!(code(&pbkdf2(1, Pbkdf2Prf::HmacWithSha1)), KeyEncryptionError::Unsupported);
        assert_eq!(code(&pbkdf2(1, Pbkdf2Prf::HmacWithSha512)), KeyEncryptionError::Passphrase);
    }
}
