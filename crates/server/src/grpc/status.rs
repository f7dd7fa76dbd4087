//! How an error leaves over gRPC: the one place where kinds become its statuses.
//!
//! A refusal says its code and reason. An internal fault says that there was one, and the id under which the log has the rest.
//! Both say so twice: in the details of google.rpc.Status, for clients of any language, and in short trailers, for devices.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use wardein_engine::{Detail, Error, ErrorCode, ErrorKind};

/// The metadata that holds the id of the request.
pub(crate) const REQUEST_ID: &str = "wardein-request-id";

/// The metadata that holds the stable code.
pub(crate) const CODE: &str = "wardein-code";

/// The metadata that holds the epoch of a device's next proof, with `epoch-spent`.
pub(crate) const NEXT_EPOCH: &str = "wardein-next-epoch";

/// The metadata that holds the last epoch that would do, with `epoch-ahead`.
pub(crate) const HIGHEST_EPOCH: &str = "wardein-highest-epoch";

/// The metadata that holds the shortest pause before the same call may succeed, in milliseconds: for devices that do not read details.
const RETRY_AFTER_MS: &str = "wardein-retry-after-ms";

/// The domain of ErrorInfo: who gives the reasons their meaning.
const DOMAIN: &str = "wardein";

/// The gRPC status of `kind`.
pub(crate) fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Exists => Code::AlreadyExists,
        ErrorKind::Precondition => Code::FailedPrecondition,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::OutOfRange => Code::OutOfRange,
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
        ErrorKind::Unavailable if is_of_the_inside(error.code) => {
            format!("the authority cannot serve this now; try again later, request {request_id}")
        }
        ErrorKind::Invalid
        | ErrorKind::NotFound
        | ErrorKind::Exists
        | ErrorKind::Precondition
        | ErrorKind::Denied
        | ErrorKind::Unauthenticated
        | ErrorKind::OutOfRange
        | ErrorKind::Exhausted
        | ErrorKind::Unavailable
        | ErrorKind::Unimplemented => error.message.clone(),
    }
}

/// Whether the words of such errors are of files, disks and other services, which are the log's alone.
fn is_of_the_inside(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::BrokenOff
            | ErrorCode::ClockHeld
            | ErrorCode::Contended
            | ErrorCode::Overloaded
            | ErrorCode::RequestTimeout
            | ErrorCode::Stopping
            | ErrorCode::StreamIdle
            | ErrorCode::UnderWay
    )
}

/// The status that `error` leaves as.
pub(crate) fn status_of(error: &Error, request_id: &str) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert(CODE, MetadataValue::from_static(error.code.as_str()));
    if let Ok(id) = MetadataValue::try_from(request_id) {
        metadata.insert(REQUEST_ID, id);
    }
    match error.detail {
        Some(Detail::NextEpoch(epoch)) => drop(metadata.insert(NEXT_EPOCH, epoch.into())),
        Some(Detail::HighestEpoch(epoch)) => drop(metadata.insert(HIGHEST_EPOCH, epoch.into())),
        _ => {}
    }
    if let Some(ms) = error.code.retry_after_ms() {
        metadata.insert(RETRY_AFTER_MS, ms.into());
    }
    let words = words(error, request_id);
    let details = details_of(error, &words, request_id);
    Status::with_error_details_and_metadata(code_of(error.kind()), words, details, metadata)
}

/// The details of google.rpc.Status (AIP-193).
fn details_of(error: &Error, words: &str, request_id: &str) -> ErrorDetails {
    let mut metadata = HashMap::new();
    let mut details = ErrorDetails::new();
    match &error.detail {
        Some(Detail::NextEpoch(epoch)) => drop(metadata.insert("next_epoch".into(), epoch.to_string())),
        Some(Detail::HighestEpoch(epoch)) => drop(metadata.insert("highest_epoch".into(), epoch.to_string())),
        Some(Detail::OldestRevision(bytes)) => {
            let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            metadata.insert("oldest_revision".into(), hex);
        }
        Some(Detail::Proposal(id)) => {
            drop(metadata.insert("proposal".into(), wardein_crypto::hex::encode(id)))
        }
        Some(Detail::Field(field)) => drop(details.add_bad_request_violation(field, words)),
        Some(Detail::Resource { kind, name }) => drop(details.set_resource_info(*kind, name, "", words)),
        Some(Detail::Quota(subject)) => drop(details.add_quota_failure_violation(subject, words)),
        None => {}
    }
    if error.kind() == ErrorKind::Precondition {
        details.add_precondition_failure_violation(reason(error.code), "", error.code.remedy());
    }
    if let Some(ms) = error.code.retry_after_ms() {
        details.set_retry_info(Some(Duration::from_millis(ms.into())));
    }
    details.set_error_info(reason(error.code), DOMAIN, metadata);
    details.set_request_info(request_id, "");
    details
}

/// The code as AIP-193 spells a reason.
fn reason(code: ErrorCode) -> String {
    code.as_str().to_ascii_uppercase().replace('-', "_")
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
            (ErrorCode::QuotaExhausted, Code::FailedPrecondition),
            (ErrorCode::RateLimited, Code::ResourceExhausted),
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
    fn an_error_comes_back_as_it_was_carried_and_its_epoch_leaves_twice() {
        let error = Error::new(ErrorCode::EpochSpent, "x").with(Detail::NextEpoch(7));
        assert_eq!(carried(&Failed(error.clone()).into()), error);
        let status = status_of(&error, "id");
        assert_eq!(text(&status, "wardein-next-epoch"), Some("7"));
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("EPOCH_SPENT", "wardein"));
        assert_eq!(info.metadata["next_epoch"], "7");
        assert_eq!(status.get_details_request_info().unwrap().request_id, "id");
    }

    #[test]
    fn a_pause_is_named_where_one_helps_and_only_there() {
        for &code in ErrorCode::ALL {
            let status = status_of(&Error::new(code, "words"), "id");
            let pause = status.get_details_retry_info().and_then(|info| info.retry_delay);
            let helps = matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
            assert_eq!(pause.is_some_and(|pause| !pause.is_zero()), helps, "{code}");
            let ms = pause.map(|pause| pause.as_millis().to_string());
            assert_eq!(text(&status, "wardein-retry-after-ms"), ms.as_deref(), "{code}");
        }
    }

    #[test]
    fn details_name_the_field_the_resource_and_the_quota() {
        let status = |code, detail| status_of(&Error::new(code, "why").with(detail), "id");
        let field = status(ErrorCode::Malformed, Detail::Field("device_id".into()));
        let violation = &field.get_details_bad_request().unwrap().field_violations[0];
        assert_eq!((violation.field.as_str(), violation.description.as_str()), ("device_id", "why"));
        let kind = "wardein.v1.Tenant";
        let resource = status(ErrorCode::TenantUnknown, Detail::Resource { kind, name: "klinik".into() });
        let resource = resource.get_details_resource_info().unwrap();
        assert_eq!((resource.resource_type.as_str(), resource.resource_name.as_str()), (kind, "klinik"));
        let quota = status(ErrorCode::QuotaExhausted, Detail::Quota("station".into()));
        assert_eq!(quota.get_details_quota_failure().unwrap().violations[0].subject, "station");
        let condition = &quota.get_details_precondition_failure().unwrap().violations[0];
        assert_eq!(
            (condition.r#type.as_str(), condition.description.as_str()),
            ("QUOTA_EXHAUSTED", ErrorCode::QuotaExhausted.remedy())
        );
    }
}
