//! What the device's keys are for beside proofs: logging in to a platform, and sealing payloads.

use crate::authority::Authority;
use crate::error::Error;
use crate::session::Session;
use std::str::FromStr;
use wardein_crypto::{Entropy, hex};
use wardein_ddkg::message::{MAX_PLATFORM_NONCE, SealedPayload, Token};
use wardein_domain::Audience;

/// What a platform asks to see in a token: at most 64 bytes, in lower-case hex for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nonce(pub Vec<u8>);

impl FromStr for Nonce {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = hex::decode(text).ok_or("is no lower-case hex")?;
        match bytes.len() {
            0..=MAX_PLATFORM_NONCE => Ok(Self(bytes)),
            length => Err(format!("has {length} bytes; it takes at most {MAX_PLATFORM_NONCE}")),
        }
    }
}

impl<A: Authority, E: Entropy> Session<A, E> {
    /// A token for logging in to `audience` once, with the nonce that the platform gave, at most 64 bytes, or none.
    ///
    /// The authority takes it only in epochs that are near, so it is asked for the time first, unless this process has
    /// asked it anything before, or is to be `offline`: then the token may be refused as `epoch-spent`.
    pub async fn token(&mut self, audience: Audience, nonce: &[u8], offline: bool) -> Result<Token, Error> {
        if !offline && !self.knows_the_time() {
            self.authenticate().await?;
        }
        let (directory, config, state, clock, _) = self.keys();
        directory.save(config, state.token(clock, audience, nonce)?)
    }

    /// Seals `plaintext`, at most 16 MiB, for the authority to open; `additional` is bound to it and travels by other ways. It asks
    /// nobody.
    pub fn seal(&mut self, additional: &[u8], plaintext: &[u8]) -> Result<SealedPayload, Error> {
        let (directory, config, state, clock, entropy) = self.keys();
        directory.save(config, state.seal(clock, additional, plaintext, entropy)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_hex_and_bounded() {
        assert_eq!("00ff".parse(), Ok(Nonce(vec![0, 0xff])));
        assert_eq!("00".repeat(64).parse::<Nonce>().unwrap().0.len(), 64);
        for bad in ["0", "zz", &"00".repeat(65)] {
            assert!(bad.parse::<Nonce>().is_err(), "{bad}");
        }
    }
}
