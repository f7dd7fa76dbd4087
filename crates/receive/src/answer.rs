//! Requests and their answers: a path in, JSON out.

use crate::MAX_SEALED;
use crate::authority::Authority;
use crate::name::{BatchName, Part};
use crate::receiver::{Put, Receiver, Sender};
use crate::refusal::{Code, Refused};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use std::time::Duration;
use tokio::time::timeout;
use wardein_domain::DeviceId;

#[derive(Serialize)]
struct WaitingAnswer {
    waiting_for: String,
}

#[derive(Serialize)]
struct RefusedAnswer<'a> {
    code: &'a str,
    message: &'a str,
}

/// Answers a request of a device.
pub(crate) async fn answer<A: Authority>(
    receiver: &Receiver<A>,
    sender: &Sender,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (parts, mut body) = request.into_parts();
    let put = match named(&parts.method, parts.uri.path(), parts.uri.query(), &sender.device().device) {
        Ok((name, part)) => {
            let put = receiver.put(sender, &name, part, &mut body).await;
            tell(sender, &name, &put);
            put.map(|put| (name, put))
        }
        Err(refused) => Err(refused),
    };
    match put {
        Ok((_, Put::Taken(receipt))) => json(StatusCode::OK, &receipt),
        Ok((name, Put::Announced)) => {
            json(StatusCode::ACCEPTED, &WaitingAnswer { waiting_for: name.file(Part::Sealed) })
        }
        Err(Refused { code, message }) => {
            if !matches!(code, Code::TooSlow | Code::CutOff) {
                // A peer that is still sending would lose the answer with the connection (RFC 9112 section 9.6).
                drop(timeout(DRAIN_TIME, drain(&mut body)).await);
            }
            let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer = json(status, &RefusedAnswer { code: code.as_str(), message: &message });
            if status == StatusCode::SERVICE_UNAVAILABLE {
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(AGAIN));
            }
            if code == Code::WrongMethod {
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static("PUT"));
            }
            answer
        }
    }
}

/// The file that a request is about. A path is compared byte by byte: there is one of each file.
fn named(
    method: &Method,
    path: &str,
    query: Option<&str>,
    device: &DeviceId,
) -> Result<(BatchName, Part), Refused> {
    let unknown =
        || Refused::new(Code::UnknownPath, "a path is /v1/DEVICE/AUDIENCE-BATCH.age, or with .sig behind it");
    let (of, file) = path.strip_prefix("/v1/").and_then(|rest| rest.split_once('/')).ok_or_else(unknown)?;
    let (of, named): (DeviceId, _) = match (of.parse(), BatchName::of_file(file)) {
        (Ok(of), Some(named)) if query.is_none() => (of, named),
        _ => return Err(unknown()),
    };
    if method != Method::PUT {
        return Err(Refused::new(Code::WrongMethod, "files are put (PUT), and nothing else"));
    }
    if of != *device {
        let message = format!("the path is of {of}, and the certificate of {device}");
        return Err(Refused::new(Code::WrongDevice, message));
    }
    Ok(named)
}

/// Nothing of what a batch holds is logged; nor is the reason of a refusal that may quote it.
fn tell(sender: &Sender, name: &BatchName, put: &Result<Put, Refused>) {
    let device = &sender.device().device;
    match put {
        Ok(Put::Taken(receipt)) => {
            let (number, repeated) = (receipt.number, receipt.is_repeated);
            tracing::info!(%device, %name, number, repeated, "taken");
        }
        Ok(Put::Announced) => tracing::debug!(%device, %name, "its statement is here"),
        Err(Refused { code: code @ (Code::BatchMalformed | Code::OtherBatch), .. }) => {
            tracing::warn!(%device, %name, code = code.as_str(), "refused");
        }
        Err(Refused { code, message: why }) => {
            tracing::warn!(%device, %name, code = code.as_str(), why, "refused")
        }
    }
}

/// Reads on, so that the peer comes to its end, if that is near enough.
async fn drain(body: &mut Incoming) {
    if body.size_hint().lower() > MAX_SEALED {
        return;
    }
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len) as u64;
        if read > MAX_SEALED {
            return;
        }
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    // Texts and numbers alone, which JSON has.
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Seconds.
const AGAIN: &str = "30";
