//! The steps from state to state.

use super::authority::{Key, Refusal};
use super::config::{Config, TICK};
use super::device::Ram;
use super::ends::Got;
use super::fork::Fork;
use super::mutant::Mutant;
use super::recover;
use super::world::{Crash, Flaw, Verdict, World};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Tick,
    /// A node's clock jumps, stops, or is set right: to one of the settings of the run.
    SetClock {
        node: usize,
        setting: usize,
    },
    /// The time that all nodes share jumps ahead: to one of the jumps of the run.
    Jump {
        jump: usize,
    },
    /// It goes back, in a new era: a human accepts it.
    BeginEra,
    Sweep {
        node: usize,
    },
    Ask {
        holder: usize,
        node: usize,
    },
    Prove {
        holder: usize,
        question: usize,
        is_rekey: bool,
        crash: Crash,
    },
    Deliver {
        id: usize,
        node: usize,
        told: bool,
    },
    /// The authority crashes after it decided and before it stored.
    CrashedDelivery {
        id: usize,
        node: usize,
    },
    Load {
        id: usize,
        node: usize,
    },
    Commit {
        node: usize,
    },
    Receive {
        holder: usize,
        id: usize,
        crash: Crash,
    },
    /// A refusal that nobody sent, or that is old.
    Forge {
        id: usize,
        refusal: Refusal,
    },
    CrashDevice {
        holder: usize,
    },
    /// A whole request: the challenge if none is open, proof, delivery, reply.
    Request {
        holder: usize,
        node: usize,
        is_rekey: bool,
    },
    /// The same, lost on the way to the authority.
    LostRequest {
        holder: usize,
        node: usize,
        is_rekey: bool,
    },
    /// The same, its reply lost.
    LostReply {
        holder: usize,
        node: usize,
        is_rekey: bool,
    },
    Keep,
    /// A second holder starts from the image that was kept.
    Copy,
    /// A second holder goes on from the very memory of the first.
    CopyMemory,
    /// The device itself is rolled back to the image that was kept.
    Restore,
    BeginEnrollment,
    AnswerEnrollment {
        id: usize,
        node: usize,
    },
    FinishEnrollment {
        id: usize,
        key: Key,
    },
    Confirm {
        crash: Crash,
    },
    TakeConfirmation {
        key: Key,
    },
}

/// What a step let the outside see; the real ends must show the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Nothing,
    /// Generation, epoch, number.
    Sent(Option<(u64, u32, u64)>),
    Judged(Verdict),
    Received(Got),
    Whole(Option<(u64, u32, u64)>, Verdict, Got),
}

impl World {
    /// Takes one step.
    pub(crate) fn take(&mut self, step: Step, config: &Config) -> Seen {
        let seen = self.step(step, config);
        if self.has_lost_keys(config) {
            self.flaws.insert(Flaw::KeyLost);
        }
        if !recover::is_readmitted(self, config) {
            self.flaws.insert(Flaw::NotReadmitted);
        }
        seen
    }

    fn step(&mut self, step: Step, config: &Config) -> Seen {
        match step {
            Step::Tick => {
                self.left.ticks -= 1;
                self.now += TICK;
            }
            Step::SetClock { node, setting } => {
                self.left.clocks -= 1;
                self.clocks[node] = config.settings[setting];
            }
            Step::Sweep { node } => {
                self.left.sweeps -= 1;
                let time = self.time(node);
                if let Some(record) = &mut self.record {
                    record.sweep(time, config);
                }
            }
            Step::Jump { jump } => {
                self.left.jumps -= 1;
                self.ahead = config.jumps[jump];
            }
            Step::BeginEra => self.begin_era(),
            Step::Ask { holder, node } => {
                self.left.asks -= 1;
                self.ask(holder, node, config);
            }
            Step::Prove { holder, question, is_rekey, crash } => {
                self.count_proof(is_rekey, crash);
                return Seen::Sent(self.prove_seen(holder, question, is_rekey, crash, config));
            }
            Step::Deliver { id, node, told } => return Seen::Judged(self.deliver(id, node, told, config)),
            Step::CrashedDelivery { id, node } => {
                if config.is(Mutant::AnswersBeforeStoring) {
                    self.answer_only(id, node, config);
                }
            }
            Step::Load { id, node } => self.load(id, node),
            Step::Commit { node } => {
                let is_blind = config.is(Mutant::StoresBlindly);
                return Seen::Judged(self.commit(node, is_blind, config));
            }
            Step::Receive { holder, id, crash } => {
                self.count_crash(crash);
                return Seen::Received(self.receive(holder, id, crash, config));
            }
            Step::Forge { id, refusal } => {
                self.left.refusals -= 1;
                self.tell(id, refusal, config);
            }
            Step::CrashDevice { holder } => {
                self.count_crash(Crash::AfterSave);
                self.holders[holder].crash();
            }
            Step::Request { holder, node, is_rekey } => {
                return self.request(holder, node, is_rekey, true, config);
            }
            Step::LostReply { holder, node, is_rekey } => {
                return self.request(holder, node, is_rekey, false, config);
            }
            Step::LostRequest { holder, node, is_rekey } => {
                self.skip();
                let sent = self.open_and_prove(holder, node, is_rekey, config);
                return Seen::Sent(sent);
            }
            Step::Keep => self.kept = self.holders[0].image,
            Step::Copy => {
                self.left.copies -= 1;
                let image = self.kept;
                self.holders.push(super::device::Holder { image, ram: Ram::of(image) });
                self.fork = Some(Fork::default());
            }
            Step::CopyMemory => {
                self.left.copies -= 1;
                let mut copy = self.holders[0].clone();
                copy.ram.questions.clear();
                copy.ram.awaited.clear();
                copy.ram.last_rekey = None;
                self.holders.push(copy);
                self.fork = Some(Fork::default());
            }
            Step::Restore => {
                self.left.restores -= 1;
                self.holders[0].image = self.kept;
                self.holders[0].crash();
                self.fork = Some(Fork { skipped: true, ..Fork::default() });
            }
            Step::BeginEnrollment => {
                self.left.enrollments -= 1;
                self.begin_enrollment(0);
            }
            Step::AnswerEnrollment { id, node } => self.answer_enrollment(id, node, config),
            Step::FinishEnrollment { id, key } => self.finish_enrollment(0, id, key),
            Step::Confirm { crash } => {
                self.count_crash(crash);
                self.confirm(0, crash, config);
            }
            Step::TakeConfirmation { key } => {
                self.take_confirmation(key);
            }
        }
        Seen::Nothing
    }

    fn count_proof(&mut self, is_rekey: bool, crash: Crash) {
        self.left.proofs -= 1;
        self.left.rekeys -= u8::from(is_rekey);
        self.count_crash(crash);
    }

    fn count_crash(&mut self, crash: Crash) {
        if crash != Crash::None {
            self.left.crashes -= 1;
            self.skip();
        }
    }

    fn skip(&mut self) {
        if let Some(fork) = &mut self.fork {
            fork.skipped = true;
        }
    }

    fn prove_seen(
        &mut self,
        holder: usize,
        question: usize,
        is_rekey: bool,
        crash: Crash,
        config: &Config,
    ) -> Option<(u64, u32, u64)> {
        let request = self.prove(holder, question, is_rekey, crash, config)?;
        Some((self.agreements[usize::from(request.key)].number, request.epoch, request.number))
    }

    fn open_and_prove(
        &mut self,
        holder: usize,
        node: usize,
        is_rekey: bool,
        config: &Config,
    ) -> Option<(u64, u32, u64)> {
        self.count_proof(is_rekey, Crash::None);
        if self.holders[holder].ram.questions.is_empty() {
            self.ask(holder, node, config);
        }
        self.prove_seen(holder, 0, is_rekey, Crash::None, config)
    }

    /// A whole request of `holder` by way of `node`.
    pub(crate) fn request(
        &mut self,
        holder: usize,
        node: usize,
        is_rekey: bool,
        is_answered: bool,
        config: &Config,
    ) -> Seen {
        if config.paced {
            self.now += TICK;
        }
        let sent = self.open_and_prove(holder, node, is_rekey, config);
        if sent.is_none() {
            return Seen::Sent(None);
        }
        let id = self.sent.len() - 1;
        let verdict = self.deliver(id, node, is_answered, config);
        if let Some(mut fork) = self.fork.take() {
            let is_spent = matches!(verdict, Verdict::Refused(Refusal::EpochSpent(_)));
            let read = |stored| self.as_read(stored, node);
            if fork.arrived(holder, self.sent[id].issued_ms, read, self.alarm.is_some(), is_spent) {
                self.flaws.insert(Flaw::TwoSpeakers);
            }
            self.fork = Some(fork);
        }
        let got = if is_answered { self.receive(holder, id, Crash::None, config) } else { Got::Nothing };
        Seen::Whole(sent, verdict, got)
    }
}
