use crate::MacMismatch;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

pub(crate) fn tag(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// `subtle` compares all bytes without a branch.
pub(crate) fn verify(key: &[u8; 32], message: &[u8], given: &[u8; 32]) -> Result<(), MacMismatch> {
    bool::from(tag(key, message).ct_eq(given)).then_some(()).ok_or(MacMismatch)
}
