//! Methods of platforms as POSTs of JSON, in the form of Connect's unary calls (connectrpc.com/docs/protocol): the calls are gRPC's,
//! the form is another.
//!
//! A request becomes the same message, for the same handler, and its answer becomes JSON: what a call may and costs is the same in
//! both forms. Methods whose answers are secrets have none here, for their bytes are wiped on gRPC's way alone.

mod refusal;

pub(crate) use refusal::refusal;

use crate::grpc::wrong;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, Request, Response, Version, header};
use http_body_util::{BodyExt, Full};
use tonic::body::Body;
use wardein_domain::Method;
use wardein_engine::Error;
use wardein_proto::json::{Json, JsonError};

/// The method that is called at `path`, if it has this form. A path that has another spelling, or a query, is nobody's.
pub(crate) fn method(path: &str) -> Option<Method> {
    Method::from_path(path).filter(|method| method.takes_json())
}

/// The call as gRPC's services take it.
pub(crate) fn request(json: &Json, method: Method, text: &[u8]) -> Result<Request<Body>, Error> {
    let message = json.request(method.path(), text).map_err(|error| match error {
        // Its words would quote what was sent, a token perhaps, and the log has the refusal.
        JsonError::Text(error) if error.is_data() && !names_a_field(&error.to_string()) => wrong(
            "body",
            format_args!(
                "has a field that this method's message does not have, or a value of another kind, at line {} column {}",
                error.line(),
                error.column()
            ),
        ),
        JsonError::Text(error) => wrong("body", error),
        // A path leads to these alone.
        JsonError::Method | JsonError::Message(_) => Error::internal("a method without a message was called"),
    })?;
    let length = u32::try_from(message.len()).map_err(Error::internal)?;
    let mut framed = BytesMut::with_capacity(HEADER + message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.extend_from_slice(&message);
    let mut request = Request::new(Body::new(Full::new(framed.freeze())));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static(method.path());
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(request)
}

/// Whether an error quotes no more than a field, by a name as long as one may be.
fn names_a_field(said: &str) -> bool {
    said.starts_with("unrecognized field name") && said.len() <= 100
}

/// The answer that went well.
pub(crate) async fn answer(
    json: &Json,
    method: Method,
    response: Response<Body>,
) -> Result<Response<Body>, Error> {
    let body = response.into_body().collect().await.map_err(Error::internal)?.to_bytes();
    let message = message(&body).ok_or_else(|| Error::internal("a unary call has no answer"))?;
    let text = json.answer(method.path(), message).map_err(Error::internal)?;
    let mut response = Response::new(Body::new(Full::new(Bytes::from(text))));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok(response)
}

/// The one message of a body (gRPC over HTTP/2, Length-Prefixed-Message), which is never compressed: nothing asked for it.
fn message(body: &[u8]) -> Option<&[u8]> {
    let (header, message) = body.split_first_chunk::<HEADER>()?;
    let [0, length @ ..] = header else { return None };
    (u32::from_be_bytes(*length) as usize == message.len()).then_some(message)
}

/// The media type of requests and answers.
pub(crate) const JSON: &str = "application/json";

/// How the paths begin.
pub(crate) const CALLED: &str = "/wardein.v1.";

const HEADER: usize = 5;
