//! The lint: the bytes about to be signed, read back and compared with the order.
//!
//! It reads the bytes to be signed (TBSCertificate, RFC 5280 §4.1) with another implementation than the one that wrote them.
//! Every field and extension must be as ordered, and there may be no other.

use crate::build::{AltName, Issuer, Kind, NO_REV_AVAIL, NULL, Order};
use crate::der::{OBJECT_IDENTIFIER, SEQUENCE, element};
use crate::recognize::{is_oid, purposes_of, subject_of};
use crate::server_name::ServerName;
use crate::{algorithm, policy};
use std::net::IpAddr;
use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension, X509Extension};
use x509_parser::oid_registry::{OID_PKIX_ACCESS_DESCRIPTOR_OCSP, Oid};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

/// Bytes that passed the lint. Its one origin is [`check`]; the signing key takes it by move.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Linted(Vec<u8>);

impl Linted {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Which rule the bytes break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LintError {
    /// They are not one TBSCertificate in DER.
    #[error("not one TBSCertificate in DER")]
    Malformed,
    /// The version is not 3.
    #[error("version is not 3")]
    Version,
    /// The serial is not the one ordered, in 16 bytes and positive.
    #[error("serial is not the one ordered")]
    Serial,
    /// The signature algorithm is not the CA's.
    #[error("signature algorithm is not the CA's")]
    SignatureAlgorithm,
    /// The issuer is not the CA's subject, byte for byte.
    #[error("issuer is not the CA's subject")]
    Issuer,
    /// The validity is not the one ordered, or not within the CA's.
    #[error("validity is not the one ordered, or not within the CA's")]
    Validity,
    /// The subject is not the one ordered.
    #[error("subject is not the one ordered")]
    Subject,
    /// The key is not the one ordered.
    #[error("key is not the one ordered")]
    Key,
    /// There is a unique identifier, which RFC 5280 §4.1.2.8 forbids.
    #[error("unique identifiers are forbidden")]
    UniqueId,
    /// basicConstraints is not the critical one that was ordered.
    #[error("basicConstraints is not as ordered, or not critical")]
    BasicConstraints,
    /// keyUsage is not the critical one of its kind.
    #[error("keyUsage is not as ordered, or not critical")]
    KeyUsage,
    /// extendedKeyUsage is not exactly as ordered.
    #[error("extendedKeyUsage is not as ordered")]
    ExtendedKeyUsage,
    /// subjectAltName is not exactly as ordered, or its criticality is wrong.
    #[error("subjectAltName is not as ordered, or its criticality is wrong")]
    SubjectAltName,
    /// authorityKeyIdentifier is not the CA's subjectKeyIdentifier.
    #[error("authorityKeyIdentifier is not the CA's subjectKeyIdentifier")]
    AuthorityKeyId,
    /// subjectKeyIdentifier is not that of the key.
    #[error("subjectKeyIdentifier is not that of the key")]
    SubjectKeyId,
    /// certificatePolicies is not exactly as ordered, or critical.
    #[error("certificatePolicies is not as ordered, or critical")]
    Policy,
    /// noRevAvail is not as ordered, critical, not NULL, or on a CA (RFC 9608 §2 and §3).
    #[error("noRevAvail is not as ordered, or critical, or not NULL, or on a CA")]
    NoRevAvail,
    /// There is noRevAvail, and beside it a pointer to a CRL or to OCSP (RFC 9608 §3).
    #[error("noRevAvail stands beside a pointer to a CRL or to OCSP")]
    RevocationPointer,
    /// cRLDistributionPoints is not the one list of the CA, or critical.
    #[error("cRLDistributionPoints is not the one list of the CA, or critical")]
    CrlDistributionPoints,
    /// authorityInfoAccess is not the one responder of the CA, or critical.
    #[error("authorityInfoAccess is not the one responder of the CA, or critical")]
    AuthorityInfoAccess,
    /// id-pkix-ocsp-nocheck is not exactly as ordered, or critical.
    #[error("id-pkix-ocsp-nocheck is not as ordered, or critical")]
    OcspNoCheck,
    /// The times of a revocation list are not the ones ordered, or not in order.
    #[error("thisUpdate and nextUpdate are not as ordered")]
    Updates,
    /// The entries of a revocation list are not the ones ordered, in order of their serials, or the list is there and empty.
    #[error("the entries are not as ordered")]
    Entries,
    /// cRLNumber is not the one ordered.
    #[error("cRLNumber is not the one ordered")]
    CrlNumber,
    /// There is an extension that this authority does not write.
    #[error("unknown extension")]
    UnknownExtension,
    /// An extension occurs twice.
    #[error("extension occurs twice")]
    RepeatedExtension,
}

impl LintError {
    /// The name of the rule.
    pub fn rule(self) -> &'static str {
        match self {
            Self::Malformed => "lint-malformed",
            Self::Version => "lint-version",
            Self::Serial => "lint-serial",
            Self::SignatureAlgorithm => "lint-signature-algorithm",
            Self::Issuer => "lint-issuer",
            Self::Validity => "lint-validity",
            Self::Subject => "lint-subject",
            Self::Key => "lint-key",
            Self::UniqueId => "lint-unique-id",
            Self::BasicConstraints => "lint-basic-constraints",
            Self::KeyUsage => "lint-key-usage",
            Self::ExtendedKeyUsage => "lint-extended-key-usage",
            Self::SubjectAltName => "lint-subject-alt-name",
            Self::AuthorityKeyId => "lint-authority-key-id",
            Self::SubjectKeyId => "lint-subject-key-id",
            Self::Policy => "lint-policy",
            Self::NoRevAvail => "lint-no-rev-avail",
            Self::RevocationPointer => "lint-revocation-pointer",
            Self::CrlDistributionPoints => "lint-crl-distribution-points",
            Self::AuthorityInfoAccess => "lint-authority-info-access",
            Self::OcspNoCheck => "lint-ocsp-no-check",
            Self::Updates => "lint-updates",
            Self::Entries => "lint-entries",
            Self::CrlNumber => "lint-crl-number",
            Self::UnknownExtension => "lint-unknown-extension",
            Self::RepeatedExtension => "lint-repeated-extension",
        }
    }
}

/// Whether `tbs` has the contents ordered of this issuer, and nothing else.
pub(crate) fn check(tbs: Vec<u8>, order: &Order, issuer: &Issuer<'_>) -> Result<Linted, LintError> {
    let (rest, parsed) = TbsCertificate::from_der(&tbs).map_err(|_| LintError::Malformed)?;
    if !rest.is_empty() {
        return Err(LintError::Malformed);
    }
    check_fields(&parsed, order, issuer)?;
    check_extensions(&parsed, order, issuer)?;
    Ok(Linted(tbs))
}

fn check_fields(tbs: &TbsCertificate<'_>, order: &Order, issuer: &Issuer<'_>) -> Result<(), LintError> {
    ensure(tbs.version == X509Version::V3, LintError::Version)?;
    ensure(tbs.raw_serial() == order.serial.as_bytes(), LintError::Serial)?;
    ensure(algorithm::is(&tbs.signature, issuer.algorithm), LintError::SignatureAlgorithm)?;
    let name = issuer.name.unwrap_or(tbs.subject.as_raw());
    ensure(tbs.issuer.as_raw() == name, LintError::Issuer)?;
    let is_at = |time: i64, second: u64| u64::try_from(time) == Ok(second);
    let validity = &tbs.validity;
    let is_as_ordered = is_at(validity.not_before.timestamp(), order.validity.not_before())
        && is_at(validity.not_after.timestamp(), order.validity.not_after())
        && issuer.validity.is_none_or(|bounds| order.validity.is_within(bounds));
    ensure(is_as_ordered, LintError::Validity)?;
    let wanted = (order.common_name.as_deref(), order.subject_serial.as_ref().map(|serial| serial.as_str()));
    ensure(subject_of(&tbs.subject) == Some(wanted), LintError::Subject)?;
    ensure(tbs.subject_pki.raw == order.key.spki(), LintError::Key)?;
    ensure(tbs.issuer_uid.is_none() && tbs.subject_uid.is_none(), LintError::UniqueId)
}

fn check_extensions(tbs: &TbsCertificate<'_>, order: &Order, issuer: &Issuer<'_>) -> Result<(), LintError> {
    let is_ocsp = order.kind == Kind::OcspSigner;
    let says_where = issuer.revocation(order).is_some();
    // The required extensions, in the order of `extension`'s answers.
    let wanted = [
        (true, LintError::BasicConstraints),
        (true, LintError::KeyUsage),
        (!order.purposes.is_empty() || is_ocsp, LintError::ExtendedKeyUsage),
        (!order.names.is_empty(), LintError::SubjectAltName),
        (true, LintError::AuthorityKeyId),
        (true, LintError::SubjectKeyId),
        (order.assurance.is_some(), LintError::Policy),
        (is_ocsp, LintError::OcspNoCheck),
        (says_where, LintError::CrlDistributionPoints),
        (says_where, LintError::AuthorityInfoAccess),
        (order.no_rev_avail, LintError::NoRevAvail),
    ];
    let mut seen = Vec::new();
    for extension in tbs.extensions() {
        ensure(!order.no_rev_avail || !points_to_revocation(extension), LintError::RevocationPointer)?;
        let (is_right, rule) = match extension.oid == OID_PKIX_OCSP_NO_CHECK {
            true => (is_ocsp && !extension.critical && extension.value == NULL, LintError::OcspNoCheck),
            false => judge(extension, order, issuer),
        };
        ensure(is_right, rule)?;
        ensure(!seen.contains(&rule), LintError::RepeatedExtension)?;
        seen.push(rule);
    }
    wanted.into_iter().try_for_each(|(is_wanted, rule)| ensure(is_wanted == seen.contains(&rule), rule))
}

/// Whether one extension is as ordered, and the rule that says so.
fn judge(extension: &X509Extension<'_>, order: &Order, issuer: &Issuer<'_>) -> (bool, LintError) {
    let critical = extension.critical;
    match extension.parsed_extension() {
        ParsedExtension::BasicConstraints(found) => {
            let (ca, path_len) = match order.kind {
                Kind::Leaf | Kind::OcspSigner => (false, None),
                Kind::Ca { path_len } => (true, Some(u32::from(path_len))),
            };
            // RFC 5280 §4.2.1.9: critical in CA certificates; in ours always.
            let is_right = critical && found.ca == ca && found.path_len_constraint == path_len;
            (is_right, LintError::BasicConstraints)
        }
        ParsedExtension::KeyUsage(found) => {
            let flags = match order.kind {
                Kind::Leaf | Kind::OcspSigner => DIGITAL_SIGNATURE,
                Kind::Ca { .. } => KEY_CERT_SIGN | CRL_SIGN,
            };
            (critical && found.flags == flags, LintError::KeyUsage)
        }
        ParsedExtension::ExtendedKeyUsage(found) => {
            let is_ocsp = order.kind == Kind::OcspSigner;
            // The reader leaves out what comes twice.
            let count = order.purposes.iter().count() + usize::from(is_ocsp);
            let is_each_once = elements(extension.value, OBJECT_IDENTIFIER) == Some(count);
            let is_for = match is_ocsp {
                true => found.ocsp_signing,
                false => purposes_of(found) == Some(order.purposes),
            };
            (!critical && is_each_once && is_for, LintError::ExtendedKeyUsage)
        }
        ParsedExtension::SubjectAlternativeName(found) => {
            // RFC 5280 §4.2.1.6: critical if, and only if, there is no subject to go by.
            let has_subject = order.common_name.is_some() || order.subject_serial.is_some();
            let is_right = critical != has_subject
                && found.general_names.len() == order.names.len()
                && found.general_names.iter().zip(&order.names).all(|(found, name)| is_name(found, name));
            (is_right, LintError::SubjectAltName)
        }
        ParsedExtension::AuthorityKeyIdentifier(found) => {
            let is_right = !critical
                && found.key_identifier.as_ref().is_some_and(|id| id.0 == issuer.key_id)
                && found.authority_cert_issuer.is_none()
                && found.authority_cert_serial.is_none();
            (is_right, LintError::AuthorityKeyId)
        }
        ParsedExtension::SubjectKeyIdentifier(found) => {
            (!critical && found.0 == order.key_id, LintError::SubjectKeyId)
        }
        ParsedExtension::CertificatePolicies(found) => (
            !critical && policy::read(found) == order.assurance && order.assurance.is_some(),
            LintError::Policy,
        ),
        ParsedExtension::CRLDistributionPoints(found) => {
            let uris = match &found.points[..] {
                [point] if point.reasons.is_none() && point.crl_issuer.is_none() => &point.distribution_point,
                _ => &None,
            };
            // One only: rustls before 0.103.10 looked at the first (RUSTSEC-2026-0049).
            let is_right = match (uris, issuer.revocation(order)) {
                (Some(DistributionPointName::FullName(names)), Some((list, _))) => {
                    matches!(&names[..], [GeneralName::URI(uri)] if *uri == list)
                }
                _ => false,
            };
            (is_right && !critical, LintError::CrlDistributionPoints)
        }
        ParsedExtension::AuthorityInfoAccess(found) => {
            let is_right = match (&found.accessdescs[..], issuer.revocation(order)) {
                ([access], Some((_, responder))) => {
                    access.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP
                        && matches!(access.access_location, GeneralName::URI(uri) if uri == responder)
                }
                _ => false,
            };
            (is_right && !critical, LintError::AuthorityInfoAccess)
        }
        // RFC 9608 §2: NULL, and not critical; §3: not on a CA.
        _ if is_oid(&extension.oid, NO_REV_AVAIL) => {
            let is_right =
                order.no_rev_avail && order.kind == Kind::Leaf && !critical && extension.value == NULL;
            (is_right, LintError::NoRevAvail)
        }
        _ => (false, LintError::UnknownExtension),
    }
}

/// RFC 9608 §3: none of these is beside noRevAvail. A pointer to the issuer's certificate may be.
fn points_to_revocation(extension: &X509Extension<'_>) -> bool {
    match extension.parsed_extension() {
        ParsedExtension::CRLDistributionPoints(_) => true,
        ParsedExtension::AuthorityInfoAccess(found) => {
            found.accessdescs.iter().any(|one| one.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP)
        }
        _ => is_oid(&extension.oid, FRESHEST_CRL),
    }
}

/// How many elements of this tag, and nothing else, a SEQUENCE has.
fn elements(der: &[u8], tag: u8) -> Option<usize> {
    let (mut rest, end) = element(der, SEQUENCE)?;
    let mut count = 0;
    while !rest.is_empty() {
        (_, rest) = element(rest, tag)?;
        count += 1;
    }
    end.is_empty().then_some(count)
}

/// id-ce-freshestCRL (RFC 5280 §4.2.1.15).
const FRESHEST_CRL: &[u64] = &[2, 5, 29, 46];

fn is_name(found: &GeneralName<'_>, wanted: &AltName) -> bool {
    match (found, wanted) {
        (GeneralName::URI(found), AltName::Uri(uri)) => found == uri,
        (GeneralName::DNSName(found), AltName::Server(ServerName::Dns(name))) => *found == name.as_str(),
        (GeneralName::IPAddress(found), AltName::Server(ServerName::Ip(IpAddr::V4(address)))) => {
            *found == address.octets()
        }
        (GeneralName::IPAddress(found), AltName::Server(ServerName::Ip(IpAddr::V6(address)))) => {
            *found == address.octets()
        }
        _ => false,
    }
}

fn ensure(holds: bool, rule: LintError) -> Result<(), LintError> {
    holds.then_some(()).ok_or(rule)
}

/// id-pkix-ocsp-nocheck.
const OID_PKIX_OCSP_NO_CHECK: Oid<'_> =
    Oid::new(std::borrow::Cow::Borrowed(&[0x2b, 6, 1, 5, 5, 7, 48, 1, 5]));

// Bits of keyUsage as the reader counts them (RFC 5280 §4.2.1.3).
const DIGITAL_SIGNATURE: u16 = 1 << 0;
const KEY_CERT_SIGN: u16 = 1 << 5;
const CRL_SIGN: u16 = 1 << 6;
