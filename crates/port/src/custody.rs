//! Where the root key is kept.

use crate::Pending;
use wardein_crypto::Secret;

/// A version of the root key. Numbers start at 1 and rise.
pub struct RootKey {
    /// Its number.
    pub version: u32,
    /// The key.
    pub secret: Secret<32>,
}

/// Where the root key is kept, apart from the store.
pub trait Custody: Send + Sync + 'static {
    /// Keeps a further version beside the existing ones. It is durable when this resolves; the same again is fine.
    fn keep(&self, key: RootKey) -> Pending<'_, Result<(), CustodyError>>;

    /// Keeps that version alone. It is durable when this resolves; the same again is fine.
    fn keep_only(&self, version: u32) -> Pending<'_, Result<(), CustodyError>>;

    /// The existing versions, wrapped: a backup is opened with them and the passphrase or key file.
    fn wrapped(&self) -> Pending<'_, Result<Vec<u8>, CustodyError>>;
}

/// Custody could not keep a key; it still keeps the ones that it had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CustodyError(pub String);
