//! How an error leaves as an answer in Connect's form: the one place where gRPC's statuses become its words and HTTP's statuses.

use super::JSON;
use crate::grpc::status::{CODE, REQUEST_ID, status_of};
use crate::post::Odd;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tonic::Code;
use tonic::body::Body;
use tonic_types::pb;
use wardein_ddkg::message::to_text;
use wardein_engine::{Error, ErrorCode};
use wardein_proto::{Message, json};

/// The answer that refuses; `odd` is what was wrong with the head, if that was it.
pub(crate) fn refusal(error: &Error, odd: Option<Odd>, request_id: &str) -> Response<Body> {
    let odd = odd.filter(|_| error.code == ErrorCode::NotSupported);
    let status = status_of(error, request_id);
    let (word, http) = form(status.code());
    let body = json::refusal(word, status.message(), &details(status.details()));
    let mut response = match odd {
        Some(Odd::Verb { is_head: true, .. }) => Response::new(Body::empty()),
        _ => Response::new(Body::new(Full::from(body))),
    };
    *response.status_mut() = match (odd, error.code) {
        (Some(odd), _) => odd.status(),
        // A path that leads nowhere (Connect, "HTTP to Error Code", reads it as unimplemented).
        (None, ErrorCode::MethodUnknown) => StatusCode::NOT_FOUND,
        (None, ErrorCode::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        (None, _) => http,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(CODE, HeaderValue::from_static(error.code.as_str()));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(ms) = error.code.retry_after_ms() {
        // In whole seconds (RFC 9110 §10.2.3).
        headers.insert(header::RETRY_AFTER, ms.div_ceil(1_000).into());
    }
    if let Some(odd) = odd {
        odd.mark(headers);
    }
    response
}

/// Connect's word for a status, and the status of HTTP beside it (Connect, "Error Codes").
fn form(code: Code) -> (&'static str, StatusCode) {
    match code {
        Code::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
        Code::FailedPrecondition => ("failed_precondition", StatusCode::BAD_REQUEST),
        Code::OutOfRange => ("out_of_range", StatusCode::BAD_REQUEST),
        Code::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
        Code::PermissionDenied => ("permission_denied", StatusCode::FORBIDDEN),
        Code::NotFound => ("not_found", StatusCode::NOT_FOUND),
        Code::AlreadyExists => ("already_exists", StatusCode::CONFLICT),
        Code::Aborted => ("aborted", StatusCode::CONFLICT),
        Code::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
        Code::Cancelled => ("canceled", StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)),
        Code::Unimplemented => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
        Code::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        Code::DeadlineExceeded => ("deadline_exceeded", StatusCode::GATEWAY_TIMEOUT),
        Code::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        Code::DataLoss => ("data_loss", StatusCode::INTERNAL_SERVER_ERROR),
        Code::Ok | Code::Unknown => ("unknown", StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The details of a google.rpc.Status, each by its type and in base64 without padding.
fn details(status: &[u8]) -> Vec<(String, String)> {
    let details = pb::Status::decode(status).map(|status| status.details).unwrap_or_default();
    let of = |any: wardein_proto::Any| {
        let kind = any.type_url.rsplit('/').next().unwrap_or_default().to_owned();
        (kind, to_text(&any.value).trim_end_matches('=').to_owned())
    };
    details.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_refusal_says_the_same_by_status_headers_and_body() {
        let answer = refusal(&Error::new(ErrorCode::RateLimited, "too many"), None, "id-1");
        assert_eq!(answer.status(), 429);
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("retry-after").as_deref(), Some("1"));
        assert_eq!(
            (header(CODE).as_deref(), header(REQUEST_ID).as_deref()),
            (Some("rate-limited"), Some("id-1"))
        );
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            text.contains(r#""code":"resource_exhausted""#) && text.contains("google.rpc.ErrorInfo"),
            "{text}"
        );
        assert!(!text.contains('='), "base64 has no padding here: {text}");
    }

    /// As a client judges that knows no code of ours: by the status alone.
    #[test]
    fn a_status_that_says_wait_says_nothing_else() {
        for &code in ErrorCode::ALL {
            let answer = refusal(&Error::new(code, "words"), None, "id");
            let waits = matches!(answer.status().as_u16(), 429 | 503);
            assert_eq!(waits, code.retry_after_ms().is_some(), "{code}");
        }
    }

    #[tokio::test]
    async fn a_fault_tells_nothing_but_the_request() {
        let answer =
            refusal(&Error::new(ErrorCode::StoreUnavailable, "/srv/wardein: disk full"), None, "id-1");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(!text.contains("disk") && text.contains("request id-1"), "{text}");
    }
}
