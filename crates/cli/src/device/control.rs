//! The files of a run at the factory: its report, its failures, and the list of what was ordered.

use crate::Failure;
use clap::Args;
use std::path::PathBuf;
use wardein_station::{Batch, Expected, HeadMap, Outcome, Report, Tally, write_failures};

/// What is written of a run, and what it may enroll at most.
#[derive(Debug, Args)]
pub(super) struct ControlArgs {
    /// A row for each device as it ends, durable before the device hears it: FILE.csv or FILE.jsonl. A run with the report of
    /// an earlier one goes on with it, and skips the devices that it has as enrolled
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// A label for each device that is enrolled: DIR/ID.svg, a QR code with id, UDI, model and key id as a line of JSON
    #[arg(long, value_name = "DIR", requires = "report")]
    labels: Option<PathBuf>,
    /// The devices that were not enrolled, as a CSV file that can be enrolled again; written at the end
    #[arg(long, value_name = "FILE")]
    failed: Option<PathBuf>,
    /// The ids that were ordered: one on each line, or a table with a column id. Others are refused before anything is sent;
    /// missing and surplus devices are listed at the end, and make the exit code 6
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
}

impl ControlArgs {
    pub(super) fn report(&self) -> Result<Option<Report>, Failure> {
        let Some(file) = &self.report else { return Ok(None) };
        let report = Report::open(file)?;
        Ok(Some(match &self.labels {
            Some(directory) => report.labeling(directory)?,
            None => report,
        }))
    }

    pub(super) fn expected(&self, heads: &HeadMap) -> Result<Option<Expected>, Failure> {
        Ok(self.expected.as_deref().map(|file| Expected::read(file, heads)).transpose()?)
    }

    pub(super) fn write_failures(
        &self,
        batch: &Batch,
        tally: &Tally<'_>,
        outcomes: &[Outcome],
    ) -> Result<(), Failure> {
        match &self.failed {
            Some(file) => Ok(write_failures(file, batch, tally, outcomes)?),
            None => Ok(()),
        }
    }
}
