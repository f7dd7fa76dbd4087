//! A device in bytes: what its handle holds, and the order in which it can be asked for things.

use crate::failure::Failure;
use crate::lengths;
use crate::raw::Saver;
use crate::status::Advice;
use wardein_crypto::{P256VerifyingKey, SecretBytes, SystemEntropy};
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::device::{ChallengeAsk, Clock, DeviceState, Enrolling, InFlight};
use wardein_ddkg::message::{AckedReply, ChallengeOffer, EnrollReply, ProofRequest, SealedPayload};
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName, Purposes, Suite};
use wardein_domain::{Action, Audience, ErrorCode};

/// What a `wardein_device` holds.
pub(crate) struct Inner {
    saver: Saver,
    stage: Stage,
    /// The open question, until it is answered.
    ask: Option<ChallengeAsk>,
    /// The request whose reply is awaited.
    sent: Option<Sent>,
}

enum Stage {
    New,
    Enrolling(Box<Enrolling>),
    Enrolled(Box<DeviceState>),
}

struct Sent {
    request: ProofRequest,
    in_flight: InFlight,
}

impl Inner {
    pub(crate) fn new(saver: Saver) -> Self {
        Self { saver, stage: Stage::New, ask: None, sent: None }
    }

    pub(crate) fn restore(&mut self, state: &[u8], floor: u64) -> Result<(), Failure> {
        let Stage::New = self.stage else { return Err(Failure::order(IN_USE)) };
        self.stage = Stage::Enrolled(Box::new(DeviceState::restore(state, floor)?));
        Ok(())
    }

    /// The request of an enrollment, which takes the place of one that was begun before. It begins once `room` has judged its
    /// length.
    pub(crate) fn enroll_begin(
        &mut self,
        identity: P256VerifyingKey,
        suite: Suite,
        device: DeviceName,
        attributes: Attributes,
        room: impl FnOnce(usize) -> Result<(), Failure>,
    ) -> Result<Vec<u8>, Failure> {
        if let Stage::Enrolled(_) = self.stage {
            return Err(Failure::order(IN_USE));
        }
        let enrolling = Enrolling::begin(identity, suite, device, attributes, &mut SystemEntropy::default())?;
        let request = enrolling.request().encode();
        room(request.len())?;
        self.stage = Stage::Enrolling(Box::new(enrolling));
        Ok(request)
    }

    pub(crate) fn enroll_finish_len(&self) -> Result<usize, Failure> {
        match &self.stage {
            Stage::Enrolling(enrolling) => Ok(lengths::confirmation(&enrolling.request().device)),
            _ => Err(Failure::order(NOT_BEGUN)),
        }
    }

    /// The confirmation. Where the reply is not believed, the enrollment starts over.
    pub(crate) fn enroll_finish(
        &mut self,
        reply: &EnrollReply,
        purposes: Purposes,
    ) -> Result<Vec<u8>, Failure> {
        self.enroll_finish_len()?;
        if let Stage::Enrolling(enrolling) = std::mem::replace(&mut self.stage, Stage::New) {
            self.stage = Stage::Enrolled(Box::new(enrolling.finish(reply, purposes)?));
        }
        self.confirmation()
    }

    pub(crate) fn confirmation_len(&mut self) -> Result<usize, Failure> {
        Ok(lengths::confirmation(self.state()?.device()))
    }

    pub(crate) fn confirmation(&mut self) -> Result<Vec<u8>, Failure> {
        let (state, saver) = self.state_and_saver()?;
        let unsaved = state.confirmation().ok_or_else(|| Failure::order(CONFIRMED))?;
        Ok(saver.save(unsaved)?.encode())
    }

    pub(crate) fn ask(&mut self) -> Result<(), Failure> {
        self.ask = Some(self.state()?.ask_challenge());
        Ok(())
    }

    pub(crate) fn proof_len(&mut self, offer: &ChallengeOffer, action: &Action) -> Result<usize, Failure> {
        if self.ask.is_none() {
            return Err(Failure::order(NOT_ASKED));
        }
        Ok(lengths::proof(self.state()?.device(), offer, action))
    }

    pub(crate) fn prove(
        &mut self,
        offer: &ChallengeOffer,
        measured: &AttributeDigests,
        action: Action,
        body: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let ask = self.ask.take().ok_or_else(|| Failure::order(NOT_ASKED))?;
        let (state, saver) = self.state_and_saver()?;
        let unsaved = state.prove(ask, offer, measured, action, body, &mut SystemEntropy::default())?;
        let (request, in_flight) = saver.save(unsaved)?;
        let message = request.encode();
        self.sent = Some(Sent { request, in_flight });
        Ok(message)
    }

    /// The proof of a rekey, and its body.
    pub(crate) fn rekey(
        &mut self,
        offer: &ChallengeOffer,
        measured: &AttributeDigests,
        suite: Suite,
        room: impl FnOnce(usize) -> Result<(), Failure>,
    ) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        room(lengths::rekey_body(suite))?;
        let ask = self.ask.take().ok_or_else(|| Failure::order(NOT_ASKED))?;
        let (state, saver) = self.state_and_saver()?;
        let unsaved = state.rekey(ask, offer, measured, suite, &mut SystemEntropy::default())?;
        let (request, rekey, in_flight) = saver.save(unsaved)?;
        let message = request.encode();
        self.sent = Some(Sent { request, in_flight });
        Ok((message, rekey.encode()))
    }

    /// The body of the reply, once it is believed. It is adopted once `room` has judged its length.
    pub(crate) fn acknowledge(
        &mut self,
        reply: AckedReply,
        room: impl FnOnce(usize) -> Result<(), Failure>,
    ) -> Result<Vec<u8>, Failure> {
        if self.sent.is_none() {
            return Err(Failure::order(NOTHING_SENT));
        }
        room(reply.body.len())?;
        let sent = self.sent.take().ok_or_else(|| Failure::order(NOTHING_SENT))?;
        let (state, saver) = self.state_and_saver()?;
        let unsaved = state.acknowledge(sent.in_flight, reply)?;
        Ok(saver.save(unsaved)?.body)
    }

    /// Adopts what a refusal says of the epoch, and says what to do about it. The request is over.
    pub(crate) fn refused(&mut self, code: &str, epoch: u32) -> Result<Advice, Failure> {
        self.state()?;
        let sent = self.sent.take();
        let Some(code) = ErrorCode::from_text(code) else { return Ok(Advice::WARDEIN_ADVICE_NONE) };
        let refusal = match code {
            ErrorCode::EpochSpent => Some(Refusal::EpochSpent { next: epoch }),
            ErrorCode::EpochAhead => Some(Refusal::EpochAhead { highest: epoch }),
            _ => None,
        };
        if let Some((sent, refusal)) = sent.zip(refusal) {
            self.state()?.refused(&sent.request, &refusal);
        }
        Ok(code.on_device().into())
    }

    pub(crate) fn token(
        &mut self,
        clock: Clock,
        audience: Audience,
        nonce: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let (state, saver) = self.state_and_saver()?;
        Ok(saver.save(state.token(clock, audience, nonce)?)?.encode())
    }

    pub(crate) fn seal(
        &mut self,
        clock: Clock,
        additional: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let (state, saver) = self.state_and_saver()?;
        let unsaved = state.seal(clock, additional, plaintext, &mut SystemEntropy::default())?;
        Ok(saver.save(unsaved)?.encode())
    }

    pub(crate) fn open(&mut self, sealed: &SealedPayload, additional: &[u8]) -> Result<SecretBytes, Failure> {
        Ok(self.state()?.open(sealed, additional)?)
    }

    /// The enrolled device.
    pub(crate) fn state(&mut self) -> Result<&mut DeviceState, Failure> {
        Ok(self.state_and_saver()?.0)
    }

    fn state_and_saver(&mut self) -> Result<(&mut DeviceState, &Saver), Failure> {
        match &mut self.stage {
            Stage::Enrolled(state) => Ok((state, &self.saver)),
            _ => Err(Failure::order(NOT_ENROLLED)),
        }
    }
}

const IN_USE: &str = "the handle holds a device already; make another one";
const NOT_BEGUN: &str = "no enrollment waits for a reply; call wardein_enroll_begin";
const NOT_ENROLLED: &str = "the handle holds no enrolled device; restore its state, or enroll it";
const CONFIRMED: &str = "the enrollment is confirmed: a proof was acknowledged";
const NOT_ASKED: &str =
    "no challenge was asked for; call wardein_ask, and answer only the one that comes then";
const NOTHING_SENT: &str = "no request waits for a reply";
