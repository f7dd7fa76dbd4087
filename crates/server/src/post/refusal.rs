//! How an error leaves as an answer to a POST: the one place where kinds become statuses of HTTP (DDKG-1 §13).

use super::{OCTETS, Odd};
use crate::grpc::status::{CODE, HIGHEST_EPOCH, NEXT_EPOCH, REQUEST_ID, words};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tonic::body::Body;
use wardein_ddkg::message::{NamedEpoch, Refused};
use wardein_engine::{Detail, Error, ErrorCode, ErrorKind};

/// The answer that refuses; `odd` is what was wrong with the head, if that was it.
pub(crate) fn refusal(error: &Error, odd: Option<Odd>, request_id: &str) -> Response<Body> {
    let odd = odd.filter(|_| error.code == ErrorCode::NotSupported);
    let epoch = match error.detail {
        Some(Detail::NextEpoch(epoch)) => Some(NamedEpoch::Next(epoch)),
        Some(Detail::HighestEpoch(epoch)) => Some(NamedEpoch::Highest(epoch)),
        _ => None,
    };
    let retry_after_ms = error.code.retry_after_ms().unwrap_or_default();
    let message = Refused {
        code: error.code.to_string(),
        message: words(error, request_id),
        request_id: request_id.to_owned(),
        epoch,
        retry_after_ms,
    };
    let mut response = match odd {
        Some(Odd::Verb { is_head: true, .. }) => Response::new(Body::empty()),
        _ => Response::new(Body::new(Full::from(message.encode()))),
    };
    *response.status_mut() = odd.map_or_else(|| status(error), Odd::status);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(OCTETS));
    headers.insert(CODE, HeaderValue::from_static(error.code.as_str()));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    match epoch {
        Some(NamedEpoch::Next(epoch)) => drop(headers.insert(NEXT_EPOCH, epoch.into())),
        Some(NamedEpoch::Highest(epoch)) => drop(headers.insert(HIGHEST_EPOCH, epoch.into())),
        None => {}
    }
    if retry_after_ms != 0 {
        // In whole seconds (RFC 9110 §10.2.3).
        headers.insert(header::RETRY_AFTER, retry_after_ms.div_ceil(1_000).into());
    }
    if let Some(odd) = odd {
        odd.mark(headers);
    }
    response
}

fn status(error: &Error) -> StatusCode {
    match error.code {
        ErrorCode::TooLarge => return StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::MethodUnknown => return StatusCode::NOT_FOUND,
        _ => {}
    }
    match error.kind() {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Exists | ErrorKind::Precondition => StatusCode::CONFLICT,
        // Not 401, which asks for a scheme of HTTP's own (RFC 9110 §15.5.2), and which many libraries of clients keep from their
        // callers.
        ErrorKind::Denied | ErrorKind::Unauthenticated => StatusCode::FORBIDDEN,
        // Nothing that is posted goes on from a place.
        ErrorKind::OutOfRange => StatusCode::BAD_REQUEST,
        ErrorKind::Exhausted => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_refusal_says_the_same_by_status_headers_and_body() {
        let error = Error::new(ErrorCode::EpochSpent, "it is over").with(Detail::NextEpoch(7));
        let answer = refusal(&error, None, "id-1");
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(answer.status(), 409);
        assert_eq!(
            (header(CODE).as_deref(), header(REQUEST_ID).as_deref()),
            (Some("epoch-spent"), Some("id-1"))
        );
        assert_eq!((header(NEXT_EPOCH).as_deref(), header(HIGHEST_EPOCH)), (Some("7"), None));
        assert_eq!(header("retry-after"), None);
        let read = Refused::decode(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
        assert_eq!((read.code.as_str(), read.message.as_str()), ("epoch-spent", "it is over"));
        assert_eq!(
            (read.request_id.as_str(), read.epoch, read.retry_after_ms),
            ("id-1", Some(NamedEpoch::Next(7)), 0)
        );
    }

    /// As a client judges that knows no code: by the status alone.
    #[test]
    fn a_status_that_says_wait_says_nothing_else() {
        for &code in ErrorCode::ALL {
            let answer = refusal(&Error::new(code, "words"), None, "id");
            let waits = matches!(answer.status().as_u16(), 429 | 503);
            assert_eq!(waits, code.retry_after_ms().is_some(), "{code}");
            assert_eq!(waits, answer.headers().contains_key("retry-after"), "{code}");
        }
    }

    #[tokio::test]
    async fn a_fault_tells_nothing_but_the_request() {
        let answer =
            refusal(&Error::new(ErrorCode::StoreUnavailable, "/srv/wardein: disk full"), None, "id-1");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let said = Refused::decode(&body).unwrap().message;
        assert!(!said.contains("disk") && said.contains("request id-1"), "{said}");
    }
}
