//! Why the authority refuses, with a stable code for each reason.

use crate::attribute::NotMeasured;
use crate::ledger::CloneSign;
use crate::suite::{AnswerError, ShareInvalid};
use crate::tree::OutOfRange;
use wardein_crypto::{Digest, EntropyError, SigningError};
use wardein_domain::{AttributeName, Audience, ErrorCode, Purpose};

/// Why the authority refuses a message. The record is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The message is another device's.
    #[error("the message names another device than the record")]
    WrongDevice,
    /// The body is not the one that was proved.
    #[error("the body's SHA-256 is not the body digest that was proved")]
    BodyWrong,
    /// The device's share is not a valid key of its suite.
    #[error("device share: {0}")]
    Share(ShareInvalid),
    /// The enrollment was confirmed; only an administrator may let the device enroll again.
    #[error("the device is already enrolled; an administrator must let it enroll again")]
    AlreadyEnrolled,
    /// The enrollment was not confirmed yet; the device must send its confirmation.
    #[error("the enrollment is not confirmed; send the confirmation again")]
    EnrollmentPending,
    /// The confirmation is not that of the pending enrollment.
    #[error("the confirmation does not belong to the last enrollment request; enroll again")]
    ConfirmationWrong,
    /// The recipe asks for an attribute that the device was not enrolled with.
    #[error("recipe: {0}")]
    NotMeasured(NotMeasured),
    /// The announcement lacks an attribute that the device is expected to measure.
    #[error("attribute {0} is on record and was left out; only a new enrollment drops one")]
    AttributeDropped(AttributeName),
    /// The authority does not know the generation.
    #[error("generation {claimed} is unknown; {active} is active")]
    GenerationUnknown {
        /// The generation in the message.
        claimed: u64,
        /// The active one.
        active: u64,
    },
    /// The generation is agreed and not in use yet: a proof must come first.
    #[error("generation {claimed} is not in use yet; prove a request under it first")]
    GenerationPending {
        /// The generation in the message.
        claimed: u64,
    },
    /// The generation was replaced, and nothing is accepted under it.
    #[error("generation {claimed} is retired; {active} is active")]
    GenerationRetired {
        /// The generation in the message.
        claimed: u64,
        /// The active one.
        active: u64,
    },
    /// The epoch is over, or all its numbers are used; `next` is acceptable.
    #[error("the epoch is over or full; use {next}")]
    EpochSpent {
        /// An epoch that is acceptable now.
        next: u32,
    },
    /// The epoch is too far ahead.
    #[error("the epoch is too far ahead; {highest} is the last acceptable one")]
    EpochAhead {
        /// The last acceptable epoch.
        highest: u32,
    },
    /// The epoch's keys are erased, or belong to no delegation.
    #[error("{0}")]
    EpochGone(OutOfRange),
    /// No tree is kept for the purpose.
    #[error("no keys are kept for purpose {0}")]
    PurposeNotKept(Purpose),
    /// The mac is wrong: another key, other attributes, or a changed message.
    #[error(
        "the mac is wrong: the device's attributes or keys are not those on record, or the message was changed"
    )]
    MacWrong,
    /// The network repeated or delayed the message.
    #[error("the message was received before, or was overtaken; ask for a challenge and prove again")]
    Replayed,
    /// A copy of the device's state exists, or an old image was restored.
    #[error("two holders of the device's state speak ({})", .0.sign.code())]
    CloneSuspected(CloneEvidence),
    /// The token is for another platform.
    #[error("the token is for {found}; have the device make one for you")]
    AudienceWrong {
        /// The audience in the token.
        found: Audience,
    },
    /// The token does not show the nonce that the platform gave.
    #[error("the token carries another nonce than the one given; have the device make one with that nonce")]
    NonceWrong,
    /// The payload or its additional data were changed.
    #[error("the payload or its additional data were changed")]
    OpenFailed,
    /// Too many retired generations are kept for data sealed under them: a rekey would add another one.
    #[error("{kept} retired generations are kept until their retention ends; rekey later")]
    RetentionFull {
        /// How many are kept.
        kept: usize,
    },
    /// A fault of the authority: its randomness or its signing key failed.
    #[error("the authority's randomness or signing key failed")]
    Fault,
}

/// The evidence of a clone alarm. The caller records it and quarantines the device where its policy says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloneEvidence {
    /// The sign that gave the clone away.
    pub sign: CloneSign,
    /// The generation of the message.
    pub generation: u64,
    /// Its epoch.
    pub epoch: u32,
    /// Its number.
    pub number: u64,
    /// The highest number accepted before in the generation that it was judged by, if any.
    pub highest: Option<u64>,
    /// When its challenge was issued, in Unix milliseconds.
    pub issued_ms: u64,
    /// The latest challenge that was answered before, in Unix milliseconds.
    pub latest_ms: u64,
    /// Its transcript, whose mac was right.
    pub transcript: Digest,
}

impl Refusal {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::WrongDevice => ErrorCode::WrongDevice,
            Self::BodyWrong => ErrorCode::BodyWrong,
            Self::Share(_) => ErrorCode::ShareInvalid,
            Self::AlreadyEnrolled => ErrorCode::AlreadyEnrolled,
            Self::EnrollmentPending => ErrorCode::EnrollmentPending,
            Self::ConfirmationWrong => ErrorCode::ConfirmationWrong,
            Self::NotMeasured(_) => ErrorCode::AttributeUnknown,
            Self::AttributeDropped(_) => ErrorCode::AttributeDropped,
            Self::GenerationUnknown { .. } => ErrorCode::GenerationUnknown,
            Self::GenerationPending { .. } => ErrorCode::GenerationPending,
            Self::GenerationRetired { .. } => ErrorCode::GenerationRetired,
            Self::EpochSpent { .. } => ErrorCode::EpochSpent,
            Self::EpochAhead { .. } => ErrorCode::EpochAhead,
            Self::EpochGone(_) => ErrorCode::EpochGone,
            Self::PurposeNotKept(_) => ErrorCode::PurposeNotKept,
            Self::MacWrong => ErrorCode::MacWrong,
            Self::Replayed => ErrorCode::Replayed,
            Self::CloneSuspected(_) => ErrorCode::CloneSuspected,
            Self::AudienceWrong { .. } => ErrorCode::AudienceWrong,
            Self::NonceWrong => ErrorCode::NonceWrong,
            Self::OpenFailed => ErrorCode::OpenFailed,
            Self::RetentionFull { .. } => ErrorCode::RetentionFull,
            Self::Fault => ErrorCode::Fault,
        }
    }
}

impl From<AnswerError> for Refusal {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Share(share) => Self::Share(share),
            AnswerError::Entropy(EntropyError) => Self::Fault,
        }
    }
}

impl From<SigningError> for Refusal {
    fn from(SigningError: SigningError) -> Self {
        Self::Fault
    }
}
