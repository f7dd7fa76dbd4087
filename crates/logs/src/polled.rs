//! What a poll of the sources gives: records for their audiences, what is missing, and how much there was.

use crate::filter::{Judged, Outcome, Verdict};
use crate::name::{AudienceName, SourceName};
use crate::source::Positions;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A record that leaves for one audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Who gets it.
    pub audience: AudienceName,
    /// One JSON object without a newline, at most [`Outgoing::MAX_RECORD`] bytes: `source`, the source's name, and `fields`, what
    /// the filter let through.
    pub record: String,
}

impl Outgoing {
    /// The most bytes of a record.
    pub const MAX_RECORD: usize = 64 << 10;
}

/// What one poll gave.
#[derive(Debug)]
pub struct Polled {
    /// The records, in the order in which their lines were read of each source.
    pub outgoing: Vec<Outgoing>,
    /// Where all sources are after that. It is to be made durable together with what was polled, and not before.
    pub positions: Positions,
    /// What could not be read, or was lost before it could be.
    pub gaps: Vec<Gap>,
    /// How many entries there were, and what became of them.
    pub counts: Counts,
    /// What a person should look at. Nothing is missing because of it.
    pub warnings: Vec<Warning>,
    /// Whether there was more than fits the limit: the next poll will have something at once.
    pub more: bool,
}

/// Bytes or lines of a source that leave for nobody, because they could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The source.
    pub source: SourceName,
    /// How many lines, where that is known.
    pub lines: Option<u64>,
    /// How many bytes are known to be missing; 0 where it is not known whether any are.
    pub bytes: u64,
    /// Why.
    pub why: GapReason,
}

/// Why something is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// The file was cut in place, and its former contents were not found in a copy beside it.
    Truncated,
    /// A line, or the record made of it, is longer than the limit.
    TooLong,
    /// The file could not be opened or read.
    Unreadable,
    /// The file was removed before it was read to its end.
    LostByRotation,
    /// Messages came faster than they were polled.
    SocketOverrun,
    /// There is a link, a device, a pipe or a directory where the file was. It is not followed.
    ReplacedByLink,
    /// The spool had no room.
    SpoolFull,
    /// A connection over which messages came ended within one or without saying so, or was not of its form.
    ConnectionBroken,
}

impl GapReason {
    /// Its name in batches.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::TooLong => "too-long",
            Self::Unreadable => "unreadable",
            Self::LostByRotation => "lost-by-rotation",
            Self::SocketOverrun => "socket-overrun",
            Self::ReplacedByLink => "replaced-by-link",
            Self::SpoolFull => "spool-full",
            Self::ConnectionBroken => "connection-broken",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many entries were read, and what became of them. For each source that has rules for an audience, its entries have either
/// left for it or been withheld from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Counts {
    /// Entries that were read, of all sources.
    pub read: u64,
    /// Records by audience.
    pub left: BTreeMap<AudienceName, u64>,
    /// Entries that a rule kept from its audience, by audience.
    pub withheld: BTreeMap<AudienceName, u64>,
    /// Entries that left for nobody: withheld from all, or of a source without rules.
    pub for_nobody: u64,
    /// Entries in which NUL bytes, or bytes that are not of the encoding, were replaced by U+FFFD.
    pub replaced: u64,
}

impl Counts {
    /// Counts an entry, and what became of it.
    pub(crate) fn count(&mut self, judged: &Judged, is_replaced: bool) {
        self.read += 1;
        self.replaced += u64::from(is_replaced);
        let mut leaves = false;
        for Verdict { audience, outcome } in &judged.verdicts {
            let of = match outcome {
                Outcome::Leaves { .. } => {
                    leaves = true;
                    &mut self.left
                }
                Outcome::Withheld(_) => &mut self.withheld,
            };
            *of.entry(audience.clone()).or_default() += 1;
        }
        self.for_nobody += u64::from(!leaves);
    }

    /// Adds what another poll counted.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.for_nobody += other.for_nobody;
        self.replaced += other.replaced;
        for (audience, count) in &other.left {
            *self.left.entry(audience.clone()).or_default() += count;
        }
        for (audience, count) in &other.withheld {
            *self.withheld.entry(audience.clone()).or_default() += count;
        }
    }
}

/// Something that a person should look at. It never holds a value from a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The source.
    pub source: SourceName,
    /// What it is.
    pub what: WarningKind,
}

/// What a person should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningKind {
    /// A field that leaves in the clear looks like patient data. That none does proves nothing.
    LooksLikePatientData {
        /// Who gets it.
        audience: AudienceName,
        /// The field.
        field: String,
        /// What it looks like.
        like: &'static str,
        /// In how many records of this poll.
        records: u64,
    },
    /// There is no such file or directory now.
    NotThere,
    /// The directory has more files than the agent follows. The others wait.
    TooManyFiles {
        /// How many it follows.
        followed: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}: ", self.source)?;
        match &self.what {
            WarningKind::LooksLikePatientData { audience, field, like, records } => write!(
                f,
                "the field {field} of {records} records for {audience} looks like {like}; if it is patient data, mask it, \
                 make it a pseudonym or leave it out of keep"
            ),
            WarningKind::NotThere => {
                f.write_str("there is nothing to read yet at the path of the configuration")
            }
            WarningKind::TooManyFiles { followed } => write!(
                f,
                "the directory has more than {followed} files that match; the others wait until some are removed"
            ),
        }
    }
}
