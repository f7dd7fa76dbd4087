//! The keys of a device erased for good.
//!
//! Its record is deleted, here and in memory. What a database's files still have of a deleted row is the database's affair, and is not
//! relied on: it is sealed under the key of the device's tenant, which is sealed under the root key, and whoever asks for this changes both
//! afterward ([`Engine::rotate_tenant_key`], a sweep, [`Engine::rotate_root_key`]). Then nothing there is opens it.

use crate::api::Caller;
use crate::audit::Recording;
use crate::kernel::{Decision, Engine, Error, Kind, Tx};
use crate::provisioning::target;
use crate::rows;
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceState, Event, Outcome, Reason};
use wardein_port::{Change, Table};

/// A device whose keys are erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shredded {
    /// Retired, or revoked where it was.
    pub state: DeviceState,
    /// Whether there were keys of it.
    pub had_keys: bool,
}

impl Engine {
    /// Erases the keys of a device, and retires it where its service has not ended yet. The names of keys that were spent stay, and so
    /// does what happened to it. Asking twice is fine.
    pub async fn shred_device(
        &self,
        caller: &Caller,
        name: &DeviceName,
        reason: Reason,
    ) -> Result<Shredded, Error> {
        self.require_tenant(caller, &name.tenant)?;
        let key = rows::device_key(name);
        let decide = |tx: &mut Tx<'_>| {
            let (version, mut row) = self.device_row(tx, name)?;
            let from = row.state;
            let keys = tx.get(Table::DeviceKeys, &key)?;
            let (is_over, had_keys) = (from.is_final(), keys.is_some());
            if is_over && !had_keys {
                return Ok(Decision::unchanged(Shredded { state: from, had_keys }));
            }
            let state = if is_over { from } else { DeviceState::Retired };
            from.may_be_set_to(state)
                .map_err(|error| Error::new(Kind::Precondition, "transition-not-allowed", error))?;
            if !is_over {
                row.state_reason = Some(reason.clone());
            }
            row.state = state;
            let mut change = Change::default();
            // Written also where it stays as it is: nothing that was decided on it may be applied after this.
            change.update(Table::Device, key.clone(), version, rows::encode(&row)?);
            for table in [Table::DeviceKeys, Table::DeviceHot] {
                if let Some(row) = tx.get(table, &key)? {
                    change.delete(table, key.clone(), row.version);
                }
            }
            let entry = self.entry(caller, Event::DeviceShredded, target(name), Outcome::Done);
            let entry = entry.in_tenant(&name.tenant).with(format_args!("{from} to {state}: {reason}"));
            change.record_on(tx.draw(), name, &entry)?;
            Ok(Decision::new(change, Shredded { state, had_keys }))
        };
        self.transact_on_by(caller, name, |_| Ok(()), decide).await
    }
}
