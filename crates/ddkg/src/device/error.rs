//! Why the device's end refuses.

use crate::attribute::NotMeasured;
use crate::suite::ShareInvalid;
use crate::tree::OutOfRange;
use crate::wire::DecodeError;
use wardein_crypto::EntropyError;
use wardein_domain::Purpose;

/// Why the device's end refuses a message or an order. The state is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The bytes are not a message, or not a state.
    #[error("{0}")]
    Decode(DecodeError),
    /// The source of randomness failed.
    #[error("the source of randomness failed")]
    Entropy,
    /// The authority's share is not a valid key of its suite.
    #[error("authority share: {0}")]
    Share(ShareInvalid),
    /// The reply's signature is not that of the pinned identity key over the request.
    #[error("the enrollment reply is not signed by the pinned identity key, or answers another request")]
    SignatureWrong,
    /// The reply's confirmation is wrong: the authority does not share the secret.
    #[error("the authority's confirmation is wrong")]
    ConfirmationWrong,
    /// The challenge answers an earlier question than the last.
    #[error("the challenge was asked for before another one; only the last one asked for may be answered")]
    ChallengeOvertaken,
    /// The reply's ack is wrong: the authority did not send it, or not for this request.
    #[error("the reply's ack is wrong; the reply is not believed; ask again")]
    AckWrong,
    /// The reply is to a rekey that a later one, or another generation, has overtaken.
    #[error("the reply is to an earlier rekey; only the last one counts")]
    RekeyOvertaken,
    /// The rekey reply offers another generation than the next.
    #[error("the rekey reply offers generation {offered} where {expected} is next")]
    GenerationUnexpected {
        /// The generation in the reply.
        offered: u64,
        /// The next one.
        expected: u64,
    },
    /// The rekey reply has purposes that the device did not name, or none where it named some.
    #[error("the rekey reply grants other purposes than the device named; the reply is not believed")]
    PurposesUnexpected,
    /// The challenge asks for an attribute that was not measured.
    #[error("{0}")]
    NotMeasured(NotMeasured),
    /// The device keeps no tree for the purpose.
    #[error("the device keeps no keys for purpose {0}")]
    PurposeNotKept(Purpose),
    /// No epoch or number is left in this generation; a new one is needed.
    #[error("no key is left for purpose {0} in this generation; rekey")]
    Exhausted(Purpose),
    /// The generation is new, and the authority has not yet acknowledged a proof under it.
    #[error("the authority has not acknowledged this generation yet; prove a request first")]
    ProveFirst,
    /// The key of the payload is another device's, another generation's, or erased.
    #[error(
        "the key of this payload is not available here: it belongs to another device or generation, or is erased"
    )]
    KeyGone,
    /// The code does not answer the challenge.
    #[error("the code does not answer this challenge")]
    CodeWrong,
    /// The payload, its name or its additional data were changed.
    #[error("the payload was changed, or its additional data is not what it was sealed with")]
    OpenFailed,
    /// The state is older than the caller's rollback counter allows.
    #[error(
        "the state is from write {found}, and the rollback counter is at {floor}: an old image was restored"
    )]
    RolledBack {
        /// The write that the state is of.
        found: u64,
        /// The least that is allowed.
        floor: u64,
    },
}

impl From<DecodeError> for DeviceError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<EntropyError> for DeviceError {
    fn from(EntropyError: EntropyError) -> Self {
        Self::Entropy
    }
}

impl From<NotMeasured> for DeviceError {
    fn from(error: NotMeasured) -> Self {
        Self::NotMeasured(error)
    }
}

impl DeviceError {
    pub(super) fn exhausted(purpose: Purpose) -> impl Fn(OutOfRange) -> Self {
        move |_| Self::Exhausted(purpose)
    }
}
