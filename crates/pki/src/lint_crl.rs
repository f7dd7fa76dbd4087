//! The lint of revocation lists: the bytes about to be signed, read back with another implementation and compared with the order.

use crate::build::Issuer;
use crate::crl::CrlOrder;
use crate::der::{SEQUENCE, element};
use crate::{LintError, RevokedCertificate, algorithm};
use wardein_domain::RevocationReason;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::{RevokedCertificate as Found, TbsCertList};
use x509_parser::x509::X509Version;

/// A TBSCertList that passed the lint. Its one origin is [`check`]; the signing key takes it by move.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LintedCrl(Vec<u8>);

impl LintedCrl {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Whether `tbs` has the contents ordered of this issuer, and nothing else.
pub(crate) fn check(tbs: Vec<u8>, order: &CrlOrder, issuer: &Issuer<'_>) -> Result<LintedCrl, LintError> {
    let (rest, parsed) = TbsCertList::from_der(&tbs).map_err(|_| LintError::Malformed)?;
    ensure(rest.is_empty(), LintError::Malformed)?;
    check_fields(&parsed, order, issuer)?;
    check_entries(&parsed.revoked_certificates, &order.revoked)?;
    // RFC 5280 §5.1.2.6: a list of none is absent. The reader does not tell it from an empty one.
    ensure(!order.revoked.is_empty() || !has_empty_list(&tbs), LintError::Entries)?;
    check_extensions(&parsed, order, issuer)?;
    Ok(LintedCrl(tbs))
}

fn check_fields(tbs: &TbsCertList<'_>, order: &CrlOrder, issuer: &Issuer<'_>) -> Result<(), LintError> {
    // RFC 5280 §5.1.2.1: version 2 has the number 1.
    ensure(tbs.version == Some(X509Version(1)), LintError::Version)?;
    ensure(algorithm::is(&tbs.signature, issuer.algorithm), LintError::SignatureAlgorithm)?;
    ensure(issuer.name == Some(tbs.issuer.as_raw()), LintError::Issuer)?;
    let is_at = |time: i64, second: u64| u64::try_from(time) == Ok(second);
    let is_as_ordered = is_at(tbs.this_update.timestamp(), order.this_update)
        && tbs.next_update.is_some_and(|time| is_at(time.timestamp(), order.next_update))
        && order.this_update < order.next_update;
    ensure(is_as_ordered, LintError::Updates)
}

fn check_entries(found: &[Found<'_>], ordered: &[RevokedCertificate]) -> Result<(), LintError> {
    let is_rising = ordered.windows(2).all(|pair| pair[0].serial < pair[1].serial);
    let are_same = found.len() == ordered.len()
        && found.iter().zip(ordered).all(|(found, ordered)| is_entry(found, ordered));
    ensure(is_rising && are_same, LintError::Entries)
}

fn is_entry(found: &Found<'_>, ordered: &RevokedCertificate) -> bool {
    let is_reason = match (found.extensions(), ordered.reason) {
        // RFC 5280 §5.3.1: absent rather than unspecified.
        ([], RevocationReason::Unspecified) => true,
        ([extension], reason) if reason != RevocationReason::Unspecified => {
            !extension.critical
                && matches!(extension.parsed_extension(), ParsedExtension::ReasonCode(code) if code.0 == reason.number())
        }
        _ => false,
    };
    is_reason
        && found.raw_serial() == ordered.serial.as_bytes()
        && u64::try_from(found.revocation_date.timestamp()) == Ok(ordered.at)
}

fn check_extensions(tbs: &TbsCertList<'_>, order: &CrlOrder, issuer: &Issuer<'_>) -> Result<(), LintError> {
    let mut seen = Vec::new();
    for extension in tbs.extensions() {
        let (is_right, rule) = match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(found) => {
                let is_right = found.key_identifier.as_ref().is_some_and(|id| id.0 == issuer.key_id)
                    && found.authority_cert_issuer.is_none()
                    && found.authority_cert_serial.is_none();
                (is_right, LintError::AuthorityKeyId)
            }
            ParsedExtension::CRLNumber(found) => {
                // RFC 5280 §5.2.3: at most 20 octets, which 16 are.
                let digits = found.to_bytes_be();
                let number = order.number.0.to_be_bytes();
                let leading = number.iter().take_while(|byte| **byte == 0).count().min(number.len() - 1);
                (digits == number[leading..], LintError::CrlNumber)
            }
            // An IssuingDistributionPoint or a delta indicator among them: the list is complete.
            _ => (false, LintError::UnknownExtension),
        };
        ensure(is_right && !extension.critical, rule)?;
        ensure(!seen.contains(&rule), LintError::RepeatedExtension)?;
        seen.push(rule);
    }
    for rule in [LintError::AuthorityKeyId, LintError::CrlNumber] {
        ensure(seen.contains(&rule), rule)?;
    }
    Ok(())
}

/// Whether there is a SEQUENCE of nothing before the extensions of a short list.
fn has_empty_list(tbs: &[u8]) -> bool {
    let Some((mut rest, _)) = element(tbs, SEQUENCE) else { return true };
    while let [tag, ..] = *rest {
        match element(rest, tag) {
            Some(([], _)) if tag == SEQUENCE => return true,
            Some((_, behind)) => rest = behind,
            None => return true,
        }
    }
    false
}

fn ensure(holds: bool, rule: LintError) -> Result<(), LintError> {
    holds.then_some(()).ok_or(rule)
}
