//! The methods of devices as POSTs of bytes (DDKG-1 §11.1): the calls are gRPC's, the form is another.

mod head;
mod refusal;

pub(crate) use head::Odd;
pub(crate) use refusal::refusal;

use crate::devices;
use crate::edge::Shared;
use crate::edge::context::Context;
use crate::grpc::{quote, wrong};
use http::{HeaderValue, Response, header};
use http_body_util::Full;
use std::sync::Arc;
use tonic::body::Body;
use wardein_crypto::P256_SIGNATURE_MAX;
use wardein_ddkg::DecodeError;
use wardein_ddkg::message::{
    ChallengeAsk, Confirmation, Confirmed, ProofAnswer, ProofAsk, SignedAnswer, SignedAsk,
};
use wardein_domain::{Method, RenewalWindow};
use wardein_engine::{Error, Proved, SignedReply, SignedRequest};

/// The method that is posted to at `path`. A path that has another spelling, or a query, is nobody's.
pub(crate) fn method(path: &str) -> Option<Method> {
    PATHS.into_iter().find(|(of, _)| *of == path).map(|(_, method)| method)
}

/// The answer to a message that was posted, with what its bytes have no place for.
pub(crate) struct Answer {
    message: Vec<u8>,
    /// Whether the device is to carry out a transfer.
    transfer_due: bool,
    /// When the certificate in it is to be renewed.
    renewal: Option<RenewalWindow>,
}

impl From<Vec<u8>> for Answer {
    fn from(message: Vec<u8>) -> Self {
        Self { message, transfer_due: false, renewal: None }
    }
}

/// Has `message` answered.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    method: Method,
    context: &Context,
    message: &[u8],
) -> Result<Answer, Error> {
    match method {
        Method::GetChallenge => {
            let ChallengeAsk { device } = ChallengeAsk::decode(message).map_err(malformed)?;
            Ok(devices::challenge(shared, &device).await?.encode().into())
        }
        Method::Prove => {
            let ProofAsk { request, body } = ProofAsk::decode(message).map_err(malformed)?;
            let proved = devices::prove(shared, context.clone(), request, body).await?;
            let Proved { reply, rekey_due, transfer_due, renewal } = proved;
            Ok(Answer { message: ProofAnswer { reply, rekey_due }.encode(), transfer_due, renewal })
        }
        Method::ProveBySignature => {
            let (request, body) = signed(SignedAsk::decode(message).map_err(malformed)?)?;
            let answer = devices::prove_by_signature(shared, context, &request, &body).await?;
            let SignedReply { server_time, body, signature, renewal } = answer;
            let message = SignedAnswer { server_time, body, signature }.encode();
            Ok(Answer { message, transfer_due: false, renewal })
        }
        Method::ConfirmEnrollment => {
            let confirmation = Confirmation::decode(message).map_err(malformed)?;
            devices::confirm(shared, context, confirmation).await?;
            Ok(Confirmed.encode().into())
        }
        // A path leads to these alone.
        _ => Err(Error::internal("a method that is not posted to was posted to")),
    }
}

/// The answer that went well.
pub(crate) fn accepted(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::from(answer.message)));
    if answer.transfer_due {
        response.headers_mut().insert(TRANSFER_DUE, HeaderValue::from_static("1"));
    }
    if let Some(window) = answer.renewal {
        let window = HeaderValue::try_from(window.to_string()).expect("digits and - are a header's value");
        response.headers_mut().insert(RENEWAL, window);
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(OCTETS));
    response
}

/// As gRPC's form is judged.
fn signed(ask: SignedAsk) -> Result<(SignedRequest, Vec<u8>), Error> {
    let SignedAsk { device, challenge, nonce, action, body, signature, quote } = ask;
    if signature.len() > P256_SIGNATURE_MAX {
        let why = format_args!("has {} bytes; it takes at most {P256_SIGNATURE_MAX}", signature.len());
        return Err(wrong("signature", why));
    }
    let quote = quote.map(quote::judged).transpose()?;
    Ok((SignedRequest { device, challenge, nonce, action, signature, quote }, body))
}

fn malformed(error: DecodeError) -> Error {
    wrong(error.field, error.problem)
}

/// The header by which a device hears that it is to carry out a transfer: an older device reads no further byte of message 12.
const TRANSFER_DUE: &str = "wardein-transfer-due";

/// The header by which a device hears when to renew the certificate that it was given: two Unix seconds with `-` between them.
const RENEWAL: &str = "wardein-renewal";

/// The media type of requests and answers.
pub(crate) const OCTETS: &str = "application/octet-stream";

const PATHS: [(&str, Method); 4] = [
    ("/v1/device/challenge", Method::GetChallenge),
    ("/v1/device/prove", Method::Prove),
    ("/v1/device/prove-by-signature", Method::ProveBySignature),
    ("/v1/device/confirm", Method::ConfirmEnrollment),
];
