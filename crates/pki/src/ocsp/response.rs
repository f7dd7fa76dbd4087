//! Answers: the ones that say no more than why there is none, and those about certificates.

use super::{ENUMERATED, GENERALIZED_TIME, NONCE, OCTET_STRING, OID, OcspCertId, OcspSigner, explicit};
use crate::der::{BIT_STRING, SEQUENCE, write};
use crate::{PkiError, algorithm, build};
use wardein_domain::RevocationReason;

/// Why there is no answer about certificates. It is not signed: anybody may say it (RFC 6960 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspError {
    /// The request is malformed.
    MalformedRequest,
    /// Something here is at fault.
    InternalError,
    /// It could be answered later.
    TryLater,
    /// None of the certificates is of a CA that this responder answers for.
    Unauthorized,
}

impl OcspError {
    /// The OCSPResponse, DER.
    pub fn der(self) -> [u8; 5] {
        let status = match self {
            Self::MalformedRequest => 1,
            Self::InternalError => 2,
            Self::TryLater => 3,
            Self::Unauthorized => 6,
        };
        [SEQUENCE, 3, ENUMERATED, 1, status]
    }
}

/// The status of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OcspStatus {
    /// It was issued, and is not revoked. Whether it is valid now, it says itself.
    Good,
    /// It is revoked, or on hold.
    Revoked {
        /// Unix seconds.
        at: u64,
        /// Why.
        reason: RevocationReason,
    },
    /// This responder does not know it.
    Unknown,
}

/// The contents of an answer.
#[derive(Debug, Clone)]
pub struct OcspAnswer {
    /// The certificates, as the request names them, each with its status.
    pub certificates: Vec<(OcspCertId, OcspStatus)>,
    /// Unix seconds at which the statuses are right.
    pub this_update: u64,
    /// Unix seconds until which the answer may be kept.
    pub next_update: u64,
    /// Unix seconds at which it is signed.
    pub produced_at: u64,
    /// That of the request.
    pub nonce: Option<Vec<u8>>,
}

impl OcspSigner {
    /// The OCSPResponse, DER, signed.
    pub fn answer(&self, answer: &OcspAnswer) -> Result<Vec<u8>, PkiError> {
        let data = self.response_data(answer)?;
        let algorithm = self.algorithm();
        let signature = self.sign(&data)?;
        let bits = seq(BIT_STRING, &[&[0], &signature])?;
        let certificates = seq(explicit(0), &[&seq(SEQUENCE, &[self.certificate()])?])?;
        let basic = seq(SEQUENCE, &[&data, algorithm::identifier(algorithm), &bits, &certificates])?;
        let response = [seq(OID, &[&BASIC])?, seq(OCTET_STRING, &[&basic])?].concat();
        let bytes = seq(explicit(0), &[&seq(SEQUENCE, &[&response])?])?;
        seq(SEQUENCE, &[&SUCCESSFUL, &bytes])
    }

    /// `ResponseData ::= SEQUENCE { responderID, producedAt, responses, responseExtensions [1] OPTIONAL }` of version 1, which is left
    /// out.
    fn response_data(&self, answer: &OcspAnswer) -> Result<Vec<u8>, PkiError> {
        // ResponderID ::= CHOICE { byName [1] Name, ... }: GnuTLS finds no signer by its key.
        let responder = seq(explicit(1), &[self.name()])?;
        let mut singles = Vec::new();
        for (id, status) in &answer.certificates {
            singles.extend_from_slice(&single(id, *status, answer)?);
        }
        let responses = seq(SEQUENCE, &[&singles])?;
        let extensions = match &answer.nonce {
            Some(nonce) => {
                let value = seq(OCTET_STRING, &[&seq(OCTET_STRING, &[nonce])?])?;
                let extension = seq(SEQUENCE, &[&seq(OID, &[&NONCE])?, &value])?;
                seq(explicit(1), &[&seq(SEQUENCE, &[&extension])?])?
            }
            None => Vec::new(),
        };
        seq(SEQUENCE, &[&responder, &time(answer.produced_at)?, &responses, &extensions])
    }
}

/// `SingleResponse ::= SEQUENCE { certID, certStatus, thisUpdate, nextUpdate [0] EXPLICIT }`
fn single(id: &OcspCertId, status: OcspStatus, answer: &OcspAnswer) -> Result<Vec<u8>, PkiError> {
    let status = match status {
        OcspStatus::Good => vec![0x80, 0],
        OcspStatus::Unknown => vec![0x82, 0],
        // RevokedInfo ::= SEQUENCE { revocationTime, revocationReason [0] EXPLICIT CRLReason OPTIONAL }, [1] IMPLICIT. No reason
        // rather than unspecified, as on lists.
        OcspStatus::Revoked { at, reason } => {
            let reason = match reason {
                RevocationReason::Unspecified => Vec::new(),
                reason => seq(explicit(0), &[&[ENUMERATED, 1, reason.number()]])?,
            };
            seq(explicit(1), &[&time(at)?, &reason])?
        }
    };
    let next_update = seq(explicit(0), &[&time(answer.next_update)?])?;
    seq(SEQUENCE, &[&id.der, &status, &time(answer.this_update)?, &next_update])
}

/// A Unix second as GeneralizedTime in UTC, to the second (RFC 6960 §4.2.2.1).
fn time(second: u64) -> Result<Vec<u8>, PkiError> {
    let at = build::time(second)?.to_datetime();
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = (at.hour(), at.minute(), at.second());
    let text = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    seq(GENERALIZED_TIME, &[text.as_bytes()])
}

fn seq(tag: u8, parts: &[&[u8]]) -> Result<Vec<u8>, PkiError> {
    write(tag, parts).ok_or(PkiError::Encoding)
}

/// responseStatus: successful.
const SUCCESSFUL: [u8; 3] = [ENUMERATED, 1, 0];

/// id-pkix-ocsp-basic.
const BASIC: [u8; 9] = [0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
