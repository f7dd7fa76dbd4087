//! Proofs: a challenge, then an action that is proved, committed, and only then answered.

use crate::actions::{Ask, Performing};
use crate::api::Proved;
use crate::directory::KnownDevice;
use crate::engine::{Decision, Engine};
use crate::error::{Error, Kind};
use crate::keys::rekey_required;
use crate::port::{Change, Clock, Store};
use crate::provisioning::target;
use crate::recent::Held;
use crate::rows::Written;
use std::sync::Arc;
use wardein_crypto::SystemEntropy;
use wardein_ddkg::authority::{CloneEvidence, Refusal};
use wardein_ddkg::message::{ChallengeOffer, ProofRequest};
use wardein_ddkg::{CheckedChallenge, DeviceName, Recipe};
use wardein_domain::{Actor, AuditEntry, DeviceState, Event, Method, Outcome, RekeyGate};

/// What came of a proof: the answer with the keys as they are then, or an alarm or a refusal that had to be on record first.
enum Came {
    Accepted(Box<Acceptance>),
    Alarm(Box<Alarm>),
    Refused(Error),
}

/// A request with all that is known of it before its keys are looked at.
struct Proof<'a> {
    request_id: &'a str,
    request: &'a ProofRequest,
    body: &'a [u8],
    ask: &'a Ask,
    checked: CheckedChallenge,
    known: KnownDevice,
    now_ms: u64,
}

struct Acceptance {
    proved: Proved,
    held: Held,
    written: Written,
}

struct Alarm {
    refusal: Refusal,
    written: Written,
}

impl<S: Store, C: Clock> Engine<S, C> {
    /// A challenge for the next proof of a device. It changes nothing. One that is not enrolled gets one all the same.
    pub fn challenge(&self, device: &DeviceName) -> Result<ChallengeOffer, Error> {
        let now_ms = self.clock.now_ms();
        let recipe = self.recipe(device);
        let challenge = self
            .authority
            .challenges
            .issue(device, &recipe, now_ms, &mut SystemEntropy::default())
            .map_err(|_| Error::internal("no entropy for a challenge"))?;
        Ok(ChallengeOffer { challenge, server_time: now_ms / 1000, recipe: Recipe::clone(&recipe) })
    }

    /// Verifies a proved request, does what it asks, and answers when all of it is durable.
    pub async fn prove(
        &self,
        request_id: &str,
        request: ProofRequest,
        body: Vec<u8>,
    ) -> Result<Proved, Error> {
        let ask = Ask::parse(&request.action, &body)?;
        match self.transact(|| self.decide_proof(request_id, &request, &body, &ask)).await? {
            Came::Accepted(acceptance) => {
                let Acceptance { proved, held, written } = *acceptance;
                self.take_in(&request.device, written)?;
                self.recent.put(request.device, held);
                Ok(proved)
            }
            Came::Refused(error) => Err(error),
            Came::Alarm(alarm) => {
                self.take_in(&request.device, alarm.written)?;
                Err(alarm.refusal.into())
            }
        }
    }

    /// Brings the memory that answers into step with a device's row that was written.
    fn take_in(&self, name: &DeviceName, written: Written) -> Result<(), Error> {
        written.map_or(Ok(()), |(version, row)| self.directory.put_device(name, version, &row))
    }

    fn decide_proof(
        &self,
        request_id: &str,
        request: &ProofRequest,
        body: &[u8],
        ask: &Ask,
    ) -> Result<Decision<Came>, Error> {
        let name = &request.device;
        let now_ms = self.clock.now_ms();
        let known = self.directory.device(name);
        let recipe = known.as_ref().map_or_else(Arc::default, |known| known.recipe.clone());
        let checked =
            self.authority.challenges.check(&request.challenge, name, &recipe, now_ms, &self.policy)?;
        // A device that is not there looks like one whose mac is wrong.
        let known = known.ok_or(Refusal::MacWrong)?;
        let proof = Proof { request_id, request, body, ask, checked, known, now_ms };
        if let Some(held) = self.recent.take(name)
            && let Ok(accepted @ Decision { answer: Came::Accepted(..), .. }) = self.judge(&proof, held)
        {
            return Ok(accepted);
        }
        // What is in memory may be behind the store, so it refuses nobody.
        let (version, keys) = self.load_keys(name)?.ok_or(Refusal::MacWrong)?;
        self.judge(&proof, (version, Box::new(keys)))
    }

    fn judge(&self, proof: &Proof<'_>, (version, mut keys): Held) -> Result<Decision<Came>, Error> {
        let Proof { request_id, request, body, ask, checked, ref known, now_ms } = *proof;
        let (name, now) = (&request.device, now_ms / 1000);
        let rules = self.directory.rules.rules(&name.tenant, &known.profile).unwrap_or_default();
        let policy = self.policy_towards(&keys, self.policy_of(&rules.profile));
        let accepted = match keys.record.verify(request, checked, &known.recipe, body, now, &policy) {
            Ok(accepted) => accepted,
            Err(Refusal::CloneSuspected(evidence)) => {
                return self.decide_alarm(request_id, name, now_ms, evidence);
            }
            Err(refusal) => return Err(self.refusal(refusal, &keys, request.generation)),
        };
        if known.state != DeviceState::Active {
            let next = match known.state {
                DeviceState::Pending => "an administrator let it enroll anew; enroll it at a station",
                _ => "an administrator decides",
            };
            let message = format_args!("the device is {}; {next}", known.state);
            let error = Error::new(Kind::Denied, known.state.refusal_code(), message);
            return self.decide_refusal(request_id, name, now_ms, error);
        }
        let gate = self.gate(&keys, &rules.profile, rules.rotation.and(known.rotation), now);
        if gate == RekeyGate::Required && !accepted.is_rekey() {
            return self.decide_refusal(request_id, name, now_ms, rekey_required());
        }
        let mut change = Change::default();
        let performing = Performing {
            name,
            rules: &rules,
            now,
            accepted: &accepted,
            record: &mut keys.record,
            change: &mut change,
        };
        let done = match self.perform(ask, performing) {
            Ok(done) => done,
            Err(fault) if fault.kind == Kind::Internal => return Err(fault),
            Err(refused) => return self.decide_refusal(request_id, name, now_ms, refused),
        };
        let written = if accepted.has_adopted_attributes() {
            self.adopt_attributes(name, &keys.record, &mut change)?
        } else {
            None
        };
        if accepted.is_rekey() {
            keys.agreed_anew(self.authority.restored_at);
        }
        keys.last_seen = now;
        self.put_keys(&mut change, name, version, &keys)?;
        let actor = Actor::Device(name.tenant.clone(), name.device.clone());
        let entry = AuditEntry::new(now_ms, &actor, done.event, target(name), Outcome::Done, request_id);
        if done.event.is_sign_of_life() {
            change.record(&entry)?;
        } else {
            change.record_on(name, &entry.with(done.detail))?;
        }
        let rekey_due = gate != RekeyGate::Free && !accepted.is_rekey();
        let proved = Proved { reply: accepted.reply(now, done.reply), rekey_due };
        let acceptance = Acceptance { proved, held: (version + 1, keys), written };
        Ok(Decision { change, answer: Came::Accepted(Box::new(acceptance)) })
    }

    /// A device that proved who it is, and may not: like every refusal of an authenticated caller it is on record.
    fn decide_refusal(
        &self,
        request_id: &str,
        name: &DeviceName,
        now_ms: u64,
        error: Error,
    ) -> Result<Decision<Came>, Error> {
        let actor = Actor::Device(name.tenant.clone(), name.device.clone());
        let (method, outcome) = (Method::Prove.path(), Outcome::Refused(error.code));
        let mut change = Change::default();
        let entry = AuditEntry::new(now_ms, &actor, Event::CallRefused, method, outcome, request_id);
        // In the log alone: whoever asks again and again must not make the device's history grow without end.
        change.record(&entry.with(&error.message))?;
        Ok(Decision { change, answer: Came::Refused(error) })
    }

    fn decide_alarm(
        &self,
        request_id: &str,
        name: &DeviceName,
        now_ms: u64,
        evidence: CloneEvidence,
    ) -> Result<Decision<Came>, Error> {
        let (change, written) =
            self.clone_alarm(request_id, name, now_ms, evidence.sign.code(), format_args!("{evidence:?}"))?;
        let alarm = Alarm { refusal: Refusal::CloneSuspected(evidence), written };
        Ok(Decision { change, answer: Came::Alarm(Box::new(alarm)) })
    }

    fn recipe(&self, name: &DeviceName) -> Arc<Recipe> {
        self.directory.device(name).map(|known| known.recipe).unwrap_or_default()
    }
}
