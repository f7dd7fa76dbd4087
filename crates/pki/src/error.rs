//! Why a certificate is not made, or not recognized.

use crate::lint::LintError;
use crate::spiffe::UriError;
use wardein_domain::ErrorCode;

/// Why a certificate is not issued, or a CA not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// The span of time is empty or beyond the year 9999, or nothing of it lies within the CA's.
    #[error("the validity is empty, ends after the year 9999 or lies outside the CA's")]
    Validity,
    /// The names make no SPIFFE id.
    #[error("the names do not form a SPIFFE id")]
    Uri(#[source] UriError),
    /// The operator's role and tenant do not fit.
    #[error("this role cannot have, or cannot be without, a tenant")]
    Role,
    /// A server certificate needs at least one name and at most [`crate::ServerIdentity::MAX_NAMES`].
    #[error("a server certificate takes 1 to {max} names", max = crate::ServerIdentity::MAX_NAMES)]
    ServerNames,
    /// The CA's certificate is not one of ours.
    #[error("the CA's certificate cannot be used")]
    CaCertificate(#[source] CertificateError),
    /// The private key is not that of the CA's certificate.
    #[error("the private key is not that of the CA's certificate")]
    CaKey,
    /// A CA's key is of another algorithm than a CA has, or its signer signs by one that is not the key's.
    #[error("a CA's key is P-256, P-384 or RSA of 3072 or 4096 bits, and signs by its own algorithm")]
    CaAlgorithm,
    /// The CA's certificates are not for all of these purposes, whatever they say themselves.
    #[error("the CA's certificates are not for all of these purposes")]
    Purposes,
    /// It was prepared for another CA, or for this one with another signature algorithm. Prepare it again.
    #[error("the certificate was prepared for another CA or algorithm; prepare it again")]
    OtherCa,
    /// The CA's key is in another process, and the bytes to sign are not on record.
    #[error("a signer in another process signs only recorded bytes")]
    NotRecorded,
    /// The bytes to sign break a rule. Nothing was signed.
    #[error("the certificate was not signed, because it breaks a rule")]
    Lint(#[source] LintError),
    /// The certificate carries other bytes than those that were linted. It is thrown away.
    #[error("the signed bytes differ from the linted ones")]
    Altered,
    /// The values cannot be written as X.509.
    #[error("the values cannot be written as X.509")]
    Encoding,
    /// The key could not sign: no random bytes, or a signer elsewhere that did not answer.
    #[error("the key could not sign")]
    Signing,
    /// The signature of a signer elsewhere is not one of these bytes by the CA's key. It is thrown away.
    #[error("the signer's signature does not verify with the CA's key; look at its configuration")]
    Signature,
}

impl PkiError {
    /// The stable code.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Validity => ErrorCode::PkiValidity,
            Self::Uri(_) => ErrorCode::PkiUri,
            Self::Role => ErrorCode::PkiRole,
            Self::ServerNames => ErrorCode::PkiServerNames,
            Self::CaCertificate(_) => ErrorCode::PkiCaCertificate,
            Self::CaKey => ErrorCode::PkiCaKey,
            Self::CaAlgorithm => ErrorCode::PkiCaAlgorithm,
            Self::Purposes => ErrorCode::CertificateProfileBeyondCa,
            Self::OtherCa => ErrorCode::PkiOtherCa,
            Self::NotRecorded => ErrorCode::PkiNotRecorded,
            Self::Lint(_) => ErrorCode::PkiLint,
            Self::Altered => ErrorCode::PkiAltered,
            Self::Encoding => ErrorCode::PkiEncoding,
            Self::Signing => ErrorCode::PkiSigning,
            Self::Signature => ErrorCode::PkiSignature,
        }
    }
}

/// Why a certificate that was shown is not one that the CA issued in the form that it issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It is longer than [`CertificateError::MAX_LEN`].
    #[error("the certificate has more than {} bytes", Self::MAX_LEN)]
    TooLong,
    /// It is not an X.509 certificate of version 3 in DER, or bytes follow it.
    #[error("the certificate is not one X.509 certificate of version 3 in DER")]
    Malformed,
    /// Its key is not of a kind that it may have: an operator's P-256; a device's also P-384 or RSA of 2048, 3072 or 4096 bits; a CA's the
    /// same but for RSA of 2048.
    #[error("the algorithm of the certificate's key is not allowed for this use")]
    Key,
    /// It is signed by another algorithm than its issuer's.
    #[error("the certificate is not signed by an algorithm of its issuer")]
    SignatureAlgorithm,
    /// It names another issuer.
    #[error("the certificate names another issuer")]
    Issuer,
    /// The signature is not the issuer's.
    #[error("the certificate's signature is not its issuer's")]
    Signature,
    /// Its serial is not of the form that this authority gives.
    #[error("the certificate's serial is not one that this authority issues")]
    Serial,
    /// Its validity cannot be expressed.
    #[error("the certificate's validity is empty or out of range")]
    Validity,
    /// It is a CA where a leaf is wanted, or a leaf or another CA where a CA is wanted.
    #[error("the certificate is not for this use")]
    Use,
    /// Its alternative names are not exactly the one URI that this use takes; a device may have a URN and a DNS name after it.
    #[error("the certificate's alternative name is not the one URI of this use")]
    Uri,
    /// Its subject is neither empty nor made of a device's common name and serial number.
    #[error("the certificate's subject is not one that a device has")]
    Subject,
    /// The chain has no issuing CA after the leaf, or none that a trusted root signed.
    #[error("the chain does not lead to a trusted root")]
    Chain,
    /// It is of another trust domain.
    #[error("the certificate is of another trust domain")]
    TrustDomain,
}

impl CertificateError {
    /// The most bytes of a certificate that is looked at.
    pub const MAX_LEN: usize = 8 * 1024;
}
