//! From an order to a signature, in steps: build, lint, record where the signer is elsewhere, sign.

use crate::build::{Issuer, Order};
use crate::ca::{CaKey, CaRole};
use crate::envelope::Envelope;
use crate::lint::{self, Linted};
use crate::{Issued, PkiError, algorithm};
use rcgen::{PublicKeyData, SigningKey};
use std::cell::RefCell;
use std::marker::PhantomData;
use wardein_crypto::{Digest, SignatureAlgorithm, Signer, VerifyingKey};
use wardein_domain::Serial;

/// The contents of a certificate, for a CA of this role to write and sign.
pub struct CertificateOrder<R> {
    pub(crate) order: Order,
    role: PhantomData<R>,
}

impl<R: CaRole> CertificateOrder<R> {
    pub(crate) fn new(order: Order) -> Self {
        Self { order, role: PhantomData }
    }

    /// The certificate's serial.
    pub fn serial(&self) -> Serial {
        self.order.serial
    }
}

/// A certificate that was built and linted, and lacks its signature. It is made by [`CaKey::prepare`] alone.
#[derive(Debug, PartialEq, Eq)]
pub struct ToBeSigned<R> {
    linted: Linted,
    serial: Serial,
    /// Whose certificate it was linted as: see [`By::id`].
    issuer: Digest,
    algorithm: SignatureAlgorithm,
    role: PhantomData<R>,
}

impl<R: CaRole> ToBeSigned<R> {
    /// The TBSCertificate (RFC 5280 §4.1), DER: the bytes that are signed, to be recorded.
    pub fn bytes(&self) -> &[u8] {
        self.linted.bytes()
    }

    /// The certificate's serial.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// Signs it with the key of `ca`, for which it was prepared and which is in this process.
    pub fn sign(self, ca: &CaKey<R>) -> Result<Issued, PkiError> {
        self.sign_by(&By::ca(ca))
    }

    /// Says that [`ToBeSigned::bytes`] are durably on record, with its serial. The caller answers for it.
    pub fn recorded_assertion(self) -> Recorded<R> {
        Recorded(self)
    }

    pub(crate) fn new(order: &Order, issuer: &Issuer<'_>, id: Digest) -> Result<Self, PkiError> {
        Self::linted(build(order, issuer)?, order, issuer, id)
    }

    pub(crate) fn sign_by(self, by: &By<'_>) -> Result<Issued, PkiError> {
        if by.signer.is_external() {
            return Err(PkiError::NotRecorded);
        }
        self.complete(by)
    }

    fn linted(tbs: Vec<u8>, order: &Order, issuer: &Issuer<'_>, id: Digest) -> Result<Self, PkiError> {
        let linted = lint::check(tbs, order, issuer).map_err(PkiError::Lint)?;
        let (serial, algorithm) = (order.serial, issuer.algorithm);
        Ok(Self { linted, serial, issuer: id, algorithm, role: PhantomData })
    }

    /// The only use of a CA's key for certificates: it takes only bytes that passed the lint.
    fn complete(self, by: &By<'_>) -> Result<Issued, PkiError> {
        if (self.issuer, self.algorithm) != (by.id, by.algorithm) {
            return Err(PkiError::OtherCa);
        }
        let tbs = self.linted.into_bytes();
        let signature = by.signer.sign(&tbs).map_err(|_| PkiError::Signing)?;
        // A signer elsewhere can be set up with another key or mechanism than it says. In this process, verifying would cost more
        // than signing does, and find nothing.
        if by.signer.is_external() {
            by.key.verify(by.algorithm, &tbs, &signature).map_err(|_| PkiError::Signature)?;
        }
        let sealed = Envelope { signed: &tbs, algorithm: by.algorithm, signature: &signature }.seal();
        Issued::assembled(sealed.ok_or(PkiError::Encoding)?, &tbs)
    }
}

/// A certificate that lacks its signature and is on record: the input of a signer in another process.
///
/// Record, sign, record the certificate, release: after a crash in between, the record has exactly the bytes that may have been
/// signed.
#[derive(Debug, PartialEq, Eq)]
pub struct Recorded<R>(ToBeSigned<R>);

impl<R: CaRole> Recorded<R> {
    /// Reads the recorded bytes, and lints them again, against `order` and `ca`.
    pub fn from_record(bytes: Vec<u8>, order: &CertificateOrder<R>, ca: &CaKey<R>) -> Result<Self, PkiError> {
        ToBeSigned::linted(bytes, &order.order, &ca.issuer(), ca.fingerprint()).map(Self)
    }

    /// The TBSCertificate, DER.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The certificate's serial.
    pub fn serial(&self) -> Serial {
        self.0.serial
    }

    /// Signs it with the key of `ca`, for which it was prepared, wherever that is. The signature of a signer in another process
    /// is verified.
    pub fn sign(self, ca: &CaKey<R>) -> Result<Issued, PkiError> {
        self.sign_by(&By::ca(ca))
    }

    pub(crate) fn sign_by(self, by: &By<'_>) -> Result<Issued, PkiError> {
        self.0.complete(by)
    }
}

impl<R: CaRole> CaKey<R> {
    /// Builds the certificate ordered of this CA, and lints it. Nothing is signed.
    pub fn prepare(&self, order: &CertificateOrder<R>) -> Result<ToBeSigned<R>, PkiError> {
        ToBeSigned::new(&order.order, &self.issuer(), self.fingerprint())
    }

    /// Builds, lints and signs the certificate ordered of this CA, whose key is in this process.
    pub(crate) fn issue(&self, order: &CertificateOrder<R>) -> Result<Issued, PkiError> {
        self.prepare(order)?.sign(self)
    }
}

/// The signer.
pub(crate) struct By<'a> {
    pub(crate) signer: &'a dyn Signer,
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) key: &'a VerifyingKey,
    /// The SHA-256 of the CA's certificate; of its SubjectPublicKeyInfo where it signs its own.
    pub(crate) id: Digest,
}

impl<'a> By<'a> {
    fn ca<R: CaRole>(ca: &'a CaKey<R>) -> Self {
        let (algorithm, key) = (ca.algorithm(), ca.certificate().verifying_key());
        Self { signer: ca.signer(), algorithm, key, id: ca.fingerprint() }
    }
}

/// The bytes to be signed. rcgen hands them to a signer and gives them out in no other way.
fn build(order: &Order, issuer: &Issuer<'_>) -> Result<Vec<u8>, PkiError> {
    let (mut params, issuer_params) = (order.params()?, issuer.params());
    issuer.add_revocation(order, &mut params)?;
    let capture = Capture::new(issuer.algorithm);
    params
        .signed_by(&order.key, &rcgen::Issuer::from_params(&issuer_params, &capture))
        .map_err(|_| PkiError::Encoding)?;
    Ok(capture.into_bytes())
}

/// The signer that rcgen is given: it keeps the bytes that it is to sign.
pub(crate) struct Capture {
    algorithm: SignatureAlgorithm,
    key: Vec<u8>,
    tbs: RefCell<Vec<u8>>,
}

impl Capture {
    pub(crate) fn new(algorithm: SignatureAlgorithm) -> Self {
        Self { algorithm, key: Vec::new(), tbs: RefCell::default() }
    }

    /// The same of this key, for bytes that carry it.
    pub(crate) fn of_key(algorithm: SignatureAlgorithm, key: &VerifyingKey) -> Self {
        Self { key: key.as_bytes().to_vec(), ..Self::new(algorithm) }
    }

    /// The bytes that it was to sign.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.tbs.into_inner()
    }
}

impl PublicKeyData for Capture {
    /// None of an issuer: its key identifier is given, so that rcgen does not derive it from its key.
    fn der_bytes(&self) -> &[u8] {
        &self.key
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        algorithm::writer(self.algorithm)
    }
}

impl SigningKey for Capture {
    fn sign(&self, tbs: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.tbs.replace(tbs.to_vec());
        Ok(Vec::new())
    }
}
