//! The lint: the bytes about to be signed, read back and compared with the order.
//!
//! It reads the bytes to be signed (TBSCertificate, RFC 5280 §4.1) with another implementation than the one that wrote them.
//! Every field and extension must be as ordered, and there may be no other.

use crate::build::{AltName, Issuer, Kind, Order};
use crate::server_name::ServerName;
use crate::{algorithm, policy};
use std::net::IpAddr;
use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
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
    let names: Vec<_> = tbs.subject.iter_attributes().collect();
    let is_subject = match (&order.common_name, &names[..]) {
        (None, []) => true,
        (Some(wanted), [_]) => {
            tbs.subject.iter_common_name().next().and_then(|name| name.as_str().ok()) == Some(wanted)
        }
        _ => false,
    };
    ensure(is_subject, LintError::Subject)?;
    ensure(tbs.subject_pki.raw == order.key.spki(), LintError::Key)?;
    ensure(tbs.issuer_uid.is_none() && tbs.subject_uid.is_none(), LintError::UniqueId)
}

fn check_extensions(tbs: &TbsCertificate<'_>, order: &Order, issuer: &Issuer<'_>) -> Result<(), LintError> {
    // The required extensions, in the order of `extension`'s answers.
    let wanted = [
        (true, LintError::BasicConstraints),
        (true, LintError::KeyUsage),
        (order.purposes.client || order.purposes.server, LintError::ExtendedKeyUsage),
        (!order.names.is_empty(), LintError::SubjectAltName),
        (true, LintError::AuthorityKeyId),
        (true, LintError::SubjectKeyId),
        (order.assurance.is_some(), LintError::Policy),
    ];
    let mut seen = Vec::new();
    for extension in tbs.extensions() {
        let (is_right, rule) = judge(extension.parsed_extension(), extension.critical, order, issuer);
        ensure(is_right, rule)?;
        ensure(!seen.contains(&rule), LintError::RepeatedExtension)?;
        seen.push(rule);
    }
    wanted.into_iter().try_for_each(|(is_wanted, rule)| ensure(is_wanted == seen.contains(&rule), rule))
}

/// Whether one extension is as ordered, and the rule that says so.
fn judge(
    extension: &ParsedExtension<'_>,
    critical: bool,
    order: &Order,
    issuer: &Issuer<'_>,
) -> (bool, LintError) {
    match extension {
        ParsedExtension::BasicConstraints(found) => {
            let (ca, path_len) = match order.kind {
                Kind::Leaf => (false, None),
                Kind::Ca { path_len } => (true, Some(u32::from(path_len))),
            };
            // RFC 5280 §4.2.1.9: critical in CA certificates; in ours always.
            let is_right = critical && found.ca == ca && found.path_len_constraint == path_len;
            (is_right, LintError::BasicConstraints)
        }
        ParsedExtension::KeyUsage(found) => {
            let flags = match order.kind {
                Kind::Leaf => DIGITAL_SIGNATURE,
                Kind::Ca { .. } => KEY_CERT_SIGN | CRL_SIGN,
            };
            (critical && found.flags == flags, LintError::KeyUsage)
        }
        ParsedExtension::ExtendedKeyUsage(found) => {
            let others = found.any
                || found.code_signing
                || found.email_protection
                || found.time_stamping
                || found.ocsp_signing
                || !found.other.is_empty();
            let is_right = !others
                && !critical
                && found.client_auth == order.purposes.client
                && found.server_auth == order.purposes.server;
            (is_right, LintError::ExtendedKeyUsage)
        }
        ParsedExtension::SubjectAlternativeName(found) => {
            // RFC 5280 §4.2.1.6: critical if, and only if, there is no subject to go by.
            let is_right = critical == order.common_name.is_none()
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
            (!critical && found.0 == order.key.id(), LintError::SubjectKeyId)
        }
        ParsedExtension::CertificatePolicies(found) => (
            !critical && policy::read(found) == order.assurance && order.assurance.is_some(),
            LintError::Policy,
        ),
        _ => (false, LintError::UnknownExtension),
    }
}

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

// Bits of keyUsage as the reader counts them (RFC 5280 §4.2.1.3).
const DIGITAL_SIGNATURE: u16 = 1 << 0;
const KEY_CERT_SIGN: u16 = 1 << 5;
const CRL_SIGN: u16 = 1 << 6;
