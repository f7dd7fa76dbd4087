//! The keys that sign verdicts, opened.

use super::memory::Memory;
use crate::kernel::Error;
use crate::rows::seal::Keyring;
use crate::rows::{self, VerdictKeyColumn, VerdictKeyStage, VerdictKeysRow, verdict_key_place};
use std::sync::{Arc, PoisonError, RwLock};
use wardein_crypto::{P256SigningKey, P256VerifyingKey, Signer, VerifyingKey};
use wardein_domain::UnixSeconds;
use wardein_pki::jose;
use wardein_port::Table;

/// All of them, as their row has them.
#[derive(Default)]
pub(super) struct VerdictKeys(RwLock<Known>);

#[derive(Default)]
struct Known {
    /// The version of the row.
    version: u64,
    keys: Vec<Arc<KnownVerdictKey>>,
}

/// A key that signs verdicts, will, or did.
pub(crate) struct KnownVerdictKey {
    pub(crate) public: P256VerifyingKey,
    /// By which name it is published.
    pub(crate) kid: String,
    pub(crate) stage: VerdictKeyStage,
    /// Since when it is in its stage.
    pub(crate) since: UnixSeconds,
    /// None where it is erased.
    pub(crate) signer: Option<Arc<dyn Signer>>,
}

impl VerdictKeys {
    /// All of them, the oldest first.
    pub(super) fn all(&self) -> Vec<Arc<KnownVerdictKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// The one that signs.
    pub(super) fn active(&self) -> Option<Arc<KnownVerdictKey>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.keys.iter().find(|key| key.stage == VerdictKeyStage::Active).cloned()
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let known = self.0.read().unwrap();
        let line = |key: &Arc<KnownVerdictKey>| {
            let KnownVerdictKey { kid, stage, since, signer, .. } = &**key;
            format!("verdict key {kid} at {}: {stage:?}, {since:?}, {}", known.version, signer.is_some())
        };
        known.keys.iter().map(line).collect()
    }

    /// Applies the row, unless a later version is known.
    pub(super) fn put(&self, version: u64, root: &Keyring, value: &[u8]) -> Result<(), Error> {
        let row: VerdictKeysRow = rows::decode(Table::Authority, value)?;
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.version >= version {
            return Ok(());
        }
        let keys = row.keys.into_iter().map(|column| opened(column, root).map(Arc::new));
        *known = Known { version, keys: keys.collect::<Result<_, _>>()? };
        Ok(())
    }
}

fn opened(column: VerdictKeyColumn, root: &Keyring) -> Result<KnownVerdictKey, Error> {
    let VerdictKeyColumn { public, sealed, stage, since } = column;
    let signer: Option<Arc<dyn Signer>> = match &sealed[..] {
        [] => None,
        sealed => {
            let document = root.open(verdict_key_place(&public), sealed)?;
            let damaged = || rows::damaged(Table::Authority, "holds another key than it says");
            let signer = P256SigningKey::from_pkcs8(&document).map_err(|_| damaged())?;
            if Signer::verifying_key(&signer) != VerifyingKey::P256(public) {
                return Err(damaged());
            }
            Some(Arc::new(signer))
        }
    };
    Ok(KnownVerdictKey { kid: jose::key_thumbprint(&public), public, stage, since, signer })
}

impl Memory {
    /// The keys that sign verdicts, will, or did, the oldest first.
    pub(crate) fn verdict_keys(&self) -> Vec<Arc<KnownVerdictKey>> {
        self.verdict_keys.all()
    }

    /// The key that signs verdicts.
    pub(crate) fn verdict_key(&self) -> Option<Arc<KnownVerdictKey>> {
        self.verdict_keys.active()
    }
}
