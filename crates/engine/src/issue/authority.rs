//! The authority's own keys, opened: the CAs that it issues with, the identity key, the challenge key.

use crate::issue::ca_keys::signer_of;
use crate::kernel::Error;
use crate::rows::seal::{Keyring, Place};
use crate::rows::{AUTHORITY, AuthorityRow};
use std::sync::Arc;
use wardein_crypto::{P256SigningKey, Secret, SecretBytes, Signer, SigningKey};
use wardein_ddkg::ChallengeKey;
use wardein_domain::{TrustDomain, UnixSeconds};
use wardein_pki::{CaCertificate, CaKey, CaRole, InfrastructureCa, IssuingCa, pem};
use wardein_port::Table;

/// The certificates and keys with which devices and platforms verify.
#[derive(Debug, Clone)]
pub struct TrustBundle {
    /// Root and issuing CA, PEM, root first.
    pub pem: String,
    /// The identity key, an uncompressed P-256 point.
    pub identity_key: [u8; 65],
}

pub(crate) struct Authority {
    pub(crate) trust_domain: TrustDomain,
    /// Certifies devices.
    pub(crate) issuing: IssuingCa,
    /// Certifies operators and servers.
    pub(crate) infrastructure: InfrastructureCa,
    /// Signs enrollments; devices pin it.
    pub(crate) identity: P256SigningKey,
    /// As in its row.
    pub(crate) restored_at: UnixSeconds,
    pub(crate) bundle: TrustBundle,
}

/// A server's TLS identity: made at each start, and never stored.
pub struct ServerIdentity {
    /// The chain, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
    /// The key, PKCS#8 DER.
    pub key: SecretBytes,
    /// Unix seconds until which it is valid.
    pub not_after: u64,
}

impl Authority {
    /// `signers` have the CAs' keys that are in another process.
    pub(crate) fn open(
        root: &Keyring,
        row: &AuthorityRow,
        signers: &[Arc<dyn Signer>],
    ) -> Result<Self, Error> {
        let identity = root.open(place("identity"), &row.identity_key)?;
        let identity = P256SigningKey::from_pkcs8(&identity).map_err(|_| damaged())?;
        let ca = |column, sealed| Opening { root, column, sealed, signers };
        Ok(Self {
            trust_domain: row.trust_domain.clone(),
            issuing: ca("issuing", &row.issuing_key).load(&row.issuing_der)?,
            infrastructure: ca("infrastructure", &row.infrastructure_key).load(&row.infrastructure_der)?,
            bundle: TrustBundle {
                pem: pem_of([&row.root_der[..], &row.issuing_der])?,
                identity_key: identity.verifying_key().0,
            },
            identity,
            restored_at: row.restored_at,
        })
    }

    /// The reply body of the action `certificate`: the certificates, leaf first, each framed (DDKG-1 §8). The root is not among
    /// them: every verifier that trusts it has it.
    pub(crate) fn device_chain(&self, leaf: &[u8]) -> Vec<u8> {
        let issuing = self.issuing.certificate().der();
        let mut out = Vec::with_capacity(8 + leaf.len() + issuing.len());
        for der in [leaf, issuing] {
            out.extend_from_slice(&(der.len() as u32).to_be_bytes());
            out.extend_from_slice(der);
        }
        out
    }

    /// An operator's certificate followed by its CA's, PEM.
    pub(crate) fn operator_chain(&self, leaf: &[u8]) -> Result<String, Error> {
        pem_of([leaf, self.infrastructure.certificate().der()])
    }
}

impl AuthorityRow {
    /// The key that challenges are made with.
    pub(crate) fn open_challenge_key(&self, root: &Keyring) -> Result<ChallengeKey, Error> {
        let key = root.open(place("challenge"), &self.challenge_key)?;
        let key = key.expose().try_into().map_err(|_| damaged())?;
        Ok(ChallengeKey::new(Secret::copied_from(key)))
    }
}

/// The key of a CA, to be opened.
struct Opening<'a> {
    root: &'a Keyring,
    column: &'static str,
    /// Empty where the key is in another process.
    sealed: &'a [u8],
    signers: &'a [Arc<dyn Signer>],
}

impl Opening<'_> {
    /// The CA of a certificate, which says by which algorithm it signs.
    fn load<R: CaRole>(self, der: &[u8]) -> Result<CaKey<R>, Error> {
        let certificate = CaCertificate::<R>::parse(der).map_err(Error::internal)?;
        let key = certificate.verifying_key();
        let signer: Arc<dyn Signer> = if self.sealed.is_empty() {
            signer_of(self.signers, key)?
        } else {
            let document = self.root.open(place(self.column), self.sealed)?;
            Arc::new(SigningKey::from_pkcs8(key.algorithm(), &document).map_err(|_| damaged())?)
        };
        CaKey::load(signer, der).map_err(Error::internal)
    }
}

/// Certificates as PEM.
pub(crate) fn pem_of<const N: usize>(ders: [&[u8]; N]) -> Result<String, Error> {
    pem::encode_certificates(ders).map_err(Error::internal)
}

/// Where the authority's sealed keys belong.
pub(crate) fn place(column: &'static str) -> Place<'static> {
    Place { table: Table::Authority, key: AUTHORITY, column }
}

fn damaged() -> Error {
    Error::internal("the authority's keys are damaged")
}
