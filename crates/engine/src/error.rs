//! Why a use case refuses or fails.

use std::fmt;

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
}

impl Error {
    /// An error of `kind`.
    pub fn new(kind: Kind, code: &'static str, message: impl fmt::Display) -> Self {
        Self { kind, code, message: message.to_string() }
    }

    /// A malformed or out-of-range field.
    pub fn invalid(message: impl fmt::Display) -> Self {
        Self::new(Kind::Invalid, "malformed", message)
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
