//! Founding: everything that an authority starts with, in one change.

use crate::access::operators::MAX_VALIDITY;
use crate::issue::authority::{ServerIdentity, pem_of, place};
use crate::issue::serial::new_serial;
use crate::keep::migrate::name_format;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Decision, Draw, Engine, Error, Ports};
use crate::rows::seal::Keyring;
use crate::rows::{self, AUTHORITY, AuthorityRow, Link, OperatorRow};
use tokio::sync::oneshot;
use wardein_crypto::{P256SigningKey, Secret, SecretBytes};
use wardein_domain::{ErrorCode, Event, FieldName, OperatorName, Principal, Role, TrustDomain, UnixSeconds};
use wardein_pki::{
    Csr, INTERMEDIATE_LIFETIME, InfrastructureCa, OperatorIdentity, ROOT_LIFETIME, RootCa, ServerName,
    Validity,
};
use wardein_port::{Change, CommitError, Store, Table};

/// The files that founding leaves outside of the store.
pub struct Founded {
    /// The root CA, PEM.
    pub root_pem: String,
    /// Root and infrastructure CA, PEM: clients verify the server with them.
    pub infrastructure_pem: String,
    /// Root and issuing CA, PEM: they verify devices' certificates.
    pub bundle_pem: String,
    /// The identity key that devices pin, an uncompressed P-256 point.
    pub identity_key: [u8; 65],
    /// The first administrator's certificate followed by its CA's, PEM.
    pub admin_certificate_pem: String,
    /// The first administrator's key, PKCS#8 DER.
    pub admin_key: SecretBytes,
    /// The first administrator.
    pub admin: Principal,
}

/// Seconds for which a server's certificate is valid: 30 days. A new one is made at each start.
const SERVER_LIFETIME: u64 = 30 * 86_400;

/// Founds an authority in an empty store, under version 1 of a root key that custody keeps.
pub async fn found(ports: &Ports, root_key: Secret<32>, trust_domain: TrustDomain) -> Result<Founded, Error> {
    let store = &*ports.store;
    if store.head().await?.revision != 0 {
        return Err(Error::new(ErrorCode::FoundedAlready, "the store already holds an authority"));
    }
    let (now_ms, mut draw) = (ports.clock.now_ms(), Draw::new(&*ports.entropy));
    let now = now_ms / 1000;
    let keys = NewKeys::generate(&mut draw)?;
    let valid = |lifetime| Validity::starting(now, lifetime).map_err(Error::internal);
    let root =
        RootCa::found(&trust_domain, signing_key(&keys.root)?, new_serial(&mut draw)?, valid(ROOT_LIFETIME)?)
            .map_err(Error::internal)?;
    let below = valid(INTERMEDIATE_LIFETIME)?;
    let issuing = root
        .found_issuing(signing_key(&keys.issuing)?, new_serial(&mut draw)?, below)
        .map_err(Error::internal)?;
    let infrastructure = root
        .found_infrastructure(signing_key(&keys.infrastructure)?, new_serial(&mut draw)?, below)
        .map_err(Error::internal)?;
    let ders = [root.certificate().der(), issuing.certificate().der(), infrastructure.certificate().der()];

    let sealed = keys.seal(&draw, &Keyring::new(1, root_key), now, &trust_domain, ders)?;
    let mut change = Change::default();
    change.insert(Table::Authority, AUTHORITY.to_vec(), rows::encode(&sealed)?);
    name_format(&mut change)?;
    let name: OperatorName = "admin".parse().expect("the constant is an operator's name");
    let administrator = NewAdministrator::certify(&infrastructure, name, now, below, &mut draw, &mut change)?;
    let identity_key = signing_key(&keys.identity)?.verifying_key().0;
    let founded = Founded::new(ders, identity_key, administrator)?;
    let entry = record::of_system(now_ms, Event::Founded)
        .with(FieldName::TrustDomain, &trust_domain)
        .with(FieldName::Administrator, founded.admin.serial);
    change.record(&entry)?;
    commit(store, change).await.map_err(|error| match error {
        CommitError::Conflict { .. } => {
            Error::new(ErrorCode::FoundedAlready, "another process is founding an authority in this store")
        }
        error => error.into(),
    })?;

    Ok(founded)
}

impl Founded {
    /// Of the certificates of root, issuing and infrastructure CA.
    pub(crate) fn new(
        [root_der, issuing_der, infrastructure_der]: [&[u8]; 3],
        identity_key: [u8; 65],
        NewAdministrator { principal, key, der }: NewAdministrator,
    ) -> Result<Self, Error> {
        Ok(Self {
            root_pem: pem_of([root_der])?,
            infrastructure_pem: pem_of([root_der, infrastructure_der])?,
            bundle_pem: pem_of([root_der, issuing_der])?,
            identity_key,
            admin_certificate_pem: pem_of([&der, infrastructure_der])?,
            admin_key: key,
            admin: principal,
        })
    }
}

impl Engine {
    /// A new key and certificate of a server for `names`; its serial is on record before it is used.
    pub async fn issue_server_identity(&self, names: &[ServerName]) -> Result<ServerIdentity, Error> {
        let validity = self.infrastructure_validity(SERVER_LIFETIME)?;
        let key = new_key()?;
        let csr = own_csr(&key)?;
        let leaf = self
            .transact(|tx| {
                let serial = new_serial(tx.draw())?;
                let server = wardein_pki::ServerIdentity { serial, names: names.to_vec(), validity };
                let issued = self
                    .authority
                    .infrastructure
                    .issue_server(&csr, &server)
                    .map_err(|error| Error::new(error.code(), error))?;
                let mut change = Change::default();
                change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(b"server"));
                let entry = record::of_system(self.clock.now_ms(), Event::ServerCertified)
                    .with(FieldName::Serial, serial)
                    .with(FieldName::NotAfter, validity.not_after());
                change.record(&entry)?;
                Ok(Decision::new(change, issued.into_der()))
            })
            .await?;
        let chain = vec![leaf, self.infrastructure_ca().to_vec()];
        Ok(ServerIdentity { chain, key, not_after: validity.not_after() })
    }

    /// From now for `lifetime` seconds, and no longer than the infrastructure CA is valid.
    pub(crate) fn infrastructure_validity(&self, lifetime: u64) -> Result<Validity, Error> {
        Validity::starting(self.now(), lifetime)
            .and_then(|validity| validity.within(self.authority.infrastructure.certificate().validity()))
            .map_err(Error::internal)
    }

    /// The infrastructure CA's certificate, DER: it verifies operators' certificates.
    pub fn infrastructure_ca(&self) -> &[u8] {
        self.authority.infrastructure.certificate().der()
    }
}

/// The keys that an authority starts with, each a PKCS#8 document.
struct NewKeys {
    root: SecretBytes,
    issuing: SecretBytes,
    infrastructure: SecretBytes,
    identity: SecretBytes,
    challenge: Secret<32>,
}

impl NewKeys {
    fn generate(draw: &mut Draw<'_>) -> Result<Self, Error> {
        Ok(Self {
            root: new_key()?,
            issuing: new_key()?,
            infrastructure: new_key()?,
            identity: new_key()?,
            challenge: draw.hidden()?,
        })
    }

    fn seal(
        &self,
        draw: &Draw<'_>,
        sealing: &Keyring,
        founded_at: u64,
        trust_domain: &TrustDomain,
        [root_der, issuing_der, infrastructure_der]: [&[u8]; 3],
    ) -> Result<AuthorityRow, Error> {
        let seal = |column, key: &[u8]| sealing.seal(draw.nonce()?, place(column), key);
        Ok(AuthorityRow {
            trust_domain: trust_domain.clone(),
            founded_at: UnixSeconds::new(founded_at),
            restored_at: UnixSeconds::default(),
            root_der: root_der.to_vec(),
            issuing_der: issuing_der.to_vec(),
            infrastructure_der: infrastructure_der.to_vec(),
            root_key: seal("root", self.root.expose())?,
            issuing_key: seal("issuing", self.issuing.expose())?,
            infrastructure_key: seal("infrastructure", self.infrastructure.expose())?,
            identity_key: seal("identity", self.identity.expose())?,
            challenge_key: seal("challenge", self.challenge.expose())?,
        })
    }
}

/// An administrator whom nobody issued.
pub(crate) struct NewAdministrator {
    principal: Principal,
    key: SecretBytes,
    /// The certificate.
    der: Vec<u8>,
}

impl NewAdministrator {
    /// Makes a key and certifies it from Unix second `now` on, for as long as is allowed and within the CA's validity; `change`
    /// puts the administrator on record.
    pub(crate) fn certify(
        infrastructure: &InfrastructureCa,
        name: OperatorName,
        now: u64,
        ca: Validity,
        draw: &mut Draw<'_>,
        change: &mut Change,
    ) -> Result<Self, Error> {
        let validity = Validity::starting(now, MAX_VALIDITY).and_then(|validity| validity.within(ca));
        let validity = validity.map_err(|_| {
            let message = format_args!(
                "the clock says Unix second {now}, when the authority's CA is not valid; correct the clock"
            );
            Error::new(ErrorCode::ClockWrong, message)
        })?;
        let principal = Principal { role: Role::Admin, tenant: None, name, serial: new_serial(draw)? };
        let key = new_key()?;
        let identity = OperatorIdentity { principal: principal.clone(), validity };
        let issued = infrastructure.issue_operator(&own_csr(&key)?, &identity).map_err(Error::internal)?;
        let serial = principal.serial.as_bytes().to_vec();
        let row = OperatorRow::new(&principal, validity, 0);
        change.insert(Table::Operator, serial.clone(), rows::encode(&row)?);
        let name_key = rows::operator_name_key(principal.role, None, &principal.name);
        change.insert(Table::OperatorName, name_key.clone(), Link::encode(&serial));
        change.insert(Table::Serial, serial, Link::encode(&name_key));
        Ok(Self { principal, key, der: issued.into_der() })
    }
}

/// Commits a change in a store that no engine serves.
pub(crate) async fn commit(store: &dyn Store, change: Change) -> Result<u64, CommitError> {
    let (tell, told) = oneshot::channel();
    store.commit(
        change,
        Box::new(move |outcome| {
            // The caller may be gone.
            let _ = tell.send(outcome);
        }),
    );
    let unknown = |_| Err(CommitError::Unknown("the store ended without an answer".into()));
    told.await.unwrap_or_else(unknown)
}

/// A request for a key of our own; it goes the same way as any other.
fn own_csr(key: &SecretBytes) -> Result<Csr, Error> {
    let der = Csr::create(&signing_key(key)?).map_err(Error::internal)?;
    Csr::parse(&der).map_err(Error::internal)
}

fn new_key() -> Result<SecretBytes, Error> {
    P256SigningKey::generate_pkcs8().map_err(|_| no_entropy())
}

fn signing_key(pkcs8: &SecretBytes) -> Result<P256SigningKey, Error> {
    P256SigningKey::from_pkcs8(pkcs8).map_err(|_| Error::internal("a key that was just made is damaged"))
}

fn no_entropy() -> Error {
    Error::internal("no entropy for keys")
}
