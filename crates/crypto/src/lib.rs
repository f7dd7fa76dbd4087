//! Secret types and the primitives that Wardein rests on, each behind one name.
//!
//! What: SHA-256, HMAC, HKDF, P-256 agreement, signatures by ECDSA and RSA, two AEADs, ML-KEM-768, what TPM 2.0 evidence takes, and
//! hexadecimal text, all from maintained libraries that no other crate may name. Why one crate: a library can be replaced here alone, and a
//! reviewer finds every use of a raw secret by searching for `expose`.
//!
//! The primitives come from `ring`, or, for processors that it has no code for, from RustCrypto (feature `rustcrypto`). Where both
//! are built in, `ring` is used, and the other is only tested against it.
//!
//! What it does not do: no key storage, no protocol. What `ring` itself keeps on its stack (HMAC key schedules,
//! ECDH scalars) is not wiped by `ring` and cannot be wiped from here; RustCrypto wipes keys and schedules, but not the
//! intermediate values that a compiler puts on the stack.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod aead;
mod agreement;
mod digest;
mod entropy;
pub mod hex;
mod hkdf;
mod mac;
#[cfg(feature = "ml-kem")]
mod ml_kem;
#[cfg(feature = "ring")]
mod on_ring;
#[cfg(feature = "rustcrypto")]
#[cfg_attr(all(feature = "ring", not(test)), allow(dead_code, reason = "only the tests use it then"))]
mod on_rustcrypto;
#[cfg(feature = "encrypted-keys")]
mod private_key;
mod secret;
mod signature;
#[cfg(test)]
mod tests;
#[cfg(feature = "tpm")]
pub mod tpm;

#[cfg(feature = "ring")]
use on_ring as primitives;
#[cfg(all(feature = "rustcrypto", not(feature = "ring")))]
use on_rustcrypto as primitives;
#[cfg(not(any(feature = "ring", feature = "rustcrypto")))]
compile_error!(
    "wardein-crypto needs its feature `ring`, or, where there is no operating system, `rustcrypto`"
);

pub use aead::{AES_256_GCM_NONCE_LEN, AeadKey, OpenError, TAG_LEN};
pub use agreement::{EphemeralKey, InvalidPoint, P256_POINT_LEN, P256_SHARED_LEN};
#[cfg(feature = "ring")]
pub use digest::{DangerSha1, danger_sha1_to_name};
pub use digest::{Digest, Sha256};
#[cfg(feature = "ring")]
pub use entropy::SystemEntropy;
pub use entropy::{Entropy, EntropyError};
pub use hkdf::Prk;
pub use mac::{MacKey, MacMismatch, Tag};
#[cfg(feature = "ml-kem")]
pub use ml_kem::{
    InvalidEncapsulationKey, ML_KEM_768_CIPHERTEXT_LEN, ML_KEM_768_KEY_LEN, MlKemSeed, ml_kem_encapsulate,
};
#[cfg(feature = "encrypted-keys")]
pub use private_key::{KeyEncryptionError, decrypt_private_key, encrypt_private_key};
pub use secret::{Secret, SecretBytes, SecretStack};
#[cfg(feature = "ring")]
pub use signature::{
    ED25519_KEY_LEN, ED25519_SIGNATURE_LEN, Ed25519SigningKey, Ed25519VerifyingKey, InvalidModulus,
    P384_POINT_LEN, P384VerifyingKey, RsaVerifyingKey, SignatureAlgorithm, Signer, VerifyingKey, WeakModulus,
    public_half,
};
pub use signature::{
    InvalidSignature, P256_FIXED_LEN, P256_SIGNATURE_MAX, P256SigningKey, P256VerifyingKey, SigningError,
    p256_fixed,
};
#[cfg(feature = "authority")]
pub use signature::{KeyAlgorithm, SigningKey};

/// More bytes were asked of a primitive than it can give or take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;
