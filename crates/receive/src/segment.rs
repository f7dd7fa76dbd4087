//! Segments: what was taken, one directory a batch, which is there as a whole or not at all. They are the receiver's only state.
//!
//! `records/DEVICE/AUDIENCE-BATCH/` holds `records.ndjson`, `gaps.ndjson` and `statement.sig`. The first two are for who reads
//! them, who may remove them once they are used; the last is how a repetition is known, and stays until the batch is behind the
//! window.

use crate::incoming::{make_directory, subdirectories};
use crate::name::BatchName;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wardein_crypto::Digest;
use wardein_domain::DeviceId;
use wardein_files::{SignedStatement, Statement};
use wardein_logs::batch::{Batch, source_of};
use wardein_logs::{AudienceName, Gap, Observed};

/// The records of a segment.
pub const RECORDS: &str = "records.ndjson";
/// What is missing before it, and in it.
pub const GAPS: &str = "gaps.ndjson";
/// The signed statement of the sealed file.
pub const STATEMENT: &str = "statement.sig";

/// How many batches of an audience behind its last one a repetition is still known as one.
pub(crate) const WINDOW: u64 = 1_000;

/// All segments.
pub(crate) struct Segments {
    directory: PathBuf,
}

/// What is known of a device's batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Last {
    /// The highest number of its statements, with the digest of that one.
    statement: Option<(u64, Digest)>,
    /// The last batch for each audience.
    batches: BTreeMap<AudienceName, u64>,
}

/// What goes into a segment.
pub(crate) struct Content<'a> {
    pub(crate) device: &'a DeviceId,
    pub(crate) name: &'a BatchName,
    pub(crate) signed: &'a SignedStatement,
    pub(crate) batch: &'a Batch,
}

/// How far a segment has come; a test stops it at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its directory exists under its temporary name.
    Made,
    /// Its files are written.
    Written,
    /// They are durable.
    Synced,
    /// It has its name, which is not durable yet.
    Named,
}

type GoOn<'a> = &'a mut dyn FnMut(Step) -> io::Result<()>;

#[derive(Serialize)]
struct RecordLine<'a> {
    device: &'a str,
    number: u64,
    batch: u64,
    audience: &'a str,
    #[serde(rename = "sealed-by-collector", skip_serializing_if = "Option::is_none")]
    observed: Option<&'a Observed>,
    record: &'a RawValue,
}

/// What is missing.
#[derive(Serialize)]
struct GapLine<'a> {
    device: &'a str,
    number: u64,
    batch: u64,
    audience: &'a str,
    #[serde(rename = "sealed-by-collector", skip_serializing_if = "Option::is_none")]
    observed: Option<&'a Observed>,
    #[serde(flatten)]
    missing: Missing<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Missing<'a> {
    /// Lines of the device, as it says itself.
    Lines(&'a Gap),
    /// Batches or numbers, seen here.
    Numbers { from: u64, to: u64, why: &'static str },
    /// A statement that is not the one after the one before.
    Order { why: &'static str },
}

impl Segments {
    /// Opens the directory of them, which is made where it is not there.
    pub(crate) fn open(directory: PathBuf) -> io::Result<Self> {
        make_directory(&directory, DIRECTORY)?;
        Ok(Self { directory })
    }

    /// What is known of a device; what a crash left unfinished, and what is used and behind the window, is removed.
    pub(crate) fn load(&self, device: &DeviceId) -> io::Result<Last> {
        let directory = self.of(device);
        let mut names = Vec::new();
        match subdirectories(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Last::default()),
            Err(error) => return Err(error),
            Ok(found) => {
                for path in found {
                    let text = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    if text.ends_with(PART) {
                        fs::remove_dir_all(&path)?;
                    } else if let Some(name) = BatchName::parse(text) {
                        names.push(name);
                    }
                }
            }
        }
        let mut last = Last::default();
        for name in &names {
            let batch = last.batches.entry(name.audience.clone()).or_default();
            *batch = name.batch.max(*batch);
        }
        for (audience, batch) in last.batches.clone() {
            // In their order, so that the last one has the highest number.
            if let Some(statement) = self.statement(device, &BatchName { audience, batch })? {
                last.hear(&statement);
            }
        }
        for name in names.iter().filter(|name| last.is_behind(name)) {
            self.forget(device, name)?;
        }
        Ok(last)
    }

    /// The statement under which a batch was taken; none where it was not.
    pub(crate) fn statement(&self, device: &DeviceId, name: &BatchName) -> io::Result<Option<Statement>> {
        let path = self.of(device).join(name.to_string()).join(STATEMENT);
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(bytes) => match SignedStatement::parse(&bytes) {
                Ok(signed) => Ok(Some(signed.statement().clone())),
                Err(error) => {
                    Err(io::Error::new(ErrorKind::InvalidData, format!("{}: {error}", path.display())))
                }
            },
        }
    }

    /// Places a segment, durably; what is known of the device after it.
    pub(crate) fn place(&self, content: &Content<'_>, last: &Last, go_on: GoOn<'_>) -> io::Result<Last> {
        let Content { device, name, signed, batch: _ } = content;
        let directory = self.of(device);
        make_directory(&directory, DIRECTORY)?;
        let (path, temporary) = (directory.join(name.to_string()), directory.join(format!("{name}{PART}")));
        match fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        DirBuilder::new().mode(DIRECTORY).create(&temporary)?;
        go_on(Step::Made)?;
        let records = write(&temporary.join(RECORDS), |out| content.write_records(out))?;
        let gaps = write(&temporary.join(GAPS), |out| content.write_gaps(last, out))?;
        let statement = write(&temporary.join(STATEMENT), |out| out.write_all(signed.text().as_bytes()))?;
        go_on(Step::Written)?;
        for file in [records, gaps, statement] {
            file.sync_all()?;
        }
        wardein_durable::sync_directory(&temporary)?;
        go_on(Step::Synced)?;
        // A directory that has something in it is not replaced (rename(2), ENOTEMPTY): nothing is written over.
        fs::rename(&temporary, &path)?;
        go_on(Step::Named)?;
        wardein_durable::sync_directory(&directory)?;
        wardein_durable::sync_directory(&self.directory)?;
        let mut after = last.clone();
        after.hear(signed.statement());
        let batch = after.batches.entry(name.audience.clone()).or_default();
        *batch = name.batch.max(*batch);
        let behind = name.batch.saturating_sub(WINDOW + 1);
        if behind > 0 {
            self.forget(device, &BatchName { audience: name.audience.clone(), batch: behind })?;
        }
        Ok(after)
    }

    /// Removes a segment that is used: whose records and gaps are gone. One that is not waits for who reads it, however long.
    fn forget(&self, device: &DeviceId, name: &BatchName) -> io::Result<()> {
        let path = self.of(device).join(name.to_string());
        if [RECORDS, GAPS].iter().any(|file| path.join(file).symlink_metadata().is_ok()) {
            return Ok(());
        }
        for outcome in [fs::remove_file(path.join(STATEMENT)), fs::remove_dir(&path)] {
            match outcome {
                // Something else is in it, or nothing is there.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn of(&self, device: &DeviceId) -> PathBuf {
        self.directory.join(device.as_str())
    }
}

impl Last {
    /// Whether a batch is so far behind the last one that nobody knows any more whether it was taken.
    pub(crate) fn is_behind(&self, name: &BatchName) -> bool {
        let last = self.batches.get(&name.audience).copied().unwrap_or_default();
        name.batch < last.saturating_sub(WINDOW)
    }

    fn hear(&mut self, statement: &Statement) {
        if self.statement.is_none_or(|(number, _)| number < statement.number) {
            self.statement = Some((statement.number, statement.digest()));
        }
    }
}

impl Content<'_> {
    fn write_records(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { device, name, signed, batch } = self;
        for record in &batch.records {
            // The mark is beside `device`, which is who sealed it, and in its place never.
            let observed = source_of(record).and_then(|source| batch.header.observed(&source));
            let record: &RawValue = serde_json::from_str(record)?;
            let (device, number) = (device.as_str(), signed.statement().number);
            let (batch, audience) = (name.batch, name.audience.as_str());
            let line = RecordLine { device, number, batch, audience, observed, record };
            write_line(out, &line)?;
        }
        Ok(())
    }

    /// What the device says is missing, and what its numbers do.
    fn write_gaps(&self, last: &Last, out: &mut impl Write) -> io::Result<()> {
        let Self { device, name, signed, batch } = self;
        let statement = signed.statement();
        let mut missing: Vec<_> = batch.header.gaps.iter().map(Missing::Lines).collect();
        let expected = last.batches.get(&name.audience).copied().unwrap_or_default() + 1;
        if name.batch > expected {
            missing.push(Missing::Numbers { from: expected, to: name.batch - 1, why: "batches-missing" });
        } else if name.batch < expected {
            missing.push(Missing::Order { why: "batch-late" });
        }
        match last.statement {
            Some((before, _)) if statement.number > before + 1 => {
                let (from, to) = (before + 1, statement.number - 1);
                missing.push(Missing::Numbers { from, to, why: "statements-missing" });
            }
            Some((before, digest)) if statement.number == before + 1 && statement.previous != digest => {
                missing.push(Missing::Order { why: "statement-before-is-another" });
            }
            // With a batch that is late so is its statement.
            Some((before, _)) if statement.number <= before && name.batch >= expected => {
                missing.push(Missing::Order { why: "statement-number-falls" });
            }
            _ => {}
        }
        for missing in missing {
            let (device, number) = (device.as_str(), statement.number);
            let observed = match &missing {
                Missing::Lines(gap) => batch.header.observed(&gap.source),
                Missing::Numbers { .. } | Missing::Order { .. } => None,
            };
            let (batch, audience) = (name.batch, name.audience.as_str());
            write_line(out, &GapLine { device, number, batch, audience, observed, missing })?;
        }
        Ok(())
    }
}

fn write(path: &Path, content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<File> {
    let mut out = BufWriter::new(OpenOptions::new().write(true).create_new(true).mode(FILE).open(path)?);
    content(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

const PART: &str = ".part";

/// What reads them may be another user, of the receiver's group; the unit's `UMask` decides.
const DIRECTORY: u32 = 0o770;
const FILE: u32 = 0o660;

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_ddkg::message::to_text;
    use wardein_files::FIRST;
    use wardein_logs::batch::{FilterVersion, Header};

    fn signed(number: u64, previous: Digest) -> SignedStatement {
        let statement = Statement {
            device: "klinik/pump-1".split_once('/').map(device_name).unwrap(),
            number,
            previous,
            sha256: Digest([7; 32]),
            length: 7,
            key: None,
            sealed_at: 1,
            heard_at: 1,
        };
        let text = format!("{}signature: {}\nnobody looks at it here\n", statement.text(), to_text(&[1; 70]));
        SignedStatement::parse(text.as_bytes()).unwrap()
    }

    fn device_name((tenant, device): (&str, &str)) -> wardein_ddkg::DeviceName {
        wardein_ddkg::DeviceName { tenant: tenant.parse().unwrap(), device: device.parse().unwrap() }
    }

    fn batch(number: u64) -> Batch {
        let header = Header {
            format: Header::FORMAT.to_owned(),
            audience: "maker".parse().unwrap(),
            batch: number,
            filter: FilterVersion::of(b""),
            begun: 1,
            ended: 2,
            records: 1,
            gaps: Vec::new(),
            withheld: 0,
            observed: Vec::new(),
        };
        Batch { header, records: vec![r#"{"source":"app"}"#.to_owned()] }
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_whole_segment_or_none_and_the_next_attempt_finds_it_so() {
        let directory = tempfile::tempdir().unwrap();
        let device: DeviceId = "pump-1".parse().unwrap();
        let (mut last, mut previous) = (Last::default(), FIRST);
        for (number, crash) in (1..).zip([Step::Made, Step::Written, Step::Synced, Step::Named]) {
            let (signed, batch) = (signed(number, previous), batch(number));
            let name = BatchName { audience: "maker".parse().unwrap(), batch: number };
            let content = Content { device: &device, name: &name, signed: &signed, batch: &batch };
            let segments = Segments::open(directory.path().to_owned()).unwrap();
            let stopped = segments.place(&content, &last, &mut |step| {
                if step == crash { Err(io::Error::other("power cut")) } else { Ok(()) }
            });
            assert!(stopped.is_err());
            // What begins after the crash has the directory alone.
            let segments = Segments::open(directory.path().to_owned()).unwrap();
            let found = segments.load(&device).unwrap();
            let is_there = segments.statement(&device, &name).unwrap().is_some();
            assert_eq!(is_there, crash == Step::Named, "{crash:?}");
            if !is_there {
                assert_eq!(found, last, "{crash:?}");
                segments.place(&content, &found, &mut |_| Ok(())).unwrap();
            }
            last = segments.load(&device).unwrap();
            previous = signed.statement().digest();
            assert_eq!(last.statement, Some((number, previous)));
            let path = directory.path().join("pump-1").join(name.to_string());
            for (file, lines) in [(RECORDS, 1), (GAPS, 0)] {
                assert_eq!(fs::read_to_string(path.join(file)).unwrap().lines().count(), lines, "{crash:?}");
            }
            // It is not written over by another one.
            assert!(segments.place(&content, &last, &mut |_| Ok(())).is_err());
            assert_eq!(segments.load(&device).unwrap(), last);
        }
        assert_eq!(subdirectories(&directory.path().join("pump-1")).unwrap().len(), 4);
    }
}
