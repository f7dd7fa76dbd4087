//! The report of a factory: a row for each device, as CSV or as lines of JSON, durable before the device hears that it is enrolled.
//!
//! A run that is killed leaves rows that are whole, but for the last one of a power cut, which the next run takes away; its device
//! has not heard anything, and comes again. The next run with the same report knows who is enrolled.

use crate::labels::Labels;
use crate::text::{plain, uncalculated};
use crate::{Error, Outcome};
use csv::{ReaderBuilder, WriterBuilder};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use wardein_device::utc;
use wardein_durable::{directory_of, sync_directory};

/// A file with what became of each device. One run has it at a time.
#[derive(Debug)]
pub struct Report {
    path: PathBuf,
    file: File,
    form: Form,
    /// Devices that have their keys, each of them in one row.
    enrolled: BTreeSet<String>,
    /// How each of the others failed last in this run, so that a device that goes on trying does not fill the report.
    failed: BTreeMap<String, String>,
    /// Where the labels of devices that are enrolled go, if they are wanted.
    labels: Option<Labels>,
    /// Why no more can be written.
    broken: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Csv,
    JsonLines,
}

/// A device's row; the fields are the columns of CSV, in this order.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    id: String,
    udi: String,
    model: String,
    /// SHA-256 of the key's SubjectPublicKeyInfo in hex; empty for a device that derives its keys.
    key_id: String,
    /// When, by the station's clock, as RFC 3339.
    time: String,
    line: String,
    result: String,
    code: String,
    why: String,
}

impl Report {
    /// The most bytes of a report that is gone on with.
    pub const MAX_LEN: u64 = 256 << 20;

    /// Begins the report, or goes on with it. The ending of its name says what it is: `.csv` or `.jsonl`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let form = match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Form::Csv,
            Some("jsonl") => Form::JsonLines,
            _ => return Err(Error::file("write", path, "its name ends neither with .csv nor with .jsonl")),
        };
        let failed = |error: std::io::Error| Error::file("write", path, error);
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::file("write", path, "another run writes to it"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let (enrolled, failed_before) = (BTreeSet::new(), BTreeMap::new());
        let mut report = Self {
            path: path.to_owned(),
            file,
            form,
            enrolled,
            failed: failed_before,
            labels: None,
            broken: None,
        };
        let whole = report.read().map_err(|why| Error::file("go on with", path, why))?;
        if report.file.metadata().map_err(failed)?.len() > whole {
            report.file.set_len(whole).map_err(failed)?;
        }
        if let (Form::Csv, 0) = (form, whole) {
            report.append(&format!("{}\n", HEADS.join(","))).map_err(failed)?;
        }
        sync_directory(directory_of(path)).map_err(failed)?;
        Ok(report)
    }

    /// Also writes a label for each device that this run enrolls into `directory`, which is made where it is not there: `ID.svg`, with a
    /// QR code that holds id, UDI, model and key id as one line of JSON.
    pub fn labeling(self, directory: &Path) -> Result<Self, Error> {
        Ok(Self { labels: Some(Labels::open(directory)?), ..self })
    }

    /// Devices that have their keys, by this run or an earlier one.
    pub fn enrolled(&self) -> &BTreeSet<String> {
        &self.enrolled
    }

    /// Writes the row of an outcome, and returns when it is durable. A device has one row that says it is enrolled, however
    /// often that is said. After an error nothing more is written.
    pub(crate) fn enter(&mut self, outcome: &Outcome) -> Result<(), Error> {
        if let Some(why) = &self.broken {
            return Err(Error::file("write", &self.path, why));
        }
        let id = outcome.device_id.as_str();
        let is_known = match outcome.has_failed() {
            true => self.enrolled.contains(id) || self.failed.get(id) == Some(&outcome.code),
            false => self.enrolled.contains(id),
        };
        if is_known {
            return Ok(());
        }
        // The label first: a device that has a row has its label, too.
        if let Some(labels) = self.labels.as_ref().filter(|_| !outcome.has_failed()) {
            labels.write(outcome).inspect_err(|error| self.broken = Some(error.to_string()))?;
        }
        if let Err(error) = self.line(outcome).and_then(|line| self.append(&line)) {
            self.broken = Some(error.to_string());
            return Err(Error::file("write", &self.path, error));
        }
        if outcome.has_failed() {
            self.failed.insert(id.to_owned(), outcome.code.clone());
        } else {
            self.enrolled.insert(id.to_owned());
        }
        Ok(())
    }

    /// One write for each row: a kill leaves all or nothing of it.
    fn append(&mut self, line: &str) -> std::io::Result<()> {
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()
    }

    fn line(&self, outcome: &Outcome) -> std::io::Result<String> {
        let row = Row {
            id: plain(&outcome.device_id),
            udi: plain(&outcome.udi),
            model: plain(&outcome.model),
            key_id: plain(&outcome.key_id),
            time: utc(outcome.time),
            line: plain(&outcome.line.to_string()),
            result: outcome.result.to_string(),
            code: plain(&outcome.code),
            why: plain(&outcome.message),
        };
        match self.form {
            Form::JsonLines => Ok(serde_json::to_string(&row)? + "\n"),
            Form::Csv => {
                let Row { id, udi, model, key_id, time, line, result, code, why } = row;
                let cells = [id, udi, model, key_id, time, line, result, code, why];
                csv_line(cells.iter().map(|cell| uncalculated(cell)))
            }
        }
    }

    /// Reads who is enrolled; how many bytes are whole rows.
    fn read(&mut self) -> Result<u64, String> {
        let length = self.file.metadata().map_err(|error| error.to_string())?.len();
        if length > Self::MAX_LEN {
            return Err(format!("it is longer than {} MiB; begin another", Self::MAX_LEN >> 20));
        }
        let mut lines = BufReader::new(&self.file);
        let (mut whole, mut number, mut line) = (0, 0u64, Vec::new());
        loop {
            line.clear();
            let read = (&mut lines).take(MAX_ROW).read_until(b'\n', &mut line);
            let read = read.map_err(|error| error.to_string())?;
            number += 1;
            match line.strip_suffix(b"\n") {
                None if read as u64 == MAX_ROW => {
                    return Err(format!("line {number} is not a row of a report"));
                }
                // The end, or a row that a power cut has torn.
                None => return Ok(whole),
                Some(row) => {
                    let row = self.row(row, number);
                    let row = row.ok_or_else(|| format!("line {number} is not a row of a report"))?;
                    self.enrolled.extend(row);
                    whole += read as u64;
                }
            }
        }
    }

    /// The device of a row, if it is enrolled; `None` where it is not a row.
    fn row(&self, bytes: &[u8], number: u64) -> Option<Option<String>> {
        let (id, result) = match self.form {
            Form::JsonLines => serde_json::from_slice(bytes).map(|row: Row| (row.id, row.result)).ok()?,
            Form::Csv => {
                let mut reader = ReaderBuilder::new().has_headers(false).from_reader(bytes);
                let cells = reader.records().next()?.ok()?;
                if cells.len() != HEADS.len() {
                    return None;
                }
                if number == 1 {
                    return cells.iter().eq(HEADS).then_some(None);
                }
                (cells.get(0)?.to_owned(), cells.get(6)?.to_owned())
            }
        };
        match result.as_str() {
            "enrolled" | "already-enrolled" | "unconfirmed" => Some(Some(id)),
            "failed" => Some(None),
            _ => None,
        }
    }
}

/// A line of CSV (RFC 4180), with LF at its end.
pub(crate) fn csv_line(cells: impl IntoIterator<Item = String>) -> std::io::Result<String> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(cells)?;
    let bytes = writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

const HEADS: [&str; 9] = ["id", "udi", "model", "key_id", "time", "line", "result", "code", "why"];
/// Nine cells of 300 characters each, escaped.
const MAX_ROW: u64 = 64 << 10;

#[cfg(test)]
mod tests;
