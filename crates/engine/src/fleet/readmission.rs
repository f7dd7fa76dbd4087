//! A device that comes back by a human's decision, after a clone alarm or because its state is lost.

use crate::derive::rotation::rotated;
use crate::fleet::devices::Device;
use crate::kernel::record::{Recording, target};
use crate::kernel::{Caller, Decision, Engine, Error, Held, Tx};
use crate::rows::{self, RotationRow, RuleRow, RuleScope};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceState, ErrorCode, Event, FieldName, Outcome, Reason, Rotation};
use wardein_port::{Change, Table};

impl Engine {
    /// Brings a quarantined device back into trust with its existing keys; it must rekey first, which shuts out any other holder
    /// of its state, and its certificates count as revoked, which a copy may hold too. With `reenroll`, a station may enroll
    /// it again, and until then nothing is accepted from it. Asking twice is fine.
    pub async fn readmit_device(
        &self,
        caller: &Caller,
        name: DeviceName,
        reenroll: bool,
        reason: Reason,
    ) -> Result<Device, Error> {
        self.require_tenant(caller, &name.tenant)?;
        let to = if reenroll { DeviceState::Pending } else { DeviceState::Active };
        let decide = |tx: &mut Tx<'_>| {
            let (version, mut row) = self.device_row(tx, &name)?;
            let from = row.state;
            if from == to {
                return Ok(Decision::unchanged(self.device(tx, name.clone(), row)?));
            }
            let may_come = match from {
                DeviceState::Quarantined => true,
                DeviceState::Active | DeviceState::Suspended => reenroll,
                DeviceState::Pending
                | DeviceState::Revoked
                | DeviceState::Retired
                | DeviceState::Transferred => false,
            };
            if !may_come {
                let message = format_args!("a device that is {from} cannot be readmitted to {to}");
                return Err(Error::new(ErrorCode::TransitionNotAllowed, message).into());
            }
            row.state = to;
            row.state_reason = Some(reason.clone());
            row.state_since = self.time();
            let before = Rotation::from(row.rotation);
            let rotation = before.ask(self.now(), true);
            row.rotation = RotationRow::from(rotation);
            let mut change = Change::default();
            change.update(Table::Device, rows::device_key(&name), version, rows::encode(&row)?);
            if reenroll {
                self.void_transfer(tx, &mut change, &name)?;
            }
            match self.load_keys(tx, &name)?.filter(|_| !reenroll) {
                // So that no number of the other holder keeps the device from its rekey (DDKG-1 §6.1).
                Some(Held { cold, version, mut keys }) => {
                    let time = self.authority_time(self.clock.now_ms());
                    keys.record.readmit(time, &self.policy);
                    self.put_keys(tx, &mut change, &name, (cold, version), &mut keys)?;
                }
                None => self.touch_keys(tx, &mut change, &name)?,
            }
            self.forget_voucher(tx, &mut change, &name)?;
            // A copy of its state may hold its certificates issued until now.
            let rule = RuleRow::readmitted(self.time(), self.clock.era());
            self.put_rule(tx, &mut change, &RuleScope::Device(name.clone()), rule)?;
            let entry = self.entry(caller, Event::DeviceReadmitted, target(&name), Outcome::Done);
            let entry = entry
                .in_tenant(&name.tenant)
                .changed(FieldName::State, from, to)
                .with_all(rotated(before, rotation))
                .with(FieldName::Reason, &reason);
            change.record(&entry)?;
            Ok(Decision::new(change, self.device(tx, name.clone(), row)?))
        };
        self.transact_on_by(caller, &name, |_| Ok(()), decide).await
    }
}
