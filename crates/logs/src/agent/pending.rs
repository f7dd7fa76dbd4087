//! What was polled and is not sealed yet: in memory, within the size of a batch.

use super::Now;
use crate::batch::{FilterVersion, Header};
use crate::config::LogsConfig;
use crate::name::{AudienceName, SourceName};
use crate::observed::Observed;
use crate::polled::{Gap, Outgoing, Polled};
use crate::records::Records;
use crate::spool::Progress;
use std::collections::BTreeMap;
use std::time::Duration;

/// Records and gaps by audience, and how far the agent will have come once they are sealed.
pub(super) struct Pending {
    /// Who has a part in each source, and is to hear of its gaps.
    parts: BTreeMap<SourceName, Vec<AudienceName>>,
    /// The sources of other devices in which each audience has a part.
    observed: BTreeMap<AudienceName, Vec<Observed>>,
    progress: Progress,
    shares: BTreeMap<AudienceName, Share>,
    bytes: usize,
    /// When the first of it was polled.
    begun: Option<Now>,
    ended: u64,
}

/// What an audience gets.
#[derive(Default)]
struct Share {
    records: Records,
    gaps: Vec<Gap>,
}

/// Batches that are to be sealed together, in the order of their audiences.
pub(super) struct Closed {
    /// How far the agent has come with them.
    pub(super) progress: Progress,
    /// Their headers and records.
    pub(super) batches: Vec<(Header, Records)>,
}

impl Pending {
    /// Nothing, after `progress`.
    pub(super) fn new(config: &LogsConfig, progress: Progress) -> Self {
        let part = |source: &crate::config::Source| {
            let mut audiences: Vec<_> = source.audiences().cloned().collect();
            audiences.sort();
            audiences.dedup();
            (source.name.clone(), audiences)
        };
        let parts: BTreeMap<_, _> = config.sources.iter().map(part).collect();
        let mut observed: BTreeMap<AudienceName, Vec<Observed>> = BTreeMap::new();
        for mark in config.sources.iter().filter_map(crate::config::Source::observed) {
            for audience in parts.get(&mark.source).into_iter().flatten() {
                observed.entry(audience.clone()).or_default().push(mark.clone());
            }
        }
        Self { parts, observed, progress, shares: BTreeMap::new(), bytes: 0, begun: None, ended: 0 }
    }

    /// The bytes of all records.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How long ago the first of it was polled; zero where there is nothing.
    pub(super) fn age(&self, now: Now) -> Duration {
        self.begun.map_or(Duration::ZERO, |begun| now.counted.saturating_sub(begun.counted))
    }

    /// Whether anything was polled since the last batches.
    pub(super) fn has_news(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether an audience is to get a batch: it has records, or is to hear of a gap.
    pub(super) fn has_batches(&self) -> bool {
        self.shares.values().any(|share| share.records.count() > 0 || !share.gaps.is_empty())
    }

    /// How far the agent has come with it.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(super) fn take(&mut self, polled: Polled, now: Now) {
        let Polled { outgoing, positions, gaps, counts, .. } = polled;
        if self.progress.positions == positions && gaps.is_empty() && outgoing.is_empty() && counts.read == 0
        {
            return;
        }
        self.begun.get_or_insert(now);
        self.ended = now.wall;
        self.progress.positions = positions;
        self.progress.counts.add(&counts);
        for (audience, withheld) in counts.withheld {
            *self.progress.withheld.entry(audience).or_default() += withheld;
        }
        for Outgoing { audience, record } in outgoing {
            self.bytes += record.len() + 1;
            self.shares.entry(audience).or_default().records.push(&record);
        }
        for gap in gaps {
            self.progress.gaps.gaps += 1;
            self.progress.gaps.bytes = self.progress.gaps.bytes.saturating_add(gap.bytes);
            for audience in self.parts.get(&gap.source).into_iter().flatten() {
                note(&mut self.shares.entry(audience.clone()).or_default().gaps, &gap);
            }
        }
    }

    /// Takes out what there is, as batches.
    pub(super) fn close(&mut self, filter: FilterVersion) -> Closed {
        let begun = self.begun.map_or(self.ended, |begun| begun.wall);
        let mut batches = Vec::new();
        for (audience, Share { records, gaps }) in std::mem::take(&mut self.shares) {
            let batch = self.progress.last(&audience) + 1;
            let withheld = self.progress.withheld.remove(&audience).unwrap_or_default();
            self.progress.sealed.insert(audience.clone(), batch);
            let observed = self.observed.get(&audience).cloned().unwrap_or_default();
            let header = Header {
                format: Header::FORMAT.to_owned(),
                audience,
                batch,
                filter,
                begun,
                ended: self.ended,
                records: records.count(),
                gaps,
                withheld,
                observed,
            };
            batches.push((header, records));
        }
        self.restart();
        Closed { progress: self.progress.clone(), batches }
    }

    /// Counts age and bytes from here on.
    pub(super) fn restart(&mut self) {
        (self.bytes, self.begun) = (0, None);
    }
}

/// Gaps of one source and for one reason become one, so that a source that fails all the time does not fill a header.
fn note(gaps: &mut Vec<Gap>, gap: &Gap) {
    let same = |known: &&mut Gap| known.source == gap.source && known.why == gap.why;
    if let Some(known) = gaps.iter_mut().find(same) {
        known.lines = known.lines.zip(gap.lines).map(|(known, more)| known.saturating_add(more));
        known.bytes = known.bytes.saturating_add(gap.bytes);
    } else if gaps.len() < Header::MAX_GAPS {
        gaps.push(gap.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::polled::GapReason;

    #[test]
    fn gaps_of_one_kind_are_told_as_one() {
        let gap =
            |source: &str, lines, bytes, why| Gap { source: source.parse().unwrap(), lines, bytes, why };
        let mut gaps = Vec::new();
        for came in [
            gap("a", Some(1), 10, GapReason::TooLong),
            gap("a", Some(2), 20, GapReason::TooLong),
            gap("a", None, 5, GapReason::Truncated),
            gap("b", Some(1), 1, GapReason::TooLong),
            gap("a", Some(1), 5, GapReason::Truncated),
        ] {
            note(&mut gaps, &came);
        }
        let expected = [
            gap("a", Some(3), 30, GapReason::TooLong),
            gap("a", None, 10, GapReason::Truncated),
            gap("b", Some(1), 1, GapReason::TooLong),
        ];
        assert_eq!(gaps, expected);
        let last = gap("c", None, u64::MAX, GapReason::Truncated);
        note(&mut gaps, &last);
        note(&mut gaps, &last);
        assert_eq!(gaps.last().unwrap().bytes, u64::MAX);
    }

    #[test]
    fn a_batch_is_marked_with_the_sources_of_other_devices_that_its_audience_has_a_part_in() {
        let audience = |name: &str| format!("[audience.{name}]\nto = \"/x\"\n");
        let source = |name: &str, more: &str, audience: &str| {
            let rule = format!("[[source.for]]\naudience = \"{audience}\"\nkeep = [\"line\"]\n");
            format!("[[source]]\nname = \"{name}\"\n{more}\n{rule}")
        };
        let text = [
            audience("maker"),
            audience("hospital"),
            "[spool]\ndirectory = \"/s\"\n".to_owned(),
            "[collector]\nlisten = \"192.0.2.1:6514\"\ncertificate = \"/c\"\nkey = \"/k\"\n".to_owned(),
            source("own", "file = \"/own\"", "maker"),
            source("ct", "device = \"CT-2\"\ndirectory = \"/ct\"\nmatch = \"*\"", "maker"),
            source("pump", "device = \"Infusomat_7\"\nsyslog = \"tls:192.0.2.7\"", "hospital"),
        ];
        let mut pending = Pending::new(&LogsConfig::parse(&text.concat()).unwrap(), Progress::default());
        let polled = Polled {
            outgoing: ["maker", "hospital"]
                .map(|name| Outgoing { audience: name.parse().unwrap(), record: "{}".to_owned() })
                .into(),
            positions: Default::default(),
            gaps: Vec::new(),
            counts: Default::default(),
            warnings: Vec::new(),
            more: false,
        };
        pending.take(polled, Now { counted: Duration::ZERO, wall: 7 });
        let closed = pending.close(FilterVersion::of(b"7"));
        let marks =
            |header: &Header| (header.audience.to_string(), serde_json::to_string(&header.observed).unwrap());
        let expected = [
            ("hospital", r#"[{"source":"pump","observed":"Infusomat_7","known-by":"address"}]"#),
            ("maker", r#"[{"source":"ct","observed":"CT-2","known-by":"path"}]"#),
        ];
        let expected = expected.map(|(audience, marks)| (audience.to_owned(), marks.to_owned()));
        assert_eq!(closed.batches.iter().map(|(header, _)| marks(header)).collect::<Vec<_>>(), expected);
    }
}
