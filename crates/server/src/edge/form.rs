//! The form of a request: gRPC, or bytes by POST; on a listener of its own EST.

use super::route::Route;
use crate::est;
use crate::post::{self, Odd};
use http::Version;
use http::request::Parts;
use http::uri::PathAndQuery;
use wardein_domain::EstOperation;

/// The form.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Grpc,
    /// With what is wrong with its head, if anything is.
    Posted(Option<Odd>),
    /// The same of EST.
    Est(Option<Odd>),
}

impl Form {
    /// The form, and what is called. HTTP/1.1 carries no gRPC; over HTTP/2 the path tells.
    pub(super) fn of(head: &Parts) -> (Self, Option<Route>) {
        if head.version == Version::HTTP_2 && !head.uri.path().starts_with(POSTED) {
            return (Self::Grpc, Route::of(head.uri.path()));
        }
        let path = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        (Self::Posted(Odd::of(head, post::OCTETS)), post::method(path).map(Route::Own))
    }

    /// The same on the listener of EST.
    pub(super) fn of_est(head: &Parts) -> (Self, Option<Route>) {
        let path = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        match EstOperation::from_path(path) {
            Some(operation) => (Self::Est(est::odd(operation, head)), Some(Route::Est(operation))),
            None => (Self::Est(None), None),
        }
    }

    /// Whether a refusal has a body, which waits for its peer.
    pub(super) fn refuses_with_body(self) -> bool {
        match self {
            Self::Grpc => false,
            Self::Posted(_) | Self::Est(_) => true,
        }
    }
}

/// How the paths of what is posted begin; a service of gRPC has a dot there.
const POSTED: &str = "/v1/";
