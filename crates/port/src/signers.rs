//! The keys of CAs that are in another process: in a token behind PKCS#11.

use std::sync::Arc;
use wardein_crypto::{KeyAlgorithm, Signer, VerifyingKey};

/// Keys of CAs in another process.
pub trait Signers: Send + Sync + 'static {
    /// The key with this public half, if it is there. It is asked while memory is projected, and waits for nothing: what became of a
    /// key since shows when it signs.
    fn find(&self, key: &VerifyingKey) -> Option<Arc<dyn Signer>>;

    /// The same, looked for there: another node may have made it since. It takes its time: call it on a thread that serves nobody.
    fn look(&self, key: &VerifyingKey) -> Option<Arc<dyn Signer>> {
        self.find(key)
    }

    /// Whether the keys of new CAs are made there, and not in this process.
    fn makes_keys(&self) -> bool {
        false
    }

    /// Makes a key that never leaves. It takes its time: call it on a thread that serves nobody.
    fn make(&self, _algorithm: KeyAlgorithm) -> Result<Arc<dyn Signer>, SignersError> {
        Err(SignersError("keys are made in this process".to_owned()))
    }

    /// Removes a key that [`Signers::make`] made and that no CA has. It takes its time as well.
    fn discard(&self, _key: &VerifyingKey) {}
}

/// Keys that are given one by one; no other is made.
impl Signers for Vec<Arc<dyn Signer>> {
    fn find(&self, key: &VerifyingKey) -> Option<Arc<dyn Signer>> {
        self.iter().find(|signer| signer.verifying_key() == *key).cloned()
    }
}

/// No key was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SignersError(pub String);
