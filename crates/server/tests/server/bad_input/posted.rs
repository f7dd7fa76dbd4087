//! What gRPC refuses is refused by POST with the same code: the same rows in the other form.

use crate::common::Served;
use crate::common::http1::{CHALLENGE, CONFIRM, Http1, PROVE, SIGNED};
use prost::Message;
use tonic::Code;
use wardein_client::v1;
use wardein_ddkg::message::Refused;
use wardein_domain::{ErrorCode, Method};

/// Posts what `message` says, if `method` is a device's and it is a message. The id of that request.
pub(crate) async fn refuses(
    served: &Served,
    method: Method,
    what: &str,
    message: Option<&[u8]>,
    (status, code): (Code, &str),
) -> Option<String> {
    let (path, body) = posted(method, message?)?;
    let answer = Http1::connect(served, "127.0.0.1").await.post(path, &body).await;
    assert_eq!(answer.header("wardein-code"), code, "posted, {what}: {answer:?}");
    assert_eq!(answer.status, http(status, code), "posted, {what}");
    let refused = Refused::decode(&answer.body).expect(what);
    assert_eq!(
        (refused.code.as_str(), refused.request_id.as_str()),
        (code, answer.header("wardein-request-id"))
    );
    let waits = ErrorCode::from_text(code).unwrap().retry_after_ms();
    assert_eq!(refused.retry_after_ms, waits.unwrap_or_default(), "posted, {what}");
    assert!(!refused.message.is_empty(), "posted, {what}");
    Some(refused.request_id)
}

/// The message's fields as DDKG-1 §11.1 has them, as they are: nothing is judged here.
fn posted(method: Method, message: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let frame = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
    match method {
        Method::GetChallenge => {
            let ask = v1::GetChallengeRequest::decode(message).ok()?;
            Some((
                CHALLENGE,
                [vec![9], frame(ask.tenant.as_bytes()), frame(ask.device_id.as_bytes())].concat(),
            ))
        }
        Method::ConfirmEnrollment => {
            let ask = v1::ConfirmEnrollmentRequest::decode(message).ok()?;
            let device = [frame(ask.tenant.as_bytes()), frame(ask.device_id.as_bytes())].concat();
            Some((CONFIRM, [vec![3], device, ask.device_confirmation].concat()))
        }
        Method::Prove => {
            let ask = v1::ProveRequest::decode(message).ok()?;
            let numbers =
                [&ask.generation.to_be_bytes()[..], &ask.epoch.to_be_bytes(), &ask.number.to_be_bytes()];
            let parts = [
                vec![11],
                frame(ask.tenant.as_bytes()),
                frame(ask.device_id.as_bytes()),
                frame(&ask.challenge),
                ask.device_nonce,
                numbers.concat(),
                frame(ask.action.as_bytes()),
                frame(&ask.body),
                ask.mac,
            ];
            Some((PROVE, parts.concat()))
        }
        Method::ProveBySignature => {
            let ask = v1::ProveBySignatureRequest::decode(message).ok()?;
            let quote = ask.quote.map_or(vec![0], |quote| {
                let values = quote.values.iter().flat_map(|value| frame(value)).collect();
                let count = u8::try_from(quote.values.len()).unwrap_or(u8::MAX);
                [vec![1], frame(&quote.attested), frame(&quote.signature), vec![count], values].concat()
            });
            let parts = [
                vec![13],
                frame(ask.tenant.as_bytes()),
                frame(ask.device_id.as_bytes()),
                frame(&ask.challenge),
                ask.device_nonce,
                frame(ask.action.as_bytes()),
                frame(&ask.body),
                frame(&ask.signature),
                quote,
            ];
            Some((SIGNED, parts.concat()))
        }
        _ => None,
    }
}

/// The table of DDKG-1 §13.
pub(crate) fn http(status: Code, code: &str) -> u16 {
    match (status, code) {
        (_, "too-large") => 413,
        (Code::InvalidArgument, _) => 400,
        (Code::Unauthenticated | Code::PermissionDenied, _) => 403,
        (Code::NotFound, _) => 404,
        (Code::AlreadyExists | Code::FailedPrecondition, _) => 409,
        (Code::ResourceExhausted, _) => 429,
        (Code::Unavailable, _) => 503,
        other => panic!("{other:?} is not in the table"),
    }
}
