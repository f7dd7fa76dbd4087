//! Requests for certificates (PKCS#10, RFC 2986): only the key is taken, and only with proof that its owner asks.

use crate::PkiError;
use crate::envelope::{Envelope, EnvelopeError};
use crate::key::PublicKey;
use rcgen::{CertificateParams, DistinguishedName, PublicKeyData, SignatureAlgorithm, SigningKey};
use std::cell::RefCell;
use wardein_crypto::{P256SigningKey, P256VerifyingKey, SignatureAlgorithm as Algorithm};
use wardein_domain::ErrorCode;
use x509_parser::certification_request::X509CertificationRequestInfo;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

/// A request whose signature shows that the asker has the private key. Its subject and extensions are ignored: the authority
/// decides the contents of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    key: PublicKey,
}

impl Csr {
    /// The most bytes of a request.
    pub const MAX_LEN: usize = 4 * 1024;

    /// Reads a request and verifies its signature by the key that it carries.
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > Self::MAX_LEN {
            return Err(CsrError::TooLong);
        }
        let envelope = Envelope::open(der)?;
        if envelope.algorithm != Algorithm::EcdsaP256Sha256 {
            return Err(CsrError::SignatureAlgorithm);
        }
        let (_, info) =
            X509CertificationRequestInfo::from_der(envelope.signed).map_err(|_| CsrError::Malformed)?;
        if info.version != X509Version::V1 {
            return Err(CsrError::Version);
        }
        let key = PublicKey::from_spki(info.subject_pki.raw).ok_or(CsrError::Key)?;
        key.verifying_key().verify(envelope.signed, envelope.signature).map_err(|_| CsrError::Signature)?;
        Ok(Self { key })
    }

    /// A request for a certificate of `key`, DER, with an empty subject and no extension.
    pub fn create(key: &P256SigningKey) -> Result<Vec<u8>, PkiError> {
        Self::create_by(key.verifying_key(), |message| key.sign(message).map_err(|_| PkiError::Encoding))
    }

    /// The same for a key that is elsewhere, such as in a TPM: `sign` makes its ECDSA signature with SHA-256, DER.
    pub fn create_by<E: From<PkiError>>(
        key: &P256VerifyingKey,
        sign: impl FnMut(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let requester =
            Requester { public: PublicKey::from(*key), sign: RefCell::new(sign), error: RefCell::new(None) };
        match params.serialize_request(&requester) {
            Ok(request) => Ok(request.der().to_vec()),
            Err(_) => Err(requester.error.into_inner().unwrap_or_else(|| PkiError::Encoding.into())),
        }
    }

    /// The key that is to be certified.
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// It is longer than [`Csr::MAX_LEN`].
    #[error("the certificate request has more than {} bytes", Csr::MAX_LEN)]
    TooLong,
    /// It is not a PKCS#10 request in DER.
    #[error("the certificate request is not PKCS#10 in DER")]
    Malformed,
    /// Bytes follow it.
    #[error("bytes follow the certificate request")]
    TrailingBytes,
    /// Its version is not 1.
    #[error("the certificate request is not of version 1")]
    Version,
    /// Its key is not P-256 with an uncompressed point.
    #[error("the certificate request's key is not P-256 with an uncompressed point")]
    Key,
    /// It is signed by another algorithm than ECDSA with SHA-256.
    #[error("the certificate request is not signed by ECDSA with SHA-256")]
    SignatureAlgorithm,
    /// It is not signed by the key that it carries.
    #[error("the certificate request is not signed by the key that it carries")]
    Signature,
}

impl CsrError {
    /// The stable code.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::TooLong => ErrorCode::CsrTooLong,
            Self::Malformed => ErrorCode::CsrMalformed,
            Self::TrailingBytes => ErrorCode::CsrTrailingBytes,
            Self::Version => ErrorCode::CsrVersion,
            Self::Key => ErrorCode::CsrKey,
            Self::SignatureAlgorithm => ErrorCode::CsrSignatureAlgorithm,
            Self::Signature => ErrorCode::CsrSignature,
        }
    }
}

impl From<EnvelopeError> for CsrError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Malformed => Self::Malformed,
            EnvelopeError::TrailingBytes => Self::TrailingBytes,
            EnvelopeError::Algorithm => Self::SignatureAlgorithm,
        }
    }
}

struct Requester<S, E> {
    public: PublicKey,
    sign: RefCell<S>,
    /// Why it could not be signed, for which the library's error has no room.
    error: RefCell<Option<E>>,
}

impl<S, E> PublicKeyData for Requester<S, E> {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl<S: FnMut(&[u8]) -> Result<Vec<u8>, E>, E> SigningKey for Requester<S, E> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        (self.sign.borrow_mut())(message).map_err(|error| {
            self.error.replace(Some(error));
            rcgen::Error::RemoteKeyError
        })
    }
}
