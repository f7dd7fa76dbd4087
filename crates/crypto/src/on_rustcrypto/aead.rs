use crate::{OpenError, TAG_LEN, TooLong};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use alloc::boxed::Box;
use chacha20poly1305::ChaCha20Poly1305;

pub(crate) enum Aead {
    /// Its key schedule is long, and a stack is short.
    Aes(Box<Aes256Gcm>),
    ChaCha(ChaCha20Poly1305),
}

impl Aead {
    pub(crate) fn aes_256_gcm(key: &[u8; 32]) -> Self {
        Self::Aes(Box::new(Aes256Gcm::new(key.into())))
    }

    pub(crate) fn chacha20_poly1305(key: &[u8; 32]) -> Self {
        Self::ChaCha(ChaCha20Poly1305::new(key.into()))
    }

    pub(crate) fn seal(
        &self,
        nonce: &[u8; 12],
        additional: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_LEN], TooLong> {
        let tag = match self {
            Self::Aes(key) => key.encrypt_inout_detached(nonce.into(), additional, text.into()),
            Self::ChaCha(key) => key.encrypt_inout_detached(nonce.into(), additional, text.into()),
        };
        tag.map(Into::into).map_err(|_| TooLong)
    }

    pub(crate) fn open(
        &self,
        nonce: &[u8; 12],
        additional: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, OpenError> {
        let (text, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(OpenError)?;
        let (length, tag) = (text.len(), (&*tag).into());
        let opened = match self {
            Self::Aes(key) => key.decrypt_inout_detached(nonce.into(), additional, text.into(), tag),
            Self::ChaCha(key) => key.decrypt_inout_detached(nonce.into(), additional, text.into(), tag),
        };
        opened.map(|()| length).map_err(|_| OpenError)
    }
}
