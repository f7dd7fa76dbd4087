//! A technician's public key, as OpenSSH writes it: `ssh-ed25519 AAAA… comment`.

use super::wire::{Reader, put_string};
use base64ct::{Base64, Base64Unpadded, Encoding};
use core::fmt;
use core::str::FromStr;
use wardein_crypto::Digest;

/// A public key of a user, in the form of its kind. RSA is not taken: these are shorter, and of one strength each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshKey {
    algorithm: SshAlgorithm,
    blob: Vec<u8>,
}

/// The kinds of keys that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshAlgorithm {
    /// Ed25519 (RFC 8709).
    Ed25519,
    /// ECDSA on P-256 (RFC 5656).
    P256,
    /// On P-384.
    P384,
    /// On P-521.
    P521,
    /// Ed25519 in a FIDO token.
    SkEd25519,
    /// ECDSA on P-256 in a FIDO token.
    SkP256,
}

/// Why a text is not such a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SshKeyError {
    /// It is too long.
    #[error("has {0} bytes; a public key has at most {MAX_LINE}")]
    Long(usize),
    /// Its kind is none that is taken.
    #[error(
        "is not of a kind that is taken: ssh-ed25519, ecdsa-sha2-nistp256, -nistp384, -nistp521, \
         sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com"
    )]
    Kind,
    /// It is damaged.
    #[error("is damaged: it takes the line of a .pub file, without options before it")]
    Damaged,
}

impl SshAlgorithm {
    const ALL: [Self; 6] = [Self::Ed25519, Self::P256, Self::P384, Self::P521, Self::SkEd25519, Self::SkP256];

    /// Its name in keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::P256 => "ecdsa-sha2-nistp256",
            Self::P384 => "ecdsa-sha2-nistp384",
            Self::P521 => "ecdsa-sha2-nistp521",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// Whether the key is in a token that can ask for a PIN (`verify-required`).
    pub const fn is_in_token(self) -> bool {
        matches!(self, Self::SkEd25519 | Self::SkP256)
    }

    /// The curve's name in the key, and the bytes of an uncompressed point on it.
    const fn curve(self) -> Option<(&'static str, usize)> {
        match self {
            Self::P256 | Self::SkP256 => Some(("nistp256", 65)),
            Self::P384 => Some(("nistp384", 97)),
            Self::P521 => Some(("nistp521", 133)),
            Self::Ed25519 | Self::SkEd25519 => None,
        }
    }
}

impl SshKey {
    /// The key of its binary form.
    pub fn from_blob(blob: &[u8]) -> Result<Self, SshKeyError> {
        let mut reader = Reader(blob);
        let name = reader.string().ok_or(SshKeyError::Damaged)?;
        let algorithm = SshAlgorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str().as_bytes() == name)
            .ok_or(SshKeyError::Kind)?;
        let is_whole = match algorithm.curve() {
            None => reader.string().is_some_and(|key| key.len() == 32),
            Some((curve, length)) => {
                reader.string() == Some(curve.as_bytes())
                    && reader.string().is_some_and(|point| point.len() == length && point[0] == 4)
            }
        };
        let has_application = !algorithm.is_in_token()
            || reader.string().is_some_and(|application| {
                (1..=MAX_APPLICATION).contains(&application.len())
                    && application.iter().all(u8::is_ascii_graphic)
            });
        (is_whole && has_application && reader.is_at_end())
            .then(|| Self { algorithm, blob: blob.to_vec() })
            .ok_or(SshKeyError::Damaged)
    }

    /// Its kind.
    pub const fn algorithm(&self) -> SshAlgorithm {
        self.algorithm
    }

    /// Its binary form.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The fields behind its kind, which a certificate has too.
    pub(super) fn fields(&self) -> &[u8] {
        &self.blob[4 + self.algorithm.as_str().len()..]
    }

    /// Its fingerprint, as `ssh-keygen -l` has it: `SHA256:` and unpadded base64.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", Base64Unpadded::encode_string(&Digest::of(&self.blob).0))
    }
}

impl FromStr for SshKey {
    type Err = SshKeyError;

    fn from_str(line: &str) -> Result<Self, SshKeyError> {
        if line.len() > MAX_LINE {
            return Err(SshKeyError::Long(line.len()));
        }
        let mut words = line.split_ascii_whitespace();
        let (name, text) = words.next().zip(words.next()).ok_or(SshKeyError::Damaged)?;
        if !SshAlgorithm::ALL.iter().any(|algorithm| algorithm.as_str() == name) {
            return Err(SshKeyError::Kind);
        }
        let blob = Base64::decode_vec(text).map_err(|_| SshKeyError::Damaged)?;
        let key = Self::from_blob(&blob)?;
        (key.algorithm.as_str() == name).then_some(key).ok_or(SshKeyError::Damaged)
    }
}

/// The line of a .pub file, without a comment.
impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm.as_str(), Base64::encode_string(&self.blob))
    }
}

/// The blob of a key on P-256.
pub(super) fn p256_blob(point: &[u8]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(104);
    for part in [SshAlgorithm::P256.as_str().as_bytes(), b"nistp256", point] {
        put_string(&mut blob, part);
    }
    blob
}

/// The longest line of a .pub file that is taken, with its comment.
const MAX_LINE: usize = 1_024;

/// The longest application of a token's key.
const MAX_APPLICATION: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    /// By `ssh-keygen -t ed25519`, with its fingerprint by `ssh-keygen -l`.
    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFfKoQ/SFW+GJpthIq8KTUKoZ9k9osmm0lbxrse1uYVf";
    const ED25519_PRINT: &str = "SHA256:bQABuxvrS+JdRS/DKnsnpuqxHgGIAHWLhSkrgQ05gq4";
    const P384: &str = "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBHwtTUuw1KzPoEtdIkr8Emu/0AiIpAHf1MdM+yjzB65gCcS92d50oKyzwZs7Gdk2NXuJNtT3L0KX4z6g4qaJ31twKAu/ijrac+HRH5uBGtOz1jpW7qEtaMVQUn4ELXv/6A==";
    const P384_PRINT: &str = "SHA256:y8c2EeYD9KA9BQLI71jR4B0jxgn0tNXEGQw0Vk3lXBA";

    #[test]
    fn keys_of_ssh_keygen_are_read_and_named_as_it_names_them() {
        for (line, print) in [(ED25519, ED25519_PRINT), (P384, P384_PRINT)] {
            let key: SshKey = line.parse().unwrap();
            assert_eq!((key.to_string().as_str(), key.fingerprint().as_str()), (line, print));
            assert_eq!(format!("{line} anna@laptop  x").parse::<SshKey>().unwrap(), key);
            assert_eq!(SshKey::from_blob(key.blob()).unwrap(), key);
        }
    }

    #[test]
    fn what_is_cut_lengthened_or_of_another_kind_is_refused() {
        let blob = ED25519.parse::<SshKey>().unwrap().blob().to_vec();
        for end in 0..blob.len() {
            assert!(SshKey::from_blob(&blob[..end]).is_err(), "{end}");
        }
        assert_eq!(SshKey::from_blob(&[&blob[..], &[0]].concat()), Err(SshKeyError::Damaged));
        let text = ED25519.split_once(' ').unwrap().1;
        for (line, error) in [
            (String::new(), SshKeyError::Damaged),
            ("ssh-ed25519".to_owned(), SshKeyError::Damaged),
            ("ssh-ed25519 !".to_owned(), SshKeyError::Damaged),
            (format!("ecdsa-sha2-nistp256 {text}"), SshKeyError::Damaged),
            (format!("ssh-rsa {text}"), SshKeyError::Kind),
            (format!("command=\"x\" {ED25519}"), SshKeyError::Kind),
            (format!("{ED25519} {}", "x".repeat(MAX_LINE)), SshKeyError::Long(MAX_LINE + 1 + ED25519.len())),
        ] {
            assert_eq!(line.parse::<SshKey>(), Err(error), "{line}");
        }
        // A point that is compressed, a curve of another name, a token's key without its application.
        let ec = P384.parse::<SshKey>().unwrap().blob().to_vec();
        let point = ec.len() - 97;
        let mut other = ec.clone();
        other[point] = 2;
        assert_eq!(SshKey::from_blob(&other), Err(SshKeyError::Damaged));
        let mut other = ec;
        other[point - 5] ^= 1;
        assert_eq!(SshKey::from_blob(&other), Err(SshKeyError::Damaged));
        let mut token = Vec::new();
        put_string(&mut token, SshAlgorithm::SkEd25519.as_str().as_bytes());
        put_string(&mut token, &[7; 32]);
        assert_eq!(SshKey::from_blob(&token), Err(SshKeyError::Damaged));
        put_string(&mut token, b"ssh:");
        assert!(SshKey::from_blob(&token).unwrap().algorithm().is_in_token());
    }
}
