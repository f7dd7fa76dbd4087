//! What a transfer leaves and needs beside its row: the id that is kept free in the receiving tenant, the ways that lead to it, and
//! where a device is that has gone.

use crate::kernel::record::target;
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::rows::{self, Claim, DeviceRow, Link, TransferRow, awaited_key, incoming_key, transfer_key};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceState, ErrorCode, ProfileName, TransferState};
use wardein_port::{Change, Table};

impl Engine {
    /// The transfer of a device that is under way, where there is one, is over without it: the device will come with other keys.
    pub(crate) fn void_transfer(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        from: &DeviceName,
    ) -> Result<(), Stop> {
        let found: Option<(u64, TransferRow)> = tx.row(Table::Transfer, &transfer_key(from))?;
        if let Some((version, row)) = found.filter(|(_, row)| row.state.awaits_device()) {
            self.end_transfer(tx, change, from, (version, row))?;
        }
        Ok(())
    }

    /// Refuses to enroll a device under an id that is kept for one that comes from another tenant.
    pub(crate) fn require_unawaited(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<(), Stop> {
        if tx.get(Table::Transfer, &awaited_key(name))?.is_none() {
            return Ok(());
        }
        let message = "the id is kept for a device that comes from another tenant; choose another, or withdraw that transfer";
        Err(Error::new(ErrorCode::AlreadyEnrolled, message).about("wardein.v1.Device", target(name)).into())
    }

    /// Where a device is now that had that name, by as many transfers as it took.
    pub(crate) fn whereabouts(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<Option<DeviceName>, Stop> {
        let mut name = name.clone();
        for _ in 0..MAX_TRANSFERS {
            let row: Option<(u64, DeviceRow)> = tx.row(Table::Device, &rows::device_key(&name))?;
            if row.is_none_or(|(_, row)| row.state != DeviceState::Transferred) {
                return Ok(Some(name));
            }
            let row: Option<(u64, TransferRow)> = tx.row(Table::Transfer, &transfer_key(&name))?;
            let Some(next) = row.and_then(|(_, row)| row.arriving()) else { return Ok(None) };
            name = next;
        }
        Ok(None)
    }

    /// Keeps an id of the receiving tenant free for a device: one that no device has, or that this one had when it was there before.
    pub(super) fn keep_id(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        from: &DeviceName,
        name: &DeviceName,
        profile: &ProfileName,
    ) -> Result<(), Stop> {
        // An enrollment under the id claims it too, and whichever comes second is judged again.
        self.claim_id(tx, change, name)?;
        self.require_unawaited(tx, name)?;
        let row: Option<(u64, DeviceRow)> = tx.row(Table::Device, &rows::device_key(name))?;
        let Some((version, _)) = row else { return Ok(self.check_new(name, profile)?) };
        // Where one that did not leave is, is here.
        if self.whereabouts(tx, name)?.as_ref() != Some(from) {
            let message = format_args!(
                "tenant {} has a device {}; accept it under another id",
                name.tenant, name.device
            );
            return Err(Error::new(ErrorCode::AlreadyEnrolled, message)
                .about("wardein.v1.Device", target(name))
                .into());
        }
        change.check(Table::Device, rows::device_key(name), version);
        Ok(())
    }

    /// Adds to `change` that a transfer has come to nothing.
    pub(super) fn end_transfer(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        from: &DeviceName,
        (version, mut row): (u64, TransferRow),
    ) -> Result<TransferRow, Stop> {
        self.forget_incoming(tx, change, from, &row)?;
        if let Some(name) = row.arriving() {
            self.forget_awaited(tx, change, &name)?;
            let present: Option<(u64, DeviceRow)> = tx.row(Table::Device, &rows::device_key(&name))?;
            match present {
                Some(present) => self.go_back(tx, change, &name, present)?,
                None => {
                    let claim = Claim::Id(&name.device).row_key(&name.tenant);
                    if let Some(claimed) = tx.get(Table::DeviceClaim, &claim)? {
                        change.delete(Table::DeviceClaim, claim, claimed.version);
                    }
                }
            }
        }
        row.state = TransferState::Withdrawn;
        change.update(Table::Transfer, transfer_key(from), version, rows::encode(&row)?);
        Ok(row)
    }

    /// A device that was on its way back to a tenant that it had left has left it still.
    fn go_back(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        name: &DeviceName,
        (version, mut device): (u64, DeviceRow),
    ) -> Result<(), Stop> {
        let left: Option<(u64, TransferRow)> = tx.row(Table::Transfer, &transfer_key(name))?;
        let had_left = left.is_some_and(|(_, row)| row.state == TransferState::Complete);
        if device.state == DeviceState::Pending && had_left {
            device.state = DeviceState::Transferred;
            device.state_since = self.time();
            change.update(Table::Device, rows::device_key(name), version, rows::encode(&device)?);
            self.touch_keys(tx, change, name)?;
        }
        Ok(())
    }

    /// Deletes what leads from the receiving tenant to a transfer.
    pub(crate) fn forget_incoming(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        from: &DeviceName,
        row: &TransferRow,
    ) -> Result<(), Stop> {
        let key = incoming_key(&row.to, from);
        if let Some(row) = tx.get(Table::Transfer, &key)? {
            change.delete(Table::Transfer, key, row.version);
        }
        Ok(())
    }

    /// Deletes what keeps an id free.
    pub(crate) fn forget_awaited(
        &self,
        tx: &Tx<'_>,
        change: &mut Change,
        name: &DeviceName,
    ) -> Result<(), Stop> {
        let key = awaited_key(name);
        if let Some(row) = tx.get(Table::Transfer, &key)? {
            change.delete(Table::Transfer, key, row.version);
        }
        Ok(())
    }

    /// Adds a row that leads to the transfer at `to`.
    pub(super) fn lead(&self, tx: &Tx<'_>, change: &mut Change, at: Vec<u8>, to: &[u8]) -> Result<(), Stop> {
        // One that was to be deleted first is written once.
        let deleted =
            change.writes.iter().position(|write| write.table == Table::Transfer && write.key == at);
        if let Some(deleted) = deleted {
            change.writes.remove(deleted);
        }
        let version = tx.get(Table::Transfer, &at)?.map(|row| row.version);
        change.put(Table::Transfer, at, version, Link::encode(to));
        Ok(())
    }
}

/// How many transfers are followed to find a device; each took the consent of two tenants.
const MAX_TRANSFERS: usize = 256;
