//! The form of a request: gRPC, or bytes by POST.

use super::route::Route;
use crate::post::{self, Odd};
use http::Version;
use http::request::Parts;
use http::uri::PathAndQuery;

/// The form.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Grpc,
    /// With what is wrong with its head, if anything is.
    Posted(Option<Odd>),
}

impl Form {
    /// The form, and what is called. HTTP/1.1 carries no gRPC; over HTTP/2 the path tells.
    pub(super) fn of(head: &Parts) -> (Self, Option<Route>) {
        if head.version == Version::HTTP_2 && !head.uri.path().starts_with(POSTED) {
            return (Self::Grpc, Route::of(head.uri.path()));
        }
        let path = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        (Self::Posted(Odd::of(head)), post::method(path).map(Route::Own))
    }
}

/// How the paths of what is posted begin; a service of gRPC has a dot there.
const POSTED: &str = "/v1/";
