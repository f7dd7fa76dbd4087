//! The three CAs, each a type of its own, so that none can do another's work.

use crate::build::{Issuer, Kind};
use crate::key::KeyId;
use crate::recognize::Parsed;
use crate::subject_key::SubjectKey;
use crate::{CertificateError, PkiError, RevocationUrl, Validity, spiffe};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use wardein_crypto::{Digest, SignatureAlgorithm, Signer, VerifyingKey};
use wardein_domain::{KeyPurposes, Serial, TrustDomain};

/// The role of a CA. Implemented by [`Root`], [`Issuing`] and [`Infrastructure`] only.
pub trait CaRole: sealed::Role + Clone + Send + Sync + 'static {}

/// Signs the other two CAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {}

/// Signs the certificates of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuing {}

/// Signs the certificates of operators and servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Infrastructure {}

impl CaRole for Root {}
impl CaRole for Issuing {}
impl CaRole for Infrastructure {}

/// The root's key with its certificate.
pub type RootCa = CaKey<Root>;
/// The issuing CA's key with its certificate.
pub type IssuingCa = CaKey<Issuing>;
/// The infrastructure CA's key with its certificate.
pub type InfrastructureCa = CaKey<Infrastructure>;

/// The signer of a CA's private key, wherever that is, with the CA's certificate. It signs only bytes that passed the lint.
#[derive(Clone)]
pub struct CaKey<R> {
    signer: Arc<dyn Signer>,
    /// How it signs. It is asked once: the linted bytes must be the signed ones.
    algorithm: SignatureAlgorithm,
    certificate: CaCertificate<R>,
    fingerprint: Digest,
    /// Where its leaves say that verifiers find what is revoked.
    revocation_url: Option<RevocationUrl>,
}

impl<R: CaRole> CaKey<R> {
    /// The CA of `certificate` (DER), which must be one of this role and carry the public half of `signer`'s key.
    pub fn load(signer: impl Signer + 'static, certificate: &[u8]) -> Result<Self, PkiError> {
        let fingerprint = Digest::of(certificate);
        let certificate = CaCertificate::parse(certificate).map_err(PkiError::CaCertificate)?;
        let (key, algorithm) = (certificate.key.verifying_key(), signer.algorithm());
        if signer.verifying_key() != *key {
            return Err(PkiError::CaKey);
        }
        if !key.takes(algorithm) {
            return Err(PkiError::CaAlgorithm);
        }
        Ok(Self { signer: Arc::new(signer), algorithm, certificate, fingerprint, revocation_url: None })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &CaCertificate<R> {
        &self.certificate
    }

    /// How it signs.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// Whether its key is in another process: then it signs only recorded bytes. See [`crate::Recorded`].
    pub fn is_external(&self) -> bool {
        self.signer.is_external()
    }

    pub(crate) fn signer(&self) -> &dyn Signer {
        &*self.signer
    }

    /// Tells it from every other CA: the SHA-256 of its certificate.
    pub(crate) fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    pub(crate) fn issuer(&self) -> Issuer<'_> {
        Issuer { revocation_url: self.revocation_url.as_ref(), ..self.certificate.issuer(self.algorithm) }
    }
}

impl CaKey<Issuing> {
    /// The same, whose certificates say where verifiers find what is revoked; with none they do not say it.
    pub fn with_revocation_url(self, url: Option<RevocationUrl>) -> Self {
        Self { revocation_url: url, ..self }
    }
}

impl<R: CaRole> fmt::Debug for CaKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaKey").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// The certificate of one of our CAs. Its own issuer is not verified here: it comes from the authority's own trust store.
#[derive(Clone, PartialEq, Eq)]
pub struct CaCertificate<R> {
    der: Vec<u8>,
    name: Vec<u8>,
    common_name: String,
    pub(crate) key: SubjectKey,
    key_id: KeyId,
    serial: Serial,
    validity: Validity,
    purposes: KeyPurposes,
    domain: TrustDomain,
    role: PhantomData<R>,
}

impl<R: CaRole> CaCertificate<R> {
    /// Reads a certificate of this role.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let parsed = Parsed::new(der)?;
        let common_name = parsed.common_name().ok_or(CertificateError::Use)?.to_owned();
        let is_kind =
            R::PATH_LENS.iter().any(|path_len| parsed.kind() == Some(Kind::Ca { path_len: *path_len }));
        let is_role = is_kind && common_name.ends_with(R::SUFFIX);
        let purposes =
            parsed.purposes().filter(|found| R::PURPOSES.contains(found)).ok_or(CertificateError::Use)?;
        let key = parsed.ca_key()?;
        let key_id = parsed.key_id().filter(|id| [key.id(), key.common_id()].contains(id));
        let (Some(key_id), true) = (key_id, is_role) else { return Err(CertificateError::Use) };
        let domain = spiffe::parse_authority(parsed.uri()?).map_err(|_| CertificateError::Uri)?;
        let (name, serial, validity) = (parsed.subject().to_vec(), parsed.serial()?, parsed.validity()?);
        let der = der.to_vec();
        Ok(Self {
            der,
            name,
            common_name,
            key,
            key_id,
            serial,
            validity,
            purposes,
            domain,
            role: PhantomData,
        })
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// When it is valid. Its certificates are valid within that: see [`Validity::within`].
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// What its certificates may be for.
    pub fn purposes(&self) -> KeyPurposes {
        self.purposes
    }

    /// Its trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// Its public key.
    pub fn verifying_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    /// Its serial.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// Its key identifier: [`SubjectKey::id`] or [`SubjectKey::common_id`].
    pub fn key_id(&self) -> &[u8; 20] {
        &self.key_id
    }

    /// The DER of its subject.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    fn issuer(&self, algorithm: SignatureAlgorithm) -> Issuer<'_> {
        Issuer {
            common_name: &self.common_name,
            name: Some(&self.name),
            key_id: self.key_id,
            validity: Some(self.validity),
            algorithm,
            revocation_url: None,
        }
    }
}

impl<R: CaRole> fmt::Debug for CaCertificate<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CaCertificate").field(&self.common_name).finish()
    }
}

/// The common name of a CA: the trust domain, cut so that the whole has at most 64 characters (RFC 5280 appendix A,
/// ub-common-name), and what it is.
pub(crate) fn common_name<R: CaRole>(domain: &TrustDomain) -> String {
    let domain: String = domain.as_str().chars().take(MAX_COMMON_NAME - R::SUFFIX.len()).collect();
    domain + R::SUFFIX
}

/// The common name of a CA that is one of several of its role, with the start of its key identifier: a verifier that looks for an issuer
/// by its name finds one.
pub(crate) fn common_name_of<R: CaRole>(domain: &TrustDomain, id: &KeyId) -> String {
    let id = format!(" {:08x}", u32::from_be_bytes([id[0], id[1], id[2], id[3]]));
    let domain = domain.as_str().chars().take(MAX_COMMON_NAME - R::SUFFIX.len() - id.len());
    domain.chain(id.chars()).chain(R::SUFFIX.chars()).collect()
}

pub(crate) const MAX_COMMON_NAME: usize = 64;

pub(crate) mod sealed {
    use super::{Infrastructure, Issuing, KeyPurposes, Root};

    /// Distinguishes one role from another in a certificate.
    pub trait Role {
        #[doc(hidden)]
        const SUFFIX: &'static str;
        #[doc(hidden)]
        const PATH_LEN: u8 = Self::PATH_LENS[0];
        /// How many CAs may be below it: the first in what is made, the others in what earlier releases made.
        #[doc(hidden)]
        const PATH_LENS: &'static [u8];
        /// What its certificates are for, as its own says: one of these.
        #[doc(hidden)]
        const PURPOSES: &'static [KeyPurposes];
    }

    impl Role for Root {
        const SUFFIX: &'static str = " root CA";
        // One CA, and the certificate of this root by another one, which GnuTLS counts though both have one name.
        const PATH_LENS: &'static [u8] = &[2, 1];
        const PURPOSES: &'static [KeyPurposes] = &[KeyPurposes::NONE];
    }

    impl Role for Issuing {
        const SUFFIX: &'static str = " issuing CA";
        const PATH_LENS: &'static [u8] = &[0];
        // A CA that says client alone cannot certify a server, whatever it signs (RFC 5280 §4.2.1.12 as verifiers apply it to
        // chains). One whose devices are called, too, is founded so; before platforms were certified, without the signing of code.
        const PURPOSES: &'static [KeyPurposes] =
            &[KeyPurposes::CLIENT, KeyPurposes::EVERY, KeyPurposes::EVERY_DEVICE];
    }

    impl Role for Infrastructure {
        const SUFFIX: &'static str = " infrastructure CA";
        const PATH_LENS: &'static [u8] = &[0];
        const PURPOSES: &'static [KeyPurposes] = &[KeyPurposes::BOTH_ENDS];
    }
}
