//! Why a call failed.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use wardein_crypto::hex;
use wardein_domain::ErrorCode;

/// The error of a failed call: the authority's refusal, or that the authority was not reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC status.
    pub status: Code,
    /// The authority's stable code, such as `quota-exhausted`; `transport` where the answer is not from the authority.
    pub code: String,
    /// What was wrong, and what to do next.
    pub message: String,
    /// The id under which the authority logged the call, where the answer is from the authority.
    pub request_id: Option<String>,
    /// The epoch that a device's next proof must use, if that was wrong.
    pub next_epoch: Option<u32>,
    /// The highest epoch that the authority accepts now, if that was wrong.
    pub highest_epoch: Option<u32>,
    /// The id of the proposal that waits for a second person, if the call needs one.
    pub proposal: Option<[u8; 8]>,
    /// The pause after which the same call may succeed, where one helps.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// The code of an answer that is not from the authority.
    pub const TRANSPORT: &'static str = "transport";

    /// The error for an answer that no authority would give.
    pub(crate) fn faulty(message: &str) -> Self {
        Self::from(Status::internal(message))
    }

    /// The code by type; none of one that a later release may send.
    pub fn known(&self) -> Option<ErrorCode> {
        ErrorCode::from_text(&self.code)
    }

    /// Whether the same call may succeed later without being changed. Every method of the API is safe to call twice.
    pub fn may_retry(&self) -> bool {
        match self.status {
            Code::Unavailable | Code::DeadlineExceeded | Code::Aborted => true,
            // A rate of the authority's is used up for a moment. gRPC itself says so of a message that is too large.
            Code::ResourceExhausted => self.code != Self::TRANSPORT,
            // tonic's report of a connection that broke during a call.
            Code::Unknown | Code::Cancelled => self.code == Self::TRANSPORT,
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss
            | Code::Unauthenticated => false,
        }
    }

    /// Whether the authority judged the call and has done nothing. After any other answer, and after none, it may have done all of
    /// it.
    pub fn is_final(&self) -> bool {
        self.code != Self::TRANSPORT && !self.may_retry() && self.status != Code::Internal
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let text = |name: &str| {
            let value = status.metadata().get(name)?.to_str().ok()?;
            // The peer may send anything; only a short and printable part is kept.
            let is_fit = value.len() <= MAX_FIELD && value.bytes().all(|byte| byte.is_ascii_graphic());
            is_fit.then(|| value.to_owned())
        };
        let number = |name| text(name)?.parse().ok();
        Self {
            status: status.code(),
            code: text("wardein-code").unwrap_or_else(|| Self::TRANSPORT.to_owned()),
            message: words(&status),
            request_id: text("wardein-request-id"),
            next_epoch: number("wardein-next-epoch"),
            highest_epoch: number("wardein-highest-epoch"),
            proposal: status
                .get_details_error_info()
                .and_then(|info| hex::decode_array(info.metadata.get("proposal")?)),
            retry_after: status
                .get_details_retry_info()
                .and_then(|info| info.retry_delay)
                .map(|pause| pause.min(MAX_PAUSE)),
        }
    }
}

/// The words of the authority; or, where there was no answer, why.
fn words(status: &Status) -> String {
    match status.source() {
        Some(source) if status.metadata().get("wardein-code").is_none() => {
            wardein_domain::with_causes(source)
        }
        _ => status.message().to_owned(),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

const MAX_FIELD: usize = 128;

/// The longest pause that a peer may name.
const MAX_PAUSE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: Code, fields: &[(&'static str, &str)]) -> Refusal {
        let mut answer = Status::new(status, "words");
        for (name, value) in fields {
            answer.metadata_mut().insert(*name, value.parse().unwrap());
        }
        answer.into()
    }

    #[test]
    fn code_request_and_epochs_come_from_the_metadata() {
        let fields =
            [("wardein-code", "epoch-spent"), ("wardein-request-id", "0a-1"), ("wardein-next-epoch", "7")];
        let refusal = answered(Code::FailedPrecondition, &fields);
        assert_eq!((refusal.code.as_str(), refusal.request_id.as_deref()), ("epoch-spent", Some("0a-1")));
        assert_eq!((refusal.next_epoch, refusal.highest_epoch), (Some(7), None));
        assert_eq!(refusal.to_string(), "epoch-spent: words (request 0a-1)");
    }

    #[test]
    fn an_answer_from_elsewhere_has_no_code_of_the_authority() {
        assert_eq!(answered(Code::Unavailable, &[]).code, Refusal::TRANSPORT);
        let long = "x".repeat(MAX_FIELD + 1);
        assert_eq!(answered(Code::NotFound, &[("wardein-code", &long)]).code, Refusal::TRANSPORT);
        assert_eq!(answered(Code::NotFound, &[("wardein-code", "a b")]).code, Refusal::TRANSPORT);
    }

    #[test]
    fn a_retry_makes_sense_where_the_same_call_may_succeed() {
        let with = |status, code: &str| answered(status, &[("wardein-code", code)]).may_retry();
        assert!(with(Code::Unavailable, "store-unavailable"));
        assert!(with(Code::ResourceExhausted, "rate-limited"));
        assert!(!answered(Code::ResourceExhausted, &[]).may_retry(), "a message too large for gRPC");
        assert!(!with(Code::FailedPrecondition, "quota-exhausted"));
        assert!(!with(Code::PermissionDenied, "role-denied"));
        assert!(answered(Code::Unknown, &[]).may_retry());
        assert!(!with(Code::Internal, "internal"));
    }

    #[test]
    fn nothing_was_done_where_the_authority_says_so_and_nowhere_else() {
        let with = |status, code: &str| answered(status, &[("wardein-code", code)]).is_final();
        assert!(
            with(Code::FailedPrecondition, "release-not-newer")
                && with(Code::PermissionDenied, "role-denied")
        );
        assert!(with(Code::InvalidArgument, "malformed") && with(Code::NotFound, "repository-unknown"));
        // The commit may have happened, or happens behind the answer.
        for (status, code) in [
            (Code::Unavailable, "store-unavailable"),
            (Code::Unavailable, "request-timeout"),
            (Code::Internal, "internal"),
        ] {
            assert!(!with(status, code), "{code}");
        }
        assert!(!answered(Code::FailedPrecondition, &[]).is_final(), "it is not the authority's answer");
    }
}
