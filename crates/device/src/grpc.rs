//! The authority and the station over gRPC.

use crate::authority::{
    Authority, CallError, PinStation, Reply, SignedReply, SignedRequest, SigningAuthority, Station,
};
use crate::config::Config;
use crate::signing::{TpmActivation, TpmStation};
use crate::transport::{settings, unreached};
use crate::wire::{
    ConnectedStation, Vouched, challenge, failed, malformed, offer, prove, proved, quote, selection, window,
};
use wardein_client::{Connection, Identity, Response, Settings, Status, connect, v1};
use wardein_ddkg::message::{
    ChallengeOffer, Confirmation, EnrollReply, EnrollRequest, MAX_BODY, ProofRequest,
};
use wardein_ddkg::{DeviceName, Problem};
use wardein_domain::{EnrolledKey, PcrSelection, TenantId, TpmChallenge, TpmEvidence};

/// The authority at an endpoint. It is reached when it is first needed, and again after it was lost.
pub struct Remote {
    settings: Settings,
    connection: Option<Connection>,
}

impl Remote {
    /// The authority at `endpoint`, whose certificate leads to one of `trust_roots` (PEM).
    pub fn new(endpoint: &str, trust_roots: &str) -> Self {
        let settings =
            Settings { has_clock: false, ..Settings::new(endpoint, trust_roots.as_bytes().to_vec()) };
        Self { settings, connection: None }
    }

    /// The authority that `config` names.
    pub fn of(config: &Config) -> Self {
        Self { settings: settings(config), connection: None }
    }

    async fn reach(&mut self) -> Result<Connection, CallError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = connect(&self.settings).await.map_err(unreached)?;
        Ok(self.connection.insert(connection).clone())
    }

    /// The answer, or what a failed call means. A connection that was lost is made again by the next call, which then says by its
    /// own error what is in the way.
    fn answered<T>(&mut self, answer: Result<Response<T>, Status>) -> Result<T, CallError> {
        let answer = answer.map(Response::into_inner).map_err(failed);
        if let Err(CallError::Unreachable(_)) = &answer {
            self.connection = None;
        }
        answer
    }
}

impl PinStation for Remote {
    async fn signed_bundle(&mut self, device: &DeviceName) -> Result<Option<Vec<u8>>, CallError> {
        let request = v1::GetTrustBundleRequest { tenant: device.tenant.to_string() };
        let answer = self.reach().await?.certificates().get_trust_bundle(request).await;
        Ok(Some(self.answered(answer)?.signed_bundle).filter(|bundle| !bundle.is_empty()))
    }
}

impl Authority for Remote {
    async fn challenge(&mut self, device: &DeviceName) -> Result<ChallengeOffer, CallError> {
        Ok(self.challenge_to_sign(device).await?.0)
    }

    async fn prove(&mut self, request: &ProofRequest, body: &[u8]) -> Result<Reply, CallError> {
        let answer = self.reach().await?.device().prove(prove(request, body)).await;
        proved(self.answered(answer)?)
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        let request = v1::ConfirmEnrollmentRequest {
            tenant: confirmation.device.tenant.to_string(),
            device_id: confirmation.device.device.to_string(),
            device_confirmation: confirmation.tag.0.to_vec(),
        };
        let answer = self.reach().await?.device().confirm_enrollment(request).await;
        self.answered(answer).map(drop)
    }

    fn trust(&mut self, roots: &str) {
        self.settings.roots = roots.as_bytes().to_vec();
        self.connection = None;
    }
}

impl SigningAuthority for Remote {
    async fn challenge_to_sign(
        &mut self,
        device: &DeviceName,
    ) -> Result<(ChallengeOffer, Option<PcrSelection>), CallError> {
        let answer = self.reach().await?.device().get_challenge(challenge(device)).await;
        let answer = self.answered(answer)?;
        Ok((offer(&answer)?, answer.quote.map(selection).transpose()?))
    }

    async fn prove_by_signature(
        &mut self,
        request: &SignedRequest,
        body: &[u8],
    ) -> Result<SignedReply, CallError> {
        let SignedRequest { claim, signature, quote: quoted } = request;
        let request = v1::ProveBySignatureRequest {
            tenant: claim.device.tenant.to_string(),
            device_id: claim.device.device.to_string(),
            challenge: claim.challenge.as_bytes().to_vec(),
            device_nonce: claim.nonce.to_vec(),
            action: claim.action.to_string(),
            body: body.to_vec(),
            signature: signature.clone(),
            quote: quoted.as_ref().map(quote),
        };
        let answer = self.reach().await?.device().prove_by_signature(request).await;
        let v1::ProveBySignatureResponse { server_time_seconds: server_time, body, signature, renewal } =
            self.answered(answer)?;
        let (length, min, max) = (body.len(), 0, MAX_BODY);
        if length > max {
            return Err(malformed(Problem::Length { length, min, max }.of("body")));
        }
        Ok(SignedReply { server_time, body, signature, renewal: renewal.and_then(window) })
    }
}

/// A station that this process itself is: for tests, and for makers who have no other.
pub struct RemoteStation {
    remote: Remote,
    vouched: Vouched,
}

impl RemoteStation {
    /// A station that shows `identity` to the authority.
    pub fn new(mut remote: Remote, identity: Identity, vouched: Vouched) -> Self {
        remote.settings.identity = Some(identity);
        Self { remote, vouched }
    }

    async fn connected(&mut self) -> Result<ConnectedStation, CallError> {
        Ok(ConnectedStation::new(self.remote.reach().await?.station(), self.vouched.clone()))
    }
}

impl Station for RemoteStation {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        self.connected().await?.enroll(request).await
    }

    async fn confirm(&mut self, confirmation: &Confirmation) -> Result<(), CallError> {
        self.connected().await?.confirm(confirmation).await
    }
}

impl TpmStation for RemoteStation {
    async fn begin(
        &mut self,
        device: &DeviceName,
        evidence: &TpmEvidence,
    ) -> Result<TpmChallenge, CallError> {
        self.connected().await?.begin(device, evidence).await
    }

    async fn finish(&mut self, activation: &TpmActivation) -> Result<EnrolledKey, CallError> {
        self.connected().await?.finish(activation).await
    }
}
