//! The row of a certificate of a device, at tenant, device and serial. Revocation has rows of its own.

use super::{Link, RevokedRow, column, damaged};
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_crypto::Digest;
use wardein_domain::{Fingerprint, Reason, RevocationReason, UnixSeconds};
use wardein_pki::IssuedBy;
use wardein_port::{Change, Table};

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

    /// By which it is found where its serial is not known.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_digest(Digest::of(&self.der).0)
    }

    /// Puts the certificate of a device on record at `key`, with what leads there from its fingerprint.
    pub(crate) fn put_of_device(&self, key: Vec<u8>, change: &mut Change) -> Result<(), Error> {
        let by = self.fingerprint().as_bytes().to_vec();
        change.insert(Table::CertificateFingerprint, by, Link::encode(&key));
        change.insert(Table::Certificate, key, super::encode(self)?);
        Ok(())
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
