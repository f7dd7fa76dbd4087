//! What changes of the authority itself: the key of its challenges, and the CA of operators and servers.

use crate::kernel::Error;
use crate::rows::AuthorityRow;
use crate::rows::seal::Keyring;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use wardein_ddkg::ChallengeKey;
use wardein_pki::InfrastructureCa;
use wardein_port::Signers;

/// The authority's row, opened; nothing before it was taken in.
#[derive(Default)]
pub(super) struct Own(RwLock<Option<Opened>>);

struct Opened {
    /// The version of the row.
    version: u64,
    challenges: Arc<ChallengeKey>,
    infrastructure: Arc<InfrastructureCa>,
}

impl Own {
    /// Applies the row, unless a later version of it is known.
    pub(super) fn put(
        &self,
        version: u64,
        row: &AuthorityRow,
        (root, signers): (&Keyring, &dyn Signers),
    ) -> Result<(), Error> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.version < version) {
            let challenges = Arc::new(row.open_challenge_key(root)?);
            let infrastructure = Arc::new(row.open_infrastructure(root, signers)?);
            *known = Some(Opened { version, challenges, infrastructure });
        }
        Ok(())
    }

    pub(super) fn challenges(&self) -> Result<Arc<ChallengeKey>, Error> {
        self.read().as_ref().map(|known| known.challenges.clone()).ok_or_else(Error::not_founded)
    }

    pub(super) fn infrastructure(&self) -> Result<Arc<InfrastructureCa>, Error> {
        self.read().as_ref().map(|known| known.infrastructure.clone()).ok_or_else(Error::not_founded)
    }

    pub(super) fn version(&self) -> u64 {
        self.read().as_ref().map_or(0, |known| known.version)
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Opened>> {
        // Nothing in it is ever half done.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}
