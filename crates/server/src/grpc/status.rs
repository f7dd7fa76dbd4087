//! How an error leaves: the one place where kinds become gRPC statuses.
//!
//! A refusal says its code and reason. An internal fault says that there was one, and the id under which the log has the rest.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::{Code, Status};
use wardein_engine::{Error, ErrorCode, ErrorKind};

/// The metadata that holds the id of the request.
pub(crate) const REQUEST_ID: &str = "wardein-request-id";

/// The metadata that holds the stable code.
pub(crate) const CODE: &str = "wardein-code";

/// The gRPC status of `kind`.
pub(crate) fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Exists => Code::AlreadyExists,
        ErrorKind::Precondition => Code::FailedPrecondition,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Exhausted => Code::ResourceExhausted,
        ErrorKind::Unimplemented => Code::Unimplemented,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Internal => Code::Internal,
    }
}

/// The words for the caller.
pub(crate) fn words(error: &Error, request_id: &str) -> String {
    match error.kind() {
        ErrorKind::Internal => format!("internal error, request {request_id}"),
        ErrorKind::Unavailable => {
            format!("the authority cannot serve this now; try again later, request {request_id}")
        }
        ErrorKind::Invalid
        | ErrorKind::NotFound
        | ErrorKind::Exists
        | ErrorKind::Precondition
        | ErrorKind::Denied
        | ErrorKind::Unauthenticated
        | ErrorKind::Exhausted
        | ErrorKind::Unimplemented => error.message.clone(),
    }
}

/// The status that `error` leaves as.
pub(crate) fn status_of(error: &Error, request_id: &str) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert(CODE, MetadataValue::from_static(error.code.as_str()));
    if let Ok(id) = MetadataValue::try_from(request_id) {
        metadata.insert(REQUEST_ID, id);
    }
    if let Some((name, value)) = error.hint
        && let Ok(name) = MetadataKey::from_bytes(format!("wardein-{name}").as_bytes())
    {
        metadata.insert(name, MetadataValue::from(value));
    }
    Status::with_metadata(code_of(error.kind()), words(error, request_id), metadata)
}

/// An error on its way from a handler to the edge, which alone turns it into a status.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

impl From<Failed> for Status {
    fn from(failed: Failed) -> Self {
        let mut status = Self::internal("on its way to the edge");
        status.set_source(Arc::new(failed));
        status
    }
}

/// The error in a status: the one that a handler carried, or tonic's error for a request that reached no handler.
pub(crate) fn carried(status: &Status) -> Error {
    let ours = status.source().and_then(|source| source.downcast_ref::<Failed>());
    ours.map_or_else(|| foreign(status), |Failed(error)| error.clone())
}

fn foreign(status: &Status) -> Error {
    let error = |code| Error::new(code, status.message());
    match status.code() {
        // A message larger than the limit; gRPC calls that RESOURCE_EXHAUSTED.
        Code::OutOfRange => error(ErrorCode::TooLarge),
        // tonic reports bytes that are not a protobuf message this way, which is the caller's fault, not ours.
        Code::Internal | Code::InvalidArgument => error(ErrorCode::Malformed),
        Code::Unimplemented => error(ErrorCode::NotSupported),
        Code::NotFound => error(ErrorCode::NotFound),
        // The request broke off, or its connection broke HTTP/2's rules, for which h2 has any code; nobody reads this. It is not
        // a fault of ours: those come from handlers, and are carried.
        _ => error(ErrorCode::BrokenOff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(status: &'a Status, name: &str) -> Option<&'a str> {
        status.metadata().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn each_kind_has_its_status() {
        for (code, status) in [
            (ErrorCode::Malformed, Code::InvalidArgument),
            (ErrorCode::DeviceUnknown, Code::NotFound),
            (ErrorCode::TenantExists, Code::AlreadyExists),
            (ErrorCode::RekeyRequired, Code::FailedPrecondition),
            (ErrorCode::RoleDenied, Code::PermissionDenied),
            (ErrorCode::MacWrong, Code::Unauthenticated),
            (ErrorCode::QuotaExhausted, Code::ResourceExhausted),
            (ErrorCode::MethodUnknown, Code::Unimplemented),
            (ErrorCode::Contended, Code::Unavailable),
            (ErrorCode::Internal, Code::Internal),
        ] {
            let left = status_of(&Error::new(code, "words"), "id-1");
            assert_eq!(left.code(), status);
            assert_eq!((text(&left, CODE), text(&left, REQUEST_ID)), (Some(code.as_str()), Some("id-1")));
        }
    }

    #[test]
    fn a_fault_tells_nothing_but_the_request() {
        for code in [ErrorCode::Internal, ErrorCode::StoreUnavailable] {
            let status = status_of(&Error::new(code, "/srv/wardein: disk full"), "id-1");
            assert!(!status.message().contains("disk"), "{}", status.message());
            assert!(status.message().contains("request id-1"), "{}", status.message());
        }
    }

    #[test]
    fn what_a_peer_did_to_its_connection_is_never_a_fault_of_ours() {
        for code in (0..=16).map(Code::from_i32) {
            let error = carried(&Status::new(code, "h2"));
            assert_ne!(error.kind(), ErrorKind::Internal, "{code:?}");
        }
    }

    #[test]
    fn an_error_comes_back_as_it_was_carried_and_its_hint_leaves() {
        let error = Error { hint: Some(("next-epoch", 7)), ..Error::new(ErrorCode::EpochSpent, "x") };
        assert_eq!(carried(&Failed(error.clone()).into()), error);
        assert_eq!(text(&status_of(&error, "id"), "wardein-next-epoch"), Some("7"));
    }
}
