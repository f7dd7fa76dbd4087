//! What the agent knows durably: one file, replaced whole.

use super::name::BatchName;
use crate::name::AudienceName;
use crate::polled::Counts;
use crate::source::Positions;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far the agent has come: everything up to these positions is in the batches up to these numbers, or is counted here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Where the sources are.
    pub positions: Positions,
    /// The number of the last batch of each audience.
    pub sealed: BTreeMap<AudienceName, u64>,
    /// What was counted since the first start.
    pub counts: Counts,
    /// What is missing since the first start.
    pub gaps: GapCount,
    /// Entries that were withheld, of which the audience's next batch is yet to tell.
    pub withheld: BTreeMap<AudienceName, u64>,
}

/// How much is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapCount {
    /// How many gaps there were.
    pub gaps: u64,
    /// How many bytes are known to be missing.
    pub bytes: u64,
}

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// How far it has come.
    pub(super) done: Progress,
    /// How far it will have come once the batches up to those numbers are sealed. After a crash, whether they are there tells which of the
    /// two holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) intent: Option<Progress>,
    /// How many batches a receiver refused for good.
    #[serde(default)]
    pub(super) quarantined: BTreeMap<AudienceName, u64>,
}

impl Progress {
    /// The number of the last batch of `audience`; 0 before the first.
    pub fn last(&self, audience: &AudienceName) -> u64 {
        self.sealed.get(audience).copied().unwrap_or_default()
    }

    /// The batches that are sealed between `before` and this; `None` where their numbers do not follow those before, or are more than are
    /// ever sealed together.
    pub(super) fn batches_since(&self, before: &Self) -> Option<Vec<BatchName>> {
        let mut batches = Vec::new();
        for (audience, last) in &self.sealed {
            match last.checked_sub(before.last(audience))? {
                0 => {}
                1 => batches.push(BatchName { audience: audience.clone(), number: *last }),
                _ => return None,
            }
        }
        let is_missing = before.sealed.keys().any(|audience| !self.sealed.contains_key(audience));
        (!is_missing && batches.len() <= MAX_TOGETHER).then_some(batches)
    }
}

/// The most batches that are sealed together, one for each audience.
pub const MAX_TOGETHER: usize = 8;
