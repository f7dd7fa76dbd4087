//! Requests for certificates (PKCS#10, RFC 2986): only the key is taken, and only with proof that its owner asks.

use crate::der::{INTEGER, SEQUENCE, element};
use crate::envelope::{EnvelopeError, Unread};
use crate::key::PublicKey;
use crate::subject_key::{SubjectKey, UnfitKey};
use crate::{PkiError, algorithm};
use rcgen::{CertificateParams, DistinguishedName, PublicKeyData, SignatureAlgorithm, SigningKey};
use std::cell::RefCell;
use wardein_crypto::{
    InvalidSignature, P256SigningKey, P256VerifyingKey, SignatureAlgorithm as Algorithm, VerifyingKey,
};
use wardein_domain::{ErrorCode, KeyKind, KeyKinds};

/// A request for a P-256 key, whose signature shows that the asker has the private half. Its subject and attributes are ignored: the
/// authority decides the contents of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    key: PublicKey,
}

/// The same for a key of any kind that a profile may accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCsr {
    key: SubjectKey,
}

impl DeviceCsr {
    /// Reads a request for a key of one of these kinds, and verifies its signature by that key.
    pub fn parse(der: &[u8], accepted: KeyKinds) -> Result<Self, CsrError> {
        let request = Request::read(der)?;
        if !accepted.contains(request.key.kind()) {
            return Err(CsrError::KeyNotAccepted);
        }
        request.verified()
    }

    /// Reads a request for `held`, which is of one of these kinds, and for no other key. The holder of that key sent these very bytes, as
    /// the caller knows by a signature over them: the signature within shows nothing more, and is not verified.
    pub fn parse_of_holder(der: &[u8], held: &SubjectKey, accepted: KeyKinds) -> Result<Self, CsrError> {
        let Request { key, .. } = Request::read(der)?;
        if key != *held {
            return Err(CsrError::KeyOfAnother);
        }
        accepted.contains(key.kind()).then_some(Self { key }).ok_or(CsrError::KeyNotAccepted)
    }

    /// Reads a request for a key of one of these kinds by who holds `held`, as the connection shows that it came over. For that key the
    /// signature within shows nothing more, and is not verified; for any other it is.
    pub fn parse_by_holder(der: &[u8], held: &SubjectKey, accepted: KeyKinds) -> Result<Self, CsrError> {
        let request = Request::read(der)?;
        if !accepted.contains(request.key.kind()) {
            return Err(CsrError::KeyNotAccepted);
        }
        match request.key == *held {
            true => Ok(Self { key: request.key }),
            false => request.verified(),
        }
    }

    /// The kind of the key in a request, DER. Its signature is not verified: the key is an example of the one that is wanted (RFC 7030
    /// §4.4.1).
    pub fn kind_of(der: &[u8]) -> Result<KeyKind, CsrError> {
        Ok(Request::read(der)?.key.kind())
    }

    /// For a key that the authority made itself, so that nobody needs to show that he has it.
    pub fn of_made(key: &SubjectKey) -> Self {
        Self { key: key.clone() }
    }

    /// The key that is to be certified.
    pub fn key(&self) -> &SubjectKey {
        &self.key
    }
}

impl From<&Csr> for DeviceCsr {
    fn from(csr: &Csr) -> Self {
        Self { key: csr.public_key().into() }
    }
}

/// A request that was read, and whose signature was not verified yet.
struct Request<'a> {
    key: SubjectKey,
    unread: Unread<'a>,
    algorithm: OthersAlgorithm,
}

impl<'a> Request<'a> {
    fn read(der: &'a [u8]) -> Result<Self, CsrError> {
        if der.len() > Csr::MAX_LEN {
            return Err(CsrError::TooLong);
        }
        let unread = Unread::open(der)?;
        let algorithm = OthersAlgorithm::of(unread.algorithm).ok_or(CsrError::SignatureAlgorithm)?;
        let key = SubjectKey::of_request(public_key_info(unread.signed)?)?;
        // Refused before anything is computed, and by its own name: a key has no say in what its requests are signed by.
        if !algorithm.fits(key.verifying_key()) {
            return Err(CsrError::SignatureAlgorithm);
        }
        Ok(Self { key, unread, algorithm })
    }

    fn verified(self) -> Result<DeviceCsr, CsrError> {
        let Unread { signed, signature, .. } = self.unread;
        self.algorithm
            .verify(self.key.verifying_key(), signed, signature)
            .map_err(|_| CsrError::Signature)?;
        Ok(DeviceCsr { key: self.key })
    }
}

/// The SubjectPublicKeyInfo of a CertificationRequestInfo (RFC 2986 §4.1). Nothing within the subject and the attributes is read: there
/// are requests with broken ones, and some without the field of attributes, and nobody goes by them.
fn public_key_info(info: &[u8]) -> Result<&[u8], CsrError> {
    let (fields, _) = element(info, SEQUENCE).ok_or(CsrError::Malformed)?;
    let (version, rest) = element(fields, INTEGER).ok_or(CsrError::Malformed)?;
    let (_, rest) = element(rest, SEQUENCE).ok_or(CsrError::Malformed)?;
    let (_, attributes) = element(rest, SEQUENCE).ok_or(CsrError::Malformed)?;
    let is_end =
        attributes.is_empty() || element(attributes, ATTRIBUTES).is_some_and(|(_, end)| end.is_empty());
    if !is_end {
        return Err(CsrError::Malformed);
    }
    if version != [0] {
        return Err(CsrError::Version);
    }
    Ok(&rest[..rest.len() - attributes.len()])
}

/// `[0] IMPLICIT SET`.
const ATTRIBUTES: u8 = 0xa0;

/// How others sign requests and certificates. Who makes one chooses the hash, so that there are more ways than a CA of ours signs by.
#[derive(Clone, Copy)]
pub(crate) enum OthersAlgorithm {
    /// By one of those of CAs.
    AsCa(Algorithm),
    RsaPkcs1Sha512,
}

impl OthersAlgorithm {
    pub(crate) fn of(identifier: &[u8]) -> Option<Self> {
        let as_ca = algorithm::from_identifier(identifier).map(Self::AsCa);
        as_ca.or_else(|| (identifier == algorithm::SHA512_WITH_RSA).then_some(Self::RsaPkcs1Sha512))
    }

    pub(crate) fn fits(self, key: &VerifyingKey) -> bool {
        match (self, key) {
            // `ecdsa-with-SHA256`, by which openssl signs with every curve.
            (Self::AsCa(Algorithm::EcdsaP256Sha256), VerifyingKey::P384(_)) => true,
            (Self::AsCa(algorithm), key) => key.takes(algorithm),
            (Self::RsaPkcs1Sha512, key) => matches!(key, VerifyingKey::Rsa(_)),
        }
    }

    pub(crate) fn verify(
        self,
        key: &VerifyingKey,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        match (self, key) {
            (Self::AsCa(Algorithm::EcdsaP256Sha256), VerifyingKey::P384(key)) => {
                key.verify_sha256(signed, signature)
            }
            (Self::AsCa(algorithm), key) => key.verify(algorithm, signed, signature),
            (Self::RsaPkcs1Sha512, VerifyingKey::Rsa(key)) => key.verify_sha512(signed, signature),
            (Self::RsaPkcs1Sha512, _) => Err(InvalidSignature),
        }
    }
}

impl Csr {
    /// The most bytes of a request.
    pub const MAX_LEN: usize = 4 * 1024;

    /// Reads a request for a P-256 key, and verifies its signature by that key.
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        // No profile has a say in this.
        let csr = DeviceCsr::parse(der, KeyKinds::P256).map_err(|error| match error {
            CsrError::KeyNotAccepted => CsrError::Key,
            error => error,
        })?;
        let key = PublicKey::try_from(csr.key()).map_err(|_| CsrError::Key)?;
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
    /// Its key is of another algorithm, or encoded otherwise, than this use takes.
    #[error(
        "the certificate request's key is not one that is taken here: P-256 with an uncompressed point, or what the device's profile \
         accepts of P-384 with an uncompressed point and RSA of 2048, 3072 and 4096 bits"
    )]
    Key,
    /// Its key is none that the profile accepts.
    #[error("the certificate request's key is of a kind that the device's profile does not accept")]
    KeyNotAccepted,
    /// Its key is another than the one that the asker is known to hold.
    #[error("requests a certificate for another key than the enrolled one")]
    KeyOfAnother,
    /// The exponent of its RSA key is not 65537.
    #[error("the exponent of the certificate request's RSA key is not 65537")]
    RsaExponent,
    /// The modulus of its RSA key is even, of another length than 2048, 3072 or 4096 bits, or has a small factor.
    #[error(
        "the modulus of the certificate request's RSA key is not an odd number of 2048, 3072 or 4096 bits without small factors"
    )]
    RsaModulus,
    /// Its RSA key has the fingerprint of those that can be factored (ROCA).
    #[error(
        "the certificate request's RSA key is of a generator whose keys can be factored (ROCA, CVE-2017-15361)"
    )]
    RsaRoca,
    /// It is signed by another algorithm than its key takes.
    #[error(
        "the certificate request is not signed by an algorithm of its key: ECDSA with SHA-256 (P-384: or SHA-384), or PKCS#1 RSA with \
         SHA-256, 384 or 512"
    )]
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
            Self::KeyNotAccepted => ErrorCode::CsrKeyNotAccepted,
            Self::KeyOfAnother => ErrorCode::CsrKeyOfAnother,
            Self::RsaExponent => ErrorCode::CsrRsaExponent,
            Self::RsaModulus => ErrorCode::CsrRsaModulus,
            Self::RsaRoca => ErrorCode::CsrRsaRoca,
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

impl From<UnfitKey> for CsrError {
    fn from(error: UnfitKey) -> Self {
        match error {
            UnfitKey::Form => Self::Key,
            UnfitKey::Exponent => Self::RsaExponent,
            UnfitKey::Modulus => Self::RsaModulus,
            UnfitKey::Roca => Self::RsaRoca,
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
