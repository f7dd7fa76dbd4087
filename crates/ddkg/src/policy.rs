//! The settings of the authority's operator, with the specification's defaults.

use wardein_domain::{Purpose, Schedule};

/// The bounds within which the authority accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Seconds by which the due epoch may be missed to either side, where the period is not shorter. Default 300.
    pub grace: u64,
    /// Milliseconds by which the clocks of the authority's nodes may differ. Default 2,000.
    pub skew_ms: u64,
    /// Milliseconds for which a challenge is good. Default 60,000.
    pub challenge_lifetime_ms: u64,
    /// Epochs by which a proof may run ahead of the due or the current one. Default 64, and at least 32, which a device that
    /// was refused as `epoch-spent` again and again may go beyond the epoch named. More while devices catch up with
    /// an authority that was restored from a backup.
    pub proof_lead: u32,
    /// The same for tokens, which no ack counts. Default 65,536.
    pub token_lead: u32,
    /// Epochs for which tokens are accepted after their own. Default 1.
    pub token_retention: u32,
    /// Epochs for which payloads can be opened after their own. Default 0.
    pub data_retention: u32,
    /// The same for files. Default 0.
    pub file_retention: u32,
}

impl Policy {
    /// Seconds by which the due epoch of `schedule` may be missed to either side: no more than a period, so that a short one does
    /// what it was set for.
    pub fn grace_of(&self, schedule: &Schedule) -> u64 {
        // Without a period there is one epoch, which nothing can miss.
        self.grace.min(schedule.period)
    }

    /// Epochs for which the tree of `purpose` is kept behind the current one. Proofs have one, so that a late message can
    /// be distinguished from a clone.
    pub fn retention(&self, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::Proof => 1,
            Purpose::Token => self.token_retention,
            Purpose::Data => self.data_retention,
            Purpose::File => self.file_retention,
            Purpose::Service => 0,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            grace: 300,
            skew_ms: 2_000,
            challenge_lifetime_ms: 60_000,
            proof_lead: 64,
            token_lead: 65_536,
            token_retention: 1,
            data_retention: 0,
            file_retention: 0,
        }
    }
}
