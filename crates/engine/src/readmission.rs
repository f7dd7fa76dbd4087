//! A device that comes back by a human's decision, after a clone alarm or because its state is lost.

use crate::api::{Caller, Device};
use crate::engine::{Decision, Engine};
use crate::error::{Error, Kind};
use crate::port::{Change, Clock, Store, Table};
use crate::provisioning::target;
use crate::rows::{self, RotationRow};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceState, Event, Outcome, Reason, Rotation};

impl<S: Store, C: Clock> Engine<S, C> {
    /// Brings a quarantined device back into trust with the keys that it has; it must rekey first, which shuts out whoever else
    /// holds its state, and its certificates count as revoked, which a copy may hold too. With `enroll_anew`, a station may enroll it again, and until then nothing is taken of it. Asking twice is
    /// fine.
    pub async fn readmit_device(
        &self,
        caller: &Caller,
        name: DeviceName,
        enroll_anew: bool,
        reason: Reason,
    ) -> Result<Device, Error> {
        self.require_tenant(caller, &name.tenant)?;
        let to = if enroll_anew { DeviceState::Pending } else { DeviceState::Active };
        let (version, row) = self
            .transact(|| {
                let (version, mut row) = self.device_row(&name)?;
                let from: DeviceState = rows::word("device state", &row.state)?;
                if from == to {
                    return Ok(Decision { change: Change::default(), answer: (version, row) });
                }
                let may_come = match from {
                    DeviceState::Quarantined => true,
                    DeviceState::Active | DeviceState::Suspended => enroll_anew,
                    DeviceState::Pending | DeviceState::Revoked | DeviceState::Retired => false,
                };
                if !may_come {
                    let message = format_args!("a device that is {from} cannot be readmitted to {to}");
                    return Err(Error::new(Kind::Precondition, "transition-not-allowed", message));
                }
                row.state = to.to_string();
                row.state_reason = Some(reason.to_string());
                row.rotation = RotationRow::from(Rotation::from(row.rotation).ask(self.now(), true));
                row.readmitted_at = self.now();
                let mut change = Change::default();
                change.update(Table::Device, rows::device_key(&name), version, rows::encode(&row)?);
                let entry = self.entry(caller, Event::DeviceReadmitted, target(&name), Outcome::Done);
                let entry = entry.in_tenant(&name.tenant).with(format_args!("{from} to {to}: {reason}"));
                change.record_on(&name, &entry)?;
                Ok(Decision { change, answer: (version + 1, row) })
            })
            .await?;
        self.directory.put_device(&name, version, &row)?;
        self.device(name, row)
    }
}
