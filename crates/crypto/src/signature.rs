//! Signatures: the port in front of CA keys, the algorithms as values, and the keys of each.
//!
//! A device signs only with P-256, and verifies the signatures of any CA. The private keys of the other algorithms are the
//! authority's (feature `authority`). Without `ring` there is P-256 alone: of RustCrypto, `rsa` has an advisory without a fix
//! (RUSTSEC-2023-0071), and DDKG-1 needs no other.

#[cfg(feature = "ring")]
mod any;
#[cfg(feature = "ring")]
mod ed25519;
#[cfg(feature = "authority")]
mod in_process;
mod p256;
#[cfg(feature = "ring")]
mod p384;
#[cfg(feature = "ring")]
mod public_half;
#[cfg(feature = "ring")]
mod rsa;
#[cfg(feature = "ring")]
mod verifying;
#[cfg(feature = "ring")]
mod weak;

#[cfg(feature = "ring")]
pub use any::{SignatureAlgorithm, Signer};
#[cfg(feature = "ring")]
pub use ed25519::{ED25519_KEY_LEN, ED25519_SIGNATURE_LEN, Ed25519SigningKey, Ed25519VerifyingKey};
#[cfg(feature = "authority")]
pub use in_process::{KeyAlgorithm, SigningKey};
pub use p256::{P256_FIXED_LEN, P256_SIGNATURE_MAX, P256SigningKey, P256VerifyingKey, p256_fixed};
#[cfg(feature = "ring")]
pub use p384::{P384_POINT_LEN, P384VerifyingKey};
#[cfg(feature = "ring")]
pub use public_half::public_half;
#[cfg(feature = "ring")]
pub use rsa::{InvalidModulus, RsaVerifyingKey};
#[cfg(feature = "ring")]
pub use verifying::VerifyingKey;
#[cfg(feature = "ring")]
pub use weak::WeakModulus;

#[cfg(feature = "tpm")]
pub(crate) use rsa::is_modulus;

/// The signature is not one of this message by this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidSignature;

/// The document holds no key of its algorithm, or the key could not sign: no random bytes, or a signer elsewhere that did not
/// answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningError;
