//! Hooks of MQTT brokers and proxies, which ask in a form of their own whether a device may come in: EMQX 5 and mosquitto-go-auth by
//! JSON, nginx and Envoy by a request without a body.
//!
//! The asker is a platform, by its certificate, as with `Check`: the same port, admission, limits and verdict. What cannot be decided is
//! refused in the form that its asker takes for a refusal: EMQX takes any status but 200 for no opinion, so that its refusals are 200 too.

mod mqtt;
mod request;

use crate::connect::JSON;
use crate::edge::Shared;
use crate::edge::context::Context;
use crate::grpc::status::{CODE, REQUEST_ID};
use crate::post::Odd;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tonic::body::Body;
use wardein_domain::{DeviceId, Verdict};
use wardein_engine::{Answer, Error, ErrorCode, Subject};

/// A hook, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    /// EMQX's HTTP authenticator.
    EmqxAuthn,
    /// EMQX's HTTP authorizer.
    EmqxAuthz,
    /// `getuser_uri` of mosquitto-go-auth.
    MosquittoUser,
    /// `superuser_uri`.
    MosquittoSuperuser,
    /// `aclcheck_uri`.
    MosquittoAcl,
    /// `auth_request` of nginx, `ext_authz` of Envoy in its form of HTTP.
    Request,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It may, until this Unix second.
    Allow { device: Option<DeviceId>, until: u64 },
    /// It may not, for what this hook has to say.
    Deny,
    /// The device is to be trusted, and what it wants is for others to judge.
    Ignore,
}

impl Hook {
    /// The hook at a path with its query. Envoy puts the path that it was asked for behind that of the hook.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path {
            "/hooks/emqx/authn" => Some(Self::EmqxAuthn),
            "/hooks/emqx/authz" => Some(Self::EmqxAuthz),
            "/hooks/mosquitto/user" => Some(Self::MosquittoUser),
            "/hooks/mosquitto/superuser" => Some(Self::MosquittoSuperuser),
            "/hooks/mosquitto/acl" => Some(Self::MosquittoAcl),
            _ => {
                let rest = path.strip_prefix("/hooks/request")?;
                (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(Self::Request)
            }
        }
    }

    /// What is wrong with the head of a request to it.
    pub(crate) fn odd(self, head: &Parts) -> Option<Odd> {
        match self {
            // The method is that of the request in question.
            Self::Request => head.headers.contains_key(header::TRANSFER_ENCODING).then_some(Odd::Length),
            _ => Odd::of(head, JSON),
        }
    }

    fn is_emqx(self) -> bool {
        matches!(self, Self::EmqxAuthn | Self::EmqxAuthz)
    }
}

/// Has the hook decide.
pub(crate) async fn answer(
    shared: &Shared,
    hook: Hook,
    context: &Context,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, Error> {
    let decision = match hook {
        Hook::EmqxAuthn => mqtt::login(shared, context, mqtt::emqx_login(body)?).await?,
        Hook::EmqxAuthz => mqtt::act(shared, context, mqtt::emqx_act(body)?).await?,
        Hook::MosquittoUser => mqtt::login(shared, context, mqtt::mosquitto_login(body)?).await?,
        // A superuser is asked nothing more: no device is one.
        Hook::MosquittoSuperuser => Decision::Deny,
        Hook::MosquittoAcl => mqtt::act(shared, context, mqtt::mosquitto_act(body)?).await?,
        Hook::Request => request::passes(shared, context, headers, body).await?,
    };
    Ok(form(hook, &decision))
}

/// The refusal of a hook that could not decide.
pub(crate) fn refusal(hook: Hook, error: &Error, odd: Option<Odd>, request_id: &str) -> Response<Body> {
    let mut response = form(hook, &Decision::Deny);
    let odd = odd.filter(|_| error.code == ErrorCode::NotSupported);
    let headers = response.headers_mut();
    headers.insert(CODE, HeaderValue::from_static(error.code.as_str()));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    if let Some(odd) = odd {
        odd.mark(headers);
    }
    response
}

/// An answer in the form that who asks takes. Nobody may keep it: what is allowed now may not be allowed by the next question.
fn form(hook: Hook, decision: &Decision) -> Response<Body> {
    let (status, body) = match (hook, decision) {
        (Hook::EmqxAuthn, Decision::Allow { until, .. }) => {
            (StatusCode::OK, format!("{{\"result\":\"allow\",\"is_superuser\":false,\"expire_at\":{until}}}"))
        }
        (hook, Decision::Allow { .. }) if hook.is_emqx() => {
            (StatusCode::OK, "{\"result\":\"allow\"}".to_owned())
        }
        (Hook::EmqxAuthz, Decision::Ignore) => (StatusCode::OK, "{\"result\":\"ignore\"}".to_owned()),
        (hook, _) if hook.is_emqx() => (StatusCode::OK, "{\"result\":\"deny\"}".to_owned()),
        (Hook::Request, Decision::Allow { .. }) => (StatusCode::OK, String::new()),
        (Hook::Request, _) => (StatusCode::FORBIDDEN, String::new()),
        (_, Decision::Allow { .. }) => (StatusCode::OK, "{\"Ok\":true,\"Error\":\"\"}".to_owned()),
        (_, _) => (StatusCode::FORBIDDEN, "{\"Ok\":false,\"Error\":\"not allowed\"}".to_owned()),
    };
    let is_json = !body.is_empty();
    let mut response = Response::new(Body::new(Full::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if is_json {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    if let (Hook::Request, Decision::Allow { device, until }) = (hook, decision) {
        headers.insert(UNTIL, HeaderValue::from(*until));
        // For who is behind the proxy, where it passes it on.
        if let Some(Ok(device)) = device.as_ref().map(|device| HeaderValue::from_str(device.as_str())) {
            headers.insert(DEVICE, device);
        }
    }
    response
}

/// The verdict on a device or what it showed.
async fn judged(shared: &Shared, context: &Context, subject: Subject) -> Result<Answer, Error> {
    if let Subject::Device(device) = &subject {
        context.may_be_about("", device.as_str());
    }
    let caller = context.caller()?;
    match shared.engine.check_in_memory(caller, &subject)? {
        Some(answer) => Ok(answer),
        None => shared.engine.check(caller, subject).await,
    }
}

/// Trusted, and no less: what a restricted device may do is the platform's own to say, and a hook asks nobody.
fn allowed(answer: Answer) -> Decision {
    match answer.verdict {
        Verdict::Trusted => Decision::Allow { device: answer.device, until: answer.keep_until },
        _ => Decision::Deny,
    }
}

/// The device that was let in.
const DEVICE: HeaderName = HeaderName::from_static("wardein-device");
/// The Unix second until which that is so.
const UNTIL: HeaderName = HeaderName::from_static("wardein-until");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_hook_in_one_spelling() {
        assert_eq!(Hook::of("/hooks/emqx/authn"), Some(Hook::EmqxAuthn));
        for path in ["/hooks/request", "/hooks/request/", "/hooks/request/a/b?c=d", "/hooks/request?a"] {
            assert_eq!(Hook::of(path), Some(Hook::Request), "{path}");
        }
        for path in [
            "/hooks",
            "/hooks/",
            "/hooks/emqx/authn/",
            "/hooks/emqx/authn?a",
            "/hooks/requests",
            "/Hooks/request",
        ] {
            assert_eq!(Hook::of(path), None, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_decided_is_refused_as_each_asker_has_it() {
        let error = Error::new(ErrorCode::StoreUnavailable, "disk full");
        for (hook, status) in [
            (Hook::EmqxAuthn, 200),
            (Hook::EmqxAuthz, 200),
            (Hook::MosquittoUser, 403),
            (Hook::MosquittoSuperuser, 403),
            (Hook::MosquittoAcl, 403),
            (Hook::Request, 403),
        ] {
            let refused = refusal(hook, &error, None, "id-1");
            assert_eq!(refused.status(), status, "{hook:?}");
            assert_eq!(refused.headers()[CODE], "store-unavailable");
            assert_eq!(refused.headers()[header::CACHE_CONTROL], "no-store");
        }
    }
}
