//! The primitives by `ring`. Those by RustCrypto have the same names, and the tests run over both.

pub(crate) mod aead;
pub(crate) mod agreement;
pub(crate) mod digest;
pub(crate) mod ecdsa;
pub(crate) mod hkdf;
pub(crate) mod hmac;
