//! Custody of the root key: the 32 bytes that open everything else, wrapped under a passphrase, a key file, a TPM or a key of AWS
//! KMS.
//!
//! What: `custody.json`, one small file that holds the wrapped root key and how it was wrapped; in two versions while it is changed. Why: the store alone, a backup of it
//! or a stolen disk opens nothing. What it does not do: no key is ever made weaker or guessed; a lost passphrase is lost for good.
//!
//! The wrap is AES-256-GCM under a key-encryption key, with the file's version, kind and parameters as additional data, so that no
//! byte of the file can be changed unnoticed. The key-encryption key is Argon2id of the passphrase (RFC 9106), or HKDF-SHA-256 of the key
//! file, or of a random key that the TPM of this machine seals to the state of its registers, or that KMS wraps for this authority,
//! and that a recovery passphrase opens as well. A passphrase is never taken from a flag or an environment variable: both are seen
//! by other processes.

mod error;
mod file;
mod format;
mod key_file;
mod kms;
mod passphrase;
mod protection;
mod recovery;
mod tpm;
mod wrap;

#[cfg(test)]
mod tests;

pub use error::CustodyError;
pub use kms::{Environment, KmsProtection, KmsTarget};
pub use passphrase::{Passphrase, PassphraseSource};
pub use protection::{Argon2Cost, Kind, Protection, Status};
pub use tpm::{TpmProtection, TpmTarget};
pub use wrap::{
    Opened, copied_keys, copied_keys_by_kms, copied_kind, copy, create, kind, open, open_by_kms, open_by_tpm,
    put, status,
};
