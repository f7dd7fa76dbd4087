//! Deeds of several steps: the keys of a device shredded, the root key changed.
//!
//! A deed has a row from the change that begins it to the change that puts its end on record. Each step alters the row in the
//! same change as its own work, so that after a crash at any point the next start finds the next step; custody, which is not in
//! the store, is asked again, and does the same again. One step is done at a time, and [`DeedRow::rank`] says of which deed.

mod row;
mod watch;

pub(crate) use row::{ROOT_KEY, Underway, shred_key};
pub use watch::DeedWatch;
pub(crate) use watch::Deeds;

use crate::kernel::{Caller, Draw, Engine, Error, Page, Paged};
use crate::rows::{self, DeedRow, Step, What};
use std::time::Duration;
use wardein_ddkg::DeviceName;
use wardein_domain::ErrorCode;
use wardein_port::{Change, Table};

/// A deed in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Its subject.
    pub of: DeedOf,
    /// How far it is.
    pub progress: DeedProgress,
    /// Who requested it, as the audit log names them.
    pub actor: String,
    /// The id of that request: all its audit entries have it.
    pub request_id: String,
    /// Unix seconds.
    pub begun_at: u64,
}

/// The subject of a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeedOf {
    /// The keys of this device are shredded.
    Shred(DeviceName),
    /// The root key is changed.
    RootKey,
}

/// The progress of a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeedProgress {
    /// The present step.
    pub step: DeedStep,
    /// Of a device that is shredded: how many records of its tenant were looked at, whether or not they had to be sealed again.
    pub devices: u64,
    /// Of a device that is shredded: the new version of its tenant's key; 0 before there is one.
    pub tenant_key: u32,
    /// The new version of the root key; 0 before there is one.
    pub root_key: u32,
    /// Why it is stalled for now. It is retried.
    pub failure: Option<Error>,
}

/// The current step of a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeedStep {
    /// It waits for others. The keys of a device that is shredded are erased.
    Waiting,
    /// The tenant's records are sealed under a new version of its key.
    Sweeping,
    /// The root key is changed, and its older versions are destroyed.
    RootKey,
    /// It is complete.
    Done,
}

impl DeedStep {
    /// `waiting`, `sweeping`, `root-key` or `done`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sweeping => "sweeping",
            Self::RootKey => "root-key",
            Self::Done => "done",
        }
    }
}

impl DeedProgress {
    /// Whether it is complete.
    pub fn is_done(&self) -> bool {
        self.step == DeedStep::Done
    }
}

impl Engine {
    /// Continues the deeds in progress until none is left. [`Engine::deed_step`] does the same at the pace of its caller.
    pub async fn resume(&self) -> Result<(), Error> {
        while self.deed_step().await?.is_some() {}
        Ok(())
    }

    /// Does the next step of the deeds in progress, and says how long to pause before the one after it; `None` when no deed is
    /// in progress. Dropping it, or a crash, leaves a deed that the next call resumes. The watchers of a deed get the error.
    pub async fn deed_step(&self) -> Result<Option<Duration>, Error> {
        let _turn = self.upkeep.deeds.turn.lock().await;
        let stepped = self.step_in_turn().await;
        if let Err(error) = &stepped {
            self.upkeep.deeds.tell_all(error);
        }
        stepped
    }

    /// Resolves when a deed was begun since the last call.
    pub async fn deed_begun(&self) {
        self.upkeep.deeds.begun().await;
    }

    /// Notifies all watchers of a deed that none continues in this process.
    pub fn suspend_deeds(&self, why: &Error) {
        self.upkeep.deeds.tell_all(why);
    }

    /// Deeds in progress that the caller may see.
    pub async fn list_deeds(&self, caller: &Caller, page: Page) -> Result<Paged<Deed>, Error> {
        let prefix = caller.principal.tenant.as_ref().map(row::shred_prefix).unwrap_or_default();
        self.page(Table::Deed, &prefix, &page, |_, value| {
            let row: DeedRow = rows::decode(Table::Deed, value)?;
            row.listed().map(Some)
        })
        .await
    }

    async fn step_in_turn(&self) -> Result<Option<Duration>, Error> {
        let deeds = self.deeds_under_way().await?;
        let due = deeds.iter().min_by_key(|deed| (deed.row.rank(), deed.row.begun_at));
        // A change of the root key that was begun and is on no record: custody is older than the store, or of an older release.
        if self.root.ring().len() > 1 && !due.is_some_and(|due| due.row.changes_root_key()) {
            let begun = deeds.iter().find(|deed| deed.key == ROOT_KEY);
            self.adopt_root_key(begun).await?;
            return Ok(Some(Duration::ZERO));
        }
        let Some(due) = due else { return Ok(None) };
        match (&due.row.what, &due.row.step) {
            (What::Shred { .. }, Step::Begun) if !self.clock.may_erase() => return Err(clock_in_doubt()),
            (What::Shred { .. }, Step::Begun) => self.change_tenant_key_for(due).await?,
            (What::Shred { per_second, .. }, Step::Sweeping { after }) => {
                return self.sweep_for(due, after.as_deref(), *per_second).await.map(Some);
            }
            (What::Shred { .. }, Step::Swept) | (What::RootKey, Step::Begun) => {
                self.choose_root_key(due).await?
            }
            (_, Step::Keeping) => self.keep_root_key(due).await?,
            (_, Step::Destroying { older }) => self.destroy_root_keys(due, older).await?,
            (What::Shred { .. }, Step::Destroyed) => self.finish_shred(due, &deeds).await?,
            (What::RootKey, Step::Sweeping { .. } | Step::Swept | Step::Destroyed) => {
                return Err(Error::internal("the row of a change of the root key is damaged"));
            }
        }
        Ok(Some(Duration::ZERO))
    }

    async fn deeds_under_way(&self) -> Result<Vec<Underway>, Error> {
        let mut deeds: Vec<Underway> = Vec::new();
        loop {
            let after = deeds.last().map(|deed| deed.key.clone());
            let page = self.store.scan(Table::Deed, b"", after.as_deref(), Page::MAX).await?;
            if page.is_empty() {
                return Ok(deeds);
            }
            for (key, found) in page {
                let row = rows::decode(Table::Deed, &found.value)?;
                deeds.push(Underway { key, version: found.version, row });
            }
        }
    }

    /// Commits `change` with the write that brings a deed to its next step, and notifies the watchers.
    pub(crate) async fn advance(
        &self,
        mut change: Change,
        deed: &Underway,
        next: &DeedRow,
    ) -> Result<(), Error> {
        change.writes.push(deed.advanced(next)?);
        self.commit_alone(change).await?;
        self.tell_deed(next);
        Ok(())
    }

    pub(crate) fn tell_deed(&self, row: &DeedRow) {
        self.upkeep.deeds.tell(row.id, row.progress());
    }

    /// Notifies the watchers that it is complete.
    pub(crate) fn tell_done(&self, row: &DeedRow, tenant_key: u32, root_key: u32) {
        let progress = DeedProgress { step: DeedStep::Done, tenant_key, root_key, ..row.progress() };
        self.upkeep.deeds.tell(row.id, progress);
    }

    pub(crate) fn watch_deed(&self, row: &DeedRow) -> DeedWatch {
        self.upkeep.deeds.watch(row.id, row.progress())
    }

    /// Wakes the task that works deeds off.
    pub(crate) fn wake_deeds(&self) {
        self.upkeep.deeds.wake();
    }
}

/// The number of a new deed.
pub(crate) fn number(draw: &mut Draw<'_>) -> Result<u64, Error> {
    draw.public().map(u64::from_be_bytes)
}
/// Nothing is destroyed for good while the time is in doubt.
fn clock_in_doubt() -> Error {
    let message = "the machine's clock has not agreed with the authority's time for 24 hours, and nothing is erased before; look at it \
                   with `wardein clock status`";
    Error::new(ErrorCode::ClockHeld, message)
}
