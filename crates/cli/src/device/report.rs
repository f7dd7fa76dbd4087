//! What a station did, for people and for scripts.

use crate::{Column, Failure, Output, Record};
use serde::Serialize;
use std::collections::BTreeSet;
use wardein_domain::{DeviceId, ErrorCode};
use wardein_station::{BadLine, Batch, Difference, Expected, LineStatus, Outcome, Tally};

/// How it went, device by device and in all.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    enrolled: usize,
    failed: usize,
    /// Devices that the report of an earlier run has as enrolled.
    skipped: usize,
    /// Devices of the expected list, or else of the batch, that were not enrolled.
    missing: Vec<String>,
    /// Devices that are not of the expected list.
    surplus: Vec<String>,
    devices: &'a [Outcome],
    bad_lines: &'a [BadLine],
    lines: &'a [LineStatus],
    #[serde(skip)]
    tally: Tally<'a>,
    #[serde(skip)]
    has_expected: bool,
}

impl Record for Outcome {
    const COLUMNS: &'static [Column<Self>] = &[
        ("line", |outcome| outcome.line.to_string()),
        ("device", |outcome| outcome.device_id.clone()),
        ("result", |outcome| outcome.result.to_string()),
        ("assurance", |outcome| outcome.assurance.clone()),
        ("why", |outcome| outcome.message.clone()),
    ];
}

impl Record for LineStatus {
    const COLUMNS: &'static [Column<Self>] = &[
        ("line", |line| line.name.clone()),
        ("state", |line| line.state.to_string()),
        ("enrolled", |line| line.enrolled.to_string()),
        ("failed", |line| line.failed.to_string()),
        ("returned", |line| line.returned.to_string()),
        ("noise", |line| line.noise.to_string()),
    ];
}

impl<'a> Summary<'a> {
    /// Of the devices of `batch`, which has none where any device was welcome, without those that an `earlier` run enrolled.
    pub(super) fn new(
        batch: &'a Batch,
        devices: &'a [Outcome],
        earlier: &BTreeSet<String>,
        expected: Option<&'a Expected>,
        lines: &'a [LineStatus],
    ) -> Self {
        let is_to_come = |device: &&DeviceId| !earlier.contains(device.as_str());
        let is_expected = |device: &&DeviceId| expected.is_none_or(|expected| expected.has(device));
        let of_batch = batch.lines.iter().map(|line| &line.device);
        let ordered =
            expected.filter(|_| batch.lines.is_empty()).into_iter().flat_map(|expected| expected.ids());
        let listed = of_batch.filter(is_expected).chain(ordered);
        let skipped = listed.clone().filter(|device| !is_to_come(device)).count();
        let tally = Tally::of(listed.filter(is_to_come), devices);
        let difference = match expected {
            Some(expected) => expected.difference(batch, earlier, devices),
            None => Difference {
                missing: tally.missing.iter().map(|id| (*id).to_owned()).collect(),
                surplus: BTreeSet::new(),
            },
        };
        Self {
            enrolled: tally.enrolled.len(),
            failed: tally.failures(),
            skipped,
            missing: difference.missing.into_iter().collect(),
            surplus: difference.surplus.into_iter().collect(),
            devices,
            bad_lines: &batch.bad,
            lines,
            tally,
            has_expected: expected.is_some(),
        }
    }

    pub(super) fn tally(&self) -> &Tally<'a> {
        &self.tally
    }

    /// Prints it, with what to do `next`. A device that was not enrolled is a failure of the command.
    pub(super) fn print(&self, next: Option<&str>, out: Output) -> Result<(), Failure> {
        if out.is_json() {
            out.json(self)?;
        } else {
            out.table("devices", self.devices)?;
            if self.lines.len() > 1 {
                out.table("lines", self.lines)?;
            }
            print_bad_lines(self.bad_lines, out)?;
            if self.has_expected {
                print_ids("missing", &self.missing, out)?;
                print_ids("surplus", &self.surplus, out)?;
            }
            let parts = [
                (self.tally.absent(), "of the list did not come"),
                (self.skipped, "of the list are enrolled by the report, and were skipped"),
                (self.bad_lines.len(), "bad lines left out"),
            ];
            let parts = parts.iter().filter(|(count, _)| *count > 0);
            let parts: String = parts.map(|(count, what)| format!(", {count} {what}")).collect();
            let (enrolled, failed) = (self.enrolled, self.failed);
            let next = next.map(|next| format!(". {next}")).unwrap_or_default();
            out.write(&format!("{enrolled} enrolled, {failed} failed{parts}{next}\n"))?;
        }
        self.verdict()
    }

    fn verdict(&self) -> Result<(), Failure> {
        let is_left = |outcome: &&Outcome| self.tally.failed.contains(outcome.device_id.as_str());
        let mut left = self.devices.iter().filter(is_left);
        if let Some(outcome) = left.find(|outcome| outcome.code == ErrorCode::Unreachable.as_str()) {
            return Err(Failure::Unreachable(outcome.message.clone()));
        }
        if self.has_expected {
            not_as_expected(&self.missing, &self.surplus)?;
        }
        match (self.tally.left() + self.bad_lines.len(), self.tally.unnamed) {
            (0, 0) => Ok(()),
            (0, failures) => Err(Failure::Failed(format!("failures of no known device: {failures}"))),
            (1, _) => Err(Failure::failed("1 device was not enrolled")),
            (left, _) => Err(Failure::Failed(format!("{left} devices were not enrolled"))),
        }
    }
}

fn print_ids(what: &str, ids: &[String], out: Output) -> Result<(), Failure> {
    let more = match ids.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(", and {more} more (--json has all)"),
    };
    match ids.is_empty() {
        true => Ok(()),
        false => out.write(&format!(
            "{what}: {}{more}\n",
            ids.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ")
        )),
    }
}

/// A file of devices, judged by itself and by what was ordered.
#[derive(Serialize)]
pub(super) struct Judged<'a> {
    good_lines: usize,
    bad_lines: &'a [BadLine],
    /// Devices of the expected list that are not in the file.
    missing: Vec<String>,
    /// Devices of the file that are not of the expected list.
    surplus: Vec<String>,
}

impl<'a> Judged<'a> {
    pub(super) fn of(batch: &'a Batch, expected: Option<&Expected>) -> Self {
        let Difference { missing, surplus } =
            expected.map(|expected| expected.difference_to(batch)).unwrap_or_default();
        Self {
            good_lines: batch.lines.len(),
            bad_lines: &batch.bad,
            missing: missing.into_iter().collect(),
            surplus: surplus.into_iter().collect(),
        }
    }

    /// Prints it. A bad line is a failure of the command, and so is a difference from what was ordered.
    pub(super) fn print(&self, out: Output) -> Result<(), Failure> {
        if out.is_json() {
            out.json(self)?;
        } else {
            print_bad_lines(self.bad_lines, out)?;
            print_ids("missing", &self.missing, out)?;
            print_ids("surplus", &self.surplus, out)?;
            let (good, bad) = (self.good_lines, self.bad_lines.len());
            out.write(&format!("Good lines: {good}, bad lines: {bad}. Nothing was enrolled.\n"))?;
        }
        not_as_expected(&self.missing, &self.surplus)?;
        match self.bad_lines.len() {
            0 => Ok(()),
            bad => Err(Failure::Failed(format!("bad lines: {bad}"))),
        }
    }
}

/// That they differ is a failure of its own.
fn not_as_expected(missing: &[String], surplus: &[String]) -> Result<(), Failure> {
    match (missing.len(), surplus.len()) {
        (0, 0) => Ok(()),
        (missing, surplus) => {
            Err(Failure::NotAsExpected(format!("devices missing: {missing}, surplus: {surplus}")))
        }
    }
}

fn print_bad_lines(lines: &[BadLine], out: Output) -> Result<(), Failure> {
    lines.iter().take(SHOWN).try_for_each(|BadLine { line, reason }| {
        out.write(&format!("line {line} was left out: {reason}\n"))
    })?;
    match lines.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => out.write(&format!("{more} more lines were left out (--json has all)\n")),
    }
}

/// The most lines or ids that people are shown.
const SHOWN: usize = 100;
