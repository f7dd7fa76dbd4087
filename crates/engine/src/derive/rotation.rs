//! When keys change: rotations, the gate that they put before a device, and an administrator's view of them.

use crate::fleet::profiles::default_profile;
use crate::kernel::record::{Recording, target};
use crate::kernel::{Caller, Decision, Engine, Error, Held, Tx};
use crate::project::Rules;
use crate::rows::seal::StorageKey;
use crate::rows::{self, KeysRow, ProfileRow, RotationRow, TenantRow};
use wardein_ddkg::{DeviceName, Policy};
use wardein_domain::{
    DeviceId, ErrorCode, Event, FieldName, Fields, Outcome, Profile, ProfileName, Purpose, Reason, RekeyGate,
    Rotation, Schedule, Target, TenantId,
};
use wardein_port::{Change, Table};

/// Whose devices must rekey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationScope {
    /// Those of all devices of the tenant.
    Tenant,
    /// Those of the devices of a profile.
    Profile(ProfileName),
    /// Those of a device.
    Device(DeviceId),
}

/// When keys change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The profile that was asked about, or that of the device.
    pub profile: ProfileName,
    /// The rules in force by it.
    pub effective: Profile,
    /// The latest rotations of all levels.
    pub rotation: Rotation,
    /// Of the device that was asked about.
    pub device: Option<DeviceKeys>,
    /// The key that seals the tenant's records.
    pub storage: StorageKey,
}

/// The state of a device's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKeys {
    /// The active generation.
    pub generation: u64,
    /// One that was agreed and not used yet.
    pub pending_generation: Option<u64>,
    /// The suite of the active generation.
    pub suite: u16,
    /// Unix seconds at which the active generation was agreed.
    pub agreed_at: u64,
    /// Unix seconds at which it is due for a rekey by its age.
    pub due_at: Option<u64>,
    /// The requests that the device may make.
    pub gate: RekeyGate,
    /// The highest epoch of an accepted proof.
    pub proof_epoch: u32,
    /// The schedule of the active generation.
    pub schedule: Schedule,
}

impl Engine {
    /// Requests a rekey, and returns since when. It writes one row, however many devices there are: a device's gate
    /// is worked out from it when the device next proves a request.
    pub async fn rotate_keys(
        &self,
        caller: &Caller,
        tenant: TenantId,
        scope: RotationScope,
        is_required: bool,
        reason: Reason,
    ) -> Result<u64, Error> {
        self.require_tenant(caller, &tenant)?;
        let entry = |target: Target, changed: Fields| {
            let entry = self.entry(caller, Event::KeysRotated, target, Outcome::Done);
            entry.in_tenant(&tenant).with_all(changed).with(FieldName::Reason, &reason)
        };
        match &scope {
            RotationScope::Tenant => {
                let key = tenant.as_str().as_bytes();
                self.transact_by(caller, |tx| {
                    let (version, mut row): (u64, TenantRow) =
                        tx.row(Table::Tenant, key)?.ok_or_else(|| Error::no_tenant(&tenant))?;
                    let (now, changed) = self.ask(&mut row.rotation, is_required);
                    let mut change = Change::default();
                    change.update(Table::Tenant, key.to_vec(), version, rows::encode(&row)?);
                    change.record(&entry(Target::Tenant(tenant.clone()), changed))?;
                    Ok(Decision::new(change, now))
                })
                .await
            }
            RotationScope::Profile(name) => {
                let key = rows::profile_key(&tenant, name);
                self.transact_by(caller, |tx| {
                    let (version, mut row): (u64, ProfileRow) =
                        tx.row(Table::Profile, &key)?.ok_or_else(|| Error::no_profile(&tenant, name))?;
                    let (now, changed) = self.ask(&mut row.rotation, is_required);
                    let mut change = Change::default();
                    change.update(Table::Profile, key.clone(), version, rows::encode(&row)?);
                    change.record(&entry(Target::Profile(tenant.clone(), name.clone()), changed))?;
                    Ok(Decision::new(change, now))
                })
                .await
            }
            RotationScope::Device(device) => {
                let name = device_name(&tenant, device);
                let decide = |tx: &mut Tx<'_>| {
                    let (version, mut row) = self.device_row(tx, &name)?;
                    let (now, changed) = self.ask(&mut row.rotation, is_required);
                    let mut change = Change::default();
                    change.update(Table::Device, rows::device_key(&name), version, rows::encode(&row)?);
                    self.touch_keys(tx, &mut change, &name)?;
                    change.record(&entry(target(&name), changed))?;
                    Ok(Decision::new(change, now))
                };
                self.transact_on_by(caller, &name, |_| Ok(()), decide).await
            }
        }
    }

    /// When keys change: those of a device, or those of the devices of a profile.
    pub async fn key_status(
        &self,
        caller: &Caller,
        tenant: TenantId,
        profile: Option<ProfileName>,
        device: Option<DeviceId>,
    ) -> Result<KeyStatus, Error> {
        self.require_tenant(caller, &tenant)?;
        let storage = self.memory.tenant_key(&tenant)?.standing();
        let Some(device) = device else {
            let profile = profile.unwrap_or_else(default_profile);
            let Rules { profile: effective, rotation } = self.rules_of(&tenant, &profile)?;
            return Ok(KeyStatus { profile, effective, rotation, device: None, storage });
        };
        let name = device_name(&tenant, &device);
        let (row, held) =
            self.look(|tx| Ok((self.device_row(tx, &name)?.1, self.load_keys(tx, &name)?))).await?;
        let profile = row.profile;
        let rules = self.rules_of(&tenant, &profile)?;
        let rotation = rules.rotation.and(row.rotation.into());
        let device = held.map(|Held { keys, .. }| {
            let (record, after) = (&keys.record, rules.profile.rekey_after());
            let agreed_at = record.schedule().not_before;
            DeviceKeys {
                generation: record.active_generation(),
                pending_generation: record.pending_generation(),
                suite: record.suite().number(),
                agreed_at,
                due_at: after.map(|after| agreed_at.saturating_add(after)),
                gate: self.gate(&keys, &rules.profile, rotation, self.now()),
                proof_epoch: record.proof_epoch(),
                schedule: *record.schedule(),
            }
        });
        Ok(KeyStatus { profile, effective: rules.profile, rotation, device, storage })
    }

    /// The DDKG-1 policy for the devices of a profile.
    pub(crate) fn policy_of(&self, profile: &Profile) -> Policy {
        Policy {
            token_retention: profile.retention(Purpose::Token),
            data_retention: profile.retention(Purpose::Data),
            file_retention: profile.retention(Purpose::File),
            ..self.policy.clone()
        }
    }

    /// The requests that the device of these keys may make at Unix second `now`. Call it after a proof was verified, which may
    /// have made another generation the active one.
    ///
    /// Where the record cannot take another generation (DDKG-1 §6), no rotation is required: the device could do nothing until
    /// the retention of its sealed data ends. Keys from before the restore are still good for nothing else.
    pub(crate) fn gate(&self, keys: &KeysRow, profile: &Profile, rotation: Rotation, now: u64) -> RekeyGate {
        let record = &keys.record;
        if keys.is_stale(record.active_generation(), self.authority.restored_at) {
            return RekeyGate::Required;
        }
        let (agreed_at, began) = (record.schedule().not_before, self.clock.era_began().get());
        let gate = RekeyGate::of(agreed_at, rotation, profile.rekey_after(), (now, began));
        let gate = if record.was_erased_ahead(now, &self.policy) { gate.max(RekeyGate::Due) } else { gate };
        if record.can_rekey() { gate } else { gate.min(RekeyGate::Due) }
    }

    /// Its time, and its changes.
    fn ask(&self, row: &mut RotationRow, is_required: bool) -> (u64, Fields) {
        let (now, before) = (self.now(), Rotation::from(*row));
        let rotation = before.ask(now, is_required);
        *row = rotation.into();
        (now, rotated(before, rotation))
    }
}

/// The changes of a rotation, for the audit entry.
pub(crate) fn rotated(before: Rotation, now: Rotation) -> Fields {
    let fields = Fields::default().changed(FieldName::RotationAsked, before.asked_at, now.asked_at);
    match before.required_at == now.required_at {
        true => fields,
        false => fields.changed(FieldName::RotationRequired, before.required_at, now.required_at),
    }
}

/// The refusal of all but `rekey`.
pub(crate) fn rekey_required() -> Error {
    Error::new(ErrorCode::RekeyRequired, "the device must rekey before any other request is accepted")
}

fn device_name(tenant: &TenantId, device: &DeviceId) -> DeviceName {
    DeviceName { tenant: tenant.clone(), device: device.clone() }
}
