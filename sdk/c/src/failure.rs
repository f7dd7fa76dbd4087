//! Why a call fails, on its way to the handle that keeps the words.

use crate::status::Status;
use wardein_ddkg::DecodeError;
use wardein_ddkg::device::DeviceError;

/// A status with its words, which hold nothing secret.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(status: Status, text: impl ToString) -> Self {
        Self { status, text: text.to_string() }
    }

    /// `field` is wrong in the way that `why` says.
    pub(crate) fn argument(field: &str, why: impl std::fmt::Display) -> Self {
        Self { status: Status::WARDEIN_ERR_ARGUMENT, text: format!("{field}: {why}") }
    }

    pub(crate) fn order(text: &str) -> Self {
        Self::new(Status::WARDEIN_ERR_ORDER, text)
    }

    pub(crate) fn fault(text: &str) -> Self {
        Self::new(Status::WARDEIN_ERR_FAULT, text)
    }
}

/// Of a message or a state; where an argument is at fault, the caller says so by [`Failure::argument`].
impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::new(Status::WARDEIN_ERR_MALFORMED, error)
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        let status = match &error {
            DeviceError::Decode(_) | DeviceError::Share(_) => Status::WARDEIN_ERR_MALFORMED,
            DeviceError::Entropy => Status::WARDEIN_ERR_FAULT,
            DeviceError::SignatureWrong
            | DeviceError::ConfirmationWrong
            | DeviceError::AckWrong
            | DeviceError::GenerationUnexpected { .. } => Status::WARDEIN_ERR_UNAUTHENTIC,
            DeviceError::ChallengeOvertaken | DeviceError::RekeyOvertaken => Status::WARDEIN_ERR_OVERTAKEN,
            DeviceError::NotMeasured(_) => Status::WARDEIN_ERR_NOT_MEASURED,
            DeviceError::PurposeNotKept(_) => Status::WARDEIN_ERR_NOT_KEPT,
            DeviceError::Exhausted(_) => Status::WARDEIN_ERR_EXHAUSTED,
            DeviceError::ProveFirst => Status::WARDEIN_ERR_PROVE_FIRST,
            DeviceError::KeyGone => Status::WARDEIN_ERR_KEY_GONE,
            DeviceError::OpenFailed => Status::WARDEIN_ERR_OPEN,
            DeviceError::RolledBack { .. } => Status::WARDEIN_ERR_ROLLED_BACK,
            _ => Status::WARDEIN_ERR_FAULT,
        };
        Self::new(status, error)
    }
}

#[cfg(feature = "transport")]
impl From<wardein_device::Error> for Failure {
    fn from(error: wardein_device::Error) -> Self {
        use wardein_device::Error;
        let error = match error {
            Error::Protocol(error) => return error.into(),
            other => other,
        };
        let status = match &error {
            Error::File { .. } | Error::Open { .. } | Error::Damaged { .. } => Status::WARDEIN_ERR_DIRECTORY,
            Error::Locked(_) => Status::WARDEIN_ERR_LOCKED,
            Error::Config { .. } | Error::NotConfigured(_) | Error::ConfigDiffers(_) => {
                Status::WARDEIN_ERR_SETTING
            }
            Error::Signs(_) => Status::WARDEIN_ERR_SIGNS,
            Error::NotEnrolled(_) => Status::WARDEIN_ERR_NOT_ENROLLED,
            Error::Attribute(_) => Status::WARDEIN_ERR_NOT_MEASURED,
            Error::Certificate(_) | Error::Pins(_) => Status::WARDEIN_ERR_UNAUTHENTIC,
            Error::NoPins(_) => Status::WARDEIN_ERR_ORDER,
            Error::Refused(_) => Status::WARDEIN_ERR_REFUSED,
            Error::Answer(_) => Status::WARDEIN_ERR_MALFORMED,
            Error::Unreachable(_) => Status::WARDEIN_ERR_UNREACHABLE,
            // Of a TPM, where one is built in, among them.
            _ => Status::WARDEIN_ERR_FAULT,
        };
        Self::new(status, error)
    }
}
