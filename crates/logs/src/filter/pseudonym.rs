//! Pseudonyms under a key of the hospital's, which neither the authority nor the maker has.

use crate::private_file::{self, NotPrivate};
use std::io;
use std::path::Path;
use wardein_crypto::{MacKey, Secret, SecretBytes, hex};

/// The key under which values become pseudonyms. The same value is the same pseudonym in every source and on every device that has
/// the key, for as long as the key is kept; without the key, nobody can tell which value one is of, nor try values out.
pub(crate) struct PseudonymKey(MacKey);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Others can read it.
    #[error("is open to others (mode {0:o}); run: chmod 600 on it")]
    Open(u32),
    /// It holds something else.
    #[error("does not hold 64 hexadecimal digits; make one with: openssl rand -hex 32")]
    Form,
}

impl From<NotPrivate> for KeyError {
    fn from(error: NotPrivate) -> Self {
        match error {
            NotPrivate::Io(error) => Self::Io(error),
            NotPrivate::Open(mode) => Self::Open(mode),
            NotPrivate::TooLong(_) => Self::Form,
        }
    }
}

impl PseudonymKey {
    /// The key in a file: 64 hexadecimal digits, which its owner alone can read.
    pub(crate) fn read(path: &Path) -> Result<Self, KeyError> {
        let text = private_file::read(path, MAX_FILE)?;
        let digits = text.expose().trim_ascii();
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 2 * KEY_LEN);
        let bytes = digits.and_then(hex::decode).map(SecretBytes::from_vec).ok_or(KeyError::Form)?;
        let bytes = bytes.expose().first_chunk::<KEY_LEN>().ok_or(KeyError::Form)?;
        Ok(Self::new(Secret::copied_from(bytes)))
    }

    /// The key of these bytes.
    pub(crate) fn new(secret: Secret<KEY_LEN>) -> Self {
        Self(MacKey::new(secret))
    }

    /// The pseudonym of a value: `p1-` and 128 bits of HMAC-SHA-256 in hex. Spaces around the value do not count. Nothing stays
    /// nothing.
    pub(crate) fn pseudonym(&self, value: &str) -> String {
        let value = value.trim();
        if value.is_empty() {
            return String::new();
        }
        let tag = self.0.tag(&[PURPOSE, value.as_bytes()].concat());
        format!("p1-{}", hex::encode(&tag.0[..16]))
    }
}

/// It keeps these tags apart from all others that the key might be used for.
const PURPOSE: &[u8] = b"wardein-logs pseudonym 1\0";
const KEY_LEN: usize = 32;
/// A line with the key, and space around it.
const MAX_FILE: usize = 2 * KEY_LEN + 8;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_pseudonym_follows_from_key_and_value_alone() {
        let key = PseudonymKey::new(Secret::copied_from(&[7; 32]));
        let other = PseudonymKey::new(Secret::copied_from(&[8; 32]));
        let pseudonym = key.pseudonym("4711");
        // printf 'wardein-logs pseudonym 1\0004711' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707...07
        assert_eq!(pseudonym, "p1-8b5f8982ca2f219b0e80559e72f4e7ca");
        assert_eq!(key.pseudonym(" 4711 "), pseudonym);
        assert_ne!(key.pseudonym("4712"), pseudonym);
        assert_ne!(other.pseudonym("4711"), pseudonym);
        assert_eq!(key.pseudonym("  "), "");
    }

    #[test]
    fn a_key_is_64_digits_in_a_file_of_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let put = |text: &str, mode| {
            write(&path, text).unwrap();
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            PseudonymKey::read(&path)
        };
        let digits = "07".repeat(32);
        let key = put(&format!("{digits}\n"), 0o600).unwrap();
        assert_eq!(key.pseudonym("4711"), PseudonymKey::new(Secret::copied_from(&[7; 32])).pseudonym("4711"));
        assert!(matches!(put(&digits, 0o604), Err(KeyError::Open(0o604))));
        for wrong in
            ["", "07", &digits[1..], &format!("{digits}07"), &format!("{digits}{digits}"), &"zz".repeat(32)]
        {
            assert!(matches!(put(wrong, 0o600), Err(KeyError::Form)), "{wrong}");
        }
        assert!(matches!(PseudonymKey::read(directory.path().join("none").as_path()), Err(KeyError::Io(_))));
    }
}
