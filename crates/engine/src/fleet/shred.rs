//! The keys of a device erased for good.
//!
//! Its record is deleted, here and in memory. The remnants of a deleted row in a database's files are the database's affair, and
//! are not relied on: they are sealed under the key of the device's tenant, which is sealed under the root key. So the tenant's
//! key is changed and all its records are sealed under the new version, the older ones are dropped, and then the root key is
//! changed: after that, no existing key opens them. These are the steps of a deed ([`crate::keep::deeds`]).

use crate::approve::Ask;
use crate::keep::deeds::{self, DeedWatch, Underway};
use crate::keep::sweep::pace;
use crate::kernel::record::{BEGUN, COMPLETE, Recording, target};
use crate::kernel::{Caller, Decision, Engine, Error, Tx};
use crate::rows::{self, DeedRow, Step, What};
use std::time::Duration;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Actor, DeviceState, ErrorCode, Event, FieldName, GuardedDeed, Outcome, Reason, Target, UnixMillis,
};
use wardein_port::{Change, Table};

/// A device whose keys are erased, while their remnants in the files are made unreadable.
pub struct Shredding {
    /// Retired, or revoked where it was.
    pub state: DeviceState,
    /// Whether there were keys of it.
    pub had_keys: bool,
    /// How far the rest is.
    pub watch: DeedWatch,
}

impl Engine {
    /// Erases the keys of a device, and retires it where its service has not ended yet. The names of keys that were spent stay,
    /// and so does its history. That begins the deed; the task that performs deeds does the rest, at `per_second` devices of the
    /// tenant. Asking again in the meantime joins it, and asking afterward does it again.
    pub async fn begin_shred(
        &self,
        caller: &Caller,
        name: &DeviceName,
        reason: Reason,
        per_second: u32,
    ) -> Result<Shredding, Error> {
        self.require_tenant(caller, &name.tenant)?;
        self.look_for_nodes().await?;
        let (key, deed_key) = (rows::device_key(name), deeds::shred_key(name));
        let actor = Actor::from(&caller.principal);
        let ask = Ask::new(GuardedDeed::ShredDevice, Some(&name.tenant))
            .with("device_id", &name.device)
            .with("reason", &reason)
            .with("devices_per_second", per_second);
        let decide = |tx: &mut Tx<'_>| {
            let (version, mut row) = self.device_row(tx, name)?;
            // Without it the deed would have no end.
            self.custody()?;
            let from = row.state;
            if let Some((_, begun)) = tx.row::<DeedRow>(Table::Deed, &deed_key)? {
                let watch = self.watch_deed(&begun);
                return Ok(Decision::unchanged(Shredding { state: from, had_keys: false, watch }));
            }
            // It ends with another root key.
            self.alone()?;
            let (is_over, had_keys) = (from.is_final(), tx.get(Table::DeviceKeys, &key)?.is_some());
            let state = if is_over { from } else { DeviceState::Retired };
            from.may_be_set_to(state).map_err(|error| Error::new(ErrorCode::TransitionNotAllowed, error))?;
            if !is_over {
                row.state_reason = Some(reason.clone());
                row.state_since = self.time();
            }
            row.state = state;
            let mut change = Change::default();
            // Written even if unchanged: no earlier decision on it may be applied after this.
            change.update(Table::Device, key.clone(), version, rows::encode(&row)?);
            for table in [Table::DeviceKeys, Table::DeviceHot] {
                if let Some(row) = tx.get(table, &key)? {
                    change.delete(table, key.clone(), row.version);
                }
            }
            let what = What::Shred {
                tenant: name.tenant.clone(),
                device: name.device.clone(),
                sealed_under: self.newest_tenant_keys(tx, &name.tenant, &mut change)?.newest(),
                per_second,
            };
            let (now_ms, id) = (self.clock.now_ms(), deeds::number(tx.draw())?);
            let deed = DeedRow::new(id, what, &actor, &caller.call.request_id, UnixMillis::new(now_ms));
            change.insert(Table::Deed, deed_key.clone(), rows::encode(&deed)?);
            let entry = self.entry(caller, Event::DeviceShredded, target(name), Outcome::Done);
            let entry = entry
                .in_tenant(&name.tenant)
                .with(FieldName::Step, BEGUN)
                .changed(FieldName::State, from, state)
                .with(FieldName::HadKeys, had_keys)
                .with(FieldName::Reason, &reason);
            change.record(&entry)?;
            let decision =
                Decision::new(change, Shredding { state, had_keys, watch: self.watch_deed(&deed) });
            self.approved(caller, tx, &ask, decision)
        };
        let begun = self.transact_on_by(caller, name, |_| Ok(()), decide).await?;
        self.wake_deeds();
        Ok(begun)
    }

    /// Gives the tenant a new version of its key.
    pub(crate) async fn change_tenant_key_for(&self, deed: &Underway) -> Result<(), Error> {
        let tenant = deed.row.device()?.tenant;
        let next = self
            .transact(|tx| {
                let mut change = Change::default();
                let entry = deed.row.entry(
                    self.clock.now_ms(),
                    Event::StorageKeyRotated,
                    Target::Tenant(tenant.clone()),
                );
                let tenant_key = self.add_tenant_key(tx, &tenant, &mut change, entry, usize::MAX)?;
                let next = DeedRow { tenant_key, ..deed.row.at(Step::Sweeping { after: None }) };
                change.writes.push(deed.advanced(&next)?);
                Ok(Decision::new(change, next))
            })
            .await?;
        self.tell_deed(&next);
        Ok(())
    }

    /// Seals some more of the tenant's records under it, and drops the older versions behind the last; how long to pause.
    pub(crate) async fn sweep_for(
        &self,
        deed: &Underway,
        after: Option<&[u8]>,
        per_second: u32,
    ) -> Result<Duration, Error> {
        let tenant = deed.row.device()?.tenant;
        let (limit, pause) = pace(per_second);
        let prefix = rows::tenant_prefix(&tenant);
        let page = self.store.scan(Table::DeviceKeys, &prefix, after, limit).await?;
        let Some((last, _)) = page.last() else {
            let next = deed.row.at(Step::Swept);
            let entry =
                deed.row.entry(self.clock.now_ms(), Event::StorageKeyDropped, Target::Tenant(tenant.clone()));
            self.drop_versions(&tenant, deed.row.tenant_key, entry, Some(deed.advanced(&next)?)).await?;
            self.tell_deed(&next);
            return Ok(Duration::ZERO);
        };
        let devices = deed.row.devices + page.len() as u64;
        let next = DeedRow { devices, ..deed.row.at(Step::Sweeping { after: Some(last.clone()) }) };
        // Keys out of retention are the daily sweep's affair, which checks the clock.
        self.sweep_page(&page, false, Some(deed.advanced(&next)?)).await?;
        self.tell_deed(&next);
        Ok(pause)
    }

    /// Puts on record that a shredding is complete, and with it that of others of the tenant that waited: keys erased before the
    /// tenant's key was changed went with its older versions.
    pub(crate) async fn finish_shred(&self, deed: &Underway, all: &[Underway]) -> Result<(), Error> {
        let of = deed.row.device()?.tenant;
        for other in all {
            let What::Shred { tenant, sealed_under, .. } = &other.row.what else { continue };
            let is_shared = *tenant == of && *sealed_under < deed.row.tenant_key;
            if is_shared && matches!(other.row.step, Step::Begun) {
                self.end_shred(other, &deed.row).await?;
            }
        }
        // Last: until then a crash leaves the one that finds the others.
        self.end_shred(deed, &deed.row).await
    }

    async fn end_shred(&self, deed: &Underway, done: &DeedRow) -> Result<(), Error> {
        let name = deed.row.device()?;
        let DeedRow { tenant_key, root_key, request_id, .. } = done;
        self.transact(|_| {
            let mut change = Change { writes: vec![deed.ended()], ..Change::default() };
            let entry = deed.row.entry(self.clock.now_ms(), Event::DeviceShredded, target(&name));
            let mut entry = entry
                .in_tenant(&name.tenant)
                .with(FieldName::Step, COMPLETE)
                .with(FieldName::KeyVersion, *tenant_key)
                .with(FieldName::RootKeyVersion, *root_key);
            if deed.row.id != done.id {
                entry = entry.with(FieldName::CompletedBy, request_id);
            }
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await?;
        self.tell_done(&deed.row, *tenant_key, *root_key);
        Ok(())
    }
}
