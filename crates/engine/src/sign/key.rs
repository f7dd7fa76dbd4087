//! The key that a device signs with.

use crate::kernel::{Engine, Stop, Tx};
use crate::rows::{self, SignatureKeyRow};
use wardein_ddkg::DeviceName;
use wardein_port::Table;

impl Engine {
    /// The key that a device signs with, with the version of its row.
    pub(crate) fn signature_key(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
    ) -> Result<Option<(u64, SignatureKeyRow)>, Stop> {
        tx.row(Table::SignatureKey, &rows::device_key(name))
    }
}
