//! Which devices are to carry out a transfer: each of their replies says so.

use crate::kernel::Error;
use crate::rows::{self, TransferKey, TransferRow};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use wardein_ddkg::DeviceName;
use wardein_port::Table;

/// By the device as the giving tenant has it.
#[derive(Default)]
pub(super) struct Transfers {
    known: RwLock<HashMap<DeviceName, Known>>,
    /// How many are awaited, so that a proof looks nothing up where there is none.
    awaited: AtomicUsize,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// The version of the row.
    version: u64,
    is_awaited: bool,
}

impl Transfers {
    /// Whether the device is to carry out a transfer.
    pub(super) fn awaits(&self, name: &DeviceName) -> bool {
        if self.awaited.load(Ordering::Acquire) == 0 {
            return false;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).is_some_and(|known| known.is_awaited)
    }

    /// Applies a row of the table, unless a later version is known. What leads to a transfer from the receiving tenant stays in the
    /// store.
    pub(super) fn put(&self, key: &[u8], version: u64, value: &[u8]) -> Result<(), Error> {
        let TransferKey::Of(name) = rows::parse_transfer_key(key)? else { return Ok(()) };
        let row: TransferRow = rows::decode(Table::Transfer, value)?;
        let put = Known { version, is_awaited: row.state.awaits_device() };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(&name).copied();
        if before.is_some_and(|before| before.version >= version) {
            return Ok(());
        }
        known.insert(name, put);
        match (before.is_some_and(|before| before.is_awaited), put.is_awaited) {
            (false, true) => _ = self.awaited.fetch_add(1, Ordering::Release),
            (true, false) => _ = self.awaited.fetch_sub(1, Ordering::Release),
            _ => {}
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let line = |(name, known): (&DeviceName, &Known)| {
            let Known { version, is_awaited } = known;
            format!("transfer of {}/{} at {version}: {is_awaited}", name.tenant, name.device)
        };
        let mut lines: Vec<_> = self.known.read().unwrap().iter().map(line).collect();
        lines.push(format!("transfers awaited: {}", self.awaited.load(Ordering::Acquire)));
        lines
    }
}
