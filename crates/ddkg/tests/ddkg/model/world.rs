//! Both ends, the network and the time: one state of the model.
//!
//! The network is the set of all messages ever sent. Any of them may be delivered at any time, in any order, any number of
//! times, or never; so loss, delay, repetition and reordering need no steps of their own.

use super::authority::{Enrollment, Generation, Key, Record, Refusal};
use super::config::{Budget, Clock, Config, SKEW_MS, START};
use super::device::{Holder, Image, Standing};
use super::fork::Fork;
use super::mutant::Mutant;
use std::collections::{BTreeSet, VecDeque};
use wardein_ddkg::AuthorityTime;
use wardein_ddkg::model::{Claim, CloneSign, Ledger};
use wardein_domain::Schedule;

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// Real time, in Unix seconds.
    pub(crate) now: u64,
    pub(crate) clocks: [Clock; 2],
    /// By how many seconds the time that the nodes share is ahead.
    pub(crate) ahead: u64,
    pub(crate) era: Era,
    /// The one durable record that both nodes share.
    pub(crate) record: Option<Record>,
    /// What a node loaded and has not committed yet (interleaved runs only).
    pub(crate) loads: [Option<Load>; 2],
    pub(crate) agreements: Vec<Agreement>,
    pub(crate) holders: Vec<Holder>,
    /// An image of the device that somebody kept.
    pub(crate) kept: Option<Image>,
    /// All proofs ever sent; the index is the transcript.
    pub(crate) sent: Vec<Request>,
    /// The acknowledged reply to each, once there is one.
    pub(crate) replies: Vec<Option<Reply>>,
    /// The agreements that each enrollment request was answered with.
    pub(crate) enrolls: Vec<Vec<Key>>,
    /// The agreements that were confirmed by a message.
    pub(crate) confirmations: BTreeSet<Key>,
    pub(crate) left: Budget,
    /// The clone alarm, once raised. Nothing happens after it: what follows is the operator's.
    pub(crate) alarm: Option<CloneSign>,
    /// Invariants that a step broke.
    pub(crate) flaws: BTreeSet<Flaw>,
    /// The state's second life, once it was copied or rolled back.
    pub(crate) fork: Option<Fork>,
}

/// A stretch of the authority's time in which it does not go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Era {
    /// Which one: challenges are made under a key of its own.
    pub(crate) number: u8,
    /// When it began, in Unix milliseconds; 0 for the first.
    pub(crate) began_ms: u64,
}

/// A generation as both ends agreed on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Agreement {
    pub(crate) number: u64,
    pub(crate) schedule: Schedule,
}

/// A proof on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) holder: u8,
    pub(crate) key: Key,
    pub(crate) epoch: u32,
    pub(crate) number: u64,
    pub(crate) issued_ms: u64,
    /// In which its challenge was issued.
    pub(crate) era: u8,
    pub(crate) is_rekey: bool,
}

/// An acknowledged reply; a rekey's names the new agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Reply {
    pub(crate) next: Option<Key>,
}

/// A record loaded by a node for one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Load {
    pub(crate) id: u8,
    pub(crate) record: Record,
}

/// An invariant that a step broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Flaw {
    /// (I2)
    NumberTwice,
    /// (I4), the general form.
    NoAlarmWhereDue,
    /// (I4), two speakers.
    TwoSpeakers,
    /// (I5)
    FalseAlarm,
    /// A spliced message changed something.
    SpliceTaken,
    /// A data key is gone that retention promises.
    KeyLost,
    /// (I6)
    NotReadmitted,
}

/// What the authority decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    /// Accepted; whether it was the first of a pending generation.
    Accepted(bool),
    Refused(Refusal),
    /// Another node was faster; the request is to be looked at again.
    Overtaken,
}

impl World {
    /// A device, blank or enrolled, and its authority.
    pub(crate) fn start(config: &Config) -> Self {
        let mut world = Self {
            now: START,
            clocks: config.clocks,
            ahead: 0,
            era: Era { number: 0, began_ms: 0 },
            record: None,
            loads: [None, None],
            agreements: Vec::new(),
            holders: vec![Holder::blank()],
            kept: None,
            sent: Vec::new(),
            replies: Vec::new(),
            enrolls: Vec::new(),
            confirmations: BTreeSet::new(),
            left: config.budget,
            alarm: None,
            flaws: BTreeSet::new(),
            fork: None,
        };
        if config.budget.enrollments == 0 {
            world.enroll_whole(config);
        }
        world
    }

    /// An enrollment without faults.
    fn enroll_whole(&mut self, config: &Config) {
        self.begin_enrollment(0);
        self.answer_enrollment(0, 0, config);
        self.finish_enrollment(0, 0, 0);
        let key = self.confirm(0, Crash::None, config).expect("the enrollment was finished");
        self.take_confirmation(key);
    }

    /// The clock of `node`, in seconds.
    pub(crate) fn clock(&self, node: usize) -> u64 {
        self.clocks[node].read(self.now) + self.ahead
    }

    /// The same as the authority takes it in. While it is ahead, nothing may be erased.
    pub(crate) fn time(&self, node: usize) -> AuthorityTime {
        let (now_ms, era_ms) = (self.clock(node) * 1_000, self.era.began_ms);
        AuthorityTime { now_ms, era_ms, may_erase: self.ahead == 0 }
    }

    /// A stored time as node `node` reads it (specification, section 9.1).
    pub(crate) fn as_read(&self, stored_ms: u64, node: usize) -> u64 {
        let is_ahead = stored_ms > self.clock(node) * 1_000 + SKEW_MS;
        if is_ahead { self.era.began_ms } else { stored_ms }
    }

    /// The time is right again: a new era.
    pub(crate) fn begin_era(&mut self) {
        self.ahead = 0;
        self.era = Era { number: self.era.number + 1, began_ms: self.clock(0) * 1_000 };
    }

    /// Whether a data key is gone that retention promises. Runs without jumps do not keep the trees.
    pub(crate) fn has_lost_keys(&self, config: &Config) -> bool {
        let Some(record) = self.record.as_ref().filter(|_| !config.jumps.is_empty()) else { return false };
        let now = self.clocks.iter().map(|clock| clock.read(self.now)).max().unwrap_or(self.now);
        [Some(&record.active), record.pending.as_ref()]
            .into_iter()
            .flatten()
            .any(|live| live.has_lost(now, &config.policy()))
    }

    /// A new agreement with the authority's time as the start of its schedule.
    fn agree(&mut self, number: u64, now: u64, config: &Config) -> Key {
        let schedule = Schedule { period: config.period, max_uses: config.max_uses, not_before: now };
        self.agreements.push(Agreement { number, schedule });
        Key::try_from(self.agreements.len() - 1).expect("a run makes few agreements")
    }

    pub(crate) fn proof(&self, id: usize) -> super::authority::Proof {
        let request = self.sent[id];
        super::authority::Proof {
            generation: self.agreements[usize::from(request.key)].number,
            claim: Claim {
                epoch: request.epoch,
                number: request.number,
                issued_ms: request.issued_ms,
                is_ordered: request.is_rekey,
                mark: (id as u64 + 1).to_be_bytes(),
            },
            key: Some(request.key),
        }
    }

    /// What `node` decides about request `id` on `record`, and the reply if it accepts. Only `record` and the agreements
    /// change.
    fn decide(
        &mut self,
        record: &mut Record,
        id: usize,
        node: usize,
        config: &Config,
    ) -> Result<(bool, Reply), Refusal> {
        let (time, policy, proof) = (self.time(node), config.policy(), self.proof(id));
        let (now, now_ms) = (time.now(), time.now_ms);
        if self.sent[id].era != self.era.number && !config.is(Mutant::OldChallenges) {
            return Err(Refusal::ChallengeUnknown);
        }
        if proof.claim.issued_ms > now_ms + policy.skew_ms {
            return Err(Refusal::ChallengeFromTheFuture);
        }
        if now_ms > proof.claim.issued_ms + policy.challenge_lifetime_ms {
            return Err(Refusal::ChallengeExpired);
        }
        let activated = record.verify(&proof, time, config)?;
        let mut next = None;
        if proof.claim.is_ordered {
            let key = self.agree(record.active.number + 1, now, config);
            let schedule = self.agreements[usize::from(key)].schedule;
            next = record.rekey(proof.generation, key, schedule, config).then_some(key);
        }
        Ok((activated, Reply { next }))
    }

    /// The authority takes in request `id` at `node`: decide, store, answer. `told` says whether a refusal reaches the
    /// device. A crash before the write is as if the request were lost, one after it as if the reply were.
    pub(crate) fn deliver(&mut self, id: usize, node: usize, told: bool, config: &Config) -> Verdict {
        let Some(mut record) = self.record.take() else { return Verdict::Overtaken };
        let must_alarm = self.must_alarm(&record, id, node);
        let decided = self.decide(&mut record, id, node, config);
        self.record = Some(record);
        let verdict = self.conclude(id, decided, must_alarm, config);
        if told && let Verdict::Refused(refusal) = verdict {
            self.tell(id, refusal, config);
        }
        verdict
    }

    /// Mutant: the authority answers, and crashes before it stores.
    pub(crate) fn answer_only(&mut self, id: usize, node: usize, config: &Config) {
        let Some(stored) = self.record.clone() else { return };
        let decided = self.decide(&mut stored.clone(), id, node, config);
        if let Ok((_, reply)) = decided {
            self.replies[id].get_or_insert(reply);
        }
    }

    /// Interleaved nodes: `node` loads the record for request `id`.
    pub(crate) fn load(&mut self, id: usize, node: usize) {
        let id = u8::try_from(id).expect("a run sends few requests");
        self.loads[node] = self.record.clone().map(|record| Load { id, record });
    }

    /// Interleaved nodes: `node` decides on what it loaded and stores it, if the record is still the one it loaded.
    pub(crate) fn commit(&mut self, node: usize, blindly: bool, config: &Config) -> Verdict {
        let Some(Load { id, mut record }) = self.loads[node].take() else { return Verdict::Overtaken };
        if !blindly && self.record.as_ref() != Some(&record) {
            return Verdict::Overtaken;
        }
        let (id, must_alarm) = (usize::from(id), self.must_alarm(&record, usize::from(id), node));
        let decided = self.decide(&mut record, id, node, config);
        if decided.is_ok() {
            self.record = Some(record);
        }
        self.conclude(id, decided, must_alarm, config)
    }

    fn conclude(
        &mut self,
        id: usize,
        decided: Result<(bool, Reply), Refusal>,
        must_alarm: bool,
        config: &Config,
    ) -> Verdict {
        match decided {
            Ok((activated, reply)) => {
                let request = self.sent[id];
                let is_taken = |other: &(Request, &Option<Reply>)| {
                    other.1.is_some() && (other.0.key, other.0.number) == (request.key, request.number)
                };
                if self.sent.iter().copied().zip(&self.replies).any(|other| is_taken(&other)) {
                    self.flaws.insert(Flaw::NumberTwice);
                }
                self.replies[id] = Some(reply);
                if must_alarm {
                    self.flaws.insert(Flaw::NoAlarmWhereDue);
                }
                Verdict::Accepted(activated)
            }
            Err(refusal) => {
                if let Refusal::Clone(sign) = refusal {
                    self.alarm = Some(sign);
                    if self.fork.is_none() && config.keeps_skew() {
                        self.flaws.insert(Flaw::FalseAlarm);
                    }
                } else if must_alarm && !matches!(refusal, Refusal::EpochSpent(_)) {
                    self.flaws.insert(Flaw::NoAlarmWhereDue);
                }
                Verdict::Refused(refusal)
            }
        }
    }

    /// (I4), the general form, told from the ledger's bare facts; see `fork.rs`. Only where the clocks keep their promise.
    fn must_alarm(&self, record: &Record, id: usize, node: usize) -> bool {
        let (request, Some(_)) = (self.sent[id], &self.fork) else { return false };
        let is_later = |ledger: &Ledger| request.issued_ms > self.as_read(ledger.latest_ms(), node) + SKEW_MS;
        let is_low = |live: &Generation| {
            live.key == request.key && Some(request.number) <= live.ledger.highest() && is_later(&live.ledger)
        };
        let was_live = !record.is_live(request.key);
        let is_known = !matches!(record.enrollment, Enrollment::Pending(_));
        let has_lost = was_live && (is_later(&record.active.ledger) || self.was_replaced(request.key));
        let is_in_time = request.era == self.era.number
            && self.clock(0).max(self.clock(1)) * 1_000 <= request.issued_ms + 12_000;
        is_known
            && is_in_time
            && (is_low(&record.active) || record.pending.as_ref().is_some_and(is_low) || has_lost)
    }

    /// Whether `key` was agreed and never used: no proof under it was ever accepted.
    fn was_replaced(&self, key: Key) -> bool {
        !self.sent.iter().zip(&self.replies).any(|(request, reply)| request.key == key && reply.is_some())
    }

    /// A refusal reaches the device, if it still waits for it.
    pub(crate) fn tell(&mut self, id: usize, refusal: Refusal, config: &Config) {
        let request = self.sent[id];
        let holder = &mut self.holders[usize::from(request.holder)];
        if holder.ram.awaited.contains(&(id as u8)) && holder.ram.key == Some(request.key) {
            holder.refused(request.epoch, refusal, config);
        }
    }

    /// The record as it is made by an enrollment.
    pub(crate) fn record_of(&mut self, request: u8, node: usize, config: &Config) -> Key {
        let key = self.agree(1, self.clock(node), config);
        let schedule = self.agreements[usize::from(key)].schedule;
        let active = Generation { key, number: 1, schedule, ledger: Ledger::new(0), first: 0, data_first: 0 };
        self.record = Some(Record {
            enrollment: Enrollment::Pending(request),
            active,
            pending: None,
            retired: VecDeque::new(),
            replaced: VecDeque::new(),
        });
        key
    }

    /// Whether the device awaits the confirmation of its enrollment.
    pub(crate) fn is_unconfirmed(&self, holder: usize) -> bool {
        let ram = &self.holders[holder].ram;
        ram.key.is_some() && ram.standing == Standing::Unconfirmed
    }
}

/// Where in a step a device crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Crash {
    None,
    BeforeSave,
    AfterSave,
}
