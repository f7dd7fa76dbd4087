//! Cross-certificates: an issuing CA of ours that the CA of another PKI, such as a company's, certifies as well (RFC 5280 §3.2). Its key and
//! its name are the same in both, so that what it issues leads to either root.
//!
//! What: the request for one, and the chain that comes back, read and verified. What it does not do: the other PKI's revocation, and name
//! constraints, which its verifiers judge themselves.

use crate::build::SUBJECT_KEY_ID;
use crate::csr::OthersAlgorithm;
use crate::der::write;
use crate::envelope::{Envelope, Unread};
use crate::prepare::Capture;
use crate::subject_key::SubjectKey;
use crate::{CaCertificate, CertificateError, Issuing, IssuingCa, PkiError, Validity};
use rcgen::{CustomExtension, KeyUsagePurpose};
use wardein_domain::KeyPurpose;
use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

/// The chain that leads from an issuing CA of ours to the root of another PKI: its cross-certificate first, each certificate signed by the
/// next. The root is not among them: every verifier that trusts it has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossChain {
    certificates: Vec<Vec<u8>>,
    validity: Validity,
}

impl IssuingCa {
    /// A request (PKCS#10, DER) for a cross-certificate: with the CA's name, and the extensions that the certificate must have. A signer in
    /// another process signs it without a record: a request certifies nobody.
    pub fn cross_request(&self) -> Result<Vec<u8>, PkiError> {
        let issuer = self.issuer();
        let mut params = issuer.params();
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let mut constraints = CustomExtension::from_oid_content(BASIC_CONSTRAINTS, CA_OF_LEAVES.to_vec());
        constraints.set_criticality(true);
        let id = write(OCTET_STRING, &[&issuer.key_id]).ok_or(PkiError::Encoding)?;
        params.custom_extensions = vec![constraints, CustomExtension::from_oid_content(SUBJECT_KEY_ID, id)];
        let capture = Capture::of_key(issuer.algorithm, self.certificate().verifying_key());
        params.serialize_request(&capture).map_err(|_| PkiError::Encoding)?;
        let (signed, algorithm) = (capture.into_bytes(), self.algorithm());
        let signature = self.signer().sign(&signed).map_err(|_| PkiError::Signing)?;
        let key = self.certificate().verifying_key();
        key.verify(algorithm, &signed, &signature).map_err(|_| PkiError::Signature)?;
        Envelope { signed: &signed, algorithm, signature: &signature }.seal().ok_or(PkiError::Encoding)
    }
}

impl CrossChain {
    /// The most certificates of a chain, with the root.
    pub const MAX_LEN: usize = 6;

    /// Verifies a chain for `ca`, whose cross-certificate is the first and the other PKI's root the last, each DER, at the Unix second `now`:
    /// whatever a verifier would refuse devices for is refused here.
    pub fn verify(ca: &CaCertificate<Issuing>, chain: &[&[u8]], now: u64) -> Result<Self, CrossError> {
        if !(2..=Self::MAX_LEN).contains(&chain.len()) {
            return Err(CrossError::Length);
        }
        let mut all = Vec::with_capacity(chain.len());
        for (at, der) in chain.iter().enumerate() {
            all.push(Foreign::read(der).map_err(|fault| fault.at(at))?);
        }
        let (first, last) = (&all[0], &all[all.len() - 1]);
        if first.tbs.subject.as_raw() != ca.name() || first.key != ca.key {
            return Err(CrossError::OtherCa);
        }
        // RFC 5280 §4.2.1.1: the key identifier of the issuer in what the CA issues is this one, and verifiers compare them.
        if first.key_id() != Some(ca.key_id()) {
            return Err(CrossError::KeyId);
        }
        let needed: Vec<_> = ca.purposes().iter().collect();
        for (at, certificate) in all.iter().enumerate() {
            certificate.judge(at, &needed, now).map_err(|fault| fault.at(at))?;
            let issuer = all.get(at + 1).unwrap_or(last);
            if certificate.tbs.issuer.as_raw() != issuer.tbs.subject.as_raw() {
                return Err(if at + 1 < all.len() { CrossError::Issuer(at + 1) } else { CrossError::Root });
            }
            certificate.verify(&issuer.key).map_err(|fault| fault.at(at))?;
        }
        if !first.signs_lists() {
            return Err(CrossError::Lists);
        }
        Self::of(chain[..chain.len() - 1].iter().map(|der| der.to_vec()).collect())
    }

    /// The chain of certificates that were verified when they were stored.
    pub fn of(certificates: Vec<Vec<u8>>) -> Result<Self, CrossError> {
        let mut validity: Option<Validity> = None;
        for (at, der) in certificates.iter().enumerate() {
            let found =
                Foreign::read(der).and_then(|found| found.validity()).map_err(|fault| fault.at(at))?;
            let both = validity.map_or(Ok(found), |validity| validity.within(found));
            validity = Some(both.map_err(|_| CrossError::Validity(at + 1))?);
        }
        let validity = validity.ok_or(CrossError::Length)?;
        Ok(Self { certificates, validity })
    }

    /// The certificates, DER, that are handed out after the CA's own.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// When all of them are valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }
}

/// Why a chain is refused. The number is that of the certificate in the file, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrossError {
    /// It has not 2 to [`CrossChain::MAX_LEN`] certificates.
    #[error(
        "a chain has 2 to {} certificates: the CA's first, each signed by the next, the root last",
        CrossChain::MAX_LEN
    )]
    Length,
    /// One is not a certificate.
    #[error("certificate {0} of the chain is not X.509 of version 3 in DER of at most {max} bytes", max = CertificateError::MAX_LEN)]
    Malformed(usize),
    /// A key or a signature is of an algorithm that is not known here.
    #[error(
        "certificate {0} of the chain has a key other than P-256, P-384 or RSA of 2048, 3072 or 4096 bits, or a signature other than \
         ECDSA with SHA-256 or 384, or PKCS#1 RSA with SHA-256, 384 or 512"
    )]
    Algorithm(usize),
    /// The first certificate has another key or subject.
    #[error(
        "the first certificate of the chain is not this CA's: its key and its subject must be those of the request"
    )]
    OtherCa,
    /// The first certificate has another subject key identifier, or none.
    #[error(
        "the first certificate of the chain has another subject key identifier than this CA has; have it copied from the request"
    )]
    KeyId,
    /// One is not a CA's.
    #[error(
        "certificate {0} of the chain is not of a CA that signs certificates (basicConstraints, keyUsage)"
    )]
    Use(usize),
    /// The first certificate does not let the CA sign revocation lists.
    #[error(
        "the first certificate of the chain does not let the CA sign revocation lists (keyUsage cRLSign)"
    )]
    Lists,
    /// One allows fewer CAs below it than there are.
    #[error("certificate {0} of the chain allows fewer CAs below it than there are (pathLenConstraint)")]
    PathLen(usize),
    /// One is not for what the CA certifies.
    #[error(
        "certificate {0} of the chain is not for all that this CA certifies devices for (extendedKeyUsage)"
    )]
    Purposes(usize),
    /// One is not valid now, or not at the same time as the others.
    #[error("certificate {0} of the chain is not valid now, or not at the same time as the others")]
    Validity(usize),
    /// One names another issuer than the next one.
    #[error("certificate {0} of the chain was not issued by the one after it")]
    Issuer(usize),
    /// One is not signed by the next one's key.
    #[error(
        "the signature of certificate {0} of the chain is not by the key of the one after it, or of the root's own"
    )]
    Signature(usize),
    /// The last certificate is not a root.
    #[error("the last certificate of the chain is not a root, which signs itself")]
    Root,
}

/// A certificate that others made.
struct Foreign<'a> {
    tbs: TbsCertificate<'a>,
    unread: Unread<'a>,
    algorithm: OthersAlgorithm,
    key: SubjectKey,
}

/// What is wrong with one, wherever it is.
enum Fault {
    Malformed,
    Algorithm,
    Use,
    PathLen,
    Purposes,
    Validity,
    Signature,
}

impl Fault {
    fn at(self, index: usize) -> CrossError {
        let number = index + 1;
        match self {
            Self::Malformed => CrossError::Malformed(number),
            Self::Algorithm => CrossError::Algorithm(number),
            Self::Use => CrossError::Use(number),
            Self::PathLen => CrossError::PathLen(number),
            Self::Purposes => CrossError::Purposes(number),
            Self::Validity => CrossError::Validity(number),
            Self::Signature => CrossError::Signature(number),
        }
    }
}

impl<'a> Foreign<'a> {
    fn read(der: &'a [u8]) -> Result<Self, Fault> {
        if der.len() > CertificateError::MAX_LEN {
            return Err(Fault::Malformed);
        }
        let unread = Unread::open(der).map_err(|_| Fault::Malformed)?;
        let (rest, tbs) = TbsCertificate::from_der(unread.signed).map_err(|_| Fault::Malformed)?;
        if !rest.is_empty() || tbs.version.0 != 2 {
            return Err(Fault::Malformed);
        }
        let algorithm = OthersAlgorithm::of(unread.algorithm).ok_or(Fault::Algorithm)?;
        let key = SubjectKey::from_spki(tbs.subject_pki.raw).ok_or(Fault::Algorithm)?;
        Ok(Self { tbs, unread, algorithm, key })
    }

    /// Whether it may be in this place of a chain, with so many CAs below it.
    fn judge(&self, below: usize, needed: &[KeyPurpose], now: u64) -> Result<(), Fault> {
        let (mut is_ca, mut signs) = (false, true);
        for extension in self.tbs.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(found) => {
                    is_ca = found.ca;
                    if found.path_len_constraint.is_some_and(|most| (most as usize) < below) {
                        return Err(Fault::PathLen);
                    }
                }
                ParsedExtension::KeyUsage(found) => signs = found.key_cert_sign(),
                // Not in RFC 5280, but verifiers take a CA's purposes for those of all below it.
                ParsedExtension::ExtendedKeyUsage(found) if !found.any => {
                    let has = |purpose: &KeyPurpose| match purpose {
                        KeyPurpose::ClientAuth => found.client_auth,
                        KeyPurpose::ServerAuth => found.server_auth,
                        KeyPurpose::CodeSigning => found.code_signing,
                        KeyPurpose::SdcProvider | KeyPurpose::SdcConsumer => {
                            found.other.iter().any(|oid| crate::recognize::is_oid(oid, purpose.oid()))
                        }
                    };
                    if !needed.iter().all(has) {
                        return Err(Fault::Purposes);
                    }
                }
                _ => {}
            }
        }
        if !is_ca || !signs {
            return Err(Fault::Use);
        }
        self.validity()?.contains(now).then_some(()).ok_or(Fault::Validity)
    }

    fn verify(&self, key: &SubjectKey) -> Result<(), Fault> {
        if !self.algorithm.fits(key.verifying_key()) {
            return Err(Fault::Algorithm);
        }
        let Unread { signed, signature, .. } = self.unread;
        self.algorithm.verify(key.verifying_key(), signed, signature).map_err(|_| Fault::Signature)
    }

    fn validity(&self) -> Result<Validity, Fault> {
        let seconds = |time: i64| u64::try_from(time).map_err(|_| Fault::Validity);
        let found = self.tbs.validity();
        Validity::new(seconds(found.not_before.timestamp())?, seconds(found.not_after.timestamp())?)
            .map_err(|_| Fault::Validity)
    }

    fn key_id(&self) -> Option<&[u8; 20]> {
        self.tbs.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => id.0.try_into().ok(),
            _ => None,
        })
    }

    fn signs_lists(&self) -> bool {
        let usage = self.tbs.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::KeyUsage(found) => Some(found.crl_sign()),
            _ => None,
        });
        usage.unwrap_or(true)
    }
}

/// id-ce-basicConstraints, and of a CA that certifies leaves alone: `SEQUENCE { TRUE, 0 }` (RFC 5280 §4.2.1.9).
const BASIC_CONSTRAINTS: &[u64] = &[2, 5, 29, 19];
const CA_OF_LEAVES: [u8; 8] = [0x30, 6, 1, 1, 0xff, 2, 1, 0];

const OCTET_STRING: u8 = 0x04;
