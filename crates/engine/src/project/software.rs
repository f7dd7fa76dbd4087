//! What devices run, by their receipts: how many of each release, and whether its maker approves it.

use crate::rows::{DeviceRow, LineRow, ReleaseStateColumn, SoftwareColumn};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use wardein_domain::{DeviceState, LineName, RepositoryName};

/// Of how many devices in service what is known of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiptCounts {
    /// It runs on them.
    pub running: u64,
    /// Of those, they show something else than it says.
    pub differing: u64,
    /// They gave it up when they installed last.
    pub rolled_back: u64,
}

/// The counts of all releases, and which of them are approved.
#[derive(Default)]
pub(super) struct Software {
    counts: RwLock<BTreeMap<Release, ReceiptCounts>>,
    lines: RwLock<BTreeMap<(RepositoryName, LineName), Line>>,
}

type Release = (RepositoryName, LineName, u64);

/// The digests of a line's releases that devices may run, by their versions.
#[derive(Default)]
struct Line {
    /// The version of the row.
    version: u64,
    approved: BTreeMap<u64, [u8; 32]>,
}

impl Software {
    /// Counts what a device told last, in the place of what it had told before.
    pub(super) fn count(&self, before: &[SoftwareColumn], after: &[SoftwareColumn]) {
        if before == after {
            return;
        }
        // A panic elsewhere cannot leave it half-changed: nothing in it panics.
        let mut counts = self.counts.write().unwrap_or_else(PoisonError::into_inner);
        for (of, is_added) in [(before, false), (after, true)] {
            for (release, told) in of.iter().flat_map(told) {
                let count = counts.entry(release.clone()).or_default();
                count.running = moved(count.running, told.running, is_added);
                count.differing = moved(count.differing, told.differing, is_added);
                count.rolled_back = moved(count.rolled_back, told.rolled_back, is_added);
                if *count == ReceiptCounts::default() {
                    counts.remove(&release);
                }
            }
        }
    }

    /// Those of the releases of a line.
    pub(super) fn of(&self, repository: &RepositoryName, line: &LineName) -> BTreeMap<u64, ReceiptCounts> {
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        let end = |version| (repository.clone(), line.clone(), version);
        counts.range(end(0)..=end(u64::MAX)).map(|((.., version), count)| (*version, *count)).collect()
    }

    /// Applies a line's row, unless a later version is known; whether other releases are approved since.
    pub(super) fn put(&self, name: (RepositoryName, LineName), version: u64, row: &LineRow) -> bool {
        let is_approved = |state| matches!(state, ReleaseStateColumn::Released | ReleaseStateColumn::Paused);
        let approved = row.releases.iter().filter(|release| is_approved(release.state));
        let approved: BTreeMap<_, _> = approved.map(|release| (release.version, release.sha256)).collect();
        // One step: a panic elsewhere cannot leave it half-changed.
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(name).or_default();
        if line.version >= version {
            return false;
        }
        let is_changed = line.approved != approved;
        *line = Line { version, approved };
        is_changed
    }

    /// Whether all that a device runs are releases that their makers approve, and none is below its floor. A device that has told nothing runs
    /// nothing that anybody approves.
    pub(super) fn approves(&self, software: &[SoftwareColumn]) -> bool {
        if software.is_empty() {
            return false;
        }
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        let is_approved = |of: &SoftwareColumn| {
            let Some(running) = of.running.as_ref().filter(|running| !running.differs) else { return false };
            let line = lines.get(&(of.repository.clone(), of.line.clone()));
            let digest = line.and_then(|line| line.approved.get(&running.version));
            running.version >= of.floor && digest == Some(&running.sha256)
        };
        software.iter().all(is_approved)
    }

    /// Those of all releases together.
    pub(super) fn total(&self) -> ReceiptCounts {
        let counts = self.counts.read().unwrap_or_else(PoisonError::into_inner);
        counts.values().fold(ReceiptCounts::default(), |sum, of| ReceiptCounts {
            running: sum.running + of.running,
            differing: sum.differing + of.differing,
            rolled_back: sum.rolled_back + of.rolled_back,
        })
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let (counts, lines) = (self.counts.read().unwrap(), self.lines.read().unwrap());
        let counted = counts.iter().map(|(release, count)| format!("release {release:?}: {count:?}"));
        let line =
            |(name, line): (_, &Line)| format!("line {name:?} at {}: {:?}", line.version, line.approved);
        counted.chain(lines.iter().map(line)).collect()
    }
}

/// What of a device's row is counted: nothing of one that is not in service.
pub(super) fn counted(row: &DeviceRow) -> &[SoftwareColumn] {
    match row.state {
        DeviceState::Active | DeviceState::Suspended | DeviceState::Quarantined => &row.software,
        DeviceState::Pending | DeviceState::Revoked | DeviceState::Retired | DeviceState::Transferred => &[],
    }
}

/// What it tells of each release.
fn told(of: &SoftwareColumn) -> impl Iterator<Item = (Release, ReceiptCounts)> {
    let release = |version| (of.repository.clone(), of.line.clone(), version);
    let running = of.running.as_ref().map(|running| {
        let differing = u64::from(running.differs);
        (release(running.version), ReceiptCounts { running: 1, differing, rolled_back: 0 })
    });
    let rolled_back = of
        .rolled_back
        .map(|version| (release(version), ReceiptCounts { rolled_back: 1, ..ReceiptCounts::default() }));
    running.into_iter().chain(rolled_back)
}

fn moved(count: u64, by: u64, is_added: bool) -> u64 {
    if is_added { count + by } else { count.saturating_sub(by) }
}
