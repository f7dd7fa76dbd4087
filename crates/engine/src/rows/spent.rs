//! The row of a spent key, at its name: the record of its use.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::{Serial, UnixSeconds};

#[derive(Serialize, Deserialize)]
pub(crate) struct SpentRow {
    #[serde(with = "column")]
    pub(crate) at: UnixSeconds,
    /// The serial of the platform's certificate.
    #[serde(with = "column")]
    pub(crate) by: Serial,
    /// The SHA-256 of the idempotency key; with a key of the purpose `service` the id of the visit that a code was given for, and
    /// zeros.
    pub(crate) idempotency: [u8; 32],
    /// The SHA-256 of the message that the key was used for, where one was shown and the key itself is not out.
    pub(crate) message: Option<[u8; 32]>,
}
