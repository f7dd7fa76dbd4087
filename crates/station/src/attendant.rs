//! Who attends to one line: asks the authority for the device on it, and has the report say so before the device hears it.

use crate::factory::{Authority, Factory, patiently};
use crate::lines::{LineState, Told, What};
use crate::relay::{End, Relayed};
use crate::{Fate, Origin, Outcome};
use tokio::sync::mpsc;
use wardein_crypto::hex;
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::{ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, ProofRequest};
use wardein_device::{CallError, PinStation, ProofStation, Reply, Station, TpmActivation, TpmStation};
use wardein_domain::{EnrolledKey, TenantId, TpmChallenge, TpmEvidence};

/// The factory, for one line.
pub(crate) struct Attendant<'a, A> {
    factory: &'a Factory<A>,
    /// The line's number and its name.
    line: (usize, &'a str),
    told: &'a mpsc::UnboundedSender<Told>,
    /// Who speaks, and the key of it that is on record.
    device: Option<DeviceName>,
    key_id: String,
}

impl<'a, A: Authority> Attendant<'a, A> {
    pub(crate) fn new(
        factory: &'a Factory<A>,
        line: (usize, &'a str),
        told: &'a mpsc::UnboundedSender<Told>,
    ) -> Self {
        Self { factory, line, told, device: None, key_id: String::new() }
    }

    /// Tells something of the line. Where nobody hears it any more, the command has ended.
    pub(crate) fn tell(&self, what: What) {
        drop(self.told.send(Told { line: self.line.0, what }));
    }

    /// Whether the command has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.told.is_closed()
    }

    /// Tells how it ended with a device.
    pub(crate) fn end(&mut self, Relayed { device, end, note }: Relayed) {
        let key_id = std::mem::take(&mut self.key_id);
        let message = crate::text::plain(&note);
        let outcome = match end {
            End::Done { generation, is_confirmed: true } => {
                Outcome { generation, message, ..self.outcome(device.as_ref(), Fate::Enrolled) }
            }
            End::Done { generation, is_confirmed: false } => {
                let outcome = self.outcome(device.as_ref(), Fate::Unconfirmed);
                Outcome { generation, message: Outcome::CONFIRMS_AGAIN.to_owned(), ..outcome }
            }
            End::Signs { assurance } => {
                let assurance = assurance.to_string();
                Outcome { assurance, key_id, message, ..self.outcome(device.as_ref(), Fate::Enrolled) }
            }
            End::Failed { code, message } => {
                let message = crate::text::plain(&message);
                Outcome { code, message, ..self.outcome(device.as_ref(), Fate::Failed) }
            }
        };
        self.device = None;
        // Where it cannot be entered, the command ends by that.
        drop(self.enter(&outcome));
        // The last outcome ends the command, so the state is told first.
        self.tell(What::State(LineState::Waiting));
        self.tell(What::Outcome(outcome));
    }

    fn outcome(&self, device: Option<&DeviceName>, fate: Fate) -> Outcome {
        let id = device.map_or_else(String::new, |name| name.device.to_string());
        let vouched = device.and_then(|name| self.factory.vouched(name).ok()).unwrap_or_default();
        Outcome::new(Origin::Line(self.line.1.to_owned()), id, fate).of(&vouched)
    }

    /// Enters an outcome in the report. A device must not hear what is not in it: it hears that it cannot be answered now.
    fn enter(&self, outcome: &Outcome) -> Result<(), CallError> {
        self.factory.enter(outcome).map_err(|error| {
            let why = format!("the station: {error}");
            self.tell(What::Broken(error));
            CallError::Unreachable(why)
        })
    }

    /// The authority for a device, which speaks from now on.
    fn station(&mut self, device: &DeviceName) -> Result<A::Station, CallError> {
        if self.device.as_ref() != Some(device) {
            self.device = Some(device.clone());
            self.key_id.clear();
            self.tell(What::State(LineState::Speaking { device: device.device.to_string() }));
        }
        self.factory.station(device)
    }
}

impl<A: Authority> Station for Attendant<'_, A> {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        let mut station = self.station(&request.device)?;
        patiently(async || station.enroll(request).await).await
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let mut station = self.station(&confirmation.device)?;
        patiently(async || station.confirm(confirmation).await).await?;
        self.enter(&self.outcome(Some(&confirmation.device), Fate::Enrolled))
    }
}

impl<A: Authority> PinStation for Attendant<'_, A> {
    async fn signed_bundle(&mut self, device: &DeviceName) -> Result<Option<Vec<u8>>, CallError> {
        let mut station = self.station(device)?;
        patiently(async || station.signed_bundle(device).await).await
    }
}

impl<A: Authority> ProofStation for Attendant<'_, A> {
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError> {
        let mut station = self.station(device)?;
        patiently(async || station.challenge(device).await).await
    }

    /// Once: a proof whose answer was lost is spent, and the device makes another.
    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError> {
        let reply = self.station(&request.device)?.prove(request, body).await?;
        self.enter(&self.outcome(Some(&request.device), Fate::Enrolled))?;
        Ok(reply)
    }
}

impl<A: Authority> TpmStation for Attendant<'_, A> {
    async fn begin(
        &mut self,
        device: &DeviceName,
        evidence: &TpmEvidence,
    ) -> Result<TpmChallenge, CallError> {
        let mut station = self.station(device)?;
        patiently(async || station.begin(device, evidence).await).await
    }

    async fn finish(&mut self, activation: &TpmActivation) -> Result<EnrolledKey, CallError> {
        let mut station = self.station(&activation.device)?;
        let enrolled = patiently(async || station.finish(activation).await).await?;
        self.key_id = hex::encode(&enrolled.key_id);
        let (assurance, key_id) = (enrolled.assurance.to_string(), self.key_id.clone());
        let outcome = self.outcome(Some(&activation.device), Fate::Enrolled);
        self.enter(&Outcome { assurance, key_id, ..outcome })?;
        Ok(enrolled)
    }
}
