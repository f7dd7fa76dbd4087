//! The primitives by RustCrypto, for processors that `ring` has no code for. They have the names of those by `ring`.

pub(crate) mod aead;
pub(crate) mod agreement;
pub(crate) mod digest;
pub(crate) mod ecdsa;
pub(crate) mod hkdf;
pub(crate) mod hmac;
