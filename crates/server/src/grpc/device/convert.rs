//! The messages to and from devices.

use crate::grpc::convert::{bytes32, device_name, parse, wrong};
use crate::grpc::quote::selection;
use wardein_crypto::{Digest, Tag};
use wardein_ddkg::message::{AckedReply, ChallengeAnswer, Confirmation, ProofRequest};
use wardein_ddkg::{Challenge, MAX_NUMBER};
use wardein_domain::RenewalWindow;
use wardein_engine::{Error, Proved};
use wardein_proto::v1;

/// The proof, and the body that it is about.
pub(crate) fn proof(request: v1::ProveRequest) -> Result<(ProofRequest, Vec<u8>), Error> {
    if request.generation == 0 {
        return Err(wrong("generation", "is 0; it takes 1 or more"));
    }
    if request.number > MAX_NUMBER {
        return Err(wrong("number", format_args!("is {}; it takes 0 to {MAX_NUMBER}", request.number)));
    }
    let proof = ProofRequest {
        device: device_name(&request.tenant, &request.device_id)?,
        challenge: Challenge::new(&request.challenge).map_err(|error| wrong("challenge", error))?,
        nonce: bytes32("device_nonce", &request.device_nonce)?,
        generation: request.generation,
        epoch: request.epoch,
        number: request.number,
        action: parse("action", &request.action)?,
        body_digest: Digest::of(&request.body),
        mac: Tag(bytes32("mac", &request.mac)?),
    };
    Ok((proof, request.body))
}

pub(crate) fn confirmation(request: &v1::ConfirmEnrollmentRequest) -> Result<Confirmation, Error> {
    let tag = Tag(bytes32("device_confirmation", &request.device_confirmation)?);
    Ok(Confirmation { device: device_name(&request.tenant, &request.device_id)?, tag })
}

pub(crate) fn offer(answer: ChallengeAnswer) -> v1::GetChallengeResponse {
    let ChallengeAnswer { offer, quote } = answer;
    v1::GetChallengeResponse {
        quote: quote.map(selection),
        challenge: offer.challenge.as_bytes().to_vec(),
        server_time_seconds: offer.server_time,
        recipe: offer.recipe.names().iter().map(ToString::to_string).collect(),
    }
}

pub(crate) fn reply(proved: Proved) -> v1::ProveResponse {
    let AckedReply { server_time, ack, body } = proved.reply;
    v1::ProveResponse {
        server_time_seconds: server_time,
        body,
        ack: ack.0.to_vec(),
        rekey_due: proved.rekey_due,
        transfer_due: proved.transfer_due,
        renewal: proved.renewal.map(renewal),
    }
}

pub(crate) fn renewal(window: RenewalWindow) -> v1::RenewalWindow {
    v1::RenewalWindow { start_seconds: window.start(), end_seconds: window.end() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_of_a_proof_is_judged_and_named() {
        let request = || v1::ProveRequest {
            tenant: "t".into(),
            device_id: "d".into(),
            challenge: vec![1],
            device_nonce: vec![0; 32],
            generation: 1,
            action: "authenticate".into(),
            body: b"body".to_vec(),
            mac: vec![0; 32],
            ..Default::default()
        };
        assert_eq!(proof(request()).unwrap().0.body_digest, Digest::of(b"body"));
        for (field, spoiled) in [
            ("tenant", v1::ProveRequest { tenant: String::new(), ..request() }),
            ("device_id", v1::ProveRequest { device_id: "d/e".into(), ..request() }),
            ("challenge", v1::ProveRequest { challenge: vec![0; 256], ..request() }),
            ("device_nonce", v1::ProveRequest { device_nonce: Vec::new(), ..request() }),
            ("generation", v1::ProveRequest { generation: 0, ..request() }),
            ("action", v1::ProveRequest { action: "Certificate".into(), ..request() }),
            ("mac", v1::ProveRequest { mac: vec![0; 31], ..request() }),
        ] {
            let error = proof(spoiled).unwrap_err();
            assert!(error.message.starts_with(&format!("{field}: ")), "{field}: {}", error.message);
        }
    }
}
