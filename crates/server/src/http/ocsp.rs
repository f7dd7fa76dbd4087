//! OCSP over plain HTTP (RFC 6960 appendix A, RFC 9919): requests are public, answers are signed.

use super::HEADER_TIME;
use super::file::http_date;
use super::router::Served;
use crate::config::Rate;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{Extensions, StatusCode, Uri, header};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::timeout;
use wardein_crypto::{Digest, hex};
use wardein_engine::OcspReply;
use wardein_pki::{OcspError, OcspMalformed, OcspRequest};

/// Whether the last answer failed: anyone may ask as often as they like, and the log has the first failure of each run of them.
#[derive(Default)]
pub(super) struct Faults(AtomicBool);

impl Faults {
    /// Notes whether an answer failed; whether it is the first to do so since one did not.
    fn are_new(&self, has_failed: bool) -> bool {
        !self.0.swap(has_failed, Ordering::Relaxed) && has_failed
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Answers that are signed for one address: to requests with a nonce, and to others where none is kept.
pub(super) const SIGNATURES: Rate = Rate { per_second: 100, burst: 200 };

/// `GET /ocsp/<base64>`.
pub(super) async fn get(State(served): State<Served>, uri: Uri, extensions: Extensions) -> Response {
    let path = uri.path().strip_prefix("/ocsp/").unwrap_or_default();
    let request = match OcspRequest::parse_path(path) {
        Ok(requests) => match right(&served, requests).await {
            Some(request) => Ok(request),
            None => Err(OcspMalformed),
        },
        Err(malformed) => Err(malformed),
    };
    answer(&served, &extensions, request).await
}

/// Of several that it may have been, the one that asks for a certificate on record; else the first.
async fn right(served: &Served, mut requests: Vec<OcspRequest>) -> Option<OcspRequest> {
    if requests.len() > 1 {
        for at in 0..requests.len() {
            if served.engine.knows_ocsp(&requests[at]).await {
                return Some(requests.swap_remove(at));
            }
        }
    }
    requests.into_iter().next()
}

/// `POST /ocsp`, with the request as its body.
pub(super) async fn post(State(served): State<Served>, extensions: Extensions, body: Body) -> Response {
    match timeout(HEADER_TIME, axum::body::to_bytes(body, OcspRequest::MAX_LEN)).await {
        Ok(Ok(body)) => answer(&served, &extensions, OcspRequest::parse(&body)).await,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request did not come in time\n").into_response(),
        Ok(Err(_)) => (StatusCode::PAYLOAD_TOO_LARGE, "a request has at most 4 KiB\n").into_response(),
    }
}

async fn answer(
    served: &Served,
    extensions: &Extensions,
    request: Result<OcspRequest, OcspMalformed>,
) -> Response {
    let peer = extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
    let reply = match request {
        Err(OcspMalformed) => OcspError::MalformedRequest.into(),
        Ok(request) => {
            let answered = served.engine.answer_ocsp(&request, || served.signatures.take(peer)).await;
            if served.ocsp_faults.are_new(answered.is_err())
                && let Err(error) = &answered
            {
                tracing::error!(%error, "OCSP requests cannot be answered; who asks is told `internalError`");
            }
            answered.unwrap_or_else(|_| OcspError::InternalError.into())
        }
    };
    respond(reply, served.engine.now())
}

/// The status of HTTP is 200 whatever is answered: the answer says what was wrong.
fn respond(reply: OcspReply, now: u64) -> Response {
    let OcspReply { der, kept } = reply;
    let response = Response::builder().header(header::CONTENT_TYPE, "application/ocsp-response");
    let response = match kept {
        // RFC 9919 §7.2.
        Some((since, until)) => response
            .header(header::ETAG, format!("\"{}\"", hex::encode(&Digest::of(&der).0)))
            .header(header::LAST_MODIFIED, http_date(since))
            .header(header::EXPIRES, http_date(until))
            .header(
                header::CACHE_CONTROL,
                format!(
                    "max-age={}, public, no-transform, must-revalidate",
                    until.saturating_sub(now).min(MAX_AGE)
                ),
            ),
        None => response.header(header::CACHE_CONTROL, "no-store"),
    };
    let response = response.body(Body::from(Bytes::from_owner(der)));
    response.expect("hex digits, numbers and dates are header values")
}

/// Seconds: a revocation is heard of through caches after that.
const MAX_AGE: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_of_a_run_is_new() {
        let faults = Faults::default();
        let seen = [false, true, true, false, false, true].map(|has_failed| faults.are_new(has_failed));
        assert_eq!(seen, [false, true, false, false, false, true]);
    }
}
