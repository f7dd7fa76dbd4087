//! The token by which a client is known: another program of the device could say that something was installed.

use crate::error::Error;
use wardein_crypto::{Entropy, MacKey, Secret, SecretBytes, SystemEntropy, Tag};

/// hawkBit's target token: 16 to 128 visible characters, such as `openssl rand -hex 16` gives.
pub struct HawkbitToken(SecretBytes);

/// The text is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not one line of 16 to 128 visible characters without spaces; make one: openssl rand -hex 16")]
pub struct HawkbitTokenError;

/// Tells whether a client has it, in a time that does not depend on where it differs.
pub(super) struct Judge {
    key: MacKey,
    tag: Tag,
}

impl HawkbitToken {
    /// The longest file that may hold one, with the end of its line.
    pub const MAX_FILE: usize = 130;

    /// Of the file that holds it.
    pub fn new(file: &SecretBytes) -> Result<Self, HawkbitTokenError> {
        let bytes = file.expose();
        let token = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        match (16..=128).contains(&token.len()) && token.iter().all(u8::is_ascii_graphic) {
            true => {
                let mut own = SecretBytes::with_capacity(token.len());
                own.extend(token);
                Ok(Self(own))
            }
            false => Err(HawkbitTokenError),
        }
    }

    pub(super) fn judge(&self) -> Result<Judge, Error> {
        let mut entropy = SystemEntropy::default();
        let secret = Secret::<32>::try_filled(|bytes| entropy.fill(bytes));
        let key = MacKey::new(secret.map_err(|_| Error::Fault("taking random bytes"))?);
        let tag = key.tag(self.0.expose());
        Ok(Judge { key, tag })
    }
}

impl Judge {
    /// Of the header Authorization.
    pub(super) fn is_right(&self, authorization: &[u8]) -> bool {
        let given = authorization.strip_prefix(b"TargetToken ");
        given.is_some_and(|given| self.key.verify(given, &self.tag).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &[u8]) -> Result<HawkbitToken, HawkbitTokenError> {
        let mut bytes = SecretBytes::with_capacity(text.len());
        bytes.extend(text);
        HawkbitToken::new(&bytes)
    }

    #[test]
    fn a_token_is_a_line_and_all_of_it_counts() {
        for bad in [
            b"".as_slice(),
            b"fifteen-letters",
            b"sixteen letters!",
            b"sixteen-letters!\n\n",
            &[b'x'; 129],
            b"sixteen-letters\x80",
        ] {
            assert_eq!(token(bad).err(), Some(HawkbitTokenError), "{bad:?}");
        }
        let judge = token(b"sixteen-letters!\n").unwrap().judge().unwrap();
        assert!(judge.is_right(b"TargetToken sixteen-letters!"));
        for bad in [
            b"".as_slice(),
            b"sixteen-letters!",
            b"GatewayToken sixteen-letters!",
            b"TargetToken sixteen-letters",
            b"TargetToken ",
        ] {
            assert!(!judge.is_right(bad), "{bad:?}");
        }
    }
}
