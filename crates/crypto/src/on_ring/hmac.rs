use crate::MacMismatch;
use ring::hmac::{self, HMAC_SHA256, Key};

pub(crate) fn tag(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&Key::new(HMAC_SHA256, key), message).as_ref());
    out
}

/// `ring` compares all bytes without a branch.
pub(crate) fn verify(key: &[u8; 32], message: &[u8], tag: &[u8; 32]) -> Result<(), MacMismatch> {
    hmac::verify(&Key::new(HMAC_SHA256, key), message, tag).map_err(|_| MacMismatch)
}
