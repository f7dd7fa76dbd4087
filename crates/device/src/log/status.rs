//! What the log agent has done, read from its spool: for people, and for what collects metrics.

use crate::error::Error;
use crate::status::utc;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use wardein_logs::agent::AgentError;
use wardein_logs::spool::{Held, Spool};
use wardein_logs::{AudienceName, LogsConfig};

/// What the log agent has done since its first start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogStatus {
    /// Entries that were read.
    pub read: u64,
    /// Those that left for nobody.
    pub for_nobody: u64,
    /// Those in which bytes were replaced that are not of the encoding.
    pub replaced: u64,
    /// How often something was missing.
    pub gaps: u64,
    /// The bytes that are known to be missing.
    pub gap_bytes: u64,
    /// The bytes of all batches in the spool, those in quarantine included.
    pub spool_bytes: u64,
    /// The most that it may have.
    pub max_bytes: u64,
    /// When the oldest batch that waits was sealed, by the device's clock, in Unix seconds.
    pub oldest_undelivered: Option<u64>,
    /// For each audience.
    pub audiences: BTreeMap<AudienceName, AudienceStatus>,
}

/// What an audience got.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AudienceStatus {
    /// Records that left for it.
    pub left: u64,
    /// Entries that were withheld from it.
    pub withheld: u64,
    /// Batches that were sealed.
    pub sealed: u64,
    /// Batches that were delivered.
    pub delivered: u64,
    /// Batches that were refused for good.
    pub quarantined: u64,
    /// Batches that wait.
    pub waiting: u64,
}

impl LogStatus {
    /// Reads it from the spool of `config`. It asks nobody, and disturbs no agent.
    pub fn read(config: &LogsConfig) -> Result<Self, Error> {
        let looked = Spool::look(&config.spool.directory);
        let held = looked.map_err(|error| Error::Logs(Box::new(AgentError::Spool(error))))?;
        let Held { done, waiting, quarantined, quarantined_bytes, oldest } = held;
        let waiting_bytes: u64 = waiting.values().flat_map(BTreeMap::values).sum();
        let of = |counts: &BTreeMap<AudienceName, u64>, name| counts.get(name).copied().unwrap_or_default();
        let names = config.audiences.keys().chain(done.sealed.keys());
        let audiences = names.map(|name| {
            let waiting = waiting.get(name).map_or(0, |numbers| numbers.len() as u64);
            let (sealed, quarantined) = (done.last(name), of(&quarantined, name));
            let status = AudienceStatus {
                left: of(&done.counts.left, name),
                withheld: of(&done.counts.withheld, name),
                sealed,
                delivered: sealed.saturating_sub(waiting).saturating_sub(quarantined),
                quarantined,
                waiting,
            };
            (name.clone(), status)
        });
        Ok(Self {
            read: done.counts.read,
            for_nobody: done.counts.for_nobody,
            replaced: done.counts.replaced,
            gaps: done.gaps.gaps,
            gap_bytes: done.gaps.bytes,
            spool_bytes: waiting_bytes + quarantined_bytes,
            max_bytes: config.spool.max_bytes,
            oldest_undelivered: oldest,
            audiences: audiences.collect(),
        })
    }
}

impl fmt::Display for LogStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, for_nobody, gaps, gap_bytes, spool_bytes, max_bytes, .. } = self;
        write!(
            f,
            "{read} entries were read, {for_nobody} left for nobody; {gaps} gaps of {gap_bytes} bytes at least"
        )?;
        write!(f, "\nthe spool has {spool_bytes} of {max_bytes} bytes")?;
        if let Some(oldest) = self.oldest_undelivered {
            write!(f, ", the oldest batch of {}", utc(oldest))?;
        }
        for (name, audience) in &self.audiences {
            let AudienceStatus { left, withheld, sealed, delivered, quarantined, waiting } = audience;
            write!(
                f,
                "\n{name}: {left} records left, {withheld} entries were withheld; of {sealed} batches {delivered} were \
                 delivered, {waiting} wait, {quarantined} were refused for good"
            )?;
        }
        Ok(())
    }
}
