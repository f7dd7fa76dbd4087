//! Why a use case refuses or fails.

use std::fmt;
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::{ChallengeError, DecodeError, DeviceName};
use wardein_domain::TenantId;
use wardein_port::{CommitError, StoreError};

/// Who is at fault, and what the caller may do about it. The edge maps each to one gRPC status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is malformed or out of bounds; changing it helps.
    Invalid,
    /// What it names is not there, or not the caller's to see.
    NotFound,
    /// What it would make is there already.
    Exists,
    /// The state of things does not allow it now.
    Precondition,
    /// The caller is known and may not.
    Denied,
    /// The proof or certificate does not show who calls.
    Unauthenticated,
    /// A quota or rate is used up.
    Exhausted,
    /// A fault of ours that passes: the store is full or restarting.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// A refusal or a fault, with a stable code and words that tell the caller what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Who is at fault.
    pub kind: Kind,
    /// The stable code, such as `quota-exhausted`.
    pub code: &'static str,
    /// What was wrong, where, and what to do next. For faults of ours it is for the log, not for the caller.
    pub message: String,
    /// A number that a device's next attempt needs, by its name: `next-epoch` or `highest-epoch`.
    pub hint: Option<(&'static str, u64)>,
}

impl Error {
    /// An error of `kind`.
    pub fn new(kind: Kind, code: &'static str, message: impl fmt::Display) -> Self {
        Self { kind, code, message: message.to_string(), hint: None }
    }

    /// A malformed or out-of-range field.
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self::new(Kind::Invalid, "malformed", message)
    }

    /// There is no authority in the store.
    pub(crate) fn not_founded() -> Self {
        let message = "the store holds no authority; run `wardein init` first";
        Self::new(Kind::Precondition, "not-founded", message)
    }

    /// The tenant is not there, or not the caller's to see: the two look alike.
    pub(crate) fn no_tenant(tenant: &TenantId) -> Self {
        Self::new(
            Kind::NotFound,
            "tenant-unknown",
            format_args!("there is no tenant {tenant}; create it first"),
        )
    }

    /// The device is not there, or not the caller's to see.
    pub(crate) fn no_device(name: &DeviceName) -> Self {
        let message = format_args!("there is no device {} in tenant {}", name.device, name.tenant);
        Self::new(Kind::NotFound, "device-unknown", message)
    }

    pub(crate) fn not_on_record() -> Self {
        let message = "the certificate is of no operator on record; have another one issued";
        Self::new(Kind::Unauthenticated, "operator-unknown", message)
    }

    pub(crate) fn quota_exhausted(quota: u64) -> Self {
        let message =
            format_args!("the station's quota of {quota} devices is used up; have another identity issued");
        Self::new(Kind::Exhausted, "quota-exhausted", message)
    }

    /// Others changed the same rows with every attempt.
    pub(crate) fn contended() -> Self {
        let message = "others changed the same record all the time; try again";
        Self::new(Kind::Unavailable, "contended", message)
    }

    /// A fault of ours; `message` goes to the log only.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Kind::Internal, "internal", message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::new(Kind::Unavailable, "store-unavailable", error)
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => Self::contended(),
            CommitError::TooLarge(_) => Self::internal(error),
            CommitError::Unavailable(_) | CommitError::Unknown(_) => {
                Self::new(Kind::Unavailable, "store-unavailable", error)
            }
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::invalid(error)
    }
}

impl From<ChallengeError> for Error {
    fn from(error: ChallengeError) -> Self {
        Self::new(Kind::Unauthenticated, error.code(), error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::WrongDevice | Refusal::BodyWrong | Refusal::Share(_) | Refusal::NotMeasured(_) => {
                Kind::Invalid
            }
            Refusal::AlreadyEnrolled => Kind::Exists,
            Refusal::EnrollmentPending
            | Refusal::GenerationPending { .. }
            | Refusal::EpochSpent { .. }
            | Refusal::EpochAhead { .. }
            | Refusal::EpochGone(_)
            | Refusal::PurposeNotKept(_)
            | Refusal::RetentionFull { .. }
            | Refusal::AttributeDropped(_)
            | Refusal::Replayed => Kind::Precondition,
            Refusal::ConfirmationWrong
            | Refusal::GenerationUnknown { .. }
            | Refusal::Retired { .. }
            | Refusal::MacWrong
            | Refusal::AudienceWrong { .. }
            | Refusal::NonceWrong
            | Refusal::OpenFailed => Kind::Unauthenticated,
            Refusal::CloneSuspected(_) => Kind::Denied,
            Refusal::Fault => Kind::Internal,
            // `Refusal` may grow; what is not known here is a fault until it is placed.
            _ => Kind::Internal,
        };
        let hint = match &refusal {
            Refusal::EpochSpent { next } => Some(("next-epoch", u64::from(*next))),
            Refusal::EpochAhead { highest } => Some(("highest-epoch", u64::from(*highest))),
            _ => None,
        };
        Self { hint, ..Self::new(kind, refusal.code(), refusal) }
    }
}
