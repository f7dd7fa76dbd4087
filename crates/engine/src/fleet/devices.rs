//! Devices as administrators see and set them.

use super::batches::may_set;
use crate::approve::Ask;
use crate::kernel::record::{Recording, target};
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, SCANNED, Stop, Tx};
use crate::rows::{self, DeviceRow, KeysRow};
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Assurance, AttributeName, DeviceSerial, DeviceState, ErrorCode, Event, FieldName, GuardedDeed, ModelName,
    Outcome, PcrStanding, ProfileName, Reason, RekeyGate, TenantId, Udi, UnixSeconds,
};
use wardein_port::{Change, Table};

/// A device on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Who it is.
    pub name: DeviceName,
    /// Its state.
    pub state: DeviceState,
    /// Why, where a human or an alarm brought it there.
    pub state_reason: Option<Reason>,
    /// The profile that it follows.
    pub profile: ProfileName,
    /// Its model.
    pub model: Option<ModelName>,
    /// Its unique device identifier.
    pub udi: Option<Udi>,
    /// Unix seconds.
    pub enrolled_at: u64,
    /// The station that enrolled it.
    pub enrolled_by: String,
    /// The active generation of its keys.
    pub generation: u64,
    /// The highest epoch of an accepted proof.
    pub proof_epoch: u32,
    /// The suite of the active generation.
    pub suite: u16,
    /// The names of its attributes.
    pub attributes: Vec<AttributeName>,
    /// Unix seconds of the last accepted proof.
    pub last_seen: Option<u64>,
    /// Unix seconds at which the active generation was agreed.
    pub agreed_at: u64,
    /// Whether it must rekey.
    pub gate: RekeyGate,
    /// The key that it signs with, where it does not derive its keys.
    pub signing: Option<SigningKey>,
}

/// The key that a device signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningKey {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub id: [u8; 32],
    /// How surely it is where it is said to be.
    pub assurance: Assurance,
    /// The last accepted quote of its TPM's PCRs: by which comparison it was found good, and when in Unix seconds.
    pub last_quote: Option<(PcrStanding, u64)>,
}

/// Which devices to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceFilter {
    /// Those in this state.
    pub state: Option<DeviceState>,
    /// Those of this profile.
    pub profile: Option<ProfileName>,
    /// Those of this model.
    pub model: Option<ModelName>,
    /// Those with this UDI: with its device identifier and serial number. They are found by an index.
    pub udi: Option<Udi>,
    /// Those with this serial number in their UDI, likewise.
    pub serial_number: Option<DeviceSerial>,
    /// Those that this operator enrolled last, as [`Device::enrolled_by`] has it.
    pub enrolled_by: Option<String>,
    /// Those that were enrolled at this Unix second or later.
    pub enrolled_after: Option<u64>,
    /// Those whose last proof was before this Unix second, or that never proved anything.
    pub seen_before: Option<u64>,
    /// Those whose last proof was at this Unix second or later.
    pub seen_after: Option<u64>,
    /// Those that are due to rekey.
    pub rekey_due: bool,
}

impl Engine {
    /// One device of a tenant that the caller may see.
    pub async fn get_device(&self, caller: &Caller, name: DeviceName) -> Result<Device, Error> {
        self.require_tenant(caller, &name.tenant)?;
        self.look(|tx| {
            let (_, row) = self.device_row(tx, &name)?;
            self.device(tx, name.clone(), row)
        })
        .await
    }

    /// The devices of a tenant in order of their ids, those that `filter` lets through. A page looks at a bounded number of
    /// devices: it may hold fewer than requested and still name a next one.
    pub async fn list_devices(
        &self,
        caller: &Caller,
        tenant: TenantId,
        filter: &DeviceFilter,
        page: Page,
    ) -> Result<Paged<Device>, Error> {
        self.require_tenant(caller, &tenant)?;
        if let Some(serial) = filter.serial()? {
            return self.list_numbered(&tenant, serial, filter, page).await;
        }
        let most = if filter.opens_keys() { OPENED } else { SCANNED };
        let prefix = rows::tenant_prefix(&tenant);
        let mut pager = self.pager(Table::Device, &prefix, &page, most)?;
        while let Some((key, row)) = pager.next().await? {
            let row: DeviceRow = rows::decode(Table::Device, &row.value)?;
            if !filter.lets_row_through(&row) {
                continue;
            }
            let name = rows::parse_device_key(&key)?;
            if filter.asks_when_seen() {
                let seen = self.look(|tx| self.last_seen(tx, &name)).await?;
                if !filter.lets_seen_through(seen.map_or(0, UnixSeconds::get)) {
                    continue;
                }
            }
            let device = self.look(|tx| self.device(tx, name.clone(), row.clone())).await?;
            pager.keep(Some(device).filter(|device| filter.lets_through(device)));
        }
        Ok(pager.done())
    }

    /// The devices with a serial number that `filter` lets through.
    async fn list_numbered(
        &self,
        tenant: &TenantId,
        serial: &str,
        filter: &DeviceFilter,
        page: Page,
    ) -> Result<Paged<Device>, Error> {
        let prefix = rows::serial_prefix(tenant, serial);
        let mut pager = self.pager(Table::DeviceClaim, &prefix, &page, OPENED)?;
        while let Some((key, _)) = pager.next().await? {
            let id = rows::parse_serial_key(&prefix, &key);
            let id = id.ok_or_else(|| rows::damaged(Table::DeviceClaim, "has a damaged key"))?;
            let name = DeviceName { tenant: tenant.clone(), device: id };
            let found = self.look(|tx| {
                // It is an index: whether the device has it still is for its row to say.
                match tx.row::<DeviceRow>(Table::Device, &rows::device_key(&name))? {
                    Some((_, row)) if filter.lets_row_through(&row) => {
                        self.device(tx, name.clone(), row).map(Some)
                    }
                    _ => Ok(None),
                }
            });
            let device = found.await?.filter(|device| {
                filter.lets_seen_through(device.last_seen.unwrap_or(0)) && filter.lets_through(device)
            });
            pager.keep(device);
        }
        Ok(pager.done())
    }

    /// Suspends, resumes, quarantines, retires or revokes a device; trust follows at once. Asking for its present state changes
    /// nothing. A helpdesk suspends, and nothing else.
    pub async fn set_device_state(
        &self,
        caller: &Caller,
        name: DeviceName,
        state: DeviceState,
        reason: Reason,
    ) -> Result<Device, Error> {
        self.require_tenant(caller, &name.tenant)?;
        may_set(caller, state)?;
        let ask = Ask::new(GuardedDeed::RevokeDevice, Some(&name.tenant))
            .with("device_id", &name.device)
            .with("state", state)
            .with("reason", &reason);
        let decide = |tx: &mut Tx<'_>| {
            let (version, mut row) = self.device_row(tx, &name)?;
            let from = row.state;
            from.may_be_set_to(state).map_err(|error| Error::new(ErrorCode::TransitionNotAllowed, error))?;
            if from == state {
                return Ok(Decision::unchanged(self.device(tx, name.clone(), row)?));
            }
            row.state = state;
            row.state_reason = Some(reason.clone());
            row.state_since = self.time();
            let mut change = Change::default();
            change.update(Table::Device, rows::device_key(&name), version, rows::encode(&row)?);
            self.touch_keys(tx, &mut change, &name)?;
            let entry = self.entry(caller, Event::DeviceStateSet, target(&name), Outcome::Done);
            let entry = entry
                .in_tenant(&name.tenant)
                .changed(FieldName::State, from, state)
                .with(FieldName::Reason, &reason);
            change.record(&entry)?;
            let decision = Decision::new(change, self.device(tx, name.clone(), row)?);
            if state.is_final() { self.approved(caller, tx, &ask, decision) } else { Ok(decision) }
        };
        self.transact_on_by(caller, &name, |_| Ok(()), decide).await
    }

    pub(crate) fn device(&self, tx: &mut Tx<'_>, name: DeviceName, row: DeviceRow) -> Result<Device, Stop> {
        let keys = self.load_keys(tx, &name)?.map(|held| held.keys);
        let record = keys.as_ref().map(|keys| &keys.record);
        let rules = self.memory.rules(&name.tenant, &row.profile).unwrap_or_default();
        let rotation = rules.rotation.and(row.rotation.into());
        let gate = |keys: &KeysRow| self.gate(keys, &rules.profile, rotation, self.now());
        let signing = self.signature_key(tx, &name)?.map(|(_, row)| row);
        let seen = keys.as_ref().map(|keys| keys.last_seen).filter(|seen| seen.get() != 0);
        Ok(Device {
            state: row.state,
            state_reason: row.state_reason,
            agreed_at: record.map_or(0, |record| record.schedule().not_before),
            gate: keys.as_deref().map_or(RekeyGate::Free, gate),
            profile: row.profile,
            model: row.model,
            udi: row.udi,
            enrolled_at: row.enrolled_at.get(),
            enrolled_by: row.enrolled_by,
            generation: record.map_or(0, |record| record.active_generation()),
            proof_epoch: record.map_or(0, |record| record.proof_epoch()),
            suite: record.map_or(0, |record| record.suite().number()),
            attributes: row.attributes,
            last_seen: seen.or(signing.as_ref().and_then(|row| row.last_seen)).map(UnixSeconds::get),
            signing: signing.map(|row| row.signing_key()),
            name,
        })
    }
}

impl DeviceFilter {
    /// Whether a device's keys must be opened to judge it.
    fn opens_keys(&self) -> bool {
        self.rekey_due
    }

    /// The serial number by which devices are found.
    fn serial(&self) -> Result<Option<&str>, Error> {
        match &self.udi {
            None => Ok(self.serial_number.as_ref().map(DeviceSerial::as_str)),
            Some(udi) => udi.serial_number().map(Some).ok_or_else(|| {
                Error::wrong(
                    "udi",
                    "has no serial number, and is that of many devices; list those of the model",
                )
            }),
        }
    }

    fn asks_when_seen(&self) -> bool {
        self.seen_before.is_some() || self.seen_after.is_some()
    }

    /// Of a device that was last seen at that Unix second; 0 for never.
    fn lets_seen_through(&self, seen: u64) -> bool {
        self.seen_before.is_none_or(|before| seen < before)
            && self.seen_after.is_none_or(|after| seen >= after)
    }

    pub(super) fn lets_row_through(&self, row: &DeviceRow) -> bool {
        self.state.is_none_or(|state| row.state == state)
            && self.profile.as_ref().is_none_or(|profile| row.profile == *profile)
            && self.model.as_ref().is_none_or(|model| row.model.as_ref() == Some(model))
            && self.udi.as_ref().is_none_or(|udi| row.udi.as_ref().and_then(Udi::numbered) == udi.numbered())
            && self
                .serial_number
                .as_ref()
                .is_none_or(|serial| row.udi.as_ref().and_then(Udi::serial_number) == Some(serial.as_str()))
            && self.enrolled_by.as_ref().is_none_or(|by| row.enrolled_by == *by)
            && self.enrolled_after.is_none_or(|after| row.enrolled_at.get() >= after)
    }

    fn lets_through(&self, device: &Device) -> bool {
        !self.rekey_due || device.gate != RekeyGate::Free
    }
}

/// How many devices are looked at for one page where their keys must be opened, which takes longer than all else.
const OPENED: usize = 2_000;
