//! The messages to and from devices that sign.

use super::convert::renewal;
use crate::grpc::convert::{at_most, bytes32, device_name, parse, wrong};
use crate::grpc::quote::quote;
use wardein_crypto::P256_SIGNATURE_MAX;
use wardein_ddkg::Challenge;
use wardein_engine::{Error, SignedReply, SignedRequest};
use wardein_proto::v1;

/// The request, and the body that it is about.
pub(crate) fn signed(request: v1::ProveBySignatureRequest) -> Result<(SignedRequest, Vec<u8>), Error> {
    let signed = SignedRequest {
        device: device_name(&request.tenant, &request.device_id)?,
        challenge: Challenge::new(&request.challenge).map_err(|error| wrong("challenge", error))?,
        nonce: bytes32("device_nonce", &request.device_nonce)?,
        action: parse("action", &request.action)?,
        signature: at_most("signature", request.signature, P256_SIGNATURE_MAX)?,
        quote: request.quote.map(quote).transpose()?,
    };
    Ok((signed, request.body))
}

pub(crate) fn reply(reply: SignedReply) -> v1::ProveBySignatureResponse {
    let SignedReply { server_time: server_time_seconds, body, signature, renewal: window } = reply;
    let renewal = window.map(renewal);
    v1::ProveBySignatureResponse { server_time_seconds, body, signature, renewal }
}
