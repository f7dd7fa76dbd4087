//! The keys of tenants, opened.

use crate::keep::tenant_keys::open_tenant_keys;
use crate::kernel::Error;
use crate::rows::TenantRow;
use crate::rows::seal::Keyring;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use wardein_domain::TenantId;

#[derive(Default)]
pub(super) struct TenantKeys(RwLock<HashMap<TenantId, Opened>>);

struct Opened {
    /// The version of the row.
    version: u64,
    ring: Arc<Keyring>,
}

impl TenantKeys {
    pub(super) fn ring(&self, tenant: &TenantId) -> Option<Arc<Keyring>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(tenant).map(|opened| opened.ring.clone())
    }

    pub(super) fn all(&self) -> Vec<TenantId> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut tenants: Vec<_> = all.keys().cloned().collect();
        tenants.sort();
        tenants
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let all = self.0.read().unwrap();
        let line = |(tenant, opened): (&TenantId, &Opened)| {
            let Opened { version, ring } = opened;
            format!("tenant {} at {version}, key {} of {}", tenant.as_str(), ring.newest(), ring.len())
        };
        all.iter().map(line).collect()
    }

    /// Applies a tenant's keys, unless a later version of its row is known.
    pub(super) fn put(
        &self,
        tenant: TenantId,
        version: u64,
        root: &Keyring,
        key: &[u8],
        row: &TenantRow,
    ) -> Result<(), Error> {
        let ring = Arc::new(open_tenant_keys(root, key, row)?);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.get(&tenant).is_none_or(|known| known.version < version) {
            all.insert(tenant, Opened { version, ring });
        }
        Ok(())
    }
}
