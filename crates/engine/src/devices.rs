//! Devices as administrators see and set them.

use crate::api::{Caller, Device, Page, Paged};
use crate::engine::{Decision, Engine};
use crate::error::{Error, Kind};
use crate::port::{Change, Clock, Store, Table};
use crate::provisioning::target;
use crate::rows::{self, DeviceRow};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceState, Event, Outcome, Reason, TenantId};

impl<S: Store, C: Clock> Engine<S, C> {
    /// One device of a tenant that the caller may see.
    pub fn get_device(&self, caller: &Caller, name: DeviceName) -> Result<Device, Error> {
        self.require_tenant(caller, &name.tenant)?;
        let key = rows::device_key(&name);
        let (_, row): (u64, DeviceRow) =
            rows::load(&self.store, Table::Device, &key)?.ok_or_else(|| Error::no_device(&name))?;
        self.device(name, row)
    }

    /// The devices of a tenant in order of their ids, optionally those in one state.
    pub fn list_devices(
        &self,
        caller: &Caller,
        tenant: TenantId,
        state: Option<DeviceState>,
        page: Page,
    ) -> Result<Paged<Device>, Error> {
        self.require_tenant(caller, &tenant)?;
        self.page(Table::Device, &rows::tenant_prefix(&tenant), &page, |key, value| {
            let row: DeviceRow = rows::decode(Table::Device, value)?;
            if state.is_some_and(|state| row.state != state.as_str()) {
                return Ok(None);
            }
            let name =
                rows::parse_device_key(key).ok_or_else(|| Error::internal("a device's key is damaged"))?;
            self.device(name, row).map(Some)
        })
    }

    /// Suspends, resumes or revokes a device; trust follows at once. Asking for the state that it is in is fine.
    pub async fn set_device_state(
        &self,
        caller: &Caller,
        name: DeviceName,
        state: DeviceState,
        reason: Reason,
    ) -> Result<Device, Error> {
        self.require_tenant(caller, &name.tenant)?;
        let key = rows::device_key(&name);
        let (version, row) = self
            .transact(|| {
                let (version, mut row): (u64, DeviceRow) =
                    rows::load(&self.store, Table::Device, &key)?.ok_or_else(|| Error::no_device(&name))?;
                let from: DeviceState = rows::word("device state", &row.state)?;
                from.may_be_set_to(state)
                    .map_err(|error| Error::new(Kind::Precondition, "transition-not-allowed", error))?;
                let mut change = Change::default();
                if from == state {
                    return Ok(Decision { change, answer: (version, row) });
                }
                row.state = state.to_string();
                row.state_reason = Some(reason.to_string());
                change.update(Table::Device, key.clone(), version, rows::encode(&row)?);
                let entry = self.entry(caller, Event::DeviceStateSet, target(&name), Outcome::Done);
                change.record(
                    &entry.in_tenant(&name.tenant).with(format_args!("{from} to {state}: {reason}")),
                )?;
                Ok(Decision { change, answer: (version + 1, row) })
            })
            .await?;
        self.directory.put_device(&name, version, &row)?;
        self.device(name, row)
    }

    fn device(&self, name: DeviceName, row: DeviceRow) -> Result<Device, Error> {
        let keys = self.load_keys(&name)?;
        let record = keys.as_ref().map(|(_, keys)| &keys.record);
        let parse = |text: &Option<String>| text.clone();
        Ok(Device {
            state: rows::word("device state", &row.state)?,
            state_reason: row
                .state_reason
                .as_deref()
                .map(|reason| rows::word("reason", reason))
                .transpose()?,
            profile: rows::word("profile", &row.profile)?,
            model: parse(&row.model).map(|model| rows::word("model", &model)).transpose()?,
            udi: parse(&row.udi).map(|udi| rows::word("UDI", &udi)).transpose()?,
            enrolled_at: row.enrolled_at,
            enrolled_by: row.enrolled_by,
            generation: record.map_or(0, |record| record.active_generation()),
            proof_epoch: record.map_or(0, |record| record.proof_epoch()),
            suite: record.map_or(0, |record| record.suite().number()),
            attributes: row
                .attributes
                .iter()
                .map(|name| rows::word("attribute name", name))
                .collect::<Result<_, _>>()?,
            last_seen: keys.as_ref().map(|(_, keys)| keys.last_seen).filter(|seen| *seen != 0),
            name,
        })
    }
}
