//! The authority and the station over gRPC.

use crate::authority::{Authority, CallError, Refused, Station};
use crate::error::Error;
use crate::frames;
use std::error::Error as _;
use wardein_client::{ConnectError, Connection, Identity, Refusal, Settings, connect, v1};
use wardein_crypto::Tag;
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, MAX_BODY, ProofRequest,
};
use wardein_ddkg::{AuthorityShare, Challenge, DecodeError, DeviceName, Problem, Recipe, Suite};
use wardein_domain::{Schedule, TenantId};

/// The authority at an endpoint. It is reached when it is first needed, and again after it was lost.
pub struct Remote {
    settings: Settings,
    connection: Option<Connection>,
}

impl Remote {
    /// The authority at `endpoint`, whose certificate leads to one of `trust_roots` (PEM).
    pub fn new(endpoint: &str, trust_roots: &str) -> Self {
        Self { settings: Settings::new(endpoint, trust_roots.as_bytes().to_vec()), connection: None }
    }

    async fn reach(&mut self) -> Result<Connection, CallError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = connect(&self.settings).await.map_err(|error| match error {
            ConnectError::Endpoint(_) => CallError::Setting("endpoint", error.to_string()),
            ConnectError::Material(_) => CallError::Setting("trust_roots or station identity", words(&error)),
            error => CallError::Unreachable(words(&error)),
        })?;
        Ok(self.connection.insert(connection).clone())
    }
}

impl Authority for Remote {
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError> {
        let request = v1::GetChallengeRequest {
            tenant: device.tenant.to_string(),
            device_id: device.device.to_string(),
        };
        let answer = self.reach().await?.device().get_challenge(request).await.map_err(failed)?.into_inner();
        let names = answer
            .recipe
            .iter()
            .map(|name| name.parse().map_err(|error| CallError::Malformed(format!("recipe: {error}"))));
        Ok(ChallengeOffer {
            challenge: Challenge::new(&answer.challenge).map_err(malformed)?,
            server_time: answer.server_time,
            recipe: Recipe::new(names.collect::<Result<_, _>>()?).map_err(malformed)?,
        })
    }

    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<AckedReply, CallError> {
        let request = v1::ProveRequest {
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
        };
        let answer = self.reach().await?.device().prove(request).await.map_err(failed)?.into_inner();
        let (length, min, max) = (answer.body.len(), 0, MAX_BODY);
        if length > max {
            return Err(malformed(Problem::Length { length, min, max }.of("body")));
        }
        Ok(AckedReply { server_time: answer.server_time, ack: tag("ack", &answer.ack)?, body: answer.body })
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let request = v1::ConfirmEnrollmentRequest {
            tenant: confirmation.device.tenant.to_string(),
            device_id: confirmation.device.device.to_string(),
            device_confirmation: confirmation.tag.0.to_vec(),
        };
        self.reach().await?.device().confirm_enrollment(request).await.map_err(failed)?;
        Ok(())
    }
}

/// A station that this process itself is: for tests, and for makers who have no other.
pub struct RemoteStation {
    remote: Remote,
    vouched: Vouched,
}

/// What the factory says of the device.
#[derive(Debug, Clone, Default)]
pub struct Vouched {
    /// The profile; none for `default`.
    pub profile: Option<String>,
    /// The maker's name of the model.
    pub model: Option<String>,
    /// The unique device identifier, in GS1 form.
    pub udi: Option<String>,
}

impl RemoteStation {
    /// A station that shows `identity` to the authority.
    pub fn new(mut remote: Remote, identity: Identity, vouched: Vouched) -> Self {
        remote.settings.identity = Some(identity);
        Self { remote, vouched }
    }
}

impl Station for RemoteStation {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        let suite = request.share.suite();
        let Vouched { profile, model, udi } = self.vouched.clone();
        let request = v1::EnrollRequest {
            device_id: request.device.device.to_string(),
            suite: suite.number().into(),
            device_nonce: request.nonce.to_vec(),
            device_share: request.share.as_bytes().to_vec(),
            attributes: frames::attributes(&request.attributes)
                .into_iter()
                .map(|(name, value)| v1::Attribute { name, value })
                .collect(),
            profile: profile.unwrap_or_default(),
            model: model.unwrap_or_default(),
            udi: udi.unwrap_or_default(),
        };
        let answer = self.remote.reach().await?.provisioning().enroll(request).await;
        judge(suite, answer.map_err(failed)?.into_inner())
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let request = v1::ConfirmRequest {
            device_id: confirmation.device.device.to_string(),
            device_confirmation: confirmation.tag.0.to_vec(),
        };
        self.remote.reach().await?.provisioning().confirm(request).await.map_err(failed)?;
        Ok(())
    }
}

fn judge(suite: Suite, answer: v1::EnrollResponse) -> Result<(TenantId, EnrollReply), CallError> {
    let schedule = answer.schedule.ok_or_else(|| CallError::Malformed("schedule: is missing".into()))?;
    let reply = EnrollReply {
        share: AuthorityShare::new(suite, &answer.authority_share).map_err(malformed)?,
        generation: answer.generation,
        schedule: Schedule {
            period: schedule.period,
            max_uses: schedule.max_uses,
            not_before: schedule.not_before,
        },
        signature: answer.signature,
        confirmation: tag("authority_confirmation", &answer.authority_confirmation)?,
    };
    let tenant = answer.tenant.parse().map_err(|error| CallError::Malformed(format!("tenant: {error}")))?;
    // Through the message's own decoder, which knows every bound.
    Ok((tenant, EnrollReply::decode(&reply.encode()).map_err(malformed)?))
}

fn tag(field: &'static str, bytes: &[u8]) -> Result<Tag, CallError> {
    let (length, min, max) = (bytes.len(), 32, 32);
    let fixed = bytes.try_into().map_err(|_| malformed(Problem::Length { length, min, max }.of(field)))?;
    Ok(Tag(fixed))
}

fn malformed(error: DecodeError) -> CallError {
    CallError::Malformed(error.to_string())
}

/// What a failed call means: an answer of the authority that asking later does not change is a refusal.
fn failed(status: impl Into<Refusal>) -> CallError {
    let refusal = status.into();
    if refusal.code == Refusal::TRANSPORT || refusal.may_retry() {
        return CallError::Unreachable(refusal.to_string());
    }
    let epoch = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
    CallError::Refused(Refused {
        next_epoch: epoch(refusal.next_epoch),
        highest_epoch: epoch(refusal.highest_epoch),
        code: refusal.code,
        message: refusal.message,
        request_id: refusal.request_id.unwrap_or_default(),
    })
}

/// The error and what is beneath it, which says why.
fn words(error: &ConnectError) -> String {
    let mut words = error.to_string();
    let mut beneath = error.source();
    while let Some(error) = beneath {
        words = format!("{words}: {error}");
        beneath = error.source();
    }
    words
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refused) => Self::Refused(refused),
            CallError::Unreachable(why) => Self::Unreachable(why),
            CallError::Malformed(why) => Self::Answer(why),
            CallError::Setting(field, why) => Self::Config { field, why },
        }
    }
}
