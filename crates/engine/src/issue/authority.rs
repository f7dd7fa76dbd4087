//! The authority's own keys, opened: what stays as long as it runs, and how the rest is opened for memory (`project`).

use crate::issue::ca_keys::ca_of;
use crate::issue::crl::CrlFile;
use crate::kernel::Error;
use crate::project::KnownCa;
use crate::rows::seal::{Keyring, Place};
use crate::rows::{self, AUTHORITY, AuthorityRow, FORMER_ROOT_KEY, FormerRootRow, ROOTS_KEY, RootsRow};
use std::sync::Arc;
use wardein_crypto::{P256SigningKey, Secret, SecretBytes};
use wardein_ddkg::ChallengeKey;
use wardein_domain::{TrustDomain, UnixSeconds};
use wardein_pki::{
    CaCertificate, CaKey, CaRole, InfrastructureCa, Issuing, Root, RootCa, issuer_key_id, pem,
};
use wardein_port::{Signers, Store, Table};

/// The certificates and keys with which devices and platforms verify.
#[derive(Debug, Clone)]
pub struct TrustBundle {
    /// The root, and the issuing CAs that are published, PEM, root first.
    pub pem: String,
    /// The identity key, an uncompressed P-256 point.
    pub identity_key: [u8; 65],
}

pub(crate) struct Authority {
    pub(crate) trust_domain: TrustDomain,
    /// Signs enrollments; devices pin it.
    pub(crate) identity: P256SigningKey,
    /// As in its row.
    pub(crate) restored_at: UnixSeconds,
    /// Signs CAs.
    pub(crate) root: CaCertificate<Root>,
    /// The one before, as long as it is trusted.
    pub(crate) former: Option<FormerRoot>,
    /// The number of this state of the roots.
    pub(crate) roots_sequence: u64,
}

/// The root before the present one. Its key is erased.
pub(crate) struct FormerRoot {
    pub(crate) certificate: CaCertificate<Root>,
    old_with_new: Vec<u8>,
    /// The present root, certified by it.
    pub(crate) new_with_old: Vec<u8>,
    /// The last list that it signed.
    pub(crate) crl: Arc<CrlFile>,
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
    pub(crate) fn open(root: &Keyring, row: &AuthorityRow) -> Result<Self, Error> {
        let identity = root.open(place("identity"), &row.identity_key)?;
        let identity = P256SigningKey::from_pkcs8(&identity).map_err(|_| damaged())?;
        Ok(Self {
            trust_domain: row.trust_domain.clone(),
            root: CaCertificate::parse(&row.root_der).map_err(Error::internal)?,
            identity,
            restored_at: row.restored_at,
            former: None,
            roots_sequence: 0,
        })
    }

    /// What is beside the row: the former root, and the number of this state of the roots.
    pub(crate) async fn complete(&mut self, store: &dyn Store) -> Result<(), Error> {
        self.former = FormerRoot::load(store).await?;
        let (_, changed) = roots_changed(store).await?;
        self.roots_sequence = roots_sequence(&self.root, self.restored_at, changed);
        Ok(())
    }

    /// The certificate by which what is under a CA leads to the root that did not certify it, where there are two.
    pub(crate) fn link(&self, ca: &CaCertificate<Issuing>) -> Option<&[u8]> {
        let former = self.former.as_ref()?;
        let is_under_former = issuer_key_id(ca.der()).is_ok_and(|id| id == *former.certificate.key_id());
        Some(if is_under_former { &former.old_with_new } else { &former.new_with_old })
    }
}

impl FormerRoot {
    /// The one on record, if there is one.
    pub(crate) async fn load(store: &dyn Store) -> Result<Option<Self>, Error> {
        let row: Option<(u64, FormerRootRow)> = rows::load(store, Table::Authority, FORMER_ROOT_KEY).await?;
        let Some((_, FormerRootRow { der, old_with_new, new_with_old, crl })) = row else { return Ok(None) };
        let certificate = CaCertificate::parse(&der).map_err(Error::internal)?;
        let crl = Arc::new(CrlFile::read(crl)?);
        Ok(Some(Self { certificate, old_with_new, new_with_old, crl }))
    }
}

/// The number of the last change of the roots, with the version of its row; none before the first one.
pub(crate) async fn roots_changed(store: &dyn Store) -> Result<(Option<u64>, Option<u64>), Error> {
    let row: Option<(u64, RootsRow)> = rows::load(store, Table::Authority, ROOTS_KEY).await?;
    Ok(row.map(|(version, row)| (version, row.sequence)).unzip())
}

/// The number of a state of the roots: it rises when they change, and when another state is restored. All of it counts in seconds, so that
/// what was restored is later than what was there before.
pub(crate) fn roots_sequence(
    root: &CaCertificate<Root>,
    restored_at: UnixSeconds,
    changed: Option<u64>,
) -> u64 {
    changed.unwrap_or(root.validity().not_before()).max(restored_at.get())
}

impl AuthorityRow {
    /// The CA of operators and servers.
    pub(crate) fn open_infrastructure(
        &self,
        root: &Keyring,
        signers: &dyn Signers,
    ) -> Result<InfrastructureCa, Error> {
        self.open_ca(root, signers, ("infrastructure", &self.infrastructure_key), &self.infrastructure_der)
    }

    /// The root, which signs CAs.
    pub(crate) fn open_root(&self, root: &Keyring, signers: &dyn Signers) -> Result<RootCa, Error> {
        self.open_ca(root, signers, ("root", &self.root_key), &self.root_der)
    }

    fn open_ca<R: CaRole>(
        &self,
        root: &Keyring,
        signers: &dyn Signers,
        (column, sealed): (&'static str, &[u8]),
        der: &[u8],
    ) -> Result<CaKey<R>, Error> {
        let is_here = !sealed.is_empty();
        let document = is_here.then(|| root.open(place(column), sealed)).transpose()?;
        ca_of(document, signers, der)
    }

    /// The key that challenges are made with.
    pub(crate) fn open_challenge_key(&self, root: &Keyring) -> Result<ChallengeKey, Error> {
        let key = root.open(place("challenge"), &self.challenge_key)?;
        let key = key.expose().try_into().map_err(|_| damaged())?;
        Ok(ChallengeKey::new(Secret::copied_from(key)))
    }
}

impl Authority {
    /// The reply body of the action `certificate`: the certificates, leaf first, each framed (DDKG-1 §8). Those that lead to the root of
    /// another PKI come before the CA's own: of two issuers of one name OpenSSL takes the first that it is sent, and who trusts this
    /// authority has the CA beside the root (the trust bundle). No root is among them: every verifier that trusts it has it.
    pub(crate) fn device_chain(&self, issuing: &KnownCa, leaf: &[u8], now: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for der in self.chain(issuing, leaf, now) {
            out.extend_from_slice(&(der.len() as u32).to_be_bytes());
            out.extend_from_slice(der);
        }
        out
    }

    /// The same in PEM.
    pub(crate) fn platform_chain(&self, issuing: &KnownCa, leaf: &[u8], now: u64) -> Result<String, Error> {
        pem::encode_certificates(self.chain(issuing, leaf, now)).map_err(Error::internal)
    }

    fn chain<'a>(&'a self, issuing: &'a KnownCa, leaf: &'a [u8], now: u64) -> impl Iterator<Item = &'a [u8]> {
        let cross = issuing.cross_at(now).iter().map(Vec::as_slice);
        let (own, link) = (issuing.certificate.der(), self.link(&issuing.certificate));
        [leaf].into_iter().chain(cross).chain([own]).chain(link)
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
