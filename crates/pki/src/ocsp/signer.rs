//! Who answers for a CA: a key of its own, which the CA certifies for this alone and for a short time. So the CA's key, which may be in
//! another process, signs no answers.

use super::OcspCertId;
use super::request::IssuerHashes;
use crate::build::{Kind, Order};
use crate::ca::MAX_COMMON_NAME;
use crate::prepare::CertificateOrder;
use crate::recognize::Parsed;
use crate::subject_key::SubjectKey;
use crate::{CaCertificate, CertificateError, Issued, Issuing, IssuingCa, PkiError, Validity};
use wardein_crypto::{Digest, SignatureAlgorithm, Signer, VerifyingKey, danger_sha1_to_name};
use wardein_domain::{KeyPurposes, Serial};

/// The responder of one CA.
pub struct OcspSigner {
    key: Box<dyn Signer>,
    algorithm: SignatureAlgorithm,
    certificate: Vec<u8>,
    /// The DER of its subject.
    name: Vec<u8>,
    validity: Validity,
    ca: [u8; 20],
    sha1: ([u8; 20], [u8; 20]),
    sha256: ([u8; 32], [u8; 32]),
}

impl IssuingCa {
    /// The certificate of a responder for this CA, as an order: for signing answers alone (extendedKeyUsage), and with
    /// id-pkix-ocsp-nocheck, because nobody can ask the responder about itself.
    pub fn ocsp_order(
        &self,
        key: &VerifyingKey,
        serial: Serial,
        validity: Validity,
    ) -> Result<CertificateOrder<Issuing>, PkiError> {
        let domain = self.certificate().trust_domain().as_str();
        let domain: String = domain.chars().take(MAX_COMMON_NAME - SUFFIX.len()).collect();
        let key = SubjectKey::of_ca(key.clone())?;
        Ok(CertificateOrder::new(Order {
            serial,
            common_name: Some(domain + SUFFIX),
            validity,
            key_id: key.id(),
            key,
            kind: Kind::OcspSigner,
            purposes: KeyPurposes::NONE,
            names: Vec::new(),
            assurance: None,
            subject_serial: None,
            no_rev_avail: false,
        }))
    }
}

impl OcspSigner {
    /// The responder of `ca` with its key and the certificate that the CA issued for it.
    pub fn new(
        ca: &CaCertificate<Issuing>,
        key: impl Signer + 'static,
        issued: &Issued,
    ) -> Result<Self, PkiError> {
        let parsed = Parsed::new(issued.der()).map_err(PkiError::CaCertificate)?;
        let is_signer = parsed.kind() == Some(Kind::Leaf) && parsed.signs_ocsp();
        if !is_signer {
            return Err(PkiError::CaCertificate(CertificateError::Use));
        }
        parsed.verify(ca).map_err(PkiError::CaCertificate)?;
        if parsed.ca_key().map_err(PkiError::CaCertificate)?.verifying_key() != &key.verifying_key() {
            return Err(PkiError::CaKey);
        }
        let public = ca.verifying_key().as_bytes();
        Ok(Self {
            algorithm: key.algorithm(),
            key: Box::new(key),
            certificate: issued.der().to_vec(),
            name: parsed.subject().to_vec(),
            validity: parsed.validity().map_err(PkiError::CaCertificate)?,
            ca: *ca.key_id(),
            sha1: (danger_sha1_to_name(ca.name()), danger_sha1_to_name(public)),
            sha256: (Digest::of(ca.name()).0, Digest::of(public).0),
        })
    }

    /// Whether a certificate is one that the CA issued, by the request's word: its name and its key.
    pub fn answers_for(&self, id: &OcspCertId) -> bool {
        match &id.issuer {
            IssuerHashes::Sha1(name, key) => (*name, *key) == self.sha1,
            IssuerHashes::Sha256(name, key) => (*name, *key) == self.sha256,
            IssuerHashes::Other => false,
        }
    }

    /// Whether signing takes milliseconds, as with RSA.
    pub fn takes_long(&self) -> bool {
        matches!(self.algorithm, SignatureAlgorithm::RsaPkcs1Sha256 | SignatureAlgorithm::RsaPkcs1Sha384)
    }

    /// The key identifier of the CA.
    pub fn ca(&self) -> &[u8; 20] {
        &self.ca
    }

    /// When its certificate is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    pub(super) fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(super) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, PkiError> {
        self.key.sign(data).map_err(|_| PkiError::Signing)
    }
}

impl std::fmt::Debug for OcspSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OcspSigner")
            .field("ca", &self.ca)
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

const SUFFIX: &str = " OCSP responder";
