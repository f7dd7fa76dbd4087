//! The authority's record with symbolic keys. It follows `src/authority/{proof,rekey,settle}.rs` line by line; the ledger
//! is the shipped one. `conform.rs` holds it against the real record, step by step.

use super::config::Config;
use super::mutant::Mutant;
use std::collections::VecDeque;
use wardein_ddkg::model::{Claim, CloneSign, EpochBounds, Judgment, Ledger, Misplaced, Place};
use wardein_ddkg::{AuthorityTime, Policy};
use wardein_domain::Schedule;

/// Which key agreement: two generations of one number have different keys.
pub(crate) type Key = u8;

/// What the authority keeps of the device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) enrollment: Enrollment,
    pub(crate) active: Generation,
    pub(crate) pending: Option<Generation>,
    /// Newest first.
    pub(crate) retired: VecDeque<Old>,
    /// Newest first.
    pub(crate) replaced: VecDeque<Old>,
}

/// How far the enrollment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Enrollment {
    /// This request was answered.
    Pending(u8),
    /// The confirmation came.
    Confirmed,
    /// A proof was accepted.
    Done,
}

/// A live generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Generation {
    pub(crate) key: Key,
    pub(crate) number: u64,
    pub(crate) schedule: Schedule,
    pub(crate) ledger: Ledger,
    /// The first epoch that its proof tree yields.
    pub(crate) first: u32,
    /// The first epoch that its data tree yields, in runs whose time jumps.
    pub(crate) data_first: u32,
}

/// A retired or replaced generation: enough to tell clones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Old {
    pub(crate) key: Key,
    pub(crate) number: u64,
    pub(crate) first: u32,
}

/// A proof as the authority sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof {
    /// The generation that it names.
    pub(crate) generation: u64,
    pub(crate) claim: Claim,
    /// The agreement whose key its mac was made with; `None` where the message was changed since.
    pub(crate) key: Option<Key>,
}

/// Why a proof is refused; the codes are those of `wardein_ddkg::authority::Refusal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    EnrollmentPending,
    ChallengeUnknown,
    ChallengeExpired,
    ChallengeFromTheFuture,
    GenerationUnknown,
    Retired,
    EpochSpent(u32),
    EpochAhead,
    MacWrong,
    Replayed,
    Clone(CloneSign),
}

impl Record {
    /// `Record::verify`: whether the proof was the first under a pending generation.
    pub(crate) fn verify(
        &mut self,
        proof: &Proof,
        time: AuthorityTime,
        config: &Config,
    ) -> Result<bool, Refusal> {
        let policy = config.policy();
        if matches!(self.enrollment, Enrollment::Pending(_)) {
            return Err(Refusal::EnrollmentPending);
        }
        let is_pending = self.pending.as_ref().is_some_and(|pending| pending.number == proof.generation);
        let judged = if is_pending || proof.generation == self.active.number {
            let live = if is_pending { self.pending.as_mut() } else { Some(&mut self.active) };
            live.ok_or(Refusal::MacWrong).and_then(|live| live.judge(proof, time, &policy, config))
        } else {
            Err(self.judge_retired(proof, time, &policy, config))
        };
        judged.map_err(|refusal| self.replaced_sign(proof).unwrap_or(refusal))?;
        if is_pending {
            self.activate(config);
        }
        self.enrollment = Enrollment::Done;
        self.settle(time, &policy, config);
        Ok(is_pending)
    }

    fn judge_retired(&self, proof: &Proof, time: AuthorityTime, policy: &Policy, config: &Config) -> Refusal {
        let Some(retired) = self.retired.iter().find(|retired| retired.number == proof.generation) else {
            return Refusal::GenerationUnknown;
        };
        if proof.claim.epoch < retired.first {
            return Refusal::EpochSpent(retired.first);
        }
        if proof.key != Some(retired.key) {
            return Refusal::MacWrong;
        }
        let ledger = read(&self.active.ledger, time, policy, config);
        if ledger.is_after(&proof.claim, policy.skew_ms) || config.is(Mutant::RetiredIsClone) {
            return Refusal::Clone(CloneSign::RetiredGeneration);
        }
        Refusal::Retired
    }

    fn replaced_sign(&self, proof: &Proof) -> Option<Refusal> {
        let is_replaced = self.replaced.iter().any(|replaced| {
            replaced.number == proof.generation
                && proof.claim.epoch >= replaced.first
                && proof.key == Some(replaced.key)
        });
        is_replaced.then_some(Refusal::Clone(CloneSign::ReplacedGeneration))
    }

    fn activate(&mut self, config: &Config) {
        let Some(pending) = self.pending.take() else { return };
        let old = std::mem::replace(&mut self.active, pending);
        if !config.is(Mutant::NoRetiredMemory) {
            self.retired.push_front(old.old());
            self.retired.truncate(RETIRED_PROOFS);
        }
    }

    /// `Record::rekey`, after `verify` accepted: the new generation is pending. False where the proof was not the active one's.
    pub(crate) fn rekey(&mut self, generation: u64, key: Key, schedule: Schedule, config: &Config) -> bool {
        if generation != self.active.number {
            return false;
        }
        let ledger = Ledger::new(self.active.ledger.latest_ms());
        let number = self.active.number + 1;
        let pending = Generation { key, number, schedule, ledger, first: 0, data_first: 0 };
        if let Some(old) = self.pending.replace(pending)
            && !config.is(Mutant::NoReplacedMemory)
        {
            self.replaced.push_front(old.old());
            self.replaced.truncate(MAX_REPLACED);
        }
        if config.is(Mutant::RetiresAtOnce) {
            self.activate(config);
        }
        true
    }

    /// `Record::sweep`.
    pub(crate) fn sweep(&mut self, time: AuthorityTime, config: &Config) {
        if !matches!(self.enrollment, Enrollment::Pending(_)) {
            self.settle(time, &config.policy(), config);
        }
    }

    fn settle(&mut self, time: AuthorityTime, policy: &Policy, config: &Config) {
        if !time.may_erase && !config.is(Mutant::ErasesInDoubt) {
            return;
        }
        self.active.settle(time.now(), policy, config);
        if let Some(pending) = &mut self.pending {
            pending.settle(time.now(), policy, config);
        }
    }

    /// `Record::readmit`.
    pub(crate) fn readmit(&mut self, time: AuthorityTime, config: &Config) {
        let mut ledger = read(&self.active.ledger, time, &config.policy(), config);
        if !config.is(Mutant::NumbersGoOn) {
            ledger.readmit(time.now_ms);
        }
        self.active.ledger = ledger;
    }

    /// Whether `key` is one that the authority would accept a proof under.
    pub(crate) fn is_live(&self, key: Key) -> bool {
        self.active.key == key || self.pending.as_ref().is_some_and(|pending| pending.key == key)
    }
}

impl Generation {
    fn judge(
        &mut self,
        proof: &Proof,
        time: AuthorityTime,
        policy: &Policy,
        config: &Config,
    ) -> Result<(), Refusal> {
        let (now, mut ledger) = (time.now(), read(&self.ledger, time, policy, config));
        let bounds = EpochBounds {
            derivable: self.first,
            lowest: self.schedule.due(now.saturating_sub(policy.grace_of(&self.schedule))),
            highest: self.schedule.due(now.saturating_add(policy.grace_of(&self.schedule))),
            lead: policy.proof_lead,
        };
        let claim = Claim {
            is_ordered: proof.claim.is_ordered && !config.is(Mutant::RekeyAcceptedLate),
            ..proof.claim
        };
        let place = ledger.place(&claim, &self.schedule, &bounds, policy.skew_ms)?;
        if proof.key != Some(self.key) && !config.is(Mutant::MacUnchecked) {
            return Err(Refusal::MacWrong);
        }
        if place == Place::Closed && !config.is(Mutant::WindowUnchecked) {
            return Err(match ledger.judge(&proof.claim, policy.skew_ms) {
                Judgment::Replayed
                    if config.is(Mutant::LateIsClone) && Some(claim.number) < ledger.highest() =>
                {
                    Refusal::Clone(CloneSign::NumberTooLow)
                }
                Judgment::Replayed => Refusal::Replayed,
                Judgment::Clone(sign) => Refusal::Clone(sign),
            });
        }
        ledger.accept(&proof.claim);
        self.ledger = ledger;
        Ok(())
    }

    fn settle(&mut self, now: u64, policy: &Policy, config: &Config) {
        let due = self.schedule.due(now.saturating_sub(policy.grace_of(&self.schedule)));
        self.first = self.first.max(self.ledger.current().max(due).saturating_sub(1));
        if !config.jumps.is_empty() {
            self.data_first = self.data_first.max(due.saturating_sub(policy.data_retention));
        }
    }

    /// Whether a data key is gone at `now` that retention promises until later.
    pub(crate) fn has_lost(&self, now: u64, policy: &Policy) -> bool {
        let due = self.schedule.due(now.saturating_sub(policy.grace_of(&self.schedule)));
        self.data_first > due.saturating_sub(policy.data_retention)
    }

    fn old(&self) -> Old {
        Old { key: self.key, number: self.number, first: self.first }
    }
}

/// `Ledger::at`.
fn read(ledger: &Ledger, time: AuthorityTime, policy: &Policy, config: &Config) -> Ledger {
    if config.is(Mutant::AheadBelieved) {
        return ledger.clone();
    }
    let era_ms = if config.is(Mutant::AheadIsNow) { time.now_ms } else { time.era_ms };
    ledger.at(AuthorityTime { era_ms, ..time }, policy.skew_ms)
}

impl From<Misplaced> for Refusal {
    fn from(misplaced: Misplaced) -> Self {
        match misplaced {
            Misplaced::Spent { next } => Self::EpochSpent(next),
            Misplaced::Ahead { .. } => Self::EpochAhead,
        }
    }
}

/// As in `src/authority/record.rs`.
const RETIRED_PROOFS: usize = 4;
const MAX_REPLACED: usize = 8;
