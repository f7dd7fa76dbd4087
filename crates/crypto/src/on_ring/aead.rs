use crate::{OpenError, TAG_LEN, TooLong};
use ring::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

pub(crate) struct Aead(LessSafeKey);

impl Aead {
    pub(crate) fn aes_256_gcm(key: &[u8; 32]) -> Self {
        Self::with(&AES_256_GCM, key)
    }

    pub(crate) fn chacha20_poly1305(key: &[u8; 32]) -> Self {
        Self::with(&CHACHA20_POLY1305, key)
    }

    /// Turns `text` into ciphertext, and gives its tag.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; 12],
        additional: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_LEN], TooLong> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(additional), text);
        tag.ok().and_then(|tag| tag.as_ref().try_into().ok()).ok_or(TooLong)
    }

    /// Turns ciphertext and tag into plaintext and bytes of no meaning; says how long the plaintext is.
    pub(crate) fn open(
        &self,
        nonce: &[u8; 12],
        additional: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, OpenError> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.0.open_in_place(nonce, Aad::from(additional), sealed);
        plain.map(|plain| plain.len()).map_err(|_| OpenError)
    }

    fn with(algorithm: &'static Algorithm, key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(algorithm, key);
        Self(LessSafeKey::new(key.expect("both algorithms take keys of 32 bytes")))
    }
}
