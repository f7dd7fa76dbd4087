//! What a station did, for people and for scripts.

use crate::{Column, Failure, Output, Record};
use serde::Serialize;
use wardein_domain::ErrorCode;
use wardein_station::{BadLine, Batch, Outcome, Tally};

/// How it went, device by device and in all.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    enrolled: usize,
    failed: usize,
    /// Devices of the list that were not enrolled.
    missing: Vec<&'a str>,
    devices: &'a [Outcome],
    bad_lines: &'a [BadLine],
    #[serde(skip)]
    tally: Tally<'a>,
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

impl<'a> Report<'a> {
    /// Of the devices of `batch`, which has none where any device was welcome.
    pub(super) fn new(batch: &'a Batch, devices: &'a [Outcome]) -> Self {
        let tally = Tally::of(batch.lines.iter().map(|line| &line.device), devices);
        Self {
            enrolled: tally.enrolled.len(),
            failed: tally.failures(),
            missing: tally.missing.iter().copied().collect(),
            devices,
            bad_lines: &batch.bad,
            tally,
        }
    }

    /// Prints it, with what to do `next`. A device that was not enrolled is a failure of the command.
    pub(super) fn print(&self, next: Option<&str>, out: Output) -> Result<(), Failure> {
        if out.is_json() {
            out.json(self)?;
        } else {
            out.list("devices", self.devices)?;
            print_bad_lines(self.bad_lines, out)?;
            let parts = [
                (self.tally.absent(), "of the list did not come"),
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
        match (self.tally.left() + self.bad_lines.len(), self.tally.unnamed) {
            (0, 0) => Ok(()),
            (0, failures) => Err(Failure::Failed(format!("failures of no known device: {failures}"))),
            (1, _) => Err(Failure::failed("1 device was not enrolled")),
            (left, _) => Err(Failure::Failed(format!("{left} devices were not enrolled"))),
        }
    }
}

/// A file of devices, judged by itself.
#[derive(Serialize)]
pub(super) struct Judged<'a> {
    good_lines: usize,
    bad_lines: &'a [BadLine],
}

impl<'a> Judged<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        Self { good_lines: batch.lines.len(), bad_lines: &batch.bad }
    }

    /// Prints it. A bad line is a failure of the command.
    pub(super) fn print(&self, out: Output) -> Result<(), Failure> {
        if out.is_json() {
            out.json(self)?;
        } else {
            print_bad_lines(self.bad_lines, out)?;
            let (good, bad) = (self.good_lines, self.bad_lines.len());
            out.write(&format!("Good lines: {good}, bad lines: {bad}. Nothing was enrolled.\n"))?;
        }
        match self.bad_lines.len() {
            0 => Ok(()),
            bad => Err(Failure::Failed(format!("bad lines: {bad}"))),
        }
    }
}

fn print_bad_lines(lines: &[BadLine], out: Output) -> Result<(), Failure> {
    lines
        .iter()
        .try_for_each(|BadLine { line, reason }| out.write(&format!("line {line} was left out: {reason}\n")))
}
