//! The row of a certificate of a device, at tenant, device and serial. Revocation has rows of its own.

use super::{RevokedRow, column, damaged};
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_domain::{Reason, RevocationReason, UnixSeconds};
use wardein_pki::IssuedBy;
use wardein_port::Table;

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

impl CertificateRow {
    /// The key identifier of the CA that issued it.
    pub(crate) fn ca(&self) -> Result<[u8; 20], Error> {
        let issued = IssuedBy::of_certificate(&self.der);
        Ok(issued.ok_or_else(|| damaged(Table::Certificate, "holds no certificate of this authority"))?.ca)
    }

    /// The row that revokes it by itself.
    pub(crate) fn revoked(
        &self,
        at: UnixSeconds,
        reason: Reason,
        code: RevocationReason,
    ) -> Result<RevokedRow, Error> {
        Ok(RevokedRow { at, reason, code, ca: self.ca()?, not_after: self.not_after, is_released: false })
    }
}
