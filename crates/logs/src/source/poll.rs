//! One poll: its limit, and what it has gathered so far.

use super::position::Positions;
use crate::filter::{Filter, Outcome, Verdict, Why};
use crate::name::{AudienceName, SourceName};
use crate::polled::{Counts, Gap, GapReason, Outgoing, Polled, Warning, WarningKind};
use std::collections::BTreeMap;
use std::time::Instant;

/// What a poll gathers.
pub(super) struct Poll {
    pub(super) now: Instant,
    limit: usize,
    read: usize,
    written: usize,
    outgoing: Vec<Outgoing>,
    counts: Counts,
    more: bool,
    gaps: BTreeMap<(SourceName, GapReason), Gap>,
    suspicions: BTreeMap<(SourceName, AudienceName, String, &'static str), u64>,
    warnings: Vec<Warning>,
}

impl Poll {
    pub(super) fn new(now: Instant, limit: usize) -> Self {
        Self {
            now,
            limit,
            read: 0,
            written: 0,
            outgoing: Vec::new(),
            counts: Counts::default(),
            more: false,
            gaps: BTreeMap::new(),
            suspicions: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether there is room for more; notes that there was more where there is none.
    pub(super) fn has_room(&mut self) -> bool {
        let has_room = self.read.max(self.written) < self.limit;
        self.more |= !has_room;
        has_room
    }

    /// Takes an entry of `length` bytes. Where its records do not fit any more, it takes nothing and says so; an entry alone always
    /// fits.
    pub(super) fn take(
        &mut self,
        source: &SourceName,
        filter: &Filter,
        text: &str,
        length: usize,
        is_replaced: bool,
    ) -> bool {
        let judged = filter.judge(text);
        let records = judged.verdicts.iter().filter_map(|verdict| match &verdict.outcome {
            Outcome::Leaves { record, .. } => Some(record.len() + 1),
            Outcome::Withheld(_) => None,
        });
        let size: usize = records.sum();
        if self.written > 0 && self.written + size > self.limit {
            self.more = true;
            return false;
        }
        self.written += size;
        self.read += length;
        self.counts.count(&judged, is_replaced);
        for Verdict { audience, outcome } in judged.verdicts {
            match outcome {
                Outcome::Leaves { record, looks_like } => {
                    for (field, like) in looks_like {
                        *self
                            .suspicions
                            .entry((source.clone(), audience.clone(), field, like))
                            .or_default() += 1;
                    }
                    self.outgoing.push(Outgoing { audience, record });
                }
                Outcome::Withheld(Why::TooLong) => {
                    self.gap(source, GapReason::TooLong, Some(1), length as u64)
                }
                Outcome::Withheld(_) => {}
            }
        }
        true
    }

    /// Notes that bytes were passed over.
    pub(super) fn skip(&mut self, source: &SourceName, length: usize, is_first: bool) {
        self.read += length;
        self.gap(source, GapReason::TooLong, Some(u64::from(is_first)), length as u64);
    }

    /// Notes a gap. Those of one source and reason are one.
    pub(super) fn gap(&mut self, source: &SourceName, why: GapReason, lines: Option<u64>, bytes: u64) {
        let none = || Gap { source: source.clone(), lines: Some(0), bytes: 0, why };
        let gap = self.gaps.entry((source.clone(), why)).or_insert_with(none);
        gap.lines = gap.lines.zip(lines).map(|(so_far, more)| so_far + more);
        gap.bytes += bytes;
    }

    pub(super) fn warn(&mut self, source: &SourceName, what: WarningKind) {
        self.warnings.push(Warning { source: source.clone(), what });
    }

    /// What was gathered; the sources are at `positions` after it.
    pub(super) fn finish(self, positions: Positions) -> Polled {
        let suspicions = self.suspicions.into_iter().map(|((source, audience, field, like), records)| {
            Warning { source, what: WarningKind::LooksLikePatientData { audience, field, like, records } }
        });
        Polled {
            outgoing: self.outgoing,
            positions,
            gaps: self.gaps.into_values().collect(),
            counts: self.counts,
            warnings: self.warnings.into_iter().chain(suspicions).collect(),
            more: self.more,
        }
    }
}
