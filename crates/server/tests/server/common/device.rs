//! A device that speaks DDKG-1 over gRPC.

use wardein_client::{Connection, Refusal, v1};
use wardein_crypto::{P256VerifyingKey, Secret, SystemEntropy, Tag};
use wardein_ddkg::device::{Acknowledged, Clock, DeviceState, Enrolling, InFlight};
use wardein_ddkg::message::{AckedReply, ChallengeOffer, EnrollReply, FileStanza, SealedPayload, Token};
use wardein_ddkg::{
    AttributeDigests, Attributes, AuthorityShare, Challenge, DeviceName, Purposes, Recipe, Suite,
};
use wardein_domain::Schedule;

/// A device of tenant `t` in memory, with the attribute `firmware`.
pub(crate) struct TestDevice {
    name: DeviceName,
    enrolling: Option<Enrolling>,
    state: Option<DeviceState>,
    measured: AttributeDigests,
}

impl TestDevice {
    pub(crate) async fn begin(connection: &Connection, id: &str) -> Self {
        let bundle =
            connection.certificates().get_trust_bundle(v1::GetTrustBundleRequest::default()).await.unwrap();
        let identity = P256VerifyingKey(bundle.into_inner().identity_key.try_into().unwrap());
        let mut attributes = Attributes::new();
        attributes.insert("firmware".parse().unwrap(), b"1.0").unwrap();
        let (name, measured) =
            (DeviceName { tenant: "t".parse().unwrap(), device: id.parse().unwrap() }, attributes.digests());
        let entropy = &mut SystemEntropy::default();
        let enrolling = Enrolling::begin(identity, Suite::P256, name.clone(), attributes, entropy).unwrap();
        Self { name, enrolling: Some(enrolling), state: None, measured }
    }

    pub(crate) fn request(&self) -> v1::EnrollRequest {
        let request = self.enrolling.as_ref().unwrap().request();
        v1::EnrollRequest {
            device_id: self.name.device.to_string(),
            suite: request.share.suite().number().into(),
            device_nonce: request.nonce.to_vec(),
            device_share: request.share.as_bytes().to_vec(),
            attributes: vec![v1::Attribute { name: "firmware".into(), value: b"1.0".to_vec() }],
            ..Default::default()
        }
    }

    /// Takes in the reply; what is to be confirmed with.
    pub(crate) fn finish(&mut self, reply: &v1::EnrollResponse) -> Vec<u8> {
        let v1::Schedule { period_seconds: period, max_uses, not_before_seconds: not_before } =
            reply.schedule.unwrap();
        let reply = EnrollReply {
            share: AuthorityShare::new(Suite::P256, &reply.authority_share).unwrap(),
            generation: reply.generation,
            schedule: Schedule { period, max_uses, not_before },
            signature: reply.signature.clone(),
            confirmation: Tag(reply.authority_confirmation.clone().try_into().unwrap()),
        };
        let mut state = self.enrolling.take().unwrap().finish(&reply, Purposes::ENROLLED).unwrap();
        let confirmation = state.confirmation().unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        self.state = Some(state);
        confirmation.tag.0.to_vec()
    }

    /// Enrolled by `station`, and not confirmed; the confirmation comes with it.
    pub(crate) async fn pending(station: &Connection, id: &str) -> (Self, Vec<u8>) {
        let mut device = Self::begin(station, id).await;
        let reply = station.provisioning().enroll(device.request()).await.unwrap().into_inner();
        let tag = device.finish(&reply);
        (device, tag)
    }

    /// Enrolled by `station` and confirmed.
    pub(crate) async fn enrolled(station: &Connection, id: &str) -> Self {
        let (device, device_confirmation) = Self::pending(station, id).await;
        let confirm = v1::ConfirmRequest { device_id: id.into(), device_confirmation };
        station.provisioning().confirm(confirm).await.unwrap();
        device
    }

    /// A proof of `action` for a fresh challenge, and what is needed to believe the reply.
    pub(crate) async fn proof(
        &mut self,
        connection: &Connection,
        action: &str,
        body: &[u8],
    ) -> (v1::ProveRequest, InFlight) {
        let (tenant, device_id) = (self.name.tenant.to_string(), self.name.device.to_string());
        let state = self.state.as_mut().unwrap();
        let ask = state.ask_challenge();
        let asked = v1::GetChallengeRequest { tenant: tenant.clone(), device_id: device_id.clone() };
        let answer = connection.device().get_challenge(asked).await.unwrap().into_inner();
        let recipe = answer.recipe.iter().map(|name| name.parse().unwrap()).collect();
        let offer = ChallengeOffer {
            challenge: Challenge::new(&answer.challenge).unwrap(),
            server_time: answer.server_time_seconds,
            recipe: Recipe::new(recipe).unwrap(),
        };
        let entropy = &mut SystemEntropy::default();
        let proved =
            state.prove(ask, &offer, &self.measured, action.parse().unwrap(), body, entropy).unwrap();
        let (request, in_flight) = proved.save(|_| Ok::<_, ()>(())).unwrap();
        let request = v1::ProveRequest {
            tenant,
            device_id,
            challenge: answer.challenge,
            device_nonce: request.nonce.to_vec(),
            generation: request.generation,
            epoch: request.epoch,
            number: request.number,
            action: action.into(),
            body: body.to_vec(),
            mac: request.mac.0.to_vec(),
        };
        (request, in_flight)
    }

    /// A token for the platform `audience`.
    pub(crate) fn token(&mut self, audience: &str, nonce: &[u8]) -> Token {
        let token = self.state.as_mut().unwrap().token(NO_TIME, audience.parse().unwrap(), nonce).unwrap();
        token.save(|_| Ok::<_, ()>(())).unwrap()
    }

    /// A payload under a key of its own.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> SealedPayload {
        let entropy = &mut SystemEntropy::default();
        let sealed = self.state.as_mut().unwrap().seal(NO_TIME, b"", plaintext, entropy).unwrap();
        sealed.save(|_| Ok::<_, ()>(())).unwrap()
    }

    /// The key of a file, wrapped.
    pub(crate) fn wrap(&mut self, file_key: [u8; 16]) -> FileStanza {
        let file_key = Secret::copied_from(&file_key);
        let stanza = self.state.as_mut().unwrap().wrap_file_key(NO_TIME, &file_key).unwrap();
        stanza.save(|_| Ok::<_, ()>(())).unwrap()
    }

    /// Proves, and believes the reply.
    pub(crate) async fn prove(
        &mut self,
        connection: &Connection,
        action: &str,
        body: &[u8],
    ) -> Result<Acknowledged, Refusal> {
        let (request, in_flight) = self.proof(connection, action, body).await;
        let answer = connection.device().prove(request).await?.into_inner();
        let ack = Tag(answer.ack.try_into().unwrap());
        let reply = AckedReply { server_time: answer.server_time_seconds, body: answer.body, ack };
        Ok(self.acknowledge(in_flight, reply))
    }

    /// Believes the reply.
    pub(crate) fn acknowledge(&mut self, in_flight: InFlight, reply: AckedReply) -> Acknowledged {
        let state = self.state.as_mut().unwrap();
        state.acknowledge(in_flight, reply).unwrap().save(|_| Ok::<_, ()>(())).unwrap()
    }
}

const NO_TIME: Clock = Clock { elapsed: 0, wall: None };
