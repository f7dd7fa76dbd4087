//! Receipts: what devices say came of an installation, and what they run. Only by them a floor rises here, and what the release shows is
//! taken for the device's own without an administrator.

use super::releases::{no_release, releases_of};
use super::repositories::repository;
use super::views::ReleaseState;
use super::{no_line, no_repository};
use crate::kernel::record::hex;
use crate::kernel::{Engine, Error, Stop, Tx};
use crate::project::ReceiptCounts;
use crate::rows::{MAX_SOFTWARE, ReleaseColumn, ReleaseStateColumn, RunningColumn, SoftwareColumn};
use wardein_ddkg::DeviceName;
use wardein_domain::{ErrorCode, Event, FieldName, Fields, LineName, RepositoryName, UnixMillis};
use wardein_port::Change;
use wardein_tuf::{Receipt, ReceiptOutcome};

impl Engine {
    /// Takes the receipt of a device that has proved who it is: event and fields of the entry. The same again changes nothing.
    pub(crate) fn update_receipt(
        &self,
        tx: &Tx<'_>,
        device: &DeviceName,
        receipt: &Receipt,
        change: &mut Change,
    ) -> Result<(Event, Fields), Stop> {
        if (&receipt.tenant, &receipt.device) != (&device.tenant, &device.device) {
            let message = format_args!("the receipt is of {}/{}", receipt.tenant, receipt.device);
            return Err(Error::new(ErrorCode::ReceiptOtherDevice, message).into());
        }
        let (name, line) = (&receipt.repository, &receipt.line);
        let release = released(tx, name, line, receipt.version)?;
        if release.sha256 != receipt.sha256.0 {
            let message = format_args!(
                "release {} of line {line} is {}, and not {}",
                release.version,
                hex(&release.sha256),
                hex(&receipt.sha256.0)
            );
            return Err(Error::new(ErrorCode::ReceiptOtherRelease, message).into());
        }
        if release.state == ReleaseStateColumn::Proposed {
            let state = ReleaseState::from(release.state).as_str();
            let message = format_args!("release {} of line {line} is {state}", release.version);
            return Err(Error::new(ErrorCode::ReleaseState, message).into());
        }
        let (_, row) = self.device_row(tx, device)?;
        let place = place_of(&row.software, name, line);
        let before = place.ok().map(|at| &row.software[at]);
        if before.is_none() && row.software.len() >= MAX_SOFTWARE {
            let message = format_args!("the device runs something of {MAX_SOFTWARE} product lines already");
            return Err(Error::new(ErrorCode::UpdateQuota, message).into());
        }
        let after = told(before, receipt, &release)?;
        let fields = Fields::default()
            .with(FieldName::Repository, name.as_str())
            .with(FieldName::Line, line.as_str())
            .with(FieldName::Release, receipt.version)
            .with(FieldName::Artifact, hex(&receipt.sha256.0));
        if before == Some(&after) {
            return Ok((known(receipt.outcome), fields));
        }
        let floor = before.map_or(0, |before| before.floor);
        let fields = match floor == after.floor {
            true => fields,
            false => fields.changed(FieldName::Floor, floor, after.floor),
        };
        self.alter_device(tx, change, device, |row| match place {
            Ok(at) => row.software[at] = after,
            Err(at) => row.software.insert(at, after),
        })?;
        let event = match receipt.outcome {
            ReceiptOutcome::Started => Event::UpdateStarted,
            ReceiptOutcome::RolledBack => Event::UpdateRolledBack,
            ReceiptOutcome::Verified => Event::SoftwareVerified,
            ReceiptOutcome::Differs => Event::SoftwareDiffers,
        };
        Ok((event, fields))
    }

    /// The lowest version of a line that a device may be offered, by its receipts.
    pub(super) fn floor_of(
        &self,
        tx: &Tx<'_>,
        device: &DeviceName,
        name: &RepositoryName,
        line: &LineName,
    ) -> Result<u64, Stop> {
        let (_, row) = self.device_row(tx, device)?;
        Ok(place_of(&row.software, name, line).map_or(0, |at| row.software[at].floor))
    }

    /// The release that a device says has started.
    pub(crate) fn release_started(
        &self,
        tx: &Tx<'_>,
        (name, line): (&RepositoryName, &LineName),
        version: u64,
    ) -> Result<ReleaseColumn, Stop> {
        released(tx, name, line, version)
    }

    /// The release that a device runs of each line, where it is on record and not recalled.
    pub(crate) fn releases_run(&self, tx: &Tx<'_>, device: &DeviceName) -> Result<Vec<ReleaseColumn>, Stop> {
        let (_, row) = self.device_row(tx, device)?;
        let mut releases = Vec::new();
        for of in row.software {
            let Some(running) = of.running.filter(|running| !running.differs) else { continue };
            let release = released(tx, &of.repository, &of.line, running.version)?;
            if release.sha256 == running.sha256 && release.state != ReleaseStateColumn::Recalled {
                releases.push(release);
            }
        }
        Ok(releases)
    }

    /// Of how many devices what is known of all releases together, by their receipts.
    pub fn receipts_counted(&self) -> ReceiptCounts {
        self.memory.all_receipts()
    }
}

/// What is on record of a release after a receipt.
fn told(
    before: Option<&SoftwareColumn>,
    receipt: &Receipt,
    release: &ReleaseColumn,
) -> Result<SoftwareColumn, Error> {
    let (version, installed) = (receipt.version, UnixMillis::new(receipt.installed));
    let mut after = before.cloned().unwrap_or_else(|| SoftwareColumn {
        repository: receipt.repository.clone(),
        line: receipt.line.clone(),
        floor: 0,
        installed,
        rolled_back: None,
        running: None,
    });
    if installed < after.installed {
        let message =
            format_args!("the device has told of a later installation than that of release {version}");
        return Err(Error::new(ErrorCode::ReceiptReplayed, message));
    }
    let is_same = before.is_some() && installed == after.installed;
    let runs = |after: &SoftwareColumn| {
        after
            .running
            .as_ref()
            .is_some_and(|running| (running.version, running.sha256) == (version, release.sha256))
    };
    let contradicts = || {
        let message = format_args!("the device has told otherwise of the installation of release {version}");
        Error::new(ErrorCode::ReceiptContradicts, message)
    };
    after.installed = installed;
    match receipt.outcome {
        ReceiptOutcome::Started if is_same => {
            if after.rolled_back.is_some() || after.running.is_some() && !runs(&after) {
                return Err(contradicts());
            }
            // What it found since is not taken back by what it said before.
            if after.running.is_none() {
                start(&mut after, release);
            }
        }
        ReceiptOutcome::Started => start(&mut after, release),
        ReceiptOutcome::RolledBack => {
            if is_same && after.rolled_back.is_some_and(|former| former != version) {
                return Err(contradicts());
            }
            // It said that it had started, and has gone back since.
            if is_same && after.rolled_back.is_none() && runs(&after) {
                after.running = None;
            }
            after.rolled_back = Some(version);
        }
        ReceiptOutcome::Verified | ReceiptOutcome::Differs => {
            if !is_same {
                after.rolled_back = None;
            }
            let differs = receipt.outcome == ReceiptOutcome::Differs;
            after.running = Some(RunningColumn { version, sha256: release.sha256, differs });
        }
    }
    Ok(after)
}

/// The first good start of a release: as the device does it (`Standing::confirmed` of wardein-device).
fn start(after: &mut SoftwareColumn, release: &ReleaseColumn) {
    // A signed downgrade lowers the floor: what it goes back to says how far.
    let is_downgrade = release.version < after.floor;
    after.floor = if is_downgrade { release.floor } else { after.floor.max(release.floor) };
    after.rolled_back = None;
    after.running = Some(RunningColumn { version: release.version, sha256: release.sha256, differs: false });
}

/// The event where nothing is new.
fn known(outcome: ReceiptOutcome) -> Event {
    match outcome {
        ReceiptOutcome::Verified => Event::SoftwareVerified,
        ReceiptOutcome::Started | ReceiptOutcome::RolledBack | ReceiptOutcome::Differs => {
            Event::ReceiptRepeated
        }
    }
}

/// The release of that version.
fn released(
    tx: &Tx<'_>,
    name: &RepositoryName,
    line: &LineName,
    version: u64,
) -> Result<ReleaseColumn, Stop> {
    let (_, row) = repository(tx, name)?.ok_or_else(|| no_repository(name))?;
    if !row.lines.iter().any(|of| of.name == *line) {
        return Err(no_line(name, line).into());
    }
    let releases = releases_of(tx, name, line)?.1.releases;
    let found = releases.into_iter().find(|release| release.version == version);
    Ok(found.ok_or_else(|| no_release(name, line, version))?)
}

fn place_of(software: &[SoftwareColumn], name: &RepositoryName, line: &LineName) -> Result<usize, usize> {
    software.binary_search_by(|of| (&of.repository, &of.line).cmp(&(name, line)))
}
