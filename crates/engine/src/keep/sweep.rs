//! The sweep: goes over the keys of all devices, and does what otherwise waits until a device speaks. Trees are moved forward and
//! keys out of retention are erased; spent keys that can no longer be derived are forgotten; records under an older version of
//! their tenant's key are resealed under the newest, and the older ones, under which nothing is left then, are dropped.
//!
//! It goes step by step, so that its driver decides the speed; one that is cut short is started over, and finds little to do.

use crate::keep::tenant_keys::open_tenant_keys;
use crate::keep::upkeep::Busy;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Caller, Decision, Engine, Error, Held, Stop, Tx};
use crate::rows::{self, TenantRow, cold_place};
use std::time::Duration;
use wardein_domain::{Actor, AuditEntry, Call, Event, FieldName, Outcome, Profile, Target, TenantId};
use wardein_port::{Change, CommitError, Row, Table, Write};

/// A sweep in progress.
pub struct Sweep {
    tenants: Vec<TenantId>,
    /// Where it is: the tenant's number in the list, the version of its key at the beginning, the last row that was looked at.
    at: usize,
    newest: u32,
    after: Option<Vec<u8>>,
    actor: Actor,
    call: Call,
    progress: SweepProgress,
    _busy: Busy,
}

/// The progress of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepProgress {
    /// Devices looked at.
    pub devices: u64,
    /// Devices of which something was erased.
    pub erased: u64,
    /// Devices whose keys were sealed under a newer version.
    pub renewed: u64,
    /// Versions of tenants' keys that were dropped.
    pub dropped: u64,
    /// Whether the authority's clock agreed with the wall clock for long enough: otherwise nothing is erased, because erasure
    /// under a wrong clock cannot be undone.
    pub has_clock: bool,
    /// Whether all was done.
    pub is_done: bool,
}

/// The result for a device's keys.
#[derive(Clone, Copy, Default)]
pub(crate) struct Swept {
    is_erased: bool,
    is_renewed: bool,
}

impl Engine {
    /// Begins a sweep of one tenant, or of all.
    pub async fn begin_sweep(
        &self,
        caller: Option<&Caller>,
        tenant: Option<TenantId>,
    ) -> Result<Sweep, Error> {
        if let (Some(caller), Some(tenant)) = (caller, &tenant) {
            self.require_tenant(caller, tenant)?;
        }
        let busy = Busy::take(&self.upkeep.sweep, "a sweep")?;
        let has_clock = self.clock.may_erase();
        Ok(Sweep {
            tenants: tenant.map_or_else(|| self.memory.tenants(), |tenant| vec![tenant]),
            at: 0,
            newest: 0,
            after: None,
            actor: caller.map_or(Actor::System, |caller| Actor::from(&caller.principal)),
            call: caller.map_or_else(Call::default, |caller| caller.call.clone()),
            progress: SweepProgress { has_clock, ..SweepProgress::default() },
            _busy: busy,
        })
    }

    /// Looks at up to `limit` more devices.
    pub async fn sweep_some(&self, sweep: &mut Sweep, limit: usize) -> Result<SweepProgress, Error> {
        let Some(tenant) = sweep.tenants.get(sweep.at).cloned() else {
            return self.end_sweep(sweep).await;
        };
        let prefix = rows::tenant_prefix(&tenant);
        if sweep.after.is_none() {
            sweep.newest = self.memory.tenant_key(&tenant)?.newest();
        }
        let page = self.store.scan(Table::DeviceKeys, &prefix, sweep.after.as_deref(), limit.max(1)).await?;
        let Some((last, _)) = page.last() else {
            let entry =
                sweep.entry(self.clock.now_ms(), Event::StorageKeyDropped, Target::Tenant(tenant.clone()));
            sweep.progress.dropped += self.drop_versions(&tenant, sweep.newest, entry, None).await?;
            (sweep.at, sweep.after) = (sweep.at + 1, None);
            return Ok(sweep.progress);
        };
        sweep.after = Some(last.clone());
        let swept = self.sweep_page(&page, sweep.progress.has_clock, None).await?;
        let SweepProgress { devices, erased, renewed, .. } = &mut sweep.progress;
        *devices += page.len() as u64;
        for Swept { is_erased, is_renewed } in swept {
            *erased += u64::from(is_erased);
            *renewed += u64::from(is_renewed);
        }
        Ok(sweep.progress)
    }

    /// Sweeps the rows of a page. `aboard` is written with the last of them, so that the next step finds how far it came.
    pub(crate) async fn sweep_page(
        &self,
        page: &[(Vec<u8>, Row)],
        has_clock: bool,
        aboard: Option<Write>,
    ) -> Result<Vec<Swept>, Error> {
        let mut all = Vec::with_capacity(page.len());
        let mut groups = page.chunks(GROUP).peekable();
        while let Some(group) = groups.next() {
            let keys: Vec<_> = group.iter().map(|(key, _)| key.as_slice()).collect();
            let aboard = aboard.as_ref().filter(|_| groups.peek().is_none());
            match self.sweep_rows(&keys, has_clock, aboard).await? {
                Some(swept) => all.extend(swept),
                // A device spoke in the meantime: each by itself.
                None => {
                    for key in keys {
                        let decide = |tx: &mut Tx<'_>| self.decide_sweep(tx, &[key], has_clock);
                        all.extend(
                            self.transact_on(&rows::parse_device_key(key)?, |_| Ok(()), decide).await?,
                        );
                    }
                    if let Some(aboard) = aboard {
                        let change = Change { writes: vec![aboard.clone()], ..Change::default() };
                        self.commit_alone(change).await?;
                    }
                }
            }
            // A spent key is forgotten once it can no longer be derived, which the clock alone decides.
            if has_clock && self.clock.may_erase() {
                for (key, _) in group {
                    self.forget_spent(&rows::parse_device_key(key)?).await?;
                }
            }
        }
        Ok(all)
    }

    /// One change for several rows; none if one of them has changed in the meantime.
    async fn sweep_rows(
        &self,
        keys: &[&[u8]],
        has_clock: bool,
        aboard: Option<&Write>,
    ) -> Result<Option<Vec<Swept>>, Error> {
        let Decision { mut change, answer, .. } =
            self.decide(|tx| self.decide_sweep(tx, keys, has_clock)).await?;
        change.writes.extend(aboard.cloned());
        if change.is_empty() {
            return answer.map(Some);
        }
        match self.commit_alone(change).await {
            Ok(_) => answer.map(Some),
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the rows of a table that `is_over` names. One that changes meanwhile is for the next sweep.
    pub(crate) async fn forget_rows(
        &self,
        table: Table,
        is_over: impl Fn(&[u8]) -> Result<bool, Error> + Send + Sync,
    ) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(table, b"", after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let mut change = Change::default();
            for (key, row) in page {
                if is_over(&row.value)? {
                    change.delete(table, key, row.version);
                }
            }
            if change.is_empty() {
                continue;
            }
            match self.commit_alone(change).await {
                Ok(_) | Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn decide_sweep(
        &self,
        tx: &mut Tx<'_>,
        keys: &[&[u8]],
        has_clock: bool,
    ) -> Result<Decision<Vec<Swept>>, Stop> {
        let mut change = Change::default();
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            let name = rows::parse_device_key(key)?;
            // One that was erased in the meantime no longer concerns us.
            let Some(stored) = tx.get(Table::DeviceKeys, key)? else { continue };
            let Some(Held { cold, version, mut keys }) = self.load_keys(tx, &name)? else { continue };
            let ring = self.memory.tenant_key(&name.tenant)?;
            let profile =
                self.memory.device(&name).and_then(|known| self.memory.profile(&name.tenant, &known.profile));
            let policy = self.policy_of(&profile.unwrap_or(Profile::DEFAULT));
            let time = self.authority_time(self.clock.now_ms());
            let is_erased = has_clock && keys.record.sweep(time, &policy);
            let mut is_renewed = false;
            if is_erased {
                self.put_keys(tx, &mut change, &name, (cold, version), &mut keys)?;
            } else if let Some(value) = ring.renew(tx.nonce()?, cold_place(key), &stored.value)? {
                change.update(Table::DeviceKeys, key.to_vec(), stored.version, value);
                is_renewed = true;
            }
            all.push(Swept { is_erased, is_renewed });
        }
        Ok(Decision::new(change, all))
    }

    /// Drops the versions of a tenant's key before `newest`, which was the newest when the sweep of its rows began; how many.
    /// Nothing is under them: each row was sealed again by the sweep or by who wrote it, and a new one comes under the newest or
    /// not at all. The audit entry is completed here, and `aboard` is written in any case.
    pub(crate) async fn drop_versions(
        &self,
        tenant: &TenantId,
        newest: u32,
        entry: AuditEntry,
        aboard: Option<Write>,
    ) -> Result<u64, Error> {
        let key = tenant.as_str().as_bytes();
        let entry = entry.in_tenant(tenant).with(FieldName::KeyVersion, newest);
        self.transact(|tx| {
            let (version, mut row): (u64, TenantRow) =
                tx.row(Table::Tenant, key)?.ok_or_else(|| Error::no_tenant(tenant))?;
            let ring = open_tenant_keys(&self.root.ring(), key, &row)?;
            let kept = ring.since(newest);
            let dropped = ring.len() - kept.len();
            let mut change = Change { writes: aboard.iter().cloned().collect(), ..Change::default() };
            if dropped > 0 {
                row.keys.truncate(kept.len());
                change.update(Table::Tenant, key.to_vec(), version, rows::encode(&row)?);
                change.record(&entry.clone().with(FieldName::Dropped, dropped))?;
            }
            Ok(Decision::new(change, dropped as u64))
        })
        .await
    }

    async fn end_sweep(&self, sweep: &mut Sweep) -> Result<SweepProgress, Error> {
        if sweep.progress.is_done {
            return Ok(sweep.progress);
        }
        self.abandon_prepared().await?;
        if sweep.progress.has_clock && self.clock.may_erase() {
            self.forget_invitations().await?;
            self.forget_answers().await?;
            self.expire_proposals().await?;
            self.forget_visits().await?;
            self.forget_emergency_uses().await?;
            // A step each, as of devices.
            if self.forget_idempotency_keys(PAGE).await? {
                return Ok(sweep.progress);
            }
        }
        let SweepProgress { devices, erased, renewed, dropped, has_clock, .. } = sweep.progress;
        self.transact(|_| {
            let mut change = Change::default();
            let entry = sweep
                .entry(self.clock.now_ms(), Event::Swept, Target::Authority)
                .with(FieldName::Devices, devices)
                .with(FieldName::Erased, erased)
                .with(FieldName::Renewed, renewed)
                .with(FieldName::Dropped, dropped)
                .with(FieldName::ClockBelieved, has_clock);
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await?;
        sweep.progress.is_done = true;
        Ok(sweep.progress)
    }
}

impl Sweep {
    fn entry(&self, now_ms: u64, event: Event, target: Target) -> AuditEntry {
        record::entry(now_ms, self.actor.clone(), event, target, Outcome::Done, &self.call)
    }
}

/// How many devices at a time, and the pause between, that come to `per_second`.
pub fn pace(per_second: u32) -> (usize, Duration) {
    let step = (per_second / STEPS).clamp(1, MAX_STEP);
    (step as usize, Duration::from_secs(1) * step / per_second.max(1))
}

/// Rows of one change.
const GROUP: usize = 32;

/// Rows that are looked at at a time.
const PAGE: usize = 256;

/// Steps a second, where a step is of more than one device.
const STEPS: u32 = 20;

/// A step holds the thread of other calls for no longer than some of them.
const MAX_STEP: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_pauses_come_to_the_rate() {
        for rate in [1, 7, 20, 100, 1_000, 5_120, 100_000] {
            let (step, pause) = pace(rate);
            let seconds = pause.as_secs_f64() * f64::from(rate) / step as f64;
            assert!((0.99..1.01).contains(&seconds), "{rate}: {step} each {pause:?}");
        }
    }
}
