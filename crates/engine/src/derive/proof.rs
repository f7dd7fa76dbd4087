//! Proofs: a challenge, then an action that is proved, committed, and only then answered.

use crate::derive::actions::{Ask, Body, Performing};
use crate::derive::rotation::rekey_required;
use crate::fleet::arrival::{Arrival, Arriving};
use crate::issue::made_key::MadeKey;
use crate::issue::renewal::require_accepted;
use crate::kernel::record::{self, Recording, device_text, hex, target};
use crate::kernel::{Decision, Draw, Engine, Error, Held, Kept, Stop, Tx};
use crate::project::{KnownDevice, Rules};
use crate::rows::{self, KeysRow};
use std::sync::Arc;
use wardein_ddkg::authority::{Accepted, CloneEvidence, Refusal};
use wardein_ddkg::message::{AckedReply, ChallengeOffer, ProofRequest};
use wardein_ddkg::{CheckedChallenge, DeviceName, Recipe};
use wardein_domain::{
    Actor, Call, DeviceState, ErrorKind, Event, FieldName, Fields, KeyKind, Method, Outcome, RekeyGate,
    RenewalWindow, Target, UnixSeconds,
};
use wardein_port::{Change, Table};

/// The answer to a proved request.
#[derive(Debug, Clone)]
pub struct Proved {
    /// The reply, with the ack that makes the device believe it.
    pub reply: AckedReply,
    /// Whether it is to rekey soon.
    pub rekey_due: bool,
    /// Whether it is to carry out a transfer to another tenant.
    pub transfer_due: bool,
    /// When the certificate in the reply is to be renewed.
    pub renewal: Option<RenewalWindow>,
}

/// An answer whose change is durable, but for its reply body.
struct Answering {
    accepted: Accepted,
    /// Unix seconds.
    now: u64,
    body: Body,
    is_rekey_due: bool,
    is_transfer_due: bool,
    renewal: Option<RenewalWindow>,
    /// What the device was until this proof, where it came from another tenant.
    left: Option<DeviceName>,
}

/// What a device may ask for.
struct Admitted {
    /// What it is until this proof, where it comes from another tenant.
    arrival: Option<Arrival>,
    gate: RekeyGate,
}

/// A request, and its action as it was read.
#[derive(Clone, Copy)]
struct Asked<'a> {
    request: &'a ProofRequest,
    body: &'a [u8],
    ask: &'a Ask<'a>,
    made: Option<&'a MadeKey>,
}

/// A request with all that is known of it before its keys are looked at.
struct Proof<'a> {
    call: &'a Call,
    request: &'a ProofRequest,
    body: &'a [u8],
    ask: &'a Ask<'a>,
    /// The key that was made for it, where it asks for one and may have it.
    made: Option<&'a MadeKey>,
    checked: CheckedChallenge,
    known: Arc<KnownDevice>,
    rules: Rules,
    /// Unix milliseconds.
    now_ms: u64,
}

impl Engine {
    /// Waits, where a device is not known, until everything is known that other nodes acknowledged: one of them may have enrolled it.
    pub async fn hear_of(&self, device: &DeviceName) -> Result<(), Error> {
        if self.memory.device(device).is_some() {
            return Ok(());
        }
        self.hear_others().await
    }

    /// A challenge for the next proof of a device. It changes nothing. One that is not enrolled gets one all the same.
    pub fn challenge(&self, device: &DeviceName) -> Result<ChallengeOffer, Error> {
        let now_ms = self.clock.now_ms();
        let recipe = self.recipe(device);
        let challenge = self
            .memory
            .challenges()?
            .issue(device, &recipe, now_ms, &mut Draw::new(&*self.entropy))
            .map_err(|_| Error::internal("no entropy for a challenge"))?;
        Ok(ChallengeOffer { challenge, server_time: now_ms / 1000, recipe: Recipe::clone(&recipe) })
    }

    /// Verifies a proved request, performs its action, and answers when all of it is durable.
    pub async fn prove(&self, call: &Call, request: ProofRequest, body: Vec<u8>) -> Result<Proved, Error> {
        let ask = Ask::parse(&request.action, &body)?;
        let made = match ask {
            Ask::MadeKey(kind) => self.made_for(call, &request, &body, kind).await?,
            _ => None,
        };
        let asked = Asked { request: &request, body: &body, ask: &ask, made: made.as_ref() };
        let judge = |tx: &mut Tx<'_>| {
            let proof = self.proof(call, asked)?;
            let mut held = self.load_keys(tx, &request.device)?.ok_or(Refusal::MacWrong)?;
            match self.verify(&proof, &mut held.keys) {
                // An alarm is raised where it is decided.
                Ok(_) | Err(Refusal::CloneSuspected(_)) => Ok(()),
                Err(refusal) => Err(self.refusal(refusal, &held.keys, request.generation).into()),
            }
        };
        let decide = |tx: &mut Tx<'_>| {
            let proof = self.proof(call, asked)?;
            let mut decision = self.decide_proof(tx, &proof)?;
            // A refusal of one who proved who it is, or an alarm. One that alters nothing is only counted where it comes too often.
            if let Err(error) = &decision.answer
                && decision.change.writes.is_empty()
                && !self.records_refusal_of(
                    tx,
                    &request.device,
                    Target::Method(Method::Prove),
                    error.code,
                    call,
                )
            {
                decision.change = Change::default();
            }
            Ok(decision)
        };
        let Answering { accepted, now, body, is_rekey_due, is_transfer_due, renewal, left } =
            self.transact_on(&request.device, judge, decide).await?;
        // Nothing is accepted under those keys any more.
        left.iter().for_each(|left| self.records.forget(left));
        let body = self.body(call, body).await?;
        let reply = accepted.reply(now, body);
        Ok(Proved { reply, rekey_due: is_rekey_due, transfer_due: is_transfer_due, renewal })
    }

    /// The key that a request asks for, where its device may have it. What would be refused uses none up; it is refused, and recorded,
    /// where it is decided.
    async fn made_for(
        &self,
        call: &Call,
        request: &ProofRequest,
        body: &[u8],
        kind: KeyKind,
    ) -> Result<Option<MadeKey>, Error> {
        let asked = Asked { request, body, ask: &Ask::MadeKey(kind), made: None };
        let may = self.look(|tx| {
            let proof = self.proof(call, asked)?;
            let mut held = self.load_keys(tx, &request.device)?.ok_or(Refusal::MacWrong)?;
            let _accepted = self.verify(&proof, &mut held.keys)?;
            self.admit(tx, &proof, &held.keys, false)?;
            self.may_certify()?;
            Ok(require_accepted(kind, proof.rules.profile.certificate_keys())?)
        });
        may.await.is_ok().then(|| self.make_key(kind, &request.device)).transpose()
    }

    /// A request whose challenge is good and whose device is on record.
    fn proof<'a>(&self, call: &'a Call, asked: Asked<'a>) -> Result<Proof<'a>, Error> {
        let Asked { request, body, ask, made } = asked;
        let name = &request.device;
        let now_ms = self.clock.now_ms();
        let known = self.memory.device(name);
        let recipe = known.as_ref().map_or_else(Arc::default, |known| known.recipe.clone());
        let checked =
            self.memory.challenges()?.check(&request.challenge, name, &recipe, now_ms, &self.policy)?;
        // A device that is not there looks like one whose mac is wrong.
        let known = known.ok_or(Refusal::MacWrong)?;
        let rules = self.memory.rules(&name.tenant, &known.profile).unwrap_or_default();
        Ok(Proof { call, request, body, ask, made, checked, known, rules, now_ms })
    }

    /// The keys are as they were where it is refused.
    fn verify(&self, proof: &Proof<'_>, keys: &mut KeysRow) -> Result<Accepted, Refusal> {
        let Proof { request, body, checked, known, rules, now_ms, .. } = proof;
        let policy = self.policy_towards(keys, self.policy_of(&rules.profile));
        keys.record.verify(request, *checked, &known.recipe, body, self.authority_time(*now_ms), &policy)
    }

    fn decide_proof(&self, tx: &mut Tx<'_>, proof: &Proof<'_>) -> Result<Decision<Answering>, Stop> {
        let name = &proof.request.device;
        if let Some(mut held) = tx.take_keys(name) {
            // Memory may be behind the store, so it refuses nobody; if it is not, it stays.
            if let Ok(accepted) = self.verify(proof, &mut held.keys) {
                let decision = self.accept(tx, proof, accepted, held)?;
                if decision.answer.is_ok() {
                    return Ok(decision);
                }
            } else {
                let stored = tx.get(Table::DeviceHot, &rows::device_key(name))?;
                if stored.is_some_and(|row| row.version == held.version) {
                    return self.judge(tx, proof, held);
                }
            }
        }
        let held = self.load_keys(tx, name)?.ok_or(Refusal::MacWrong)?;
        self.judge(tx, proof, held)
    }

    /// By keys that are as they are stored.
    fn judge(&self, tx: &mut Tx<'_>, proof: &Proof<'_>, mut held: Held) -> Result<Decision<Answering>, Stop> {
        let Proof { request, call, now_ms, .. } = proof;
        match self.verify(proof, &mut held.keys) {
            Ok(accepted) => self.accept(tx, proof, accepted, held),
            Err(refusal) => {
                let error = match &refusal {
                    Refusal::CloneSuspected(evidence) => {
                        let (sign, evidence) = (evidence.sign.code(), facts(evidence));
                        let change = self.clone_alarm(tx, call, &request.device, *now_ms, sign, evidence)?;
                        return Ok(Decision::refused(change, refusal.into()));
                    }
                    _ => self.refusal(refusal, &held.keys, request.generation),
                };
                tx.put_back(held);
                Err(error.into())
            }
        }
    }

    /// Performs the action, as far as the state of the device and of its keys allows.
    fn accept(
        &self,
        tx: &mut Tx<'_>,
        proof: &Proof<'_>,
        accepted: Accepted,
        Held { cold, version, mut keys }: Held,
    ) -> Result<Decision<Answering>, Stop> {
        let Proof { call, request, ask, made, known, rules, now_ms, .. } = proof;
        let (name, now) = (&request.device, now_ms / 1000);
        let Admitted { arrival, gate } = match self.admit(tx, proof, &keys, accepted.is_rekey()) {
            Ok(admitted) => admitted,
            Err(Stop::Refuse(refused)) if refused.kind() != ErrorKind::Internal => {
                return Ok(self.decide_refusal(proof, refused)?);
            }
            Err(stop) => return Err(stop),
        };
        let mut change = Change::default();
        let (record, emergency) = keys.parts();
        let performing = Performing {
            name,
            profile: &known.profile,
            rules,
            now,
            now_ms: *now_ms,
            call,
            accepted: &accepted,
            record,
            emergency,
            made: *made,
            change: &mut change,
        };
        let done = match self.perform(tx, ask, performing) {
            Ok(done) => done,
            Err(Stop::Refuse(refused)) if refused.kind() != ErrorKind::Internal => {
                return Ok(self.decide_refusal(proof, refused)?);
            }
            Err(stop) => return Err(stop),
        };
        let left = arrival.as_ref().map(|arrival| arrival.from.clone());
        if let Some(arrival) = arrival {
            let arriving = Arriving { name, record: &keys.record, now_ms: *now_ms, call };
            match self.arrive(tx, arrival, &arriving, &mut change) {
                Ok(()) => {}
                Err(Stop::Refuse(refused)) if refused.kind() != ErrorKind::Internal => {
                    return Ok(self.decide_refusal(proof, refused)?);
                }
                Err(stop) => return Err(stop),
            }
        } else if accepted.has_adopted_attributes() {
            self.adopt_attributes(tx, name, &keys.record, &mut change)?;
        }
        if let Ask::Attributes(attributes) = ask {
            self.keep_announced(tx, name, (&keys.record, attributes), &mut change)?;
        }
        if accepted.is_rekey() {
            keys.rekeyed(self.authority.restored_at);
        }
        keys.last_seen = UnixSeconds::new(now);
        let cold = self.put_keys(tx, &mut change, name, (cold, version), &mut keys)?;
        let actor = Actor::Device(name.tenant.clone(), name.device.clone());
        let entry = record::entry(*now_ms, actor, done.event, target(name), Outcome::Done, call);
        change.record(&entry.with_all(done.fields))?;
        let is_rekey_due = gate != RekeyGate::Free && !accepted.is_rekey();
        let is_transfer_due = !accepted.is_transfer() && self.memory.awaits_transfer(name);
        let (body, renewal) = (done.body, done.renewal);
        let answering = Answering { accepted, now, body, is_rekey_due, is_transfer_due, renewal, left };
        Ok(Decision { keys: Some(Kept { keys, cold }), ..Decision::new(change, answering) })
    }

    /// Refuses a device that is in a state, or has keys, with which it may not ask for this.
    fn admit(
        &self,
        tx: &Tx<'_>,
        proof: &Proof<'_>,
        keys: &KeysRow,
        is_rekey: bool,
    ) -> Result<Admitted, Stop> {
        let Proof { request, known, rules, now_ms, .. } = proof;
        // What has not arrived yet is where it comes from, and is refused there as it is.
        let arrival = match known.state {
            DeviceState::Pending => self.arrival(tx, &request.device)?,
            _ => None,
        };
        let state = arrival.as_ref().map_or(known.state, |arrival| arrival.state);
        if let Some(code) = state.refusal() {
            let next = match state {
                _ if arrival.is_some() => "so is it in the tenant that it comes from, which must decide",
                DeviceState::Pending => "an administrator let it enroll again; enroll it at a station",
                DeviceState::Transferred => "it belongs to another tenant",
                _ => "an administrator must decide",
            };
            let message = format_args!("the device is {state}; {next}");
            return Err(Error::new(code, message).into());
        }
        let gate = self.gate(keys, &rules.profile, rules.rotation.and(known.rotation), now_ms / 1000);
        if gate == RekeyGate::Required && !is_rekey {
            return Err(rekey_required().into());
        }
        Ok(Admitted { arrival, gate })
    }

    /// A device that proved who it is, and may not: like every refusal of an authenticated caller it is on record.
    fn decide_refusal(&self, proof: &Proof<'_>, error: Error) -> Result<Decision<Answering>, Error> {
        let DeviceName { tenant, device } = &proof.request.device;
        let (actor, named) = (Actor::Device(tenant.clone(), device.clone()), device_text(tenant, device));
        let (method, outcome) = (Target::Method(Method::Prove), Outcome::refused(error.code));
        let mut change = Change::default();
        let entry = record::entry(proof.now_ms, actor, Event::CallRefused, method, outcome, proof.call);
        change.record(&entry.with(FieldName::Device, named).with(FieldName::Message, &error.message))?;
        Ok(Decision::refused(change, error))
    }

    fn recipe(&self, name: &DeviceName) -> Arc<Recipe> {
        self.memory.device(name).map(|known| known.recipe.clone()).unwrap_or_default()
    }
}

/// The evidence of a clone alarm.
fn facts(evidence: &CloneEvidence) -> Fields {
    let CloneEvidence { generation, epoch, number, highest, issued_ms, latest_ms, transcript, .. } = evidence;
    let fields = Fields::default()
        .with(FieldName::Generation, generation)
        .with(FieldName::Epoch, epoch)
        .with(FieldName::Number, number);
    let fields = match highest {
        Some(highest) => fields.with(FieldName::HighestNumber, highest),
        None => fields,
    };
    fields
        .with(FieldName::ChallengeMs, issued_ms)
        .with(FieldName::LatestChallengeMs, latest_ms)
        .with(FieldName::Transcript, hex(&transcript.0))
}
