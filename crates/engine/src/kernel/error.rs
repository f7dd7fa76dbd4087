//! Why a use case refuses or fails.

use std::fmt;
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::{ChallengeError, DecodeError, DeviceName};
use wardein_domain::{ErrorCode, ErrorKind, TenantId};
use wardein_port::{CommitError, StoreError};

/// A refusal or a fault, with a stable code and a message that says what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The stable code, which says who is at fault.
    pub code: ErrorCode,
    /// What was wrong, where, and what to do next. For internal faults it is for the log, not for the caller.
    pub message: String,
    /// What the caller's program acts on beside the code.
    pub detail: Option<Detail>,
}

/// What the caller's program acts on beside the code of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// The epoch that a device's next proof must use.
    NextEpoch(u32),
    /// The last epoch that would do.
    HighestEpoch(u32),
    /// The field of the request that is wrong, by its path in the message.
    Field(String),
    /// What is missing, or there already.
    Resource {
        /// The message that describes it, such as `wardein.v1.Device`.
        kind: &'static str,
        /// Its name among those.
        name: String,
    },
    /// The oldest revision from which a watcher can go on, as it is on the wire.
    OldestRevision(Vec<u8>),
    /// The proposal that waits.
    Proposal([u8; 8]),
    /// Whose quota is used up: an operator's or a tenant's.
    Quota(String),
}

impl Error {
    /// An error of `code`.
    pub fn new(code: ErrorCode, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), detail: None }
    }

    /// The same error, with its detail.
    pub fn with(self, detail: Detail) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// The same error, about something that is missing or there already.
    pub(crate) fn about(self, kind: &'static str, name: impl fmt::Display) -> Self {
        self.with(Detail::Resource { kind, name: name.to_string() })
    }

    /// Who is at fault.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// A malformed or out-of-range field, by its path in the message.
    pub fn wrong(field: &str, why: impl fmt::Display) -> Self {
        Self::invalid(format_args!("{field}: {why}")).with(Detail::Field(field.to_owned()))
    }

    /// What is malformed where no one field is.
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self::new(ErrorCode::Malformed, message)
    }

    /// There is no authority in the store.
    pub(crate) fn not_founded() -> Self {
        let message = "the store holds no authority; run `wardein init` first";
        Self::new(ErrorCode::NotFounded, message)
    }

    /// The tenant does not exist, or the caller may not see it: the two look the same.
    pub(crate) fn no_tenant(tenant: &TenantId) -> Self {
        Self::new(ErrorCode::TenantUnknown, format_args!("there is no tenant {tenant}; create it first"))
            .about("wardein.v1.Tenant", tenant)
    }

    /// The device is not there, or not the caller's to see.
    pub(crate) fn no_device(name: &DeviceName) -> Self {
        let message = format_args!("there is no device {} in tenant {}", name.device, name.tenant);
        Self::new(ErrorCode::DeviceUnknown, message)
            .about("wardein.v1.Device", format_args!("{}/{}", name.tenant, name.device))
    }

    pub(crate) fn not_on_record() -> Self {
        let message = "the certificate belongs to no operator on record; have another one issued";
        Self::new(ErrorCode::IdentityUnknown, message)
    }

    pub(crate) fn quota_exhausted(quota: u64) -> Self {
        let message =
            format_args!("the station's quota of {quota} devices is used up; have another identity issued");
        Self::new(ErrorCode::QuotaExhausted, message).with(Detail::Quota("station".into()))
    }

    /// Others changed the same rows with every attempt.
    pub(crate) fn contended() -> Self {
        let message = "others kept changing the same record; try again";
        Self::new(ErrorCode::Contended, message)
    }

    /// An internal fault; `message` goes to the log only.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(ErrorCode::Internal, message)
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
        Self::new(ErrorCode::StoreUnavailable, error)
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict { .. } => Self::contended(),
            CommitError::TooLarge(_) => Self::internal(error),
            CommitError::Unavailable(_) | CommitError::Unknown(_) => {
                Self::new(ErrorCode::StoreUnavailable, error)
            }
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::wrong(error.field, error.problem)
    }
}

impl From<ChallengeError> for Error {
    fn from(error: ChallengeError) -> Self {
        Self::new(error.code(), error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let detail = match &refusal {
            Refusal::EpochSpent { next } => Some(Detail::NextEpoch(*next)),
            Refusal::EpochAhead { highest } => Some(Detail::HighestEpoch(*highest)),
            _ => None,
        };
        Self { detail, ..Self::new(refusal.code(), refusal) }
    }
}
