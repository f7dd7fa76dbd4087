//! Copies of the authority, and what becomes of the fleet when it goes on from one that is days old.

use super::authority::{Authority, caller, open, ports};
use super::figures::Figures;
use wardein_domain::TenantId;
use wardein_engine::{OpenAsk, Restoring, TokenAsk};
use wardein_testkit::{MemoryCustody, MemoryStore};

/// A backup, with the root key in force then, and the keys spent since.
pub(crate) struct OldCopy {
    bytes: Vec<u8>,
    custody: MemoryCustody,
}

impl Authority {
    pub(crate) async fn back_up(&mut self) -> OldCopy {
        self.live_on().await;
        self.spent.clear();
        let mut backup = self.engine.begin_backup(&self.admin, u64::MAX).await.unwrap();
        let mut bytes = Vec::new();
        loop {
            let part = backup.next_part().unwrap();
            bytes.extend_from_slice(&part.bytes);
            if part.is_last {
                self.engine.end_backup(&self.admin, &part).await.unwrap();
                return OldCopy { bytes, custody: self.custody.copied() };
            }
        }
    }

    /// Continues from the copy. No key spent since is accepted again, for any caller.
    pub(crate) async fn restore(&mut self, old: OldCopy, figures: &mut Figures) {
        self.live_on().await;
        let store = MemoryStore::new();
        let restoring = Restoring::begin(&old.bytes[..]).unwrap();
        let ports = ports(&store, &self.clock, &old.custody);
        let restored = restoring.apply(&ports, old.custody.root_keys(), |_, _| {}).await.unwrap();
        self.admin = caller(restored.founded.admin);
        self.engine = open(&store, &self.clock, &old.custody).await;
        (self.store, self.custody) = (store, old.custody);
        figures.count("restores from an old copy");
        for Spent(tenant, token, open) in std::mem::take(&mut self.spent) {
            figures.count("spent keys shown again to a restored authority");
            let platform = &self.of(&tenant).platform;
            if self.engine.verify_token(platform, token).await.is_ok() {
                figures.wrong("a token was taken again after a restore".into());
            }
            if self.engine.open_payload(platform, open).await.is_ok() {
                figures.wrong("a payload was opened again after a restore".into());
            }
        }
    }
}

/// What the platform of a tenant used up.
pub(crate) struct Spent(pub(crate) TenantId, pub(crate) TokenAsk, pub(crate) OpenAsk);
