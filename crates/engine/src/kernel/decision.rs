//! The result of a decision.

use crate::kernel::Error;
use crate::rows::KeysRow;
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::{ChallengeError, DecodeError};
use wardein_port::{Change, RowKey, StoreError};

/// Everything that follows from a decision: the change, the answer once that is durable and projected, and the keys of a device
/// as the change leaves them.
///
/// The answer may be a refusal: one that must be on record, or an alarm, is a decision like any other, and its change says so.
pub(crate) struct Decision<T> {
    pub(crate) change: Change,
    pub(crate) answer: Result<T, Error>,
    /// Kept in memory under the revision of the commit, for the device's next request. They travel with the commit and are in no
    /// feed.
    pub(crate) keys: Option<Kept>,
}

/// A device's keys as a change leaves them.
pub(crate) struct Kept {
    pub(crate) keys: Box<KeysRow>,
    /// The version of the cold row; `None` where the change writes it.
    pub(crate) cold: Option<u64>,
}

impl<T> Decision<T> {
    /// A change with its answer.
    pub(crate) fn new(change: Change, answer: T) -> Self {
        Self { change, answer: Ok(answer), keys: None }
    }

    /// An answer that alters nothing.
    pub(crate) fn unchanged(answer: T) -> Self {
        Self::new(Change::default(), answer)
    }

    /// A refusal that is given once `change` is on record.
    pub(crate) fn refused(change: Change, error: Error) -> Self {
        Self { change, answer: Err(error), keys: None }
    }
}

/// Why a decision was not reached.
pub(crate) enum Stop {
    /// Rows must be loaded first; then it is made again.
    Need(Vec<RowKey>),
    /// It is refused, and nothing is on record of it here.
    Refuse(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refuse(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Refuse(error.into())
    }
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Refuse(error.into())
    }
}

impl From<ChallengeError> for Stop {
    fn from(error: ChallengeError) -> Self {
        Self::Refuse(error.into())
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal.into())
    }
}

impl From<wardein_attest::Refusal> for Stop {
    fn from(refusal: wardein_attest::Refusal) -> Self {
        Self::Refuse(refusal.into())
    }
}
