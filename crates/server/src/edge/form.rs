//! The form of a request: gRPC, JSON as Connect has it, a broker's or proxy's hook, or bytes by POST; on a listener of its own EST.

use super::route::Route;
use crate::connect::{self, CALLED, JSON};
use crate::est;
use crate::hooks::Hook;
use crate::post::{self, Odd};
use http::Version;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::uri::PathAndQuery;
use wardein_domain::{EstOperation, Method};

/// The form.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Grpc,
    /// With what is wrong with its head, if anything is.
    Posted(Option<Odd>),
    /// The same.
    Connect(Option<Odd>),
    /// The same of a hook.
    Hook(Hook, Option<Odd>),
    /// The same of EST.
    Est(Option<Odd>),
}

impl Form {
    /// The form, and what is called. HTTP/1.1 carries no gRPC; over HTTP/2 the path tells, and of a gRPC method's path the type of the
    /// body.
    pub(super) fn of(head: &Parts) -> (Self, Option<Route>) {
        let (path, is_http2) = (head.uri.path(), head.version == Version::HTTP_2);
        let whole = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        if let Some(hook) = Hook::of(whole) {
            return (Self::Hook(hook, hook.odd(head)), Some(Route::Own(Method::Check)));
        }
        if path.starts_with(CALLED) && (!is_http2 || is_json(head)) {
            return (Self::Connect(Odd::of(head, JSON)), connect::method(whole).map(Route::Own));
        }
        if is_http2 && !path.starts_with(POSTED) {
            return (Self::Grpc, Route::of(path));
        }
        (Self::Posted(Odd::of(head, post::OCTETS)), post::method(whole).map(Route::Own))
    }

    /// The same on the listener of EST.
    pub(super) fn of_est(head: &Parts) -> (Self, Option<Route>) {
        let path = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        match EstOperation::from_path(path) {
            Some(operation) => (Self::Est(est::odd(operation, head)), Some(Route::Est(operation))),
            None => (Self::Est(None), None),
        }
    }

    /// Whether a bearer token says who calls, where the connection does not: in the forms for programs that show no certificate.
    pub(super) fn takes_bearer(self) -> bool {
        match self {
            Self::Connect(_) | Self::Hook(..) => true,
            Self::Grpc | Self::Posted(_) | Self::Est(_) => false,
        }
    }

    /// Whether a refusal has a body, which waits for its peer.
    pub(super) fn refuses_with_body(self) -> bool {
        match self {
            Self::Grpc => false,
            Self::Posted(_) | Self::Connect(_) | Self::Hook(..) | Self::Est(_) => true,
        }
    }
}

fn is_json(head: &Parts) -> bool {
    let kind = head.headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
    kind.and_then(|kind| kind.get(..JSON.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(JSON.as_bytes()))
}

/// How the paths of what is posted begin; a service of gRPC has a dot there.
const POSTED: &str = "/v1/";
