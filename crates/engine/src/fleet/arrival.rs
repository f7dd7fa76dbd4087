//! A device that proves itself in the tenant that it goes over to for the first time. One change makes it that tenant's, and ends
//! it in the other: there is no moment in which both trust it, and none in which neither can.

use super::transfers::{both, unknown};
use crate::kernel::record::{self, Recording, target};
use crate::kernel::{Engine, Error, Held, Stop, Tx};
use crate::rows::{
    self, DeviceRow, Link, RuleRow, RuleScope, TransferKey, TransferRow, awaited_key, transfer_key,
};
use wardein_ddkg::DeviceName;
use wardein_ddkg::authority::Record;
use wardein_domain::{
    Actor, Call, DeviceState, ErrorCode, Event, FieldName, Outcome, TransferState, UnixSeconds,
};
use wardein_port::{Change, Table};

/// A device that has agreed on keys here, and is another tenant's until it proves something with them.
pub(crate) struct Arrival {
    /// The device as the giving tenant has it.
    pub(crate) from: DeviceName,
    /// Its state there, which holds for it until then.
    pub(crate) state: DeviceState,
    left: (u64, DeviceRow),
    transfer: (u64, TransferRow),
}

/// Who proved what when.
pub(crate) struct Arriving<'a> {
    pub(crate) name: &'a DeviceName,
    pub(crate) record: &'a Record,
    pub(crate) now_ms: u64,
    pub(crate) call: &'a Call,
}

impl Engine {
    /// Whether a device that is pending comes from another tenant.
    pub(crate) fn arrival(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<Option<Arrival>, Stop> {
        let Some(link) = tx.get(Table::Transfer, &awaited_key(name))? else { return Ok(None) };
        let key = Link::decode(Table::Transfer, &link.value)?;
        let TransferKey::Of(from) = rows::parse_transfer_key(key)? else {
            return Err(rows::damaged(Table::Transfer, "leads to no transfer").into());
        };
        let transfer: Option<(u64, TransferRow)> = tx.row(Table::Transfer, key)?;
        let agreed = transfer.filter(|(_, row)| row.state == TransferState::Agreed);
        let Some(transfer) = agreed else { return Ok(None) };
        let left = self.device_row(tx, &from)?;
        Ok(Some(Arrival { state: left.1.state, from, left, transfer }))
    }

    /// The device, whose first proof here was accepted, belongs to this tenant from now on.
    ///
    /// The records of both devices are in one change. Only that of this one is held (`kernel/records.rs`), so no two decisions can
    /// wait for each other's; the other's rows are written under the versions that they were read with, and a conflict has all of
    /// it judged again.
    pub(crate) fn arrive(
        &self,
        tx: &mut Tx<'_>,
        arrival: Arrival,
        arriving: &Arriving<'_>,
        change: &mut Change,
    ) -> Result<(), Stop> {
        let Arriving { name, record, now_ms, call } = *arriving;
        let Arrival { from, left: (left_version, mut left), transfer: (version, mut row), .. } = arrival;
        let (here, mut device) = self.device_row(tx, name)?;
        // Memory, which said that it is pending, may be behind the store.
        if let Some(code) = device.state.refusal().filter(|_| device.state != DeviceState::Pending) {
            return Err(Error::new(code, format_args!("the device is {}", device.state)).into());
        }
        let now = UnixSeconds::new(now_ms / 1000);
        device.state = DeviceState::Active;
        device.state_since = now;
        device.attributes = rows::attribute_names(record);
        device.adopt_versions(record);
        change.update(Table::Device, rows::device_key(name), here, rows::encode(&device)?);
        // The giving tenant's: nothing of it proves anything any more; what it sealed stays its owner's.
        let held = self.load_keys(tx, &from)?.ok_or_else(|| Error::no_keys(&from))?;
        let Held { cold, version: hot, mut keys } = held;
        // A device erases the keys that agreed when it goes over to new ones: who has others in the giving tenant now is another than
        // the holder of this agreement, such as the device itself after a readmission shut out a copy.
        if keys.record.active_generation() != row.last_generation {
            let message = "the device has gone over to other keys in the giving tenant; ask there for the transfer again";
            return Err(Error::new(ErrorCode::DevicePending, message).into());
        }
        let rules = self.memory.rules(&from.tenant, &left.profile).unwrap_or_default();
        let policy = self.policy_of(&rules.profile);
        keys.record.hand_over(record, self.authority_time(now_ms), &policy, tx.draw())?;
        row.last_generation = keys.record.last_generation();
        self.put_keys(tx, change, &from, (cold, hot), &mut keys)?;
        let before = left.state;
        left.state = DeviceState::Transferred;
        left.state_since = now;
        left.state_reason = Some(row.reason.clone());
        change.update(Table::Device, rows::device_key(&from), left_version, rows::encode(&left)?);
        let rule = RuleRow::transferred(now, self.clock.era());
        self.put_rule(tx, change, &RuleScope::Device(from.clone()), rule)?;
        self.forget_incoming(tx, change, &from, &row)?;
        self.forget_awaited(tx, change, name)?;
        row.state = TransferState::Complete;
        change.update(Table::Transfer, transfer_key(&from), version, rows::encode(&row)?);
        let actor = Actor::Device(name.tenant.clone(), name.device.clone());
        let entry = |of: &DeviceName, state: (DeviceState, DeviceState)| {
            let entry = record::entry(
                now_ms,
                actor.clone(),
                Event::DeviceTransferred,
                target(of),
                Outcome::Done,
                call,
            );
            both(entry.in_tenant(&of.tenant), &from, name).changed(FieldName::State, state.0, state.1)
        };
        change.record(&entry(&from, (before, DeviceState::Transferred)))?;
        change.record(&entry(name, (DeviceState::Pending, DeviceState::Active)))?;
        Ok(())
    }

    /// Which device an alarm about that name concerns: one that went over to another tenant is where it went, and one that has not
    /// arrived is where it comes from. A copy of its state that speaks under a former name is told as under its present one.
    pub(crate) fn suspect(&self, tx: &Tx<'_>, name: &DeviceName) -> Result<DeviceName, Stop> {
        let (_, row) = self.device_row(tx, name)?;
        let other = match row.state {
            DeviceState::Transferred => self.whereabouts(tx, name)?,
            DeviceState::Pending => self.arrival(tx, name)?.map(|arrival| arrival.from),
            _ => None,
        };
        Ok(other.unwrap_or_else(|| name.clone()))
    }

    /// The transfer that a device is to carry out.
    pub(crate) fn awaited_transfer(
        &self,
        tx: &Tx<'_>,
        from: &DeviceName,
    ) -> Result<(u64, TransferRow), Stop> {
        let found: Option<(u64, TransferRow)> = tx.row(Table::Transfer, &transfer_key(from))?;
        Ok(found.filter(|(_, row)| row.state.awaits_device()).ok_or_else(|| unknown(from))?)
    }
}
