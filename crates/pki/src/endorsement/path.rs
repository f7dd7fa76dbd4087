//! The path from the certificate of an endorsement key to a certificate that is trusted (RFC 5280 §6.1).
//!
//! Why not `webpki`'s: it refuses each certificate whose certificatePolicies are critical, as they are in the intermediates of most
//! vendors. Signatures are still `webpki`'s, which knows their algorithms and keys; the rest of RFC 5280 that is used here is short,
//! since no names, policies or revocation are judged. Policies can refuse nothing: any is acceptable, and no explicit policy is
//! required (§6.1.1, user-initial-policy-set and initial-explicit-policy), unless policyConstraints ask for one (§4.2.1.11). A
//! certificate with these leads nowhere, nor does one with nameConstraints.

use super::{EndorsementChain, EndorsementError};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{RawPublicKeyEntity, anchor_from_trusted_cert, aws_lc_rs as algorithms};
use x509_parser::asn1_rs::{Any, FromDer, Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

/// A trusted certificate. Of it only the name and the key count (RFC 5280 §6.1.1, trust anchor information).
#[derive(Debug)]
pub(super) struct Anchor {
    /// The contents of its Name.
    subject: Vec<u8>,
    der: Vec<u8>,
}

impl Anchor {
    pub(super) fn parse(der: &[u8]) -> Result<Self, EndorsementError> {
        let shared = CertificateDer::from(der);
        let anchor = anchor_from_trusted_cert(&shared).map_err(|_| EndorsementError::Malformed)?;
        Ok(Self { subject: anchor.subject.to_vec(), der: der.to_vec() })
    }

    pub(super) fn into_subject(self) -> Vec<u8> {
        self.subject
    }
}

/// A search for a path, of bounded length and a bounded number of signatures.
pub(super) struct Search<'a> {
    anchors: &'a [Anchor],
    intermediates: &'a [X509Certificate<'a>],
    now: ASN1Time,
    /// How many signatures may still be verified.
    signatures: u32,
    /// The first reason why a path was given up: the most telling one, if it is not that there is none.
    why: EndorsementError,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        anchors: &'a [Anchor],
        intermediates: &'a [X509Certificate<'a>],
        now: u64,
    ) -> Result<Self, EndorsementError> {
        let now = i64::try_from(now).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
        let now = now.ok_or(EndorsementError::Time)?;
        Ok(Self { anchors, intermediates, now, signatures: MAX_SIGNATURES, why: EndorsementError::Chain })
    }

    pub(super) fn verify(mut self, leaf: &X509Certificate<'_>) -> Result<(), EndorsementError> {
        let stated = Stated::read(leaf)?;
        self.is_valid_now(leaf)?;
        // A TPM decrypts with such a key, or agrees. A certificate that says nothing of its purpose is not for one.
        let is_for_endorsement =
            stated.is_for_endorsement == Some(true) && stated.may_decrypt && !stated.is_ca;
        if !is_for_endorsement {
            return Err(EndorsementError::Use);
        }
        self.reaches(leaf, 0).then_some(()).ok_or(self.why)
    }

    /// Whether a path leads from `subject`, which has `below` CAs under it, to an anchor.
    fn reaches(&mut self, subject: &X509Certificate<'_>, below: usize) -> bool {
        let issuer = subject.issuer().as_raw();
        for anchor in self.anchors {
            if contents(issuer) == Some(&anchor.subject[..])
                && let Ok((_, anchor)) = X509Certificate::from_der(&anchor.der)
                && !is_constrained(&anchor)
                && self.is_signed(subject, anchor.public_key().raw)
            {
                return true;
            }
        }
        if below + 1 >= EndorsementChain::MAX_CERTIFICATES {
            return false;
        }
        for ca in self.intermediates {
            if ca.subject().as_raw() != issuer || !self.is_signed(subject, ca.public_key().raw) {
                continue;
            }
            match self.judge_ca(ca, below) {
                Ok(()) if self.reaches(ca, below + 1) => return true,
                Err(why) if self.why == EndorsementError::Chain => self.why = why,
                _ => {}
            }
        }
        false
    }

    /// RFC 5280 §6.1.4 (k) to (o), as far as they concern a CA that issues for endorsement keys.
    fn judge_ca(&self, ca: &X509Certificate<'_>, below: usize) -> Result<(), EndorsementError> {
        let stated = Stated::read(ca)?;
        let is_long_enough = stated.path_length.is_none_or(|longest| below <= longest as usize);
        if ca.version() != X509Version::V3 || !stated.is_ca || !stated.may_sign || !is_long_enough {
            return Err(EndorsementError::Chain);
        }
        if stated.is_for_endorsement == Some(false) {
            return Err(EndorsementError::Use);
        }
        self.is_valid_now(ca)
    }

    fn is_valid_now(&self, certificate: &X509Certificate<'_>) -> Result<(), EndorsementError> {
        let is_valid = certificate.validity().is_valid_at(self.now);
        is_valid.then_some(()).ok_or(EndorsementError::Time)
    }

    /// Whether the key of `spki` signed `subject`.
    fn is_signed(&mut self, subject: &X509Certificate<'_>, spki: &[u8]) -> bool {
        let Some(left) = self.signatures.checked_sub(1) else { return false };
        self.signatures = left;
        let Some((message, algorithm)) = signed_part(subject) else { return false };
        let spki = SubjectPublicKeyInfoDer::from(spki);
        let Ok(key) = RawPublicKeyEntity::try_from(&spki) else { return false };
        let signature = &subject.signature_value;
        let mut fitting = ALGORITHMS.iter().filter(|one| one.signature_alg_id().as_ref() == algorithm);
        signature.unused_bits == 0
            && fitting.any(|one| key.verify_signature(*one, message, &signature.data).is_ok())
    }
}

/// What a certificate says of itself.
#[derive(Default)]
struct Stated {
    is_ca: bool,
    path_length: Option<u32>,
    may_sign: bool,
    may_decrypt: bool,
    /// None if it states no extended usage.
    is_for_endorsement: Option<bool>,
}

impl Stated {
    fn read(certificate: &X509Certificate<'_>) -> Result<Self, EndorsementError> {
        // No extension comes twice (RFC 5280 §4.2).
        certificate.extensions_map().map_err(|_| EndorsementError::Malformed)?;
        let mut stated = Self { may_sign: true, may_decrypt: true, ..Self::default() };
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => {
                    (stated.is_ca, stated.path_length) = (constraints.ca, constraints.path_len_constraint);
                }
                ParsedExtension::KeyUsage(usage) => {
                    stated.may_sign = usage.key_cert_sign();
                    stated.may_decrypt = usage.key_encipherment() || usage.key_agreement();
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    stated.is_for_endorsement = Some(usage.other.contains(&EK_CERTIFICATE));
                }
                _ if CONSTRAINTS.contains(&extension.oid) => return Err(EndorsementError::Chain),
                _ if JUDGED.contains(&extension.oid) => return Err(EndorsementError::Malformed),
                _ if extension.critical && !UNDERSTOOD.contains(&extension.oid) => {
                    return Err(EndorsementError::Chain);
                }
                _ => {}
            }
        }
        Ok(stated)
    }
}

pub(super) fn issuer_of(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    contents(certificate.issuer().as_raw()).map(<[u8]>::to_vec)
}

fn is_constrained(certificate: &X509Certificate<'_>) -> bool {
    certificate.extensions().iter().any(|extension| CONSTRAINTS.contains(&extension.oid))
}

/// The bytes that are signed, and the contents of the identifier of the algorithm, which both parts must name alike (RFC 5280
/// §4.1.1.2).
fn signed_part<'a>(certificate: &X509Certificate<'a>) -> Option<(&'a [u8], &'a [u8])> {
    if certificate.tbs_certificate.signature != certificate.signature_algorithm {
        return None;
    }
    let inner = contents(certificate.as_raw())?;
    let (after, _) = Any::from_der(inner).ok()?;
    let (_, algorithm) = Any::from_der(after).ok()?;
    Some((inner.get(..inner.len() - after.len())?, algorithm.data))
}

/// What is inside of a SEQUENCE.
fn contents(der: &[u8]) -> Option<&[u8]> {
    Any::from_der(der).ok().map(|(_, any)| any.data)
}

/// Enough for any honest chain; more would be work for nothing.
const MAX_SIGNATURES: u32 = 32;

/// tcg-kp-EKCertificate.
const EK_CERTIFICATE: Oid<'static> = oid!(2.23.133.8.1);

/// nameConstraints and policyConstraints.
const CONSTRAINTS: [Oid<'static>; 2] = [oid!(2.5.29.30), oid!(2.5.29.36)];

/// keyUsage, basicConstraints and extKeyUsage. One that cannot be read does not count as absent.
const JUDGED: [Oid<'static>; 3] = [oid!(2.5.29.15), oid!(2.5.29.19), oid!(2.5.29.37)];

/// Others that may be critical: subjectAltName, which names the TPM; the places of CRLs, which are not asked; certificatePolicies, of
/// which any is acceptable.
const UNDERSTOOD: [Oid<'static>; 3] = [oid!(2.5.29.17), oid!(2.5.29.31), oid!(2.5.29.32)];

/// The algorithms of vendors.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA384,
    algorithms::ECDSA_P521_SHA512,
];
