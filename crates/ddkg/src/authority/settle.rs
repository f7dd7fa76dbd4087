//! Erasure: what is over is moved out of reach, with every write and by the sweep (specification, section 9).

use super::record::{Enrollment, Generation, Record};
use crate::policy::Policy;
use wardein_domain::Purpose;

impl Record {
    /// Erases what is over at Unix second `now`. `true` when anything was; the record is then to be stored.
    ///
    /// This is the sweep's step for a device that stays silent. The caller must be sure of its clock: what is erased under
    /// a wrong one is gone.
    pub fn sweep(&mut self, now: u64, policy: &Policy) -> bool {
        if matches!(self.enrollment, Enrollment::Pending { .. }) {
            return false;
        }
        self.settle(now, policy)
    }

    pub(super) fn settle(&mut self, now: u64, policy: &Policy) -> bool {
        let mut has_erased = self.active.settle(now, policy);
        if let Some(pending) = &mut self.pending {
            has_erased |= pending.settle(now, policy);
        }
        for retired in &mut self.retired {
            if retired.until.is_some_and(|until| until <= now) && !retired.sealed.is_empty() {
                retired.sealed.clear();
                has_erased = true;
            }
            let due = retired.schedule.due(now.saturating_sub(policy.grace));
            for (purpose, tree) in &mut retired.sealed {
                if retired.schedule.period != 0 {
                    has_erased |= advance(tree, due.saturating_sub(policy.retention(*purpose)));
                }
            }
        }
        let kept = self.retired.len();
        self.retired.retain(|retired| retired.proof.is_some() || !retired.sealed.is_empty());
        has_erased | (self.retired.len() != kept)
    }
}

impl Generation {
    fn settle(&mut self, now: u64, policy: &Policy) -> bool {
        let due = self.schedule.due(now.saturating_sub(policy.grace));
        let mut has_erased = false;
        for (purpose, tree) in &mut self.trees {
            let reached = match purpose {
                Purpose::Proof => self.ledger.current().max(due),
                Purpose::Token => tree.highest.max(due),
                Purpose::Data | Purpose::File if self.schedule.period == 0 => tree.highest,
                Purpose::Data | Purpose::File => due,
            };
            has_erased |= advance(tree, reached.saturating_sub(policy.retention(*purpose)));
        }
        has_erased
    }

    /// Unix second at which the payloads and files of a generation that retires at `now` can be opened no longer.
    pub(super) fn sealed_until(&self, now: u64, policy: &Policy) -> Option<u64> {
        let epochs = policy.data_retention.max(policy.file_retention);
        let retention = u64::from(epochs).saturating_mul(self.schedule.period);
        (self.schedule.period != 0).then(|| now.saturating_add(policy.grace).saturating_add(retention))
    }
}

fn advance(tree: &mut super::record::Tree, epoch: u32) -> bool {
    let first = tree.cover.first();
    tree.cover.advance(epoch).is_ok() && tree.cover.first() != first
}
