//! What can go wrong with a TPM, and what to do then.

use std::borrow::Cow;
use std::fmt;
use tss_esapi::Error;
use tss_esapi::constants::response_code::{Tss2ResponseCode, Tss2ResponseCodeKind as Kind};
use wardein_domain::{ErrorCode, PcrSelection};

/// Why the TPM did not do it. None of it holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// Nothing answers where the TPM is said to be.
    #[error(
        "{doing}: no TPM answers ({cause}); see that it is there, and that this user may open it (/dev/tpmrm0: group tss)"
    )]
    Unavailable {
        /// What was to be done.
        doing: Cow<'static, str>,
        /// What libtss2 said.
        cause: Cause,
    },
    /// Too many failed tries, of whomever.
    #[error(
        "{doing}: the TPM is locked out after failed authorizations; wait until it recovers, or run tpm2_dictionarylockout --clear-lockout"
    )]
    Lockout {
        /// What was to be done.
        doing: Cow<'static, str>,
    },
    /// The TPM's memory is full of what others loaded.
    #[error(
        "{doing}: the TPM has no room ({cause}); use a resource manager (device:/dev/tpmrm0), or drop what others left with \
         tpm2_flushcontext --transient-object; persistent keys that nobody needs go with tpm2_evictcontrol"
    )]
    Memory {
        /// What was to be done.
        doing: Cow<'static, str>,
        /// What the TPM said.
        cause: Cause,
    },
    /// A hierarchy is not open to all.
    #[error(
        "{doing}: the TPM's owner or endorsement hierarchy is under a password; an empty one is needed here"
    )]
    Password {
        /// What was to be done.
        doing: Cow<'static, str>,
    },
    /// Another program's object is where one of ours has to be.
    #[error(
        "persistent handle {handle:#010x} of the TPM holds something else than {wanted}; if nobody needs it: tpm2_evictcontrol -C o -c {handle:#010x}"
    )]
    HandleTaken {
        /// Which.
        handle: u32,
        /// What is to be there.
        wanted: &'static str,
    },
    /// The machine is in another state than the one that a secret was sealed to.
    #[error(
        "the TPM does not open what is sealed to registers {selection}: they have other values than when it was sealed, as after an \
         update of the firmware"
    )]
    PcrChanged {
        /// The registers that it is sealed to.
        selection: PcrSelection,
    },
    /// Only the TPM that sealed a secret opens it, as long as its owner does not clear it.
    #[error("this was sealed by another TPM, or before this one was cleared, or it is damaged")]
    SealedElsewhere,
    /// The TPM keeps no such registers.
    #[error("the TPM has no registers {selection}, or has the bank {} switched off", selection.bank())]
    NoRegisters {
        /// The registers that were asked for.
        selection: PcrSelection,
    },
    /// More than a TPM seals.
    #[error("{length} bytes cannot be sealed; a TPM takes 1 to {}", crate::MAX_SECRET)]
    SecretLength {
        /// How many they are.
        length: usize,
    },
    /// Anything else that the TPM or libtss2 refused.
    #[error("{doing}: {cause}")]
    Failed {
        /// What was to be done.
        doing: Cow<'static, str>,
        /// What was said.
        cause: Cause,
    },
}

impl TpmError {
    /// A word that stays, for scripts and for the codes of callers.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable { .. } => ErrorCode::TpmUnavailable,
            Self::Lockout { .. } => ErrorCode::TpmLockout,
            Self::Memory { .. } => ErrorCode::TpmMemory,
            Self::Password { .. } => ErrorCode::TpmPassword,
            Self::HandleTaken { .. } => ErrorCode::TpmHandleTaken,
            Self::PcrChanged { .. } => ErrorCode::TpmPcrChanged,
            Self::SealedElsewhere => ErrorCode::TpmSealedElsewhere,
            Self::NoRegisters { .. } => ErrorCode::TpmNoRegisters,
            Self::SecretLength { .. } => ErrorCode::TpmSecretLength,
            Self::Failed { .. } => ErrorCode::TpmFailed,
        }
    }

    pub(crate) fn new(doing: impl Into<Cow<'static, str>>, error: Error) -> Self {
        let doing = doing.into();
        let cause = Cause(error);
        if cause.is_transport() {
            return Self::Unavailable { doing, cause };
        }
        match cause.kind() {
            Some(Kind::Lockout) => Self::Lockout { doing },
            Some(
                Kind::ObjectMemory
                | Kind::SessionMemory
                | Kind::Memory
                | Kind::ObjectHandles
                | Kind::SessionHandles
                | Kind::NvSpace,
            ) => Self::Memory { doing, cause },
            Some(Kind::AuthFail | Kind::BadAuth) => Self::Password { doing },
            _ => Self::Failed { doing, cause },
        }
    }
}

/// What the TPM or libtss2 said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause(pub(crate) Error);

impl Cause {
    /// The response code of the TPM itself.
    pub(crate) fn kind(self) -> Option<Kind> {
        match self.0 {
            Error::Tss2Error(code) => code.kind(),
            Error::WrapperError(_) => None,
        }
    }

    /// Whether it is libtss2's transport (TCTI) that failed. The library does not give the number of a response code, but compares it.
    fn is_transport(self) -> bool {
        let Error::Tss2Error(code) = self.0 else { return false };
        (1..BASE_CODES).any(|number| code == Tss2ResponseCode::from(TCTI_LAYER | number))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Says what failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl Into<Cow<'static, str>>) -> Result<T, TpmError>;
}

impl<T> Doing<T> for tss_esapi::Result<T> {
    fn doing(self, what: impl Into<Cow<'static, str>>) -> Result<T, TpmError> {
        self.map_err(|error| TpmError::new(what, error))
    }
}

/// The layer that a response code of a TCTI module names, in its bits 16 to 23 (TCG TSS 2.0 Overview, "Response Codes").
const TCTI_LAYER: u32 = 10 << 16;
/// Above the base response codes that libtss2 defines.
const BASE_CODES: u32 = 0x40;

#[cfg(test)]
mod tests {
    use super::*;

    /// TPM_RC_LOCKOUT, TPM_RC_OBJECT_MEMORY, TPM_RC_BAD_AUTH of session 1, TPM_RC_VALUE; TCTI's IO error and no connection.
    #[test]
    fn a_response_code_becomes_what_one_can_do_about_it() {
        for (number, code) in [
            (0x921, "tpm-lockout"),
            (0x902, "tpm-memory"),
            (0x903, "tpm-memory"),
            (0x9a2, "tpm-password"),
            (0x98e, "tpm-password"),
            (0x084, "tpm-failed"),
            (0xa_000a, "tpm-unavailable"),
            (0xa_0008, "tpm-unavailable"),
            (0x7_0002, "tpm-failed"),
        ] {
            let error = TpmError::new("try", Error::Tss2Error(number.into()));
            assert_eq!(error.code().as_str(), code, "{number:#x}: {error}");
        }
    }
}
