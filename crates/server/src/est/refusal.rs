//! How an error leaves as an answer by EST: the statuses and headers of what is posted, and a text for people.

use crate::grpc::status::words;
use crate::post::{self, Odd};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tonic::body::Body;
use wardein_engine::{Error, ErrorCode};

/// The answer that refuses; `odd` is what was wrong with the head, if that was it.
pub(crate) fn refusal(error: &Error, odd: Option<Odd>, request_id: &str) -> Response<Body> {
    let mut response = post::refusal(error, odd, request_id);
    if matches!(error.code, ErrorCode::EstUnauthenticated | ErrorCode::VoucherInvalid) {
        // A client that has a voucher sends it then (RFC 7030 §3.2.3). Bouncy Castle's leaves the body unread, and fails where there is one:
        // the header has the code.
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let basic = HeaderValue::from_static("Basic realm=\"wardein\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        response.headers_mut().remove(header::CONTENT_TYPE);
        *response.body_mut() = Body::empty();
    } else {
        // To HEAD no body is sent, whatever is here.
        let text = format!("{}: {}\n", error.code, words(error, request_id));
        *response.body_mut() = Body::new(Full::from(text));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }
    response
}
