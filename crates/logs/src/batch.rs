//! The plaintext of a batch (`wardein-logs/1`): a header and the records of one audience, compressed.
//!
//! What: lines of JSON (NDJSON) under zstd (RFC 8878), one frame; the first line is the header. Why so: a reader who opens the sealed file
//! with `age` reads the rest with `zstd` and `jq`. Writer and reader are bounded in the same way: the reader stops while it decompresses, and
//! believes no length that a frame states.

use crate::name::{AudienceName, SourceName};
use crate::observed::Observed;
use crate::polled::{Gap, Outgoing};
use crate::records::Records;
use serde::{Deserialize, Serialize};
use std::io::{self, Cursor, Read};
use wardein_crypto::{Digest, hex};
use zstd::stream::read::{Decoder, Encoder};

/// The first line of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The form: [`Header::FORMAT`].
    pub format: String,
    /// Whom it is for.
    pub audience: AudienceName,
    /// Its number among the audience's batches: 1, 2, 3 and so on. One that is missing is a batch that is missing.
    pub batch: u64,
    /// Which configuration made it.
    pub filter: FilterVersion,
    /// When its first record was read, by the device's clock, in Unix seconds. The clock may be wrong; numbers are in order all the same.
    pub begun: u64,
    /// When its last record was read, likewise.
    pub ended: u64,
    /// How many records follow.
    pub records: u64,
    /// What is missing since the batch before, of the sources that this audience has a part in; at most [`Header::MAX_GAPS`].
    pub gaps: Vec<Gap>,
    /// Entries since the batch before that a rule kept from this audience.
    pub withheld: u64,
    /// The sources that are logs of other devices, at most [`Header::MAX_OBSERVED`], each once. All others are the log of the device
    /// that sealed the batch. A reader who does not know the mark refuses the batch, and takes nothing for that device's own.
    #[serde(rename = "sealed-by-collector", default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<Observed>,
}

impl Header {
    /// The form that is written and read.
    pub const FORMAT: &str = "wardein-logs/1";

    /// The most gaps: one for each source and reason is enough.
    pub const MAX_GAPS: usize = 512;

    /// The most observed devices' sources: as many as a configuration has.
    pub const MAX_OBSERVED: usize = 32;

    /// What marks records and gaps of a source; none where it is the log of the device that sealed the batch.
    pub fn observed(&self, source: &SourceName) -> Option<&Observed> {
        self.observed.iter().find(|observed| observed.source == *source)
    }
}

/// The version of a filter: the SHA-256 of logs.toml.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilterVersion(pub Digest);

impl FilterVersion {
    /// The version of the configuration `text`.
    pub fn of(text: &[u8]) -> Self {
        Self(Digest::of(text))
    }
}

impl std::fmt::Display for FilterVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", hex::encode(&self.0.0))
    }
}

impl From<FilterVersion> for String {
    fn from(version: FilterVersion) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for FilterVersion {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let digest = text.strip_prefix("sha256:").and_then(hex::decode_array);
        digest.map(|digest| Self(Digest(digest))).ok_or("a filter is sha256: and 64 hex digits")
    }
}

/// A batch that was read. Who sent it, the statement of the sealed file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What it says of itself.
    pub header: Header,
    /// Its records, each one JSON object without a newline.
    pub records: Vec<String>,
}

/// Why bytes are not a batch, or records do not make one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// It is not one whole frame of zstd, or it could not be read.
    #[error("the batch is not one whole frame of zstd: {0}")]
    Frame(io::Error),
    /// Something follows the frame.
    #[error("something follows the batch's frame")]
    Trailing,
    /// It has too many bytes.
    #[error("the batch has more than {MAX_BATCH} bytes")]
    TooLong,
    /// It is not lines of UTF-8, each with its newline.
    #[error("the batch is not lines of UTF-8, or its last line is cut")]
    Lines,
    /// Its first line is not a header.
    #[error("the batch's header: {0}")]
    Header(String),
    /// A line is not a record.
    #[error("line {line} of the batch is not a record: {why}")]
    Record {
        /// Which line, counted from 1; the header is the first.
        line: u64,
        /// Why.
        why: String,
    },
    /// It has another number of records than its header says.
    #[error("the batch has {found} records, and its header says {stated}")]
    Count {
        /// How many there are.
        found: u64,
        /// How many the header says.
        stated: u64,
    },
}

/// What every record says.
#[derive(Deserialize)]
struct Sourced {
    source: SourceName,
}

/// The source of a record; none where it is not one.
pub fn source_of(record: &str) -> Option<SourceName> {
    serde_json::from_str::<Sourced>(record).ok().map(|record| record.source)
}

/// A batch, compressed while it is read; what comes of it, [`read`] takes. It holds the window of the compression, and no copy of
/// the records.
pub fn compressed<'a>(header: &Header, records: &'a Records) -> Result<impl Read + use<'a>, BatchError> {
    judge(header, records.count())?;
    let mut first = serde_json::to_vec(header).map_err(|error| BatchError::Header(error.to_string()))?;
    first.push(b'\n');
    let length = first.len() + records.bytes();
    if first.len() > MAX_HEADER + 1 || length > MAX_BATCH {
        return Err(BatchError::TooLong);
    }
    let mut found = 0;
    for (number, line) in (2..).zip(records.lines()) {
        judge_record(number, std::str::from_utf8(line).map_err(|_| BatchError::Lines)?)?;
        found += 1;
    }
    // A newline made two of one.
    if found != records.count() {
        return Err(BatchError::Count { found, stated: records.count() });
    }
    let mut encoder =
        Encoder::new(Cursor::new(first).chain(records.reader()), LEVEL).map_err(BatchError::Frame)?;
    encoder.set_pledged_src_size(Some(length as u64)).map_err(BatchError::Frame)?;
    encoder.window_log(WINDOW_LOG).map_err(BatchError::Frame)?;
    Ok(encoder)
}

/// Writes a batch into memory.
pub fn write<R: AsRef<str>>(header: &Header, records: &[R]) -> Result<Vec<u8>, BatchError> {
    let (records, mut bytes) = (records.iter().collect::<Records>(), Vec::new());
    compressed(header, &records)?.read_to_end(&mut bytes).map_err(BatchError::Frame)?;
    Ok(bytes)
}

/// Reads a batch, to its end and within [`MAX_BATCH`].
pub fn read(input: impl Read) -> Result<Batch, BatchError> {
    // One frame: another one behind it would be another batch, whose header nobody has judged.
    let mut decoder = Decoder::new(input).map_err(BatchError::Frame)?.single_frame();
    decoder.window_log_max(MAX_WINDOW_LOG).map_err(BatchError::Frame)?;
    let mut bytes = Vec::new();
    (&mut decoder).take(MAX_BATCH as u64 + 1).read_to_end(&mut bytes).map_err(BatchError::Frame)?;
    if bytes.len() > MAX_BATCH {
        return Err(BatchError::TooLong);
    }
    let mut rest = decoder.finish();
    if rest.read(&mut [0]).map_err(BatchError::Frame)? > 0 {
        return Err(BatchError::Trailing);
    }
    let text = String::from_utf8(bytes).map_err(|_| BatchError::Lines)?;
    let mut lines = text.strip_suffix('\n').ok_or(BatchError::Lines)?.split('\n');
    let first = lines.next().unwrap_or_default();
    if first.len() > MAX_HEADER {
        return Err(BatchError::Header(format!("it has more than {MAX_HEADER} bytes")));
    }
    // Serde takes a list of the fields, too, for an object.
    if !first.starts_with('{') {
        return Err(BatchError::Header("it is not a JSON object".to_owned()));
    }
    let header: Header =
        serde_json::from_str(first).map_err(|error| BatchError::Header(error.to_string()))?;
    let mut records = Vec::new();
    for (number, line) in (2..).zip(lines) {
        judge_record(number, line)?;
        records.push(line.to_owned());
    }
    judge(&header, records.len() as u64)?;
    Ok(Batch { header, records })
}

fn judge(header: &Header, records: u64) -> Result<(), BatchError> {
    let wrong = |why: String| Err(BatchError::Header(why));
    match header {
        Header { format, .. } if format != Header::FORMAT => {
            wrong(format!("its form is {format:?}, and this reads {}", Header::FORMAT))
        }
        Header { batch: 0, .. } => wrong("batches are numbered from 1".to_owned()),
        Header { gaps, .. } if gaps.len() > Header::MAX_GAPS => {
            wrong(format!("it has more than {} gaps", Header::MAX_GAPS))
        }
        Header { observed, .. } if observed.len() > Header::MAX_OBSERVED || is_any_twice(observed) => {
            wrong(format!(
                "sealed-by-collector has more than {} sources, or one of them twice",
                Header::MAX_OBSERVED
            ))
        }
        header if header.records != records => {
            Err(BatchError::Count { found: records, stated: header.records })
        }
        _ => Ok(()),
    }
}

/// Whether a source is there twice, and so the log of two devices.
fn is_any_twice(observed: &[Observed]) -> bool {
    observed
        .iter()
        .enumerate()
        .any(|(index, one)| observed.iter().skip(index + 1).any(|other| other.source == one.source))
}

fn judge_record(line: u64, record: &str) -> Result<(), BatchError> {
    let wrong = |why: String| BatchError::Record { line, why };
    if record.len() > Outgoing::MAX_RECORD {
        return Err(wrong(format!("it has more than {} bytes", Outgoing::MAX_RECORD)));
    }
    if record.contains('\n') {
        return Err(wrong("it has a newline".to_owned()));
    }
    if !record.starts_with('{') {
        return Err(wrong("it is not a JSON object".to_owned()));
    }
    // Where it is wrong, and not what it holds: patient data does not belong into an error.
    serde_json::from_str::<Sourced>(record).map(|_| ()).map_err(|error| {
        wrong(format!(
            "it is not a JSON object with a source ({:?}, column {})",
            error.classify(),
            error.column()
        ))
    })
}

/// The most bytes of a batch, uncompressed.
pub const MAX_BATCH: usize = 4 << 20;

/// The most bytes of the header's line.
pub const MAX_HEADER: usize = 128 << 10;

/// zstd's own default: of the levels that keep up with a device's disk, it is the one that shrinks logs best.
const LEVEL: i32 = 3;

/// 512 KiB, a quarter of what the level would take: lines of logs are like those shortly before them.
const WINDOW_LOG: u32 = 19;

/// A frame may ask for a window of at most 4 MiB, which is the whole of the largest batch (RFC 8878 section 3.1.1.1.2).
const MAX_WINDOW_LOG: u32 = 22;
