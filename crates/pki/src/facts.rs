//! What a certificate of ours says of itself to who keeps a list of those that are revoked.

use crate::envelope::Envelope;
use crate::key::KeyId;
use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

/// The CA that a certificate names as its issuer, and the end of its validity. Nothing of it is verified: it is from our own record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuedBy {
    /// The key identifier of the CA.
    pub ca: [u8; 20],
    /// Unix seconds until which it is valid.
    pub not_after: u64,
}

impl IssuedBy {
    /// Of a certificate on record, DER. `None` if it is not one that this authority issues.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        Self::of_tbs(Envelope::open(der).ok()?.signed)
    }

    /// Of a TBSCertificate on record (RFC 5280 §4.1), DER: one that lacks its signature, or whose signature nobody has seen.
    pub fn of_tbs(der: &[u8]) -> Option<Self> {
        let (_, tbs) = TbsCertificate::from_der(der).ok()?;
        let ca: KeyId = tbs.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(found) => {
                found.key_identifier.as_ref()?.0.try_into().ok()
            }
            _ => None,
        })?;
        Some(Self { ca, not_after: u64::try_from(tbs.validity().not_after.timestamp()).ok()? })
    }
}
