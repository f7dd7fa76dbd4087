//! Rules by which certificates count as revoked.

use crate::kernel::Error;
use crate::rows::{self, DeviceRevocationRow, Revocation};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use wardein_ddkg::DeviceName;
use wardein_domain::{Reason, UnixSeconds};
use wardein_port::Table;

/// A rule of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceRule {
    /// The version of the row.
    version: u64,
    /// What was issued until then, inclusive, is revoked.
    pub(crate) issued_until: UnixSeconds,
    pub(crate) reason: Reason,
}

/// Few devices have one: those that were readmitted.
#[derive(Default)]
pub(super) struct Revocations(RwLock<HashMap<DeviceName, DeviceRule>>);

impl Revocations {
    pub(super) fn device(&self, name: &DeviceName) -> Option<DeviceRule> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let line = |(name, rule): (&DeviceName, &DeviceRule)| {
            format!("rule {}/{}: {rule:?}", name.tenant, name.device)
        };
        self.0.read().unwrap().iter().map(line).collect()
    }

    /// Takes in a row of the table, unless a later version is known. Single certificates stay in the store.
    pub(super) fn put(&self, key: &[u8], version: u64, value: &[u8]) -> Result<(), Error> {
        let Revocation::Device(name) = rows::parse_revocation_key(key)? else { return Ok(()) };
        let DeviceRevocationRow { issued_until, reason } = rows::decode(Table::Revocation, value)?;
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.get(&name).is_none_or(|known| known.version < version) {
            all.insert(name, DeviceRule { version, issued_until, reason });
        }
        Ok(())
    }
}
