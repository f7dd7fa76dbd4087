//! Certificates of TPM endorsement keys, judged against the roots of TPM vendors (TCG EK Credential Profile for TPM Family 2.0).
//!
//! What: the chain, its times, and the purpose of the certificate. What it does not do: no revocation (vendors' CRLs would
//! have to be fetched) and no fetching of intermediates; the sender of a certificate sends its chain, or the administrator
//! trusts the intermediate. The validity of a root itself is not judged: that it is trusted is the administrator's decision.

mod path;

use path::{Anchor, Search};
use std::borrow::Cow;
use wardein_domain::ErrorCode;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// A certificate of an endorsement key, and the CAs above it. Nothing is verified yet.
#[derive(Debug)]
pub struct EndorsementChain<'a> {
    leaf: X509Certificate<'a>,
    intermediates: Vec<&'a [u8]>,
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
        Ok(Self { leaf: certificate(leaf)?, intermediates: intermediates.to_vec() })
    }

    /// The issuers that its certificates name, as [`VendorRoots::subject_of`] gives them.
    pub fn issuers(&self) -> Vec<Vec<u8>> {
        let above = self.intermediates.iter().filter_map(|der| certificate(der).ok());
        let issuers = above.map(|above| path::issuer_of(&above));
        issuers.chain([path::issuer_of(&self.leaf)]).flatten().collect()
    }

    /// The contents of the BIT STRING of its public key: the RSAPublicKey (RFC 8017 §A.1.1) or the uncompressed point. The
    /// algorithm around it is left out, because some vendors write id-RSAES-OAEP where others write rsaEncryption, for the same
    /// key.
    pub fn key_bits(&self) -> &'a [u8] {
        match &self.leaf.subject_pki.subject_public_key.data {
            Cow::Borrowed(bits) => bits,
            // The reader copies nothing here; no key equals no bytes.
            Cow::Owned(_) => &[],
        }
    }
}

/// The roots, or intermediates, of TPM vendors that an administrator trusts.
#[derive(Debug, Default)]
pub struct VendorRoots(Vec<Anchor>);

impl VendorRoots {
    /// Reads each of `certificates`, DER. None at all is possible: then no chain verifies.
    pub fn new(certificates: &[&[u8]]) -> Result<Self, EndorsementError> {
        Ok(Self(certificates.iter().map(|der| Anchor::parse(der)).collect::<Result<_, _>>()?))
    }

    /// The subject of a certificate that may be trusted: the contents of its Name.
    pub fn subject_of(der: &[u8]) -> Result<Vec<u8>, EndorsementError> {
        Ok(Anchor::parse(der)?.into_subject())
    }

    /// Whether the chain leads to one of these, is valid at `now`, in Unix seconds, and is for an endorsement key.
    pub fn verify(&self, chain: &EndorsementChain<'_>, now: u64) -> Result<(), EndorsementError> {
        // What cannot be read leads nowhere.
        let intermediates: Vec<_> =
            chain.intermediates.iter().filter_map(|der| certificate(der).ok()).collect();
        Search::new(&self.0, &intermediates, now)?.verify(&chain.leaf)
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

fn certificate(der: &[u8]) -> Result<X509Certificate<'_>, EndorsementError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(EndorsementError::Malformed),
    }
}
