//! Requests: bounded, and read where each byte has one right value.

use super::{BOOLEAN, INTEGER, NONCE, OCTET_STRING, OID, explicit};
use crate::der::{SEQUENCE, element};

/// A request for the status of certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspRequest {
    /// The certificates, in order: at least one, and at most [`OcspRequest::MAX_CERTIFICATES`].
    pub certificates: Vec<OcspCertId>,
    /// 1 to 128 bytes that the answer repeats.
    pub nonce: Option<Vec<u8>>,
}

/// A certificate, as a request names it (RFC 6960 §4.1.1, CertID).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OcspCertId {
    /// All of it, DER: the answer repeats it byte for byte.
    pub(super) der: Vec<u8>,
    pub(super) issuer: IssuerHashes,
    serial: Vec<u8>,
}

/// The issuer's name and key, hashed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum IssuerHashes {
    Sha1([u8; 20], [u8; 20]),
    Sha256([u8; 32], [u8; 32]),
    /// By a hash that this authority does not compute: no issuer is found by it.
    Other,
}

/// The bytes are not a request, or not one that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an OCSP request of 1 to {} certificates, whose nonce has 1 to 128 bytes",
    OcspRequest::MAX_CERTIFICATES
)]
pub struct OcspMalformed;

impl OcspRequest {
    /// The most bytes of a request.
    pub const MAX_LEN: usize = 4 * 1024;
    /// The most certificates of a request: each costs a look-up.
    pub const MAX_CERTIFICATES: usize = 8;
    /// The most bytes of a nonce (RFC 9654 §2.1).
    pub const MAX_NONCE: usize = 128;

    /// Reads a request. Its signature, if it has one, and the requestor's name are passed over.
    pub fn parse(der: &[u8]) -> Result<Self, OcspMalformed> {
        (der.len() <= Self::MAX_LEN).then_some(()).and_then(|()| request(der)).ok_or(OcspMalformed)
    }
}

impl OcspCertId {
    /// The serial, big-endian, as an INTEGER has it: not necessarily one of this authority.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }
}

/// `OCSPRequest ::= SEQUENCE { tbsRequest, optionalSignature [0] EXPLICIT OPTIONAL }`
fn request(der: &[u8]) -> Option<OcspRequest> {
    let rest = last(element(der, SEQUENCE)?)?;
    let (tbs, rest) = element(rest, SEQUENCE)?;
    let (_, rest) = optional(rest, explicit(0))?;
    rest.is_empty().then_some(())?;
    // TBSRequest ::= SEQUENCE { version [0] DEFAULT v1, requestorName [1] OPTIONAL, requestList, requestExtensions [2] OPTIONAL }
    let (version, rest) = optional(tbs, explicit(0))?;
    // v1, which DER leaves out and some write.
    version.is_none_or(|version| version == [INTEGER, 1, 0]).then_some(())?;
    let (_, rest) = optional(rest, explicit(1))?;
    let (mut list, rest) = element(rest, SEQUENCE)?;
    let (extensions, rest) = optional(rest, explicit(2))?;
    rest.is_empty().then_some(())?;
    let mut certificates = Vec::new();
    while !list.is_empty() {
        (certificates.len() < OcspRequest::MAX_CERTIFICATES).then_some(())?;
        let (one, behind) = element(list, SEQUENCE)?;
        list = behind;
        // Request ::= SEQUENCE { reqCert, singleRequestExtensions [0] OPTIONAL }
        let (_, rest) = element(one, SEQUENCE)?;
        certificates.push(cert_id(&one[..one.len() - rest.len()])?);
        let (extensions, rest) = optional(rest, explicit(0))?;
        rest.is_empty().then_some(())?;
        // None of a single certificate is known.
        extensions.map_or(Some(None), nonce_of).filter(Option::is_none)?;
    }
    (!certificates.is_empty()).then_some(())?;
    let nonce = extensions.map_or(Some(None), nonce_of)?;
    Some(OcspRequest { certificates, nonce })
}

/// `CertID ::= SEQUENCE { hashAlgorithm, issuerNameHash OCTET STRING, issuerKeyHash OCTET STRING, serialNumber INTEGER }`
fn cert_id(der: &[u8]) -> Option<OcspCertId> {
    let content = last(element(der, SEQUENCE)?)?;
    let (algorithm, rest) = element(content, SEQUENCE)?;
    let (name, rest) = element(rest, OCTET_STRING)?;
    let (key, rest) = element(rest, OCTET_STRING)?;
    let serial = last(element(rest, INTEGER)?)?;
    // RFC 5280 §4.1.2.2.
    (1..=MAX_SERIAL).contains(&serial.len()).then_some(())?;
    let (oid, parameters) = element(algorithm, OID)?;
    // Absent, or NULL as openssl writes it.
    (parameters.is_empty() || parameters == [5, 0]).then_some(())?;
    let issuer = match oid {
        _ if oid == SHA_1 => IssuerHashes::Sha1(name.try_into().ok()?, key.try_into().ok()?),
        _ if oid == SHA_256 => IssuerHashes::Sha256(name.try_into().ok()?, key.try_into().ok()?),
        _ => IssuerHashes::Other,
    };
    Some(OcspCertId { der: der.to_vec(), issuer, serial: serial.to_vec() })
}

/// The nonce among extensions, if there is one. `None` for anything that is not a list of them, for a nonce of another length, and for an
/// unknown extension that is critical.
fn nonce_of(extensions: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut list = last(element(extensions, SEQUENCE)?)?;
    let mut nonce = None;
    while !list.is_empty() {
        let (extension, behind) = element(list, SEQUENCE)?;
        list = behind;
        let (oid, rest) = element(extension, OID)?;
        let (critical, rest) = optional(rest, BOOLEAN)?;
        let value = last(element(rest, OCTET_STRING)?)?;
        // DEFAULT FALSE, which DER leaves out and some write.
        let is_critical = match critical {
            None | Some([0]) => false,
            Some([0xff]) => true,
            Some(_) => return None,
        };
        if oid == NONCE {
            // RFC 9654 §2.1: of 1 to 128 octets; one of none or of more MUST be refused with malformedRequest, and not answered without.
            let value = last(element(value, OCTET_STRING)?)?;
            let is_one = (1..=OcspRequest::MAX_NONCE).contains(&value.len()) && nonce.is_none();
            nonce = Some(is_one.then(|| value.to_vec())?);
        } else if is_critical {
            return None;
        }
    }
    Some(nonce)
}

/// The content of an element that nothing follows.
fn last<'a>((content, rest): (&'a [u8], &'a [u8])) -> Option<&'a [u8]> {
    rest.is_empty().then_some(content)
}

/// The content of the element of that tag if it comes next, and the rest.
fn optional(der: &[u8], tag: u8) -> Option<(Option<&[u8]>, &[u8])> {
    match der.first() {
        Some(found) if *found == tag => element(der, tag).map(|(content, rest)| (Some(content), rest)),
        _ => Some((None, der)),
    }
}

const MAX_SERIAL: usize = 20;

/// id-sha1.
pub(super) const SHA_1: [u8; 5] = [0x2b, 14, 3, 2, 26];
/// id-sha256.
pub(super) const SHA_256: [u8; 9] = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
