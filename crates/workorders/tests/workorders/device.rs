//! A device that speaks DDKG-1 over gRPC.

use wardein_client::{Connection, v1};
use wardein_crypto::{P256VerifyingKey, SystemEntropy, Tag};
use wardein_ddkg::device::{DeviceState, Enrolling};
use wardein_ddkg::message::{AckedReply, ChallengeOffer, EnrollReply};
use wardein_ddkg::{
    AttributeDigests, Attributes, AuthorityShare, Challenge, DeviceName, Purposes, Recipe, Suite,
};
use wardein_domain::Schedule;

/// A device of tenant `t` in memory, with the attribute `firmware`.
pub(crate) struct TestDevice {
    pub(crate) name: DeviceName,
    state: DeviceState,
    measured: AttributeDigests,
}

impl TestDevice {
    /// Enrolled by `station` and confirmed.
    pub(crate) async fn enrolled(station: &Connection, id: &str) -> Self {
        let bundle =
            station.certificates().get_trust_bundle(v1::GetTrustBundleRequest::default()).await.unwrap();
        let identity = P256VerifyingKey(bundle.into_inner().identity_key.try_into().unwrap());
        let mut attributes = Attributes::new();
        attributes.insert("firmware".parse().unwrap(), b"1.0").unwrap();
        let name = DeviceName { tenant: "t".parse().unwrap(), device: id.parse().unwrap() };
        let measured = attributes.digests();
        let entropy = &mut SystemEntropy::default();
        let enrolling = Enrolling::begin(identity, Suite::P256, name.clone(), attributes, entropy).unwrap();
        let request = enrolling.request();
        let request = v1::EnrollRequest {
            device_id: id.into(),
            suite: request.share.suite().number().into(),
            device_nonce: request.nonce.to_vec(),
            device_share: request.share.as_bytes().to_vec(),
            attributes: vec![v1::Attribute { name: "firmware".into(), value: b"1.0".to_vec() }],
            ..Default::default()
        };
        let reply = station.provisioning().enroll(request).await.unwrap().into_inner();
        let v1::Schedule { period_seconds: period, max_uses, not_before_seconds: not_before } =
            reply.schedule.unwrap();
        let reply = EnrollReply {
            share: AuthorityShare::new(Suite::P256, &reply.authority_share).unwrap(),
            generation: reply.generation,
            schedule: Schedule { period, max_uses, not_before },
            signature: reply.signature.clone(),
            confirmation: Tag(reply.authority_confirmation.clone().try_into().unwrap()),
        };
        let mut state = enrolling.finish(&reply, Purposes::ENROLLED).unwrap();
        let confirmation = state.confirmation().unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        let device_confirmation = confirmation.tag.0.to_vec();
        let confirm = v1::ConfirmRequest { device_id: id.into(), device_confirmation };
        station.provisioning().confirm(confirm).await.unwrap();
        Self { name, state, measured }
    }

    /// Proves, and believes the reply.
    pub(crate) async fn prove(&mut self, connection: &Connection, action: &str, body: &[u8]) {
        let (tenant, device_id) = (self.name.tenant.to_string(), self.name.device.to_string());
        let ask = self.state.ask_challenge();
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
            self.state.prove(ask, &offer, &self.measured, action.parse().unwrap(), body, entropy).unwrap();
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
        let answer = connection.device().prove(request).await.unwrap().into_inner();
        let ack = Tag(answer.ack.try_into().unwrap());
        let reply = AckedReply { server_time: answer.server_time_seconds, body: answer.body, ack };
        self.state.acknowledge(in_flight, reply).unwrap().save(|_| Ok::<_, ()>(())).unwrap();
    }
}
