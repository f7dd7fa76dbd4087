//! The row of a certificate of a device, at tenant, device and serial. Revocation has rows of its own.

use super::column;
use serde::{Deserialize, Serialize};
use wardein_domain::UnixSeconds;

#[derive(Serialize, Deserialize)]
pub(crate) struct CertificateRow {
    /// `not_before` is earlier, for clocks that are behind.
    #[serde(with = "column")]
    pub(crate) issued_at: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) not_before: UnixSeconds,
    #[serde(with = "column")]
    pub(crate) not_after: UnixSeconds,
    /// The era of the authority's clock in which it was issued.
    pub(crate) era: u32,
    pub(crate) der: Vec<u8>,
}
