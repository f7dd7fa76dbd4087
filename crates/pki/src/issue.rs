//! The one path to a signature: build, lint, sign.

use crate::build::{AltName, Issuer, Kind, Order, Purposes};
use crate::ca::{CaKey, CaRole};
use crate::envelope::Envelope;
use crate::key::PublicKey;
use crate::lint::{self, LintError, Linted};
use crate::recognize::{DeviceIdentity, OperatorIdentity};
use crate::server_name::ServerIdentity;
use crate::{Csr, InfrastructureCa, IssuingCa, PkiError, spiffe};
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use std::cell::RefCell;
use wardein_crypto::P256SigningKey;

/// A certificate that was linted and signed. It leaves the process only after its record is durable; that is its issuer's duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    der: Vec<u8>,
}

impl Issued {
    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate, DER.
    pub fn into_der(self) -> Vec<u8> {
        self.der
    }

    /// Lets the certificate go only if it carries the bytes that were linted.
    pub(crate) fn assembled(der: Vec<u8>, linted: &[u8]) -> Result<Self, PkiError> {
        let is_same = Envelope::open(&der).is_ok_and(|envelope| envelope.signed == linted);
        is_same.then_some(Self { der }).ok_or(PkiError::Altered)
    }
}

impl IssuingCa {
    /// A device's certificate: its SPIFFE id as the only name, for the client end of TLS, and where a key was enrolled, the policy that
    /// says how surely it is where it is said to be.
    pub fn issue_device(&self, csr: &Csr, device: &DeviceIdentity) -> Result<Issued, PkiError> {
        let domain = self.certificate().trust_domain();
        let uri = spiffe::device_uri(domain, &device.tenant, &device.device).map_err(PkiError::Uri)?;
        self.issue(&Order {
            serial: device.serial,
            common_name: None,
            validity: device.validity,
            key: csr.public_key(),
            kind: Kind::Leaf,
            purposes: Purposes { client: true, server: false },
            names: vec![AltName::Uri(uri)],
            assurance: device.assurance,
        })
    }
}

impl InfrastructureCa {
    /// An operator's certificate: its SPIFFE id as the only name, for the client end of TLS.
    pub fn issue_operator(&self, csr: &Csr, operator: &OperatorIdentity) -> Result<Issued, PkiError> {
        let principal = &operator.principal;
        if !principal.role.fits_tenant(principal.tenant.is_some()) {
            return Err(PkiError::Role);
        }
        let domain = self.certificate().trust_domain();
        let uri = spiffe::operator_uri(domain, principal.role, principal.tenant.as_ref(), &principal.name)
            .map_err(PkiError::Uri)?;
        self.issue(&Order {
            serial: principal.serial,
            common_name: None,
            validity: operator.validity,
            key: csr.public_key(),
            kind: Kind::Leaf,
            purposes: Purposes { client: true, server: false },
            names: vec![AltName::Uri(uri)],
            assurance: None,
        })
    }

    /// The authority's own server certificate, for the server end of TLS.
    pub fn issue_server(&self, csr: &Csr, server: &ServerIdentity) -> Result<Issued, PkiError> {
        if !(1..=ServerIdentity::MAX_NAMES).contains(&server.names.len()) {
            return Err(PkiError::ServerNames);
        }
        self.issue(&Order {
            serial: server.serial,
            common_name: None,
            validity: server.validity,
            key: csr.public_key(),
            kind: Kind::Leaf,
            purposes: Purposes { client: false, server: true },
            names: server.names.iter().cloned().map(AltName::Server).collect(),
            assurance: None,
        })
    }
}

impl<R: CaRole> CaKey<R> {
    /// Builds, lints and signs what is ordered of this CA.
    pub(crate) fn issue(&self, order: &Order<'_>) -> Result<Issued, PkiError> {
        issue(self.key(), order, &self.certificate().issuer())
    }
}

/// Builds what is ordered, lints it as the bytes to be signed, and signs it with `key`.
pub(crate) fn issue(
    key: &P256SigningKey,
    order: &Order<'_>,
    issuer: &Issuer<'_>,
) -> Result<Issued, PkiError> {
    let (params, issuer_params) = (order.params()?, issuer.params());
    let signer = LintingSigner {
        key,
        public: PublicKey::from(*key.verifying_key()),
        order,
        issuer,
        outcome: RefCell::new(Err(PkiError::Encoding)),
    };
    let built = params.signed_by(order.key, &rcgen::Issuer::from_params(&issuer_params, &signer));
    let linted = signer.outcome.into_inner()?;
    let certificate = built.map_err(|_| PkiError::Encoding)?;
    Issued::assembled(certificate.der().to_vec(), &linted)
}

/// The signer that rcgen is given: it lints what it is to sign, and refuses what breaks a rule.
struct LintingSigner<'a> {
    key: &'a P256SigningKey,
    public: PublicKey,
    order: &'a Order<'a>,
    issuer: &'a Issuer<'a>,
    /// The bytes that were linted and signed, or why there are none; rcgen's errors cannot carry ours.
    outcome: RefCell<Result<Vec<u8>, PkiError>>,
}

impl LintingSigner<'_> {
    fn lint_and_sign(&self, tbs: &[u8]) -> Result<Vec<u8>, PkiError> {
        let lint = |error: LintError| PkiError::Lint(error);
        sign(self.key, lint::check(tbs, self.order, self.issuer).map_err(lint)?)
    }
}

impl PublicKeyData for LintingSigner<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl SigningKey for LintingSigner<'_> {
    fn sign(&self, tbs: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.lint_and_sign(tbs);
        let outcome = signature.as_ref().map(|_| tbs.to_vec()).map_err(|error| *error);
        *self.outcome.borrow_mut() = outcome;
        signature.map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// The only use of a CA's key for certificates: it takes nothing but what passed the lint.
fn sign(key: &P256SigningKey, linted: Linted<'_>) -> Result<Vec<u8>, PkiError> {
    key.sign(linted.into_bytes()).map_err(|_| PkiError::Signing)
}
