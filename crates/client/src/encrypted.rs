//! The key of an identity's directory, which may be under a passphrase.

use crate::error::ConnectError;
use std::path::Path;
use wardein_crypto::SecretBytes;

/// The key in the text of the file at `path`, as TLS takes it.
pub(crate) fn opened(
    path: &Path,
    text: SecretBytes,
    passphrase: Option<&SecretBytes>,
) -> Result<SecretBytes, ConnectError> {
    let is_encrypted = text.expose().windows(BEGIN.len()).any(|part| part == BEGIN.as_bytes());
    match passphrase {
        _ if !is_encrypted => Ok(text),
        None => Err(ConnectError::KeyEncrypted { path: path.to_owned() }),
        Some(passphrase) => decrypted(text.expose(), passphrase.expose())
            .map_err(|why| ConnectError::KeyNotOpened { path: path.to_owned(), why }),
    }
}

#[cfg(not(feature = "encrypted-keys"))]
fn decrypted(_: &[u8], _: &[u8]) -> Result<SecretBytes, &'static str> {
    Err("this build opens no key under a passphrase")
}

/// The PKCS#8 key, DER, in the PEM of an encrypted one (RFC 7468 §11).
#[cfg(feature = "encrypted-keys")]
fn decrypted(text: &[u8], passphrase: &[u8]) -> Result<SecretBytes, &'static str> {
    use base64ct::{Base64, Encoding};
    use wardein_crypto::{KeyEncryptionError, P256SigningKey};

    let text = std::str::from_utf8(text).map_err(|_| MALFORMED)?;
    let (_, body) = text.split_once(BEGIN).ok_or(MALFORMED)?;
    let (body, _) = body.split_once(END).ok_or(MALFORMED)?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = Base64::decode_vec(&body).map_err(|_| MALFORMED)?;
    let key = wardein_crypto::decrypt_private_key(&der, line(passphrase)).map_err(|error| match error {
        KeyEncryptionError::TooCostly => {
            "its passphrase is to be stretched at a cost that nobody needs; encrypt it again"
        }
        KeyEncryptionError::Passphrase => WRONG,
        KeyEncryptionError::Malformed | KeyEncryptionError::Unsupported | KeyEncryptionError::Entropy => {
            MALFORMED
        }
    })?;
    // Of 256 wrong passphrases one gives well-formed padding, and what is under it is not a key.
    P256SigningKey::from_pkcs8(&key).map_err(|_| WRONG)?;
    Ok(key)
}

/// Without one newline at the end, as a file has one that was written with an editor.
#[cfg(feature = "encrypted-keys")]
fn line(passphrase: &[u8]) -> &[u8] {
    let line = passphrase.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    line.unwrap_or(passphrase)
}

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
#[cfg(feature = "encrypted-keys")]
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
#[cfg(feature = "encrypted-keys")]
const MALFORMED: &str =
    "it is not PKCS#8 by PBES2, with scrypt or PBKDF2 with SHA-2, and AES; openssl pkcs8 -topk8 makes one";
#[cfg(feature = "encrypted-keys")]
const WRONG: &str = "the passphrase is wrong, or the file is damaged";

#[cfg(all(test, feature = "encrypted-keys"))]
mod tests {
    use super::*;
    use base64ct::{Base64, Encoding};
    use wardein_crypto::{P256SigningKey, SystemEntropy, encrypt_private_key};

    #[test]
    fn a_key_under_a_passphrase_is_opened_with_it_and_refused_without() {
        let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
        let der =
            encrypt_private_key(pkcs8.expose(), b"correct horse", &mut SystemEntropy::default()).unwrap();
        let text = |der: &[u8]| {
            let body = Base64::encode_string(der);
            let lines: Vec<&str> =
                (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
            SecretBytes::from_vec(format!("{BEGIN}\n{}\n{END}\n", lines.join("\n")).into_bytes())
        };
        let path = Path::new("operator.key");
        let with =
            |text, passphrase: &[u8]| opened(path, text, Some(&SecretBytes::from_vec(passphrase.to_vec())));
        for passphrase in [&b"correct horse"[..], b"correct horse\n", b"correct horse\r\n"] {
            assert_eq!(with(text(&der), passphrase).unwrap().expose(), pkcs8.expose());
        }
        for passphrase in [&b""[..], b"correct horse\n\n", b"correct  horse"] {
            let refused = with(text(&der), passphrase).err().unwrap().to_string();
            assert!(refused.contains("operator.key") && refused.contains(WRONG), "{refused}");
        }
        let refused = opened(path, text(&der), None).err().unwrap();
        assert!(matches!(refused, ConnectError::KeyEncrypted { .. }), "{refused}");
        for bad in [&der[..40], &[][..], b"\x30\x00"] {
            let refused = with(text(bad), b"correct horse").err().unwrap().to_string();
            assert!(refused.contains(MALFORMED), "{refused}");
        }
        let cut = SecretBytes::from_vec(BEGIN.as_bytes().to_vec());
        assert!(with(cut, b"correct horse").err().unwrap().to_string().contains(MALFORMED));
        // One that is not encrypted needs none, and is what it was.
        let plain = SecretBytes::from_vec(b"-----BEGIN PRIVATE KEY-----".to_vec());
        assert_eq!(with(plain, b"x").unwrap().expose(), b"-----BEGIN PRIVATE KEY-----");
    }
}
