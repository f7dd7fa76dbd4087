//! Certificate revocation lists (RFC 5280 §5): one complete list of a CA, without an IssuingDistributionPoint.
//!
//! It takes the path of certificates: built by one implementation, linted by another as exactly the bytes that are to be signed, and
//! only then signed. What leaves was verified with the CA's key. A signer in another process signs it without a record: unlike a
//! certificate, a list whose signature was lost entitles nobody to anything.

use crate::ca::{CaKey, CaRole};
use crate::envelope::Envelope;
use crate::lint_crl::{self, LintedCrl};
use crate::prepare::Capture;
use crate::{PkiError, build};
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
use wardein_domain::{RevocationReason, Serial};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

/// The number of a list, which rises from one to the next (RFC 5280 §5.2.3): at most 16 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CrlNumber(pub u128);

/// A certificate that is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// Its serial.
    pub serial: Serial,
    /// Unix seconds at which it was revoked.
    pub at: u64,
    /// Why.
    pub reason: RevocationReason,
}

/// The contents of a list, for a CA to write and sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlOrder {
    /// Its number.
    pub number: CrlNumber,
    /// Unix seconds from which it is good.
    pub this_update: u64,
    /// Unix seconds until which it is: who has no later one refuses every certificate of the CA from then on.
    pub next_update: u64,
    /// The certificates that are revoked, in order of their serials, each once.
    pub revoked: Vec<RevokedCertificate>,
}

impl CrlOrder {
    /// The contents of a list of this authority, DER, for a person to read: its signature is not verified. `None` for anything else.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (rest, found) = CertificateRevocationList::from_der(der).ok()?;
        let digits = found.crl_number()?.to_bytes_be();
        let number = digits
            .iter()
            .try_fold(0_u128, |number, digit| Some(number.checked_mul(256)? | u128::from(*digit)))?;
        let second = |time: ASN1Time| u64::try_from(time.timestamp()).ok();
        let entry = |entry: &x509_parser::revocation_list::RevokedCertificate<'_>| {
            let reason = entry.reason_code().map_or(Some(RevocationReason::Unspecified), |(_, code)| {
                RevocationReason::from_number(code.0)
            });
            let serial = Serial::from_bytes(entry.raw_serial()).ok()?;
            Some(RevokedCertificate { serial, at: second(entry.revocation_date)?, reason: reason? })
        };
        rest.is_empty().then_some(())?;
        Some(Self {
            number: CrlNumber(number),
            this_update: second(found.last_update())?,
            next_update: second(found.next_update()?)?,
            revoked: found.iter_revoked_certificates().map(entry).collect::<Option<_>>()?,
        })
    }
}

/// A signed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crl {
    /// The CertificateList, DER.
    pub der: Vec<u8>,
    /// As ordered.
    pub number: CrlNumber,
    /// As ordered.
    pub this_update: u64,
    /// As ordered.
    pub next_update: u64,
    /// How many certificates are on it.
    pub entries: usize,
}

impl<R: CaRole> CaKey<R> {
    /// Builds, lints and signs the list ordered of this CA, and verifies the signature. It takes as long as the list is long: not on a
    /// thread that serves.
    pub fn sign_crl(&self, order: &CrlOrder) -> Result<Crl, PkiError> {
        let linted = self.prepare_crl(order)?;
        let (algorithm, tbs) = (self.algorithm(), linted.into_bytes());
        let signature = self.signer().sign(&tbs).map_err(|_| PkiError::Signing)?;
        // A list with a wrong signature would lock out every device of the CA.
        let key = self.certificate().verifying_key();
        key.verify(algorithm, &tbs, &signature).map_err(|_| PkiError::Signature)?;
        let der = Envelope { signed: &tbs, algorithm, signature: &signature }.seal();
        let CrlOrder { number, this_update, next_update, ref revoked } = *order;
        let entries = revoked.len();
        Ok(Crl { der: der.ok_or(PkiError::Encoding)?, number, this_update, next_update, entries })
    }

    fn prepare_crl(&self, order: &CrlOrder) -> Result<LintedCrl, PkiError> {
        let issuer = self.issuer();
        let capture = Capture::new(issuer.algorithm);
        let issuer_params = issuer.params();
        let rcgen_issuer = rcgen::Issuer::from_params(&issuer_params, &capture);
        params(order, &issuer.key_id)?.signed_by(&rcgen_issuer).map_err(|_| PkiError::Encoding)?;
        lint_crl::check(capture.into_bytes(), order, &issuer).map_err(PkiError::Lint)
    }
}

pub(crate) fn params(order: &CrlOrder, key_id: &[u8]) -> Result<CertificateRevocationListParams, PkiError> {
    let time = |seconds| Ok(build::time(seconds)?.to_datetime());
    let revoked = |certificate: &RevokedCertificate| {
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from_slice(certificate.serial.as_bytes()),
            revocation_time: time(certificate.at)?,
            reason_code: reason_code(certificate.reason),
            invalidity_date: None,
        })
    };
    Ok(CertificateRevocationListParams {
        this_update: time(order.this_update)?,
        next_update: time(order.next_update)?,
        crl_number: SerialNumber::from_slice(&order.number.0.to_be_bytes()),
        // Never: verifiers that do not know the extension, or know it badly, would take a part for the whole.
        issuing_distribution_point: None,
        revoked_certs: order.revoked.iter().map(revoked).collect::<Result<_, PkiError>>()?,
        key_identifier_method: KeyIdMethod::PreSpecified(key_id.to_vec()),
    })
}

/// The writer's name of a reason; none where none is given (RFC 5280 §5.3.1).
fn reason_code(reason: RevocationReason) -> Option<rcgen::RevocationReason> {
    Some(match reason {
        RevocationReason::Unspecified => return None,
        RevocationReason::KeyCompromise => rcgen::RevocationReason::KeyCompromise,
        RevocationReason::AffiliationChanged => rcgen::RevocationReason::AffiliationChanged,
        RevocationReason::Superseded => rcgen::RevocationReason::Superseded,
        RevocationReason::CessationOfOperation => rcgen::RevocationReason::CessationOfOperation,
        RevocationReason::CertificateHold => rcgen::RevocationReason::CertificateHold,
        RevocationReason::PrivilegeWithdrawn => rcgen::RevocationReason::PrivilegeWithdrawn,
    })
}
