//! Certificates of TPM endorsement keys, judged against the roots of TPM vendors (TCG EK Credential Profile for TPM Family 2.0).
//!
//! What: the chain, its times, and the purpose of the certificate. Why `webpki`: vendors sign with RSA and with curves that this
//! authority never uses, through intermediates that differ from ours. What it does not do: no revocation (vendors' CRLs would
//! have to be fetched) and no fetching of intermediates; the sender of a certificate sends its chain. The validity of a root
//! itself is not judged: that it is trusted is the administrator's decision.

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use std::time::Duration;
use wardein_domain::ErrorCode;
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

/// A certificate of an endorsement key, and the CAs above it. Nothing is verified yet.
#[derive(Debug)]
pub struct EndorsementChain<'a> {
    leaf: CertificateDer<'a>,
    intermediates: Vec<CertificateDer<'a>>,
    key: &'a [u8],
    is_for_endorsement: bool,
}

impl<'a> EndorsementChain<'a> {
    /// The most certificates of a chain that are looked at, the leaf included.
    pub const MAX_CERTIFICATES: usize = 5;

    /// The most bytes of each. Vendors' certificates have less than half.
    pub const MAX_LEN: usize = 4 * 1024;

    /// Reads a chain: the endorsement key's certificate, DER, and then in any order the CAs between it and a root. Padding after
    /// a certificate, as it comes from the index of a TPM, is for the sender to cut.
    pub fn parse(chain: &[&'a [u8]]) -> Result<Self, EndorsementError> {
        let [leaf, intermediates @ ..] = chain else { return Err(EndorsementError::Malformed) };
        let is_small = |der: &&[u8]| der.len() <= Self::MAX_LEN;
        if chain.len() > Self::MAX_CERTIFICATES || !chain.iter().all(is_small) {
            return Err(EndorsementError::TooLong);
        }
        let (after, parsed) = X509Certificate::from_der(leaf).map_err(|_| EndorsementError::Malformed)?;
        if !after.is_empty() {
            return Err(EndorsementError::Malformed);
        }
        Ok(Self {
            leaf: CertificateDer::from(*leaf),
            intermediates: intermediates.iter().map(|der| CertificateDer::from(*der)).collect(),
            key: key_bits(&parsed),
            is_for_endorsement: is_for_endorsement(&parsed),
        })
    }

    /// The contents of the BIT STRING of its public key: the RSAPublicKey (RFC 8017 §A.1.1) or the uncompressed point. The
    /// algorithm around it is left out, because some vendors write id-RSAES-OAEP where others write rsaEncryption, for the same
    /// key.
    pub fn key_bits(&self) -> &'a [u8] {
        self.key
    }
}

/// The roots, or intermediates, of TPM vendors that an administrator trusts.
#[derive(Debug, Default)]
pub struct VendorRoots(Vec<TrustAnchor<'static>>);

impl VendorRoots {
    /// Reads each of `certificates`, DER. None at all is possible: then no chain verifies.
    pub fn new(certificates: &[&[u8]]) -> Result<Self, EndorsementError> {
        let anchor = |der: &&[u8]| {
            let der = CertificateDer::from(*der);
            let anchor = anchor_from_trusted_cert(&der).map_err(|_| EndorsementError::Malformed)?;
            Ok(anchor.to_owned())
        };
        Ok(Self(certificates.iter().map(anchor).collect::<Result<_, _>>()?))
    }

    /// Whether the chain leads to one of these, is valid at `now`, in Unix seconds, and is for an endorsement key.
    pub fn verify(&self, chain: &EndorsementChain<'_>, now: u64) -> Result<(), EndorsementError> {
        let leaf = EndEntityCert::try_from(&chain.leaf).map_err(|error| explain(&error))?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        // Not `required`, which would demand it of the intermediates, where vendors do not write it.
        let usage = KeyUsage::required_if_present(&EK_CERTIFICATE);
        leaf.verify_for_usage(ALGORITHMS, &self.0, &chain.intermediates, now, usage, None, None)
            .map_err(|error| explain(&error))?;
        chain.is_for_endorsement.then_some(()).ok_or(EndorsementError::Use)
    }
}

/// Why the certificate of an endorsement key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndorsementError {
    /// There are more certificates, or more bytes in one, than are looked at.
    #[error(
        "the certificate's chain has more than {} certificates, or one of more than {} bytes",
        EndorsementChain::MAX_CERTIFICATES,
        EndorsementChain::MAX_LEN
    )]
    TooLong,
    /// It is not an X.509 certificate in DER, or bytes follow it.
    #[error("the certificate is not one X.509 certificate in DER; cut what follows it")]
    Malformed,
    /// The chain does not lead to a trusted root.
    #[error(
        "the certificate does not lead to a trusted vendor root; send its intermediates, or trust its root"
    )]
    Chain,
    /// It, or a CA above it, is not valid at this time.
    #[error("the certificate or a CA above it is not valid at this time")]
    Time,
    /// It is not for an endorsement key.
    #[error("the certificate is not for an endorsement key (2.23.133.8.1)")]
    Use,
}

impl EndorsementError {
    /// The stable code.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::TooLong => ErrorCode::EkCertificateTooLong,
            Self::Malformed => ErrorCode::EkCertificateMalformed,
            Self::Chain => ErrorCode::EkCertificateChain,
            Self::Time => ErrorCode::EkCertificateTime,
            Self::Use => ErrorCode::EkCertificateUse,
        }
    }
}

fn key_bits<'a>(certificate: &X509Certificate<'a>) -> &'a [u8] {
    match &certificate.subject_pki.subject_public_key.data {
        std::borrow::Cow::Borrowed(bits) => bits,
        // The reader copies nothing here; no key equals no bytes.
        std::borrow::Cow::Owned(_) => &[],
    }
}

/// It states its purpose, and its key usage allows a TPM's use of such a key: decrypt, or agree. That it says the right thing,
/// and is no CA, is for the verifier to see, which would take a certificate that says nothing.
fn is_for_endorsement(certificate: &X509Certificate<'_>) -> bool {
    let mut says_what_for = false;
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::ExtendedKeyUsage(_) => says_what_for = true,
            ParsedExtension::KeyUsage(usage) if !(usage.key_encipherment() || usage.key_agreement()) => {
                return false;
            }
            _ => {}
        }
    }
    says_what_for
}

fn explain(error: &Error) -> EndorsementError {
    match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => EndorsementError::Time,
        Error::CaUsedAsEndEntity | Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            EndorsementError::Use
        }
        Error::BadDer
        | Error::BadDerTime
        | Error::TrailingData(_)
        | Error::InvalidCertValidity
        | Error::InvalidSerialNumber
        | Error::ExtensionValueInvalid
        | Error::MalformedExtensions
        | Error::UnsupportedCertVersion => EndorsementError::Malformed,
        _ => EndorsementError::Chain,
    }
}

/// tcg-kp-EKCertificate, 2.23.133.8.1, as the contents of its OBJECT IDENTIFIER.
const EK_CERTIFICATE: [u8; 5] = [0x67, 0x81, 0x05, 0x08, 0x01];

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
