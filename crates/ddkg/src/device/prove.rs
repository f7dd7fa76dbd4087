//! Proofs, acks, rekeys and transfers, the device's part (specification, sections 3.1, 5 and 6).

use super::error::DeviceError;
use super::state::{Attempt, DeviceState, Standing, Unsaved};
use crate::attribute::AttributeDigests;
use crate::authority::Refusal;
use crate::key::{AckKey, EpochSecret, MadeKeySeal};
use crate::message::{
    AckedReply, ChallengeOffer, MadeKeyAnswer, ProofRequest, RekeyAnswer, RekeyAsk, TransferAnswer,
    ack_transcript, rekey_transcript, transfer_transcript,
};
use crate::progress::ProofEpochs;
use crate::purposes::Purposes;
use crate::rekey::{NextStep, next_root};
use crate::suite::{DeviceEphemeral, Suite};
use alloc::vec::Vec;
use wardein_crypto::{Digest, Entropy, SecretBytes, Tag};
use wardein_domain::{Action, Purpose};

/// The device's memory of a request until its reply comes. Dropping it abandons the request; asking again is safe.
pub struct InFlight {
    generation: u64,
    epoch: u32,
    transcript: Digest,
    ack: AckKey,
    rekey: Option<RekeyInFlight>,
    made_key: Option<MadeKeyOpener>,
}

impl InFlight {
    /// What opens the key in the reply to the action `made-key` or `update-offer`, once; none of any other action. Take it before
    /// the reply is acknowledged, and open what was acknowledged.
    pub fn take_opener(&mut self) -> Option<MadeKeyOpener> {
        self.made_key.take()
    }
}

/// Opens the key that the authority gives in answer to one request: one that it made (specification, section 8.2), or that of a
/// sealed artifact (section 8.3).
pub struct MadeKeyOpener {
    key: MadeKeySeal,
    transcript: Digest,
}

impl MadeKeyOpener {
    /// The key in the body of a reply that was acknowledged, and the rest of that body: of `made-key` PKCS#8 and its certificates,
    /// leaf first, each framed; of a sealed artifact the offer.
    pub fn open(self, body: &[u8]) -> Result<(SecretBytes, Vec<u8>), DeviceError> {
        let mut answer = MadeKeyAnswer::decode(body)?;
        let rest = core::mem::take(&mut answer.rest);
        let key = answer.open(&self.key, &self.transcript).map_err(|_| DeviceError::OpenFailed)?;
        Ok((key, rest))
    }
}

struct RekeyInFlight {
    attempt: Attempt,
    step: NextStep,
    ask: RekeyAsk,
    ephemeral: DeviceEphemeral,
    epoch_secret: EpochSecret,
}

/// The right to answer one challenge: the next one that comes in reply to this question, and no earlier one.
///
/// Numbers must rise in the order in which challenges were issued, or an honest device could look like two. So there is
/// one open question at a time: asking again, or answering, gives up the one before.
#[derive(Debug)]
pub struct ChallengeAsk(Attempt);

/// A reply that the device may believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// The authority's time, in Unix seconds.
    pub server_time: u64,
    /// The action's reply body.
    pub body: Vec<u8>,
}

impl DeviceState {
    /// Call it right before requesting a challenge. The reply to any earlier question can no longer be answered.
    pub fn ask_challenge(&mut self) -> ChallengeAsk {
        self.challenge_ask = Attempt::new();
        ChallengeAsk(self.challenge_ask)
    }

    /// Proves that this device asks for `action` with `body`, answering `offer` with the attributes `measured` for it.
    ///
    /// `ask` is the question that `offer` came in reply to, over a channel that authenticates the authority and matches
    /// replies with questions, such as TLS. For `rekey` there is [`DeviceState::rekey`].
    pub fn prove(
        &mut self,
        ask: ChallengeAsk,
        offer: &ChallengeOffer,
        measured: &AttributeDigests,
        action: Action,
        body: &[u8],
        entropy: &mut impl Entropy,
    ) -> Result<Unsaved<'_, (ProofRequest, InFlight)>, DeviceError> {
        let (request, in_flight, _) = self.proof(ask, offer, measured, action, body, entropy)?;
        Ok(self.unsaved((request, in_flight)))
    }

    /// Proves a `rekey` to `suite`; the body to send beside the proof comes with it. From here on, only the reply to this
    /// rekey is believed, not that to an earlier one.
    pub fn rekey(
        &mut self,
        asked: ChallengeAsk,
        offer: &ChallengeOffer,
        measured: &AttributeDigests,
        suite: Suite,
        entropy: &mut impl Entropy,
    ) -> Result<Unsaved<'_, (ProofRequest, RekeyAsk, InFlight)>, DeviceError> {
        self.agree(NextStep::Rekey, asked, offer, measured, (suite, None), entropy)
    }

    /// Proves a `transfer`, by which the device goes over to the tenant that its own has given it to. The keys there are of `suite`.
    /// Like a rekey in all else: only the reply to the last of either is believed, and without one the device stays who it is.
    /// Acknowledging it changes [`DeviceState::device`].
    pub fn transfer(
        &mut self,
        asked: ChallengeAsk,
        offer: &ChallengeOffer,
        measured: &AttributeDigests,
        suite: Suite,
        entropy: &mut impl Entropy,
    ) -> Result<Unsaved<'_, (ProofRequest, RekeyAsk, InFlight)>, DeviceError> {
        self.agree(NextStep::Transfer, asked, offer, measured, (suite, None), entropy)
    }

    /// The same, and names the purposes that the device is to keep keys for from then on; it gets those of them that the authority
    /// knows. An authority older than revision 3 of the specification refuses the body as `malformed`, and then
    /// [`DeviceState::rekey`] is to be asked.
    pub fn rekey_for(
        &mut self,
        asked: ChallengeAsk,
        offer: &ChallengeOffer,
        measured: &AttributeDigests,
        (suite, purposes): (Suite, Purposes),
        entropy: &mut impl Entropy,
    ) -> Result<Unsaved<'_, (ProofRequest, RekeyAsk, InFlight)>, DeviceError> {
        self.agree(NextStep::Rekey, asked, offer, measured, (suite, Some(purposes)), entropy)
    }

    fn agree(
        &mut self,
        step: NextStep,
        asked: ChallengeAsk,
        offer: &ChallengeOffer,
        measured: &AttributeDigests,
        (suite, purposes): (Suite, Option<Purposes>),
        entropy: &mut impl Entropy,
    ) -> Result<Unsaved<'_, (ProofRequest, RekeyAsk, InFlight)>, DeviceError> {
        let (ephemeral, share) = DeviceEphemeral::generate(suite, entropy)?;
        let ask = RekeyAsk { share, purposes: purposes.map(Purposes::named) };
        let action = match step {
            NextStep::Rekey => Action::REKEY,
            NextStep::Transfer => Action::TRANSFER,
        };
        let action = action.parse().expect("the constant is an action");
        let (request, in_flight, epoch_secret) =
            self.proof(asked, offer, measured, action, &ask.encode(), entropy)?;
        self.rekey_attempt = Attempt::new();
        let rekey =
            RekeyInFlight { attempt: self.rekey_attempt, step, ask: ask.clone(), ephemeral, epoch_secret };
        let in_flight = InFlight { rekey: Some(rekey), ..in_flight };
        Ok(self.unsaved((request, ask, in_flight)))
    }

    fn proof(
        &mut self,
        asked: ChallengeAsk,
        offer: &ChallengeOffer,
        measured: &AttributeDigests,
        action: Action,
        body: &[u8],
        entropy: &mut impl Entropy,
    ) -> Result<(ProofRequest, InFlight, EpochSecret), DeviceError> {
        if asked.0 != self.challenge_ask {
            return Err(DeviceError::ChallengeOvertaken);
        }
        let binding = measured.binding(offer.challenge.as_bytes(), &offer.recipe)?;
        let nonce = entropy.array()?;
        let epoch = self.proofs.next(&self.schedule, offer.server_time);
        let tree = self.tree(Purpose::Proof)?;
        let epoch_secret = tree.cover.epoch_secret(epoch).map_err(DeviceError::exhausted(Purpose::Proof))?;
        let reserved = tree.numbers.reserved();
        let number = tree.numbers.take().ok_or(DeviceError::Exhausted(Purpose::Proof))?;
        let must_save = tree.numbers.reserved() != reserved;
        self.is_dirty |= must_save;
        let key = epoch_secret.key(number);
        let mut request = ProofRequest {
            device: self.device.clone(),
            challenge: offer.challenge.clone(),
            nonce,
            generation: self.generation,
            epoch,
            number,
            action,
            body_digest: Digest::of(body),
            mac: Tag([0; 32]),
        };
        let transcript = request.transcript();
        request.mac = key.device_mac(&binding).tag(&transcript);
        let ack = key.ack(&binding);
        let made_key =
            request.action.may_bring_key().then(|| MadeKeyOpener { key: key.made_key(&binding), transcript });
        let in_flight =
            InFlight { generation: self.generation, epoch, transcript, ack, rekey: None, made_key };
        Ok((request, in_flight, epoch_secret))
    }

    /// Checks the ack of a reply, and adopts its contents: the time, the epoch, and after a rekey the new generation,
    /// whose predecessor is erased; after a transfer the device's new name too. Nothing changes when the ack is wrong.
    pub fn acknowledge(
        &mut self,
        in_flight: InFlight,
        reply: AckedReply,
    ) -> Result<Unsaved<'_, Acknowledged>, DeviceError> {
        let InFlight { generation, epoch, transcript, ack, rekey, .. } = in_flight;
        let acked = ack_transcript(&transcript, reply.server_time, &reply.body);
        ack.verify(&acked, &reply.ack).map_err(|_| DeviceError::AckWrong)?;
        match rekey {
            Some(rekey) => self.adopt(generation, &transcript, rekey, &reply.body)?,
            None if generation == self.generation => self.move_to(epoch)?,
            // Rekeyed since: the reply counts, its epoch no longer does.
            None => {}
        }
        self.known_time = reply.server_time;
        Ok(self.unsaved(Acknowledged { server_time: reply.server_time, body: reply.body }))
    }

    fn move_to(&mut self, epoch: u32) -> Result<(), DeviceError> {
        let tree = self.tree(Purpose::Proof)?;
        let first = tree.cover.first();
        tree.cover.advance(epoch).map_err(DeviceError::exhausted(Purpose::Proof))?;
        let has_moved = tree.cover.first() != first;
        self.proofs.acknowledged(epoch);
        let is_first = !matches!(self.standing, Standing::Proven);
        self.standing = Standing::Proven;
        self.is_dirty |= has_moved || is_first;
        Ok(())
    }

    fn adopt(
        &mut self,
        generation: u64,
        proof: &Digest,
        rekey: RekeyInFlight,
        body: &[u8],
    ) -> Result<(), DeviceError> {
        if generation != self.generation || rekey.attempt != self.rekey_attempt {
            return Err(DeviceError::RekeyOvertaken);
        }
        let suite = rekey.ask.share.suite();
        let expected = generation.saturating_add(1);
        let (answer, device, transcript) = match rekey.step {
            NextStep::Rekey => {
                let answer = RekeyAnswer::decode(suite, body)?;
                let transcript = rekey_transcript(proof, &rekey.ask, &answer);
                (answer, None, transcript)
            }
            NextStep::Transfer => {
                let answer = TransferAnswer::decode(suite, body)?;
                let transcript = transfer_transcript(proof, &rekey.ask, &answer);
                (answer.keys, Some(answer.device), transcript)
            }
        };
        let offered = answer.generation;
        let is_next = match rekey.step {
            NextStep::Rekey => offered == expected,
            NextStep::Transfer => offered >= expected,
        };
        if !is_next {
            return Err(DeviceError::GenerationUnexpected { offered, expected });
        }
        let purposes = match (rekey.ask.purposes, answer.purposes) {
            (None, None) => self.purposes(),
            (Some(named), Some(granted)) if granted & !named == 0 => Purposes::known(granted),
            _ => return Err(DeviceError::PurposesUnexpected),
        };
        let agreed = rekey.ephemeral.agree(&answer.share).map_err(DeviceError::Share)?;
        let root = next_root(rekey.step, &rekey.epoch_secret, agreed, &transcript);
        self.trees = Self::trees_of(&root, purposes);
        (self.suite, self.generation, self.schedule) = (suite, offered, answer.schedule);
        if let Some(device) = device {
            self.device = device;
        }
        self.proofs = ProofEpochs::new(0, 0);
        self.standing = Standing::Unproven;
        self.is_dirty = true;
        Ok(())
    }

    /// Adopts the reason why a proof was refused, so that the next attempt fits. Nothing authenticates a refusal, so it moves
    /// nothing that lasts. Refusals that do not concern the epoch change nothing.
    pub fn refused(&mut self, request: &ProofRequest, refusal: &Refusal) {
        if request.generation != self.generation {
            return;
        }
        match refusal {
            Refusal::EpochSpent { next } => self.proofs.refused_as_spent(request.epoch, *next),
            Refusal::EpochAhead { .. } => self.proofs.refused_as_ahead(),
            _ => {}
        }
    }
}
