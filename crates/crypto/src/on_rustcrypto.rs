//! The primitives by RustCrypto, for processors that `ring` has no code for. They have the names of those by `ring`.
//!
//! What computes on the curve is not inlined, so that no two such frames are on the stack at once.

pub(crate) mod aead;
pub(crate) mod agreement;
pub(crate) mod digest;
pub(crate) mod ecdsa;
pub(crate) mod hkdf;
pub(crate) mod hmac;
