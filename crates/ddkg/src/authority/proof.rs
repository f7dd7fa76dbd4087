//! Proofs: accepted once, and judged where they cannot be accepted (specification, section 5).

use super::hot::Hot;
use super::recent::Recent;
use super::record::{Enrollment, Generation, RETIRED_PROOFS, Record, Retired};
use super::refusal::{CloneEvidence, Refusal};
use super::uses::TokenUses;
use crate::attribute::{Binding, Recipe};
use crate::challenge::CheckedChallenge;
use crate::key::{AckKey, EpochSecret, NumberKey};
use crate::ledger::{Claim, CloneSign, EpochBounds, Judgment, Ledger, Misplaced, Place};
use crate::message::{AckedReply, MadeKeyAnswer, ProofRequest, ack_transcript};
use crate::policy::Policy;
use crate::time::AuthorityTime;
use crate::tree::Cover;
use crate::wire::DecodeError;
use alloc::vec::Vec;
use wardein_crypto::{AES_256_GCM_NONCE_LEN, Digest, SecretBytes};
use wardein_domain::Purpose;

/// A proof that was accepted. Nothing else makes one. The record must be durable before the reply leaves.
#[must_use = "the reply is made from it"]
pub struct Accepted {
    pub(super) transcript: Digest,
    pub(super) generation: u64,
    pub(super) epoch_secret: EpochSecret,
    number: u64,
    binding: Binding,
    ack: AckKey,
    is_rekey: bool,
    is_transfer: bool,
    activated: bool,
    shows_announced: bool,
}

impl Accepted {
    /// Whether this was the first proof of a generation that a rekey agreed on.
    pub fn has_activated(&self) -> bool {
        self.activated
    }

    /// Whether this was the first proof that shows the attributes that the device announced: they are on record now.
    pub fn has_adopted_attributes(&self) -> bool {
        self.shows_announced
    }

    /// Whether the action was `rekey`.
    pub fn is_rekey(&self) -> bool {
        self.is_rekey
    }

    /// Whether the action was `transfer`.
    pub fn is_transfer(&self) -> bool {
        self.is_transfer
    }

    /// Seals a key for the reply body, one that was made for the device, PKCS#8 (specification, section 8.2), or that of an
    /// artifact (section 8.3): only who made this proof opens it. `nonce` is random. A reply has one such key.
    pub fn seal_key(
        &self,
        nonce: [u8; AES_256_GCM_NONCE_LEN],
        pkcs8: SecretBytes,
    ) -> Result<MadeKeyAnswer, DecodeError> {
        let key = self.epoch_secret.key(self.number).made_key(&self.binding);
        MadeKeyAnswer::seal(&key, &self.transcript, nonce, pkcs8)
    }

    /// The reply that the device believes, with the authority's time in Unix seconds.
    pub fn reply(&self, server_time: u64, body: Vec<u8>) -> AckedReply {
        let ack = self.ack.tag(&ack_transcript(&self.transcript, server_time, &body));
        AckedReply { server_time, ack, body }
    }
}

impl Record {
    /// Verifies a proof. `checked` is the proof that its challenge is good; `recipe` what the
    /// challenge asked for; `body` the action's body. Whether the device's state allows the action is the caller's to judge.
    pub fn verify(
        &mut self,
        request: &ProofRequest,
        checked: CheckedChallenge,
        recipe: &Recipe,
        body: &[u8],
        time: AuthorityTime,
        policy: &Policy,
    ) -> Result<Accepted, Refusal> {
        if request.device != self.cold.device {
            return Err(Refusal::WrongDevice);
        }
        if matches!(self.cold.enrollment, Enrollment::Pending { .. }) {
            return Err(Refusal::EnrollmentPending);
        }
        if Digest::of(body) != request.body_digest {
            return Err(Refusal::BodyWrong);
        }
        let challenge = request.challenge.as_bytes();
        let expected = self.cold.attributes.binding(challenge, recipe).map_err(Refusal::NotMeasured)?;
        let announced = self.cold.announced.as_ref().and_then(|names| names.binding(challenge, recipe).ok());
        let proof = Proof::new(request, checked, expected, announced);
        let ledger = self.hot.ledger.at(time, policy.skew_ms);
        let judged = match &self.cold.pending {
            Some(pending) if pending.generation.number == request.generation => {
                // A pending generation changes only by becoming active.
                let (mut hot, mut recent) = (pending.hot.clone(), Recent::default());
                let accepted = pending.generation.judge(&mut hot, &mut recent, &proof, time, policy);
                accepted.map(|accepted| (accepted, Some((hot, recent))))
            }
            _ if self.cold.active.number == request.generation => {
                let accepted = self.cold.active.judge(&mut self.hot, &mut self.recent, &proof, time, policy);
                accepted.map(|accepted| (accepted, None))
            }
            _ => Err(self.judge_retired(&proof, &ledger, policy)),
        };
        let (mut accepted, activated) =
            judged.map_err(|refusal| self.replaced_sign(&proof, &ledger).unwrap_or(refusal))?;
        if let Some((hot, recent)) = activated {
            accepted.activated = true;
            self.activate(time.now(), policy);
            (self.hot, self.recent) = (hot, recent);
        }
        if accepted.shows_announced
            && let Some(announced) = self.cold.change().announced.take()
        {
            self.cold.change().attributes = announced;
        }
        if !matches!(self.cold.enrollment, Enrollment::Done(_)) {
            let done = self.cold.enrollment.done();
            self.cold.change().enrollment = done;
        }
        self.settle(time, policy);
        Ok(accepted)
    }

    /// The verdict on a proof whose generation is neither active nor pending: never acceptance.
    fn judge_retired(&self, proof: &Proof<'_>, judged_by: &Ledger, policy: &Policy) -> Refusal {
        let (claimed, active) = (proof.request.generation, self.cold.active.number);
        let Some(retired) = self.cold.retired.iter().find(|retired| retired.number == claimed) else {
            return Refusal::GenerationUnknown { claimed, active };
        };
        let Some(cover) = &retired.proof else {
            return Refusal::GenerationRetired { claimed, active };
        };
        if proof.request.epoch < cover.first() {
            // Too old to be judged. A holder that catches up can be.
            return Refusal::EpochSpent { next: cover.first() };
        }
        match proof.key_in(cover) {
            None => Refusal::MacWrong,
            Some(_) if judged_by.is_after(&proof.claim, policy.skew_ms) => {
                proof.clone_suspected(CloneSign::RetiredGeneration, judged_by)
            }
            Some(_) => Refusal::GenerationRetired { claimed, active },
        }
    }

    /// A right mac under a generation that was replaced before its use: one holder adopted it, another asked again.
    fn replaced_sign(&self, proof: &Proof<'_>, judged_by: &Ledger) -> Option<Refusal> {
        let is_replaced = self
            .cold
            .replaced
            .iter()
            .filter(|replaced| replaced.number == proof.request.generation)
            .any(|replaced| proof.key_in(&replaced.proof).is_some());
        is_replaced.then(|| proof.clone_suspected(CloneSign::ReplacedGeneration, judged_by))
    }

    /// The pending generation becomes active and the active one retires (specification, section 6).
    pub(super) fn activate(&mut self, now: u64, policy: &Policy) {
        let kept = self.cold.change();
        let Some(pending) = kept.pending.take() else { return };
        kept.token_uses = TokenUses::default();
        let mut old = core::mem::replace(&mut kept.active, pending.generation);
        let until = old.sealed_until(now, policy);
        let proof = old.trees.remove(&Purpose::Proof);
        old.trees.remove(&Purpose::Token);
        if let Some(previous) = kept.retired.front_mut().filter(|previous| previous.until.is_none()) {
            previous.sealed.clear();
        }
        kept.retired.push_front(Retired {
            number: old.number,
            schedule: old.schedule,
            proof,
            sealed: old.trees,
            until,
        });
        for older in kept.retired.iter_mut().skip(RETIRED_PROOFS) {
            older.proof = None;
        }
        // Whatever the time: there is no key in it.
        kept.retired.retain(|retired| !retired.is_spent());
    }
}

impl Generation {
    /// Judges a proof under this generation, whose ledger `hot` has; it changes only when it accepts.
    fn judge(
        &self,
        hot: &mut Hot,
        recent: &mut Recent,
        proof: &Proof<'_>,
        time: AuthorityTime,
        policy: &Policy,
    ) -> Result<Accepted, Refusal> {
        let now = time.now();
        let cover = self.trees.get(&Purpose::Proof).ok_or(Refusal::PurposeNotKept(Purpose::Proof))?;
        let grace = policy.grace_of(&self.schedule);
        let bounds = EpochBounds {
            derivable: cover.first(),
            lowest: self.schedule.due(now.saturating_sub(grace)),
            highest: self.schedule.due(now.saturating_add(grace)),
            lead: policy.proof_lead,
        };
        let mut ledger = hot.ledger.at(time, policy.skew_ms);
        let place = ledger.place(&proof.claim, &self.schedule, &bounds, policy.skew_ms)?;
        let epoch_secret =
            recent.recall(self.number, cover, proof.claim.epoch).map_err(|_| Refusal::MacWrong)?;
        let proved = proof.made_in(epoch_secret.duplicate()).ok_or(Refusal::MacWrong)?;
        let Proved { epoch_secret, key, binding } = proved;
        match place {
            Place::Open => {
                ledger.accept(&proof.claim);
                hot.ledger = ledger;
            }
            Place::Closed => {
                return Err(match ledger.judge(&proof.claim, policy.skew_ms) {
                    Judgment::Replayed => Refusal::Replayed,
                    Judgment::Clone(sign) => proof.clone_suspected(sign, &ledger),
                });
            }
        }
        Ok(Accepted {
            transcript: proof.transcript,
            generation: self.number,
            epoch_secret,
            number: proof.claim.number,
            binding,
            ack: key.ack(&binding),
            is_rekey: proof.request.action.is_rekey(),
            is_transfer: proof.request.action.is_transfer(),
            activated: false,
            shows_announced: proof.announced == Some(binding),
        })
    }
}

/// A proof with all that is computed of it before its key is known.
struct Proof<'a> {
    request: &'a ProofRequest,
    claim: Claim,
    transcript: Digest,
    /// By the attributes on record.
    expected: Binding,
    /// By those that the device announced. Where they bring only new names, this is the same.
    announced: Option<Binding>,
}

/// What a right mac proves: the key that it was made with, and the measurements.
struct Proved {
    epoch_secret: EpochSecret,
    key: NumberKey,
    binding: Binding,
}

impl<'a> Proof<'a> {
    fn new(
        request: &'a ProofRequest,
        checked: CheckedChallenge,
        expected: Binding,
        announced: Option<Binding>,
    ) -> Self {
        let transcript = request.transcript();
        let mut mark = [0; 8];
        mark.copy_from_slice(transcript.as_ref().split_at(8).0);
        let claim = Claim {
            epoch: request.epoch,
            number: request.number,
            issued_ms: checked.issued_ms(),
            is_ordered: request.action.is_ordered(),
            mark,
        };
        Self { request, claim, transcript, expected, announced }
    }

    /// What this proof shows, if `cover` yields its key and the mac is right.
    fn key_in(&self, cover: &Cover) -> Option<Proved> {
        self.made_in(cover.epoch_secret(self.request.epoch).ok()?)
    }

    fn made_in(&self, epoch_secret: EpochSecret) -> Option<Proved> {
        let key = epoch_secret.key(self.request.number);
        let is_right =
            |binding: &Binding| key.device_mac(binding).verify(&self.transcript, &self.request.mac).is_ok();
        let binding = self.announced.into_iter().chain([self.expected]).find(is_right)?;
        Some(Proved { epoch_secret, key, binding })
    }

    fn clone_suspected(&self, sign: CloneSign, judged_by: &Ledger) -> Refusal {
        Refusal::CloneSuspected(CloneEvidence {
            sign,
            generation: self.request.generation,
            epoch: self.claim.epoch,
            number: self.claim.number,
            highest: judged_by.highest(),
            issued_ms: self.claim.issued_ms,
            latest_ms: judged_by.latest_ms(),
            transcript: self.transcript,
        })
    }
}

impl From<Misplaced> for Refusal {
    fn from(misplaced: Misplaced) -> Self {
        match misplaced {
            Misplaced::Spent { next } => Self::EpochSpent { next },
            Misplaced::Ahead { highest } => Self::EpochAhead { highest },
        }
    }
}
