//! What a device does about a refusal: DDKG-1 section 13 is made of this table.

use super::{ErrorCode, ErrorKind};

/// What a device does about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceAction {
    /// Asks for a challenge and proves the request again, at once.
    AskAgain,
    /// Takes the epoch that the refusal names, asks for a challenge and proves the request again.
    TakeEpoch,
    /// Sends the same again after a pause.
    Wait,
    /// Sends the confirmation of its enrollment, then the request.
    Confirm,
    /// Agrees on new keys, then sends the request.
    Rekey,
    /// Asks for the other suite, if it has it.
    TakeSuite,
    /// Reports it and tries again seldom: an administrator, or time, must change something first.
    SeekHelp,
    /// Reports it and asks once a day: the decision is final, if it was the authority that spoke.
    Stop,
    /// Reports it: the request itself is wrong, and the same one never succeeds.
    Mend,
}

impl DeviceAction {
    /// All of them, in the order of their urgency.
    pub const ALL: [Self; 9] = [
        Self::AskAgain,
        Self::TakeEpoch,
        Self::Confirm,
        Self::Rekey,
        Self::TakeSuite,
        Self::Wait,
        Self::SeekHelp,
        Self::Stop,
        Self::Mend,
    ];

    /// What the device does, in a sentence of the specification.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::AskAgain => {
                "Asks for a challenge and proves the request again, at once, at most six times in a row; then as *seek help*."
            }
            Self::TakeEpoch => {
                "Takes the epoch named (section 3.1), asks for a challenge and proves the request again."
            }
            Self::Confirm => "Sends the confirmation of its enrollment (section 4), then the request again.",
            Self::Rekey => "Rekeys (section 6), then sends the request again.",
            Self::TakeSuite => "Asks for the rekey with suite 2, if it has it; never with a lower one.",
            Self::Wait => {
                "Sends the same again after a pause that doubles from 5 seconds to an hour, of which it takes a random part, or that the refusal names; every request is safe to send twice."
            }
            Self::SeekHelp => {
                "Keeps its keys, says so where a person sees it, and tries again in a pause that doubles up to an hour: an administrator, or time, must change something first."
            }
            Self::Stop => {
                "Says so where a person sees it, and asks for nothing more but once a day: the decision is final, unless it was not the authority that spoke."
            }
            Self::Mend => {
                "Says so where a person sees it: the request is wrong, and the same one never succeeds. All else goes on."
            }
        }
    }

    /// Its name in the specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AskAgain => "ask again",
            Self::TakeEpoch => "take the epoch",
            Self::Confirm => "confirm",
            Self::Rekey => "rekey",
            Self::TakeSuite => "take the suite",
            Self::Wait => "wait",
            Self::SeekHelp => "seek help",
            Self::Stop => "stop",
            Self::Mend => "mend",
        }
    }
}

impl ErrorCode {
    /// What a device does about it. A code that it does not know, as a later release may send one, it takes by the gRPC status, as
    /// this does for all that need no rule of their own.
    pub const fn on_device(self) -> DeviceAction {
        match self {
            Self::ChallengeUnknown
            | Self::ChallengeExpired
            | Self::ChallengeFromTheFuture
            | Self::Replayed => DeviceAction::AskAgain,
            Self::EpochSpent | Self::EpochAhead => DeviceAction::TakeEpoch,
            Self::EnrollmentPending | Self::DevicePending => DeviceAction::Confirm,
            Self::RekeyRequired => DeviceAction::Rekey,
            Self::SuiteNotAllowed => DeviceAction::TakeSuite,
            Self::DeviceRevoked | Self::DeviceRetired | Self::DeviceTransferred => DeviceAction::Stop,
            // It was told of a transfer that has been withdrawn since, or by nobody who knows.
            Self::TransferUnknown => DeviceAction::Mend,
            _ => Self::by_kind(self.kind()),
        }
    }

    const fn by_kind(kind: ErrorKind) -> DeviceAction {
        match kind {
            ErrorKind::Unavailable | ErrorKind::Exhausted => DeviceAction::Wait,
            ErrorKind::Precondition
            | ErrorKind::Denied
            | ErrorKind::Unauthenticated
            | ErrorKind::NotFound
            | ErrorKind::Exists
            | ErrorKind::Internal => DeviceAction::SeekHelp,
            ErrorKind::Invalid | ErrorKind::OutOfRange | ErrorKind::Unimplemented => DeviceAction::Mend,
        }
    }

    /// Whether a method that devices call may refuse with it.
    pub const fn is_for_devices(self) -> bool {
        matches!(
            self,
            Self::ChallengeUnknown
                | Self::ChallengeExpired
                | Self::ChallengeFromTheFuture
                | Self::Replayed
                | Self::EpochSpent
                | Self::EpochAhead
                | Self::EnrollmentPending
                | Self::DevicePending
                | Self::RekeyRequired
                | Self::SuiteNotAllowed
                | Self::DeviceRevoked
                | Self::DeviceRetired
                | Self::DeviceTransferred
                | Self::TransferUnknown
                | Self::DeviceSuspended
                | Self::DeviceQuarantined
                | Self::CloneSuspected
                | Self::KeysAfterBackup
                | Self::AlreadyEnrolled
                | Self::ConfirmationWrong
                | Self::DeviceUnknown
                | Self::MacWrong
                | Self::SignatureWrong
                | Self::GenerationUnknown
                | Self::GenerationRetired
                | Self::GenerationPending
                | Self::RetentionFull
                | Self::AttributeUnknown
                | Self::AttributeDropped
                | Self::WrongDevice
                | Self::BodyWrong
                | Self::ShareInvalid
                | Self::ActionUnknown
                | Self::ActionNeedsDerivedKeys
                | Self::KeyPolicyChanged
                | Self::KeeperNotAllowed
                | Self::QuoteMissing
                | Self::QuoteWithoutTpm
                | Self::PcrSelection
                | Self::PcrDigest
                | Self::PcrValue
                | Self::PcrUnknown
                | Self::PcrChanged
                | Self::AttestScheme
                | Self::AttestSignature
                | Self::AttestMagic
                | Self::AttestType
                | Self::AttestNonce
                | Self::TpmTooLong
                | Self::TpmTruncated
                | Self::TpmTrailingBytes
                | Self::TpmUnsupported
                | Self::TpmValue
                | Self::CsrTooLong
                | Self::CsrMalformed
                | Self::CsrTrailingBytes
                | Self::CsrVersion
                | Self::CsrKey
                | Self::CsrKeyNotAccepted
                | Self::CsrRsaExponent
                | Self::CsrRsaModulus
                | Self::CsrRsaRoca
                | Self::CsrSignatureAlgorithm
                | Self::CsrSignature
                | Self::CsrKeyOfAnother
                | Self::SignaturesExhausted
                | Self::MadeKeyQuota
                | Self::SignerUnavailable
                | Self::IssuanceRevoked
                | Self::CertificateNameUnfit
                | Self::CertificateProfileBeyondCa
                | Self::CaMissing
                | Self::RepositoryUnknown
                | Self::LineUnknown
                | Self::ReleaseUnknown
                | Self::ReleaseState
                | Self::UpdateQuota
                | Self::ReceiptOtherDevice
                | Self::ReceiptOtherRelease
                | Self::ReceiptReplayed
                | Self::ReceiptContradicts
                | Self::VisitUnknown
                | Self::VisitClosed
                | Self::VisitNotReleased
                | Self::ReleaseAtDeviceOff
                | Self::ReleaseNeedsSite
                | Self::VisitQuota
                | Self::ProtocolOtherDevice
                | Self::ProtocolOtherVisit
                | Self::ProtocolWindow
                | Self::ProtocolContradicts
                | Self::ClockHeld
                | Self::Malformed
                | Self::TooLarge
                | Self::NotSupported
                | Self::MethodUnknown
                | Self::BrokenOff
                | Self::Overloaded
                | Self::RateLimited
                | Self::RequestTimeout
                | Self::Stopping
                | Self::Contended
                | Self::StoreUnavailable
                | Self::Internal
                | Self::Fault
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waiting is told from all else by the status alone, for a client that knows no code.
    #[test]
    fn a_device_waits_where_the_status_says_so_and_only_there() {
        for &code in ErrorCode::ALL {
            let waits = code.on_device() == DeviceAction::Wait;
            assert_eq!(waits, code.retry_after_ms().is_some(), "{code}");
        }
    }
}
