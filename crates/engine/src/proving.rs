//! Proofs: a challenge, then an action that is proved, committed, and only then answered.

use crate::directory::KnownDevice;
use crate::engine::{Decision, Engine};
use crate::error::{Error, Kind};
use crate::operators::new_serial;
use crate::port::{Change, Clock, Store, Table};
use crate::provisioning::target;
use crate::recent::Held;
use crate::rows::{self, CertificateRow, Written};
use crate::seal::Place;
use std::sync::Arc;
use wardein_crypto::{SecretBytes, SystemEntropy};
use wardein_ddkg::authority::{CloneEvidence, Record, Refusal};
use wardein_ddkg::message::{AckedReply, ChallengeOffer, ProofRequest};
use wardein_ddkg::{CheckedChallenge, DeviceName, Recipe};
use wardein_domain::{Actor, AuditEntry, DeviceState, Event, Method, Outcome, Profile, ProfileName};
use wardein_pki::{Csr, DeviceIdentity, Validity};

/// The sealed row of a device's keys: when it was last seen, and its record.
pub(crate) struct KeysRow {
    /// Unix seconds of the last accepted proof; 0 for none.
    pub(crate) last_seen: u64,
    pub(crate) record: Record,
}

impl KeysRow {
    pub(crate) fn encode(&self) -> SecretBytes {
        let record = self.record.encode();
        let mut out = SecretBytes::with_capacity(8 + record.expose().len());
        out.extend(&self.last_seen.to_be_bytes());
        out.extend(record.expose());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (last_seen, record) =
            bytes.split_first_chunk().ok_or_else(|| Error::internal("a device's keys are cut off"))?;
        let record = Record::decode(record).map_err(Error::internal)?;
        Ok(Self { last_seen: u64::from_be_bytes(*last_seen), record })
    }
}

pub(crate) fn keys_place(key: &[u8]) -> Place<'_> {
    Place { table: Table::DeviceKeys, key, column: "keys" }
}

/// What a device may ask for.
#[derive(Clone, Copy)]
enum Ask<'a> {
    Authenticate,
    Certificate(&'a Csr),
    TrustBundle,
}

/// What came of a proof: the reply and the keys as they are then, or an alarm or a refusal that had to be on record first.
enum Proved {
    Accepted(AckedReply, Held),
    Alarm(Box<Alarm>),
    Refused(Error),
}

/// A request with all that is known of it before its keys are looked at.
struct Proof<'a> {
    request_id: &'a str,
    request: &'a ProofRequest,
    body: &'a [u8],
    ask: Ask<'a>,
    checked: CheckedChallenge,
    known: KnownDevice,
    now_ms: u64,
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
    ) -> Result<AckedReply, Error> {
        let csr;
        let ask = match (request.action.as_str(), body.as_slice()) {
            ("authenticate", b"") => Ask::Authenticate,
            ("trust-bundle", b"") => Ask::TrustBundle,
            ("authenticate" | "trust-bundle", _) => {
                return Err(Error::invalid(format_args!("body: action {} takes none", request.action)));
            }
            ("certificate", der) => {
                csr = Csr::parse(der).map_err(|error| Error::new(Kind::Invalid, error.code(), error))?;
                Ask::Certificate(&csr)
            }
            _ => {
                let message = format_args!(
                    "action: {} is none of authenticate, certificate, trust-bundle",
                    request.action
                );
                return Err(Error::new(Kind::Invalid, "action-unknown", message));
            }
        };
        match self.transact(|| self.decide_proof(request_id, &request, &body, ask)).await? {
            Proved::Accepted(reply, held) => {
                self.recent.put(request.device, held);
                Ok(reply)
            }
            Proved::Refused(error) => Err(error),
            Proved::Alarm(alarm) => {
                if let Some((version, row)) = alarm.written {
                    self.directory.put_device(&request.device, version, &row)?;
                }
                Err(alarm.refusal.into())
            }
        }
    }

    fn decide_proof(
        &self,
        request_id: &str,
        request: &ProofRequest,
        body: &[u8],
        ask: Ask<'_>,
    ) -> Result<Decision<Proved>, Error> {
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
            && let Ok(accepted @ Decision { answer: Proved::Accepted(..), .. }) = self.judge(&proof, held)
        {
            return Ok(accepted);
        }
        // What is in memory may be behind the store, so it refuses nobody.
        let (version, keys) = self.load_keys(name)?.ok_or(Refusal::MacWrong)?;
        self.judge(&proof, (version, Box::new(keys)))
    }

    fn judge(&self, proof: &Proof<'_>, (version, mut keys): Held) -> Result<Decision<Proved>, Error> {
        let Proof { request_id, request, body, ask, checked, ref known, now_ms } = *proof;
        let (name, now) = (&request.device, now_ms / 1000);
        let accepted = match keys.record.verify(request, checked, &known.recipe, body, now, &self.policy) {
            Ok(accepted) => accepted,
            Err(Refusal::CloneSuspected(evidence)) => {
                return self.decide_alarm(request_id, name, now_ms, evidence);
            }
            Err(refusal) => return Err(refusal.into()),
        };
        if known.state != DeviceState::Active {
            return self.decide_refusal(request_id, name, now_ms, known.state);
        }
        let mut change = Change::default();
        let (event, detail, reply) = match ask {
            Ask::Authenticate => (Event::DeviceAuthenticated, String::new(), Vec::new()),
            Ask::TrustBundle => {
                (Event::TrustBundleServed, String::new(), self.authority.bundle.pem.clone().into_bytes())
            }
            Ask::Certificate(csr) => {
                let (detail, reply) = self.issue_certificate(name, &known.profile, csr, now, &mut change)?;
                (Event::CertificateIssued, detail, reply)
            }
        };
        keys.last_seen = now;
        change.update(Table::DeviceKeys, rows::device_key(name), version, self.seal_keys(name, &keys)?);
        let actor = Actor::Device(name.tenant.clone(), name.device.clone());
        let entry = AuditEntry::new(now_ms, &actor, event, target(name), Outcome::Done, request_id);
        change.record(&entry.with(detail))?;
        let answer = Proved::Accepted(accepted.reply(now, reply), (version + 1, keys));
        Ok(Decision { change, answer })
    }

    /// Builds, lints and signs a certificate; it is on record, with its serial, in the same change as the proof.
    fn issue_certificate(
        &self,
        name: &DeviceName,
        profile: &ProfileName,
        csr: &Csr,
        now: u64,
        change: &mut Change,
    ) -> Result<(String, Vec<u8>), Error> {
        let profile = self.directory.profile(&name.tenant, profile).unwrap_or(Profile::DEFAULT);
        let serial = new_serial()?;
        let validity = Validity::starting(now, profile.certificate_validity())
            .and_then(|validity| validity.within(self.authority.issuing.certificate().validity()))
            .map_err(Error::internal)?;
        let (not_before, not_after) = (validity.not_before(), validity.not_after());
        let device =
            DeviceIdentity { serial, tenant: name.tenant.clone(), device: name.device.clone(), validity };
        let issued = self.authority.issuing.issue_device(csr, &device).map_err(Error::internal)?;
        let row = CertificateRow { not_before, not_after, revoked: None, der: issued.der().to_vec() };
        let key = rows::certificate_key(name, &serial);
        change.insert(Table::Certificate, key.clone(), rows::encode(&row)?);
        change.insert(Table::Serial, serial.as_bytes().to_vec(), key);
        Ok((format!("serial {serial}, until {not_after}"), self.authority.device_chain(issued.der())))
    }

    /// A device that proved who it is, and may not: like every refusal of an authenticated caller it is on record.
    fn decide_refusal(
        &self,
        request_id: &str,
        name: &DeviceName,
        now_ms: u64,
        state: DeviceState,
    ) -> Result<Decision<Proved>, Error> {
        let actor = Actor::Device(name.tenant.clone(), name.device.clone());
        let outcome = Outcome::Refused(state.as_str());
        let mut change = Change::default();
        change.record(&AuditEntry::new(
            now_ms,
            &actor,
            Event::CallRefused,
            Method::Prove.path(),
            outcome,
            request_id,
        ))?;
        let message = format_args!("the device is {state}; an administrator decides");
        Ok(Decision { change, answer: Proved::Refused(Error::new(Kind::Denied, state.as_str(), message)) })
    }

    fn decide_alarm(
        &self,
        request_id: &str,
        name: &DeviceName,
        now_ms: u64,
        evidence: CloneEvidence,
    ) -> Result<Decision<Proved>, Error> {
        let (change, written) =
            self.clone_alarm(request_id, name, now_ms, evidence.sign.code(), format_args!("{evidence:?}"))?;
        let alarm = Alarm { refusal: Refusal::CloneSuspected(evidence), written };
        Ok(Decision { change, answer: Proved::Alarm(Box::new(alarm)) })
    }

    fn recipe(&self, name: &DeviceName) -> Arc<Recipe> {
        self.directory.device(name).map(|known| known.recipe).unwrap_or_default()
    }
}
