//! Erasure: expired keys are moved out of reach, with every write and by the sweep (specification, section 9).

use super::hot::Hot;
use super::record::{Enrollment, Generation, Kept, Record, Retired};
use crate::policy::Policy;
use crate::time::AuthorityTime;
use crate::tree::Cover;
use wardein_domain::Purpose;

impl Record {
    /// Erases expired keys, where `time` may. `true` when anything was; both parts of the record are then to be stored.
    ///
    /// This is the sweep's step for a device that stays silent.
    pub fn sweep(&mut self, time: AuthorityTime, policy: &Policy) -> bool {
        if matches!(self.cold.enrollment, Enrollment::Pending { .. }) {
            return false;
        }
        self.settle(time, policy)
    }

    pub(super) fn settle(&mut self, time: AuthorityTime, policy: &Policy) -> bool {
        let now = time.now();
        // Asked first, so that a proof that moves no tree leaves the stored cold part unchanged.
        let has_ended = time.may_erase && self.cold.has_ended(&self.hot, now, policy);
        if has_ended {
            self.cold.change().erase(&self.hot, now, policy);
        }
        let active = &self.cold.active;
        self.recent.keep_from(active.number, active.trees.get(&Purpose::Proof).map_or(0, Cover::first));
        has_ended
    }
}

impl Kept {
    /// Whether [`Kept::erase`] finds anything.
    fn has_ended(&self, hot: &Hot, now: u64, policy: &Policy) -> bool {
        self.active.has_ended(hot, now, policy)
            || self
                .pending
                .as_ref()
                .is_some_and(|pending| pending.generation.has_ended(&pending.hot, now, policy))
            || self.retired.iter().any(|retired| retired.has_ended(now, policy))
    }

    fn erase(&mut self, hot: &Hot, now: u64, policy: &Policy) {
        self.active.erase(hot, now, policy);
        if let Some(pending) = &mut self.pending {
            pending.generation.erase(&pending.hot, now, policy);
        }
        self.retired.iter_mut().for_each(|retired| retired.erase(now, policy));
        self.retired.retain(|retired| !retired.is_spent());
    }
}

impl Generation {
    fn has_ended(&self, hot: &Hot, now: u64, policy: &Policy) -> bool {
        let due = self.schedule.due(now.saturating_sub(policy.grace_of(&self.schedule)));
        let kept_from = |purpose| self.kept_from(purpose, hot, due, policy);
        self.trees.iter().any(|(purpose, cover)| moves(cover, kept_from(*purpose)))
    }

    fn erase(&mut self, hot: &Hot, now: u64, policy: &Policy) {
        let due = self.schedule.due(now.saturating_sub(policy.grace_of(&self.schedule)));
        for purpose in Purpose::ALL {
            let kept_from = self.kept_from(purpose, hot, due, policy);
            if let Some(cover) = self.trees.get_mut(&purpose) {
                advance(cover, kept_from);
            }
        }
    }

    /// The first epoch of `purpose` that is kept, where `due` is the one that was due `grace` ago.
    fn kept_from(&self, purpose: Purpose, hot: &Hot, due: u32, policy: &Policy) -> u32 {
        let reached = match purpose {
            Purpose::Proof | Purpose::Token => hot.highest(purpose).max(due),
            Purpose::Data | Purpose::File if self.schedule.period == 0 => hot.highest(purpose),
            Purpose::Data | Purpose::File => due,
            // The device may have been without network for years, and its time as old. The tree goes with its generation.
            Purpose::Service => 0,
        };
        reached.saturating_sub(policy.retention(purpose))
    }

    /// Unix second at which the payloads and files of a generation that retires at `now` can be opened no longer.
    pub(super) fn sealed_until(&self, now: u64, policy: &Policy) -> Option<u64> {
        let epochs = policy.data_retention.max(policy.file_retention);
        let retention = u64::from(epochs).saturating_mul(self.schedule.period);
        let grace = policy.grace_of(&self.schedule);
        (self.schedule.period != 0).then(|| now.saturating_add(grace).saturating_add(retention))
    }
}

impl Retired {
    fn has_ended(&self, now: u64, policy: &Policy) -> bool {
        let kept_from = |purpose| self.kept_from(purpose, now, policy);
        self.is_spent()
            || (self.is_over(now) && !self.sealed.is_empty())
            || self.sealed.iter().any(|(purpose, cover)| moves(cover, kept_from(*purpose)))
    }

    fn erase(&mut self, now: u64, policy: &Policy) {
        if self.is_over(now) {
            self.sealed.clear();
        }
        for purpose in Purpose::ALL {
            let kept_from = self.kept_from(purpose, now, policy);
            if let Some(cover) = self.sealed.get_mut(&purpose) {
                advance(cover, kept_from);
            }
        }
    }

    fn is_over(&self, now: u64) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether nothing is left of it.
    pub(super) fn is_spent(&self) -> bool {
        self.proof.is_none() && self.sealed.is_empty()
    }

    /// The first epoch of `purpose` that is kept. Without a period, nothing is opened that could move a tree.
    fn kept_from(&self, purpose: Purpose, now: u64, policy: &Policy) -> u32 {
        match self.schedule.period {
            0 => 0,
            _ => {
                let due = self.schedule.due(now.saturating_sub(policy.grace_of(&self.schedule)));
                due.saturating_sub(policy.retention(purpose))
            }
        }
    }
}

/// Whether `epoch` is one that the cover can be moved to, and is not at yet.
fn moves(cover: &Cover, epoch: u32) -> bool {
    cover.first() < epoch && epoch <= cover.last()
}

fn advance(cover: &mut Cover, epoch: u32) {
    if moves(cover, epoch) {
        cover.advance(epoch).expect("the epoch is not behind the cover's last one");
    }
}
