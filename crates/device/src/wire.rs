//! Enrollment and proofs between the messages of DDKG-1 and those of the gRPC API, for any station.

use crate::authority::{CallError, PinStation, ProofStation, Refused, Reply, Station};
use crate::frames;
use crate::signing::{TpmActivation, TpmStation, asked, on_record};
use wardein_client::{self as client, Refusal, v1, word};
use wardein_crypto::Tag;
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, MAX_BODY, ProofRequest,
};
use wardein_ddkg::{AuthorityShare, Challenge, DecodeError, DeviceName, Problem, Recipe, Suite};
use wardein_domain::{
    EnrolledKey, PcrSelection, Quote, RenewalWindow, Schedule, TenantId, TpmChallenge, TpmEvidence,
};

/// What the factory says of the device.
#[derive(Debug, Clone, Default)]
pub struct Vouched {
    /// The profile; none for `default`.
    pub profile: Option<String>,
    /// The maker's name of the model.
    pub model: Option<String>,
    /// The unique device identifier, of GS1, HIBCC or ICCBBA.
    pub udi: Option<String>,
}

impl Vouched {
    /// The call that asks for `request`.
    pub fn enroll(self, request: &EnrollRequest) -> v1::EnrollRequest {
        let attribute = |(name, value)| v1::Attribute { name, value };
        v1::EnrollRequest {
            device_id: request.device.device.to_string(),
            suite: request.share.suite().number().into(),
            device_nonce: request.nonce.to_vec(),
            device_share: request.share.as_bytes().to_vec(),
            attributes: frames::attributes(&request.attributes).into_iter().map(attribute).collect(),
            profile: self.profile.unwrap_or_default(),
            model: self.model.unwrap_or_default(),
            udi: self.udi.unwrap_or_default(),
        }
    }
}

/// The call that brings `confirmation`.
pub fn confirm(confirmation: &Confirmation) -> v1::ConfirmRequest {
    v1::ConfirmRequest {
        device_id: confirmation.device.device.to_string(),
        device_confirmation: confirmation.tag.0.to_vec(),
    }
}

/// The answer to a call of suite `suite`, judged, with the tenant that the station works for.
pub fn enrolled(suite: Suite, answer: v1::EnrollResponse) -> Result<(TenantId, EnrollReply), CallError> {
    let schedule = answer.schedule.ok_or_else(|| CallError::Malformed("schedule: is missing".into()))?;
    let reply = EnrollReply {
        share: AuthorityShare::new(suite, &answer.authority_share).map_err(malformed)?,
        generation: answer.generation,
        schedule: Schedule {
            period: schedule.period_seconds,
            max_uses: schedule.max_uses,
            not_before: schedule.not_before_seconds,
        },
        signature: answer.signature,
        confirmation: tag("authority_confirmation", &answer.authority_confirmation)?,
    };
    let tenant = answer.tenant.parse().map_err(|error| CallError::Malformed(format!("tenant: {error}")))?;
    // Through the message's own decoder, which knows every bound.
    Ok((tenant, EnrollReply::decode(&reply.encode()).map_err(malformed)?))
}

/// The call that asks for a challenge.
pub(crate) fn challenge(device: &DeviceName) -> v1::GetChallengeRequest {
    let DeviceName { tenant, device } = device;
    v1::GetChallengeRequest { tenant: tenant.to_string(), device_id: device.to_string() }
}

/// The challenge in an answer, judged.
pub(crate) fn offer(answer: &v1::GetChallengeResponse) -> Result<ChallengeOffer, CallError> {
    let name = |name: &String| name.parse().map_err(|error| CallError::Malformed(format!("recipe: {error}")));
    let names = answer.recipe.iter().map(name).collect::<Result<_, _>>()?;
    Ok(ChallengeOffer {
        challenge: Challenge::new(&answer.challenge).map_err(malformed)?,
        server_time: answer.server_time_seconds,
        recipe: Recipe::new(names).map_err(malformed)?,
    })
}

/// The call that brings a proved request with its body.
pub(crate) fn prove(request: &ProofRequest, body: &[u8]) -> v1::ProveRequest {
    v1::ProveRequest {
        tenant: request.device.tenant.to_string(),
        device_id: request.device.device.to_string(),
        challenge: request.challenge.as_bytes().to_vec(),
        device_nonce: request.nonce.to_vec(),
        generation: request.generation,
        epoch: request.epoch,
        number: request.number,
        action: request.action.to_string(),
        body: body.to_vec(),
        mac: request.mac.0.to_vec(),
    }
}

/// The reply in an answer, judged.
pub(crate) fn proved(answer: v1::ProveResponse) -> Result<Reply, CallError> {
    let (length, min, max) = (answer.body.len(), 0, MAX_BODY);
    if length > max {
        return Err(malformed(Problem::Length { length, min, max }.of("body")));
    }
    let ack = tag("ack", &answer.ack)?;
    let v1::ProveResponse {
        server_time_seconds: server_time, body, rekey_due, transfer_due, renewal, ..
    } = answer;
    let acked = AckedReply { server_time, ack, body };
    Ok(Reply { acked, rekey_due, transfer_due, renewal: renewal.and_then(window) })
}

/// A station that calls over a connection that is there, one call for each question.
pub struct ConnectedStation {
    authority: client::Station,
    vouched: Vouched,
}

impl ConnectedStation {
    /// A station for a device that the factory vouches for so.
    pub fn new(authority: client::Station, vouched: Vouched) -> Self {
        Self { authority, vouched }
    }
}

impl Station for ConnectedStation {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        let call = self.vouched.clone().enroll(request);
        let answer = self.authority.enroll(call).await;
        enrolled(request.share.suite(), answer.map_err(failed)?)
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        self.authority.confirm(confirm(confirmation)).await.map_err(failed)?;
        Ok(())
    }
}

impl PinStation for ConnectedStation {
    async fn signed_bundle(&mut self, device: &DeviceName) -> Result<Option<Vec<u8>>, CallError> {
        let request = v1::GetTrustBundleRequest { tenant: device.tenant.to_string() };
        let answer = self.authority.get_trust_bundle(request).await.map_err(failed)?;
        Ok(Some(answer.signed_bundle).filter(|bundle| !bundle.is_empty()))
    }
}

impl ProofStation for ConnectedStation {
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError> {
        offer(&self.authority.get_challenge(challenge(device)).await.map_err(failed)?)
    }

    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError> {
        proved(self.authority.prove(prove(request, body)).await.map_err(failed)?)
    }
}

impl TpmStation for ConnectedStation {
    async fn begin(
        &mut self,
        device: &DeviceName,
        evidence: &TpmEvidence,
    ) -> Result<TpmChallenge, CallError> {
        let Vouched { profile, model, udi } = self.vouched.clone();
        let call = v1::BeginTpmEnrollmentRequest {
            device_id: device.device.to_string(),
            profile: profile.unwrap_or_default(),
            model: model.unwrap_or_default(),
            udi: udi.unwrap_or_default(),
            ek_public: evidence.ek_public.clone(),
            ek_certificates: evidence.ek_certificates.clone(),
            ak_public: evidence.ak_public.clone(),
        };
        let answer = self.authority.begin_tpm_enrollment(call).await.map_err(failed)?;
        let (length, min, max) = (answer.nonce.len(), 32, 32);
        let nonce = answer.nonce.try_into();
        Ok(TpmChallenge {
            ticket: answer.ticket,
            id_object: answer.id_object,
            encrypted_secret: answer.encrypted_secret,
            nonce: nonce.map_err(|_| malformed(Problem::Length { length, min, max }.of("nonce")))?,
            quote: answer.quote.map(selection).transpose()?,
        })
    }

    async fn finish(&mut self, activation: &TpmActivation) -> Result<EnrolledKey, CallError> {
        let call = v1::FinishTpmEnrollmentRequest {
            device_id: activation.device.device.to_string(),
            ticket: activation.ticket.clone(),
            secret: activation.secret.expose().to_vec(),
            device_key: activation.device_key.clone(),
            attested: activation.attested.clone(),
            signature: activation.signature.clone(),
            quote: activation.quote.as_ref().map(quote),
        };
        let answer = self.authority.finish_tpm_enrollment(call).await.map_err(failed)?;
        let v1::FinishTpmEnrollmentResponse { tenant, key_id, assurance } = answer;
        on_record(&tenant, &key_id, &word::<v1::Assurance>(assurance)).map_err(CallError::Malformed)
    }
}

pub(crate) fn selection(asks: v1::PcrSelection) -> Result<PcrSelection, CallError> {
    asked(&word::<v1::PcrBank>(asks.bank), &asks.registers).map_err(CallError::Malformed)
}

pub(crate) fn quote(quote: &Quote) -> v1::Quote {
    let Quote { attested, signature, values } = quote.clone();
    v1::Quote { attested, signature, values }
}

/// When a certificate is to be renewed; `None` where what came is no span of time.
pub(crate) fn window(came: v1::RenewalWindow) -> Option<RenewalWindow> {
    RenewalWindow::new(came.start_seconds, came.end_seconds)
}

pub(crate) fn tag(field: &'static str, bytes: &[u8]) -> Result<Tag, CallError> {
    let (length, min, max) = (bytes.len(), 32, 32);
    let fixed = bytes.try_into().map_err(|_| malformed(Problem::Length { length, min, max }.of(field)))?;
    Ok(Tag(fixed))
}

pub(crate) fn malformed(error: DecodeError) -> CallError {
    CallError::Malformed(error.to_string())
}

/// What a failed call means: an answer of the authority that asking later does not change is a refusal.
pub(crate) fn failed(status: impl Into<Refusal>) -> CallError {
    let refusal = status.into();
    if refusal.code == Refusal::TRANSPORT || refusal.may_retry() {
        return CallError::Unreachable(refusal.to_string());
    }
    CallError::Refused(Refused {
        next_epoch: refusal.next_epoch,
        highest_epoch: refusal.highest_epoch,
        code: refusal.code,
        message: refusal.message,
        request_id: refusal.request_id.unwrap_or_default(),
    })
}
