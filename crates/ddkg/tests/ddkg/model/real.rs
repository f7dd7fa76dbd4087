//! The shipped ends, with real keys, taking the same steps as the model.

use super::config::{Clock, Config, START};
use super::ends::Got;
use super::step::{Seen, Step};
use super::world::Crash;
use std::collections::BTreeMap;
use wardein_crypto::{Digest, P256SigningKey, Secret, SystemEntropy};
use wardein_ddkg::authority::{EnrollTerms, Record, Refusal};
use wardein_ddkg::device::{ChallengeAsk, DeviceError, DeviceState, Enrolling, InFlight, Unsaved};
use wardein_ddkg::message::{AckedReply, ChallengeOffer, ProofRequest, RekeyAsk};
use wardein_ddkg::{
    Attributes, AuthorityTime, ChallengeError, ChallengeKey, DeviceName, Purposes, Recipe, Suite,
};
use wardein_domain::{Purpose, Schedule};

/// Both shipped ends and what lies between them.
pub(crate) struct Real {
    config: Config,
    now: u64,
    clocks: [Clock; 2],
    ahead: u64,
    era_ms: u64,
    era: u8,
    /// Of the present era.
    key: ChallengeKey,
    pub(crate) record: Record,
    pub(crate) holders: Vec<Holder>,
    kept: Vec<u8>,
    sent: Vec<Sent>,
}

/// A device and its flash.
pub(crate) struct Holder {
    pub(crate) state: DeviceState,
    flash: Vec<u8>,
    question: Option<(ChallengeAsk, ChallengeOffer)>,
    awaited: BTreeMap<usize, InFlight>,
}

struct Sent {
    holder: usize,
    request: ProofRequest,
    body: Vec<u8>,
    reply: Option<AckedReply>,
}

/// What the authority decided, as text: `accepted`, `activated`, or the code of the refusal with what it names.
pub(crate) type Decided = String;

/// A write that a crash kept from happening.
struct Crashed;

impl Real {
    /// Enrolled and confirmed, as the model begins.
    pub(crate) fn start(config: &Config) -> Self {
        let document = P256SigningKey::generate_pkcs8().expect("the system gives randomness");
        let identity = P256SigningKey::from_pkcs8(&document).expect("the key was just made");
        let device = DeviceName {
            tenant: "model".parse().expect("a tenant"),
            device: "pump-1".parse().expect("a device id"),
        };
        let enrolling = Enrolling::begin(
            *identity.verifying_key(),
            Suite::P256,
            device,
            Attributes::new(),
            &mut entropy(),
        )
        .expect("the system gives randomness");
        let terms = EnrollTerms {
            generation: 1,
            schedule: schedule(config, START),
            purposes: Purposes::of([Purpose::Data]),
        };
        let sign = |digest: &Digest| identity.sign(digest.as_ref());
        let enrolled = Record::enroll(None, enrolling.request(), &terms, sign, &mut entropy())
            .expect("the request is in order");
        let state = enrolling.finish(&enrolled.reply, Purposes::of([])).expect("the reply is in order");
        let record = enrolled.record.expect("it is the first request");
        let mut holder = Holder { state, flash: Vec::new(), question: None, awaited: BTreeMap::new() };
        let unsaved = holder.state.confirmation().expect("it is unconfirmed");
        let confirmation = save(unsaved, &mut holder.flash, Crash::None).unwrap_or_else(|_| unreachable!());
        let mut real = Self {
            config: config.clone(),
            now: START,
            clocks: config.clocks,
            ahead: 0,
            era_ms: 0,
            era: 0,
            key: challenge_key(0),
            record,
            holders: vec![holder],
            kept: Vec::new(),
            sent: Vec::new(),
        };
        real.record.confirm(&confirmation).expect("the confirmation is in order");
        real
    }

    /// Takes one step. `None` where the shipped ends cannot: memory is not copied.
    pub(crate) fn take(&mut self, step: Step) -> Option<(Seen, Option<Decided>)> {
        match step {
            Step::Tick => self.now += super::config::TICK,
            Step::SetClock { node, setting } => self.clocks[node] = self.config.settings[setting],
            Step::Sweep { node } => {
                let time = self.time(node);
                self.record.sweep(time, &self.config.policy());
            }
            Step::Jump { jump } => self.ahead = self.config.jumps[jump],
            Step::BeginEra => {
                (self.ahead, self.era) = (0, self.era + 1);
                (self.era_ms, self.key) = (self.clock(0) * 1_000, challenge_key(self.era));
            }
            Step::Ask { holder, node } => self.ask(holder, node),
            Step::Prove { holder, question: 0, is_rekey, crash } => {
                return Some((Seen::Sent(self.prove(holder, is_rekey, crash)), None));
            }
            Step::Deliver { id, node, told } => {
                return Some((Seen::Nothing, Some(self.deliver(id, node, told))));
            }
            Step::Receive { holder, id, crash } => {
                return Some((Seen::Received(self.receive(holder, id, crash)), None));
            }
            Step::Forge { id, refusal } => {
                let refusal = match refusal {
                    super::authority::Refusal::EpochSpent(next) => Refusal::EpochSpent { next },
                    _ => Refusal::EpochAhead { highest: 0 },
                };
                self.tell(id, &refusal);
            }
            Step::CrashDevice { holder } => self.holders[holder].crash(),
            Step::Request { holder, node, is_rekey } => {
                if self.config.paced {
                    self.now += super::config::TICK;
                }
                if self.holders[holder].question.is_none() {
                    self.ask(holder, node);
                }
                let sent = self.prove(holder, is_rekey, Crash::None);
                let id = self.sent.len() - 1;
                let decided = self.deliver(id, node, true);
                let got = self.receive(holder, id, Crash::None);
                return Some((Seen::Whole(sent, super::world::Verdict::Overtaken, got), Some(decided)));
            }
            Step::Keep => self.kept = self.holders[0].flash.clone(),
            Step::Copy => {
                let copy = Holder::restored(self.kept.clone());
                self.holders.push(copy);
            }
            Step::Restore => self.holders[0] = Holder::restored(self.kept.clone()),
            _ => return None,
        }
        Some((Seen::Nothing, None))
    }

    /// The first epoch of the active generation whose data key is left.
    pub(crate) fn first_data_epoch(&self) -> u32 {
        match self.record.delegate(Purpose::Data, 0, u32::MAX) {
            Err(Refusal::EpochGone(gone)) => gone.first,
            _ => 0,
        }
    }

    fn clock(&self, node: usize) -> u64 {
        self.clocks[node].read(self.now) + self.ahead
    }

    fn time(&self, node: usize) -> AuthorityTime {
        let now_ms = self.clock(node) * 1_000;
        AuthorityTime { now_ms, era_ms: self.era_ms, may_erase: self.ahead == 0 }
    }

    fn ask(&mut self, holder: usize, node: usize) {
        let (server_time, recipe) = (self.clock(node), recipe());
        let device = self.record.device().clone();
        let challenge = self
            .key
            .issue(&device, &recipe, server_time * 1_000, &mut entropy())
            .expect("the system gives randomness");
        let holder = &mut self.holders[holder];
        holder.question =
            Some((holder.state.ask_challenge(), ChallengeOffer { challenge, server_time, recipe }));
    }

    fn prove(&mut self, at: usize, is_rekey: bool, crash: Crash) -> Option<(u64, u32, u64)> {
        let holder = &mut self.holders[at];
        let (asked, offer) = holder.question.take().expect("the model answers an open question");
        let measured = Attributes::new().digests();
        let proved = if is_rekey {
            let unsaved = holder.state.rekey(asked, &offer, &measured, Suite::P256, &mut entropy());
            save(unsaved.expect("nothing runs out"), &mut holder.flash, crash)
                .map(|(request, ask, in_flight)| (request, ask.encode(), in_flight))
        } else {
            let action = "authenticate".parse().expect("an action");
            let unsaved = holder.state.prove(asked, &offer, &measured, action, b"", &mut entropy());
            save(unsaved.expect("nothing runs out"), &mut holder.flash, crash)
                .map(|(request, in_flight)| (request, Vec::new(), in_flight))
        };
        if crash != Crash::None {
            holder.crash();
        }
        let (request, body, in_flight) = proved.ok().filter(|_| crash == Crash::None)?;
        holder.awaited.insert(self.sent.len(), in_flight);
        let seen = (request.generation, request.epoch, request.number);
        self.sent.push(Sent { holder: at, request, body, reply: None });
        Some(seen)
    }

    fn deliver(&mut self, id: usize, node: usize, told: bool) -> Decided {
        let (time, policy, recipe) = (self.time(node), self.config.policy(), recipe());
        let now = time.now();
        let Sent { request, body, .. } = &self.sent[id];
        let checked = match self.key.check(&request.challenge, &request.device, &recipe, now * 1_000, &policy)
        {
            Ok(checked) => checked,
            Err(ChallengeError::Unknown) if self.era == 0 => panic!("there was no other era"),
            Err(error) => return error.code().as_str().into(),
        };
        // As the store gives it back: what is not in the bytes is lost.
        let mut record = self.stored();
        match record.verify(request, checked, &recipe, body, time, &policy) {
            Ok(accepted) => {
                let answer = if accepted.is_rekey() {
                    let ask = RekeyAsk::decode(body).expect("the device encoded it");
                    let schedule = schedule(&self.config, now);
                    record.rekey(&accepted, &ask, schedule, &mut entropy()).expect("it is in order").encode()
                } else {
                    Vec::new()
                };
                let reply = accepted.reply(now, answer);
                let is_first = accepted.has_activated();
                self.record = record;
                self.sent[id].reply = Some(reply);
                if is_first { "activated".into() } else { "accepted".into() }
            }
            Err(refusal) => {
                assert!(!record.is_cold_changed(), "a refusal changed the record");
                assert_eq!(record.encode_hot(), self.record.encode_hot(), "a refusal changed the record");
                if told {
                    self.tell(id, &refusal);
                }
                match refusal {
                    // One that is kept for its payloads alone; the model, which has none, forgot it.
                    Refusal::GenerationRetired { claimed, .. }
                        if !self.config.jumps.is_empty()
                            && claimed.saturating_add(4) < record.active_generation() =>
                    {
                        "generation-unknown".into()
                    }
                    Refusal::EpochSpent { next } => format!("epoch-spent {next}"),
                    Refusal::CloneSuspected(evidence) => evidence.sign.code().into(),
                    other => other.code().as_str().into(),
                }
            }
        }
    }

    fn stored(&self) -> Record {
        let (cold, hot) = (self.record.encode_cold(), self.record.encode_hot());
        Record::decode(cold.expose(), &hot).expect("it was just encoded")
    }

    fn tell(&mut self, id: usize, refusal: &Refusal) {
        let sent = &self.sent[id];
        let holder = &mut self.holders[sent.holder];
        if holder.awaited.contains_key(&id) {
            holder.state.refused(&sent.request, refusal);
        }
    }

    fn receive(&mut self, at: usize, id: usize, crash: Crash) -> Got {
        let holder = &mut self.holders[at];
        let Some(reply) = self.sent[id].reply.clone() else { return Got::Nothing };
        let Some(in_flight) = holder.awaited.remove(&id) else { return Got::Nothing };
        let got = match holder.state.acknowledge(in_flight, reply) {
            Ok(unsaved) => {
                let _ = save(unsaved, &mut holder.flash, crash);
                Got::Acked
            }
            Err(DeviceError::RekeyOvertaken) => return Got::RekeyOvertaken,
            Err(error) => panic!("{error}"),
        };
        if crash != Crash::None {
            holder.crash();
        }
        got
    }
}

impl Holder {
    fn restored(flash: Vec<u8>) -> Self {
        let state = DeviceState::restore(&flash, 0).expect("it was saved whole");
        Self { state, flash, question: None, awaited: BTreeMap::new() }
    }

    fn crash(&mut self) {
        *self = Self::restored(std::mem::take(&mut self.flash));
    }
}

fn save<M>(unsaved: Unsaved<'_, M>, flash: &mut Vec<u8>, crash: Crash) -> Result<M, Crashed> {
    unsaved.save(|bytes| {
        if crash == Crash::BeforeSave {
            return Err(Crashed);
        }
        *flash = bytes.expose().to_vec();
        Ok(())
    })
}

fn schedule(config: &Config, now: u64) -> Schedule {
    Schedule { period: config.period, max_uses: config.max_uses, not_before: now }
}

fn challenge_key(era: u8) -> ChallengeKey {
    ChallengeKey::new(Secret::copied_from(&[7 + era; 32]))
}

fn recipe() -> Recipe {
    Recipe::new(Vec::new()).expect("an empty recipe is one")
}

fn entropy() -> SystemEntropy {
    SystemEntropy::default()
}
