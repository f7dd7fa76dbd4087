//! Founding: everything that an authority starts with, in one change.

use crate::access::operators::MAX_VALIDITY;
use crate::issue::authority::{ServerIdentity, pem_of, place};
use crate::issue::ca_keys::{CaKeys, NewCaKey};
use crate::issue::prepared::Certified;
use crate::issue::serial::new_serial;
use crate::keep::clock::{ca_not_valid, founded_clock};
use crate::keep::migrate::name_format;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Decision, Draw, Engine, Error, Ports};
use crate::project::reading;
use crate::rows::seal::Keyring;
use crate::rows::{self, AUTHORITY, AuthorityRow, CLOCK_KEY, IssuingCaRow, Link, OperatorRow, PreparedRow};
use tokio::sync::oneshot;
use wardein_crypto::{P256SigningKey, Secret, SecretBytes, Signer};
use wardein_domain::{
    CaId, CaState, ErrorCode, Event, FieldName, KeyPurposes, OperatorName, Principal, Role, Serial,
    TrustDomain, UnixSeconds,
};
use wardein_pki::{
    CaKey, CaRole, CertificateOrder, Csr, INTERMEDIATE_LIFETIME, InfrastructureCa, Issued, IssuingCa,
    OperatorIdentity, PkiError, ROOT_LIFETIME, RootCa, ServerName, ToBeSigned, Validity, pem,
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
    /// Unix seconds until which it is certified.
    pub admin_not_after: u64,
}

/// Seconds for which a server's certificate is valid: 30 days. A new one is made at each start.
const SERVER_LIFETIME: u64 = 30 * 86_400;

/// Founds an authority in an empty store, under version 1 of a root key that custody keeps.
pub async fn found(ports: &Ports, root_key: Secret<32>, trust_domain: TrustDomain) -> Result<Founded, Error> {
    found_with(ports, root_key, trust_domain, CaKeys::default()).await
}

/// The same with these keys of its CAs. One whose founding was cut short begins with another empty store.
pub async fn found_with(
    ports: &Ports,
    root_key: Secret<32>,
    trust_domain: TrustDomain,
    ca_keys: CaKeys,
) -> Result<Founded, Error> {
    let store = &*ports.store;
    if store.head().await?.revision != 0 {
        return Err(Error::new(ErrorCode::FoundedAlready, "the store already holds an authority"));
    }
    let purposes = if ca_keys.devices_serve { KeyPurposes::EVERY } else { KeyPurposes::CLIENT };
    let (clock, mut draw) = (founded_clock(reading(&*ports.clock)), Draw::new(&*ports.entropy));
    let (now_ms, now) = (clock.at.get(), clock.at.seconds().get());
    let keys = NewKeys::generate(ca_keys, &mut draw)?;
    let mut offline = Offline::new(store, now, now);
    let valid = |lifetime| Validity::starting(now, lifetime).map_err(Error::internal);
    let root_signer = &keys.root.signer;
    let itself =
        RootCa::prepare_itself(&trust_domain, root_signer, new_serial(&mut draw)?, valid(ROOT_LIFETIME)?);
    let root = offline.sign_itself(root_signer, itself.map_err(Error::internal)?).await?;
    let root = RootCa::load(root_signer.clone(), root.der()).map_err(Error::internal)?;
    let below = valid(INTERMEDIATE_LIFETIME)?;
    let key = keys.issuing.signer.verifying_key();
    let serial = new_serial(&mut draw)?;
    let order = root.issuing_order(&key, purposes, serial, below).map_err(Error::internal)?;
    let issuing = offline.sign(&root, &order).await?;
    let issuing = IssuingCa::load(keys.issuing.signer.clone(), issuing.der()).map_err(Error::internal)?;
    let key = keys.infrastructure.signer.verifying_key();
    let order = root.infrastructure_order(&key, new_serial(&mut draw)?, below).map_err(Error::internal)?;
    let infrastructure = offline.sign(&root, &order).await?;
    let infrastructure = InfrastructureCa::load(keys.infrastructure.signer.clone(), infrastructure.der())
        .map_err(Error::internal)?;
    let ders = [root.certificate().der(), infrastructure.certificate().der()];

    let sealing = Keyring::new(1, root_key);
    let sealed = keys.seal(&draw, &sealing, now, &trust_domain, ders)?;
    let mut change = Change::default();
    let id = CaId::new(*issuing.certificate().key_id());
    let key = keys.issuing.column(&sealing, draw.nonce()?, &id)?;
    let (der, made_at) = (issuing.certificate().der().to_vec(), UnixSeconds::new(now));
    let (tenant, state, cross) = (None, CaState::Active, Vec::new());
    let row = IssuingCaRow { tenant, state, der, key, made_at, since: made_at, cross };
    change.insert(Table::IssuingCa, id.as_bytes().to_vec(), rows::encode(&row)?);
    change.insert(Table::Authority, AUTHORITY.to_vec(), rows::encode(&sealed)?);
    change.insert(Table::Authority, CLOCK_KEY.to_vec(), rows::encode(&clock)?);
    name_format(&mut change)?;
    let name: OperatorName = "admin".parse().expect("the constant is an operator's name");
    let administrator = NewAdministrator { name, lifetime: MAX_VALIDITY };
    let administrator = administrator.certify(&infrastructure, &mut draw, &mut offline, &mut change).await?;
    offline.end(&mut change);
    let identity_key = signing_key(&keys.identity)?.verifying_key().0;
    let published = vec![issuing.certificate().der().to_vec()];
    let founded = Founded::new(ders, published, identity_key, administrator)?;
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
    /// Of the certificates of root and infrastructure CA, and those of the issuing CAs that are published.
    pub(crate) fn new(
        [root_der, infrastructure_der]: [&[u8]; 2],
        published: Vec<Vec<u8>>,
        identity_key: [u8; 65],
        Administrator { principal, validity, key, der }: Administrator,
    ) -> Result<Self, Error> {
        Ok(Self {
            root_pem: pem_of([root_der])?,
            infrastructure_pem: pem_of([root_der, infrastructure_der])?,
            bundle_pem: pem::encode_certificates(
                [root_der].into_iter().chain(published.iter().map(Vec::as_slice)),
            )
            .map_err(Error::internal)?,
            identity_key,
            admin_certificate_pem: pem_of([&der, infrastructure_der])?,
            admin_key: key,
            admin: principal,
            admin_not_after: validity.not_after(),
        })
    }
}

impl Engine {
    /// A new key and certificate of a server for `names`; its serial is on record before it is used.
    pub async fn issue_server_identity(&self, names: &[ServerName]) -> Result<ServerIdentity, Error> {
        let validity = self.server_validity(SERVER_LIFETIME)?;
        self.server_names.are(names);
        let key = new_key()?;
        let csr = own_csr(&key)?;
        let infrastructure = self.memory.infrastructure()?;
        let certified = self
            .transact(|tx| {
                let serial = new_serial(tx.draw())?;
                let server = wardein_pki::ServerIdentity { serial, names: names.to_vec(), validity };
                let order = infrastructure
                    .server_order(&csr, &server)
                    .map_err(|error| Error::new(error.code(), error))?;
                // Without it the authority does not start, which needs to be done on a full disk too.
                let mut change = Change { may_use_reserve: true, ..Change::default() };
                let certified = self.certify(&infrastructure, &order, &mut change)?;
                change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(b"server"));
                let entry = record::of_system(self.clock.now_ms(), Event::ServerCertified)
                    .with(FieldName::Serial, serial)
                    .with(FieldName::NotAfter, validity.not_after());
                change.record(&entry)?;
                Ok(Decision::new(change, certified))
            })
            .await?;
        let leaf = match certified {
            Certified::Signed(issued) => issued,
            Certified::Prepared(tbs) => self.complete(&infrastructure, tbs, |_, _, _| Ok(())).await?,
        };
        let mut chain = vec![leaf.into_der(), infrastructure.certificate().der().to_vec()];
        // For who trusts the former root alone.
        chain.extend(self.authority.former.as_ref().map(|former| former.new_with_old.clone()));
        Ok(ServerIdentity { chain, key, not_after: validity.not_after() })
    }

    /// From now for `lifetime` seconds, and no longer than the infrastructure CA is valid.
    pub(crate) fn infrastructure_validity(&self, lifetime: u64) -> Result<Validity, Error> {
        let ca = self.memory.infrastructure()?.certificate().validity();
        Validity::starting(self.now(), lifetime)
            .and_then(|validity| validity.within(ca))
            .map_err(|_| ca_not_valid(self.now()))
    }

    /// The infrastructure CA's certificate, DER: it verifies operators' certificates. When it is certified again, it keeps its key and
    /// its name.
    pub fn infrastructure_ca(&self) -> Result<Vec<u8>, Error> {
        Ok(self.memory.infrastructure()?.certificate().der().to_vec())
    }
}

/// The keys that an authority starts with, each a PKCS#8 document.
struct NewKeys {
    root: NewCaKey,
    issuing: NewCaKey,
    infrastructure: NewCaKey,
    identity: SecretBytes,
    challenge: Secret<32>,
}

impl NewKeys {
    fn generate(ca_keys: CaKeys, draw: &mut Draw<'_>) -> Result<Self, Error> {
        let CaKeys { root, issuing, infrastructure, devices_serve: _ } = ca_keys;
        Ok(Self {
            root: NewCaKey::of(root)?,
            issuing: NewCaKey::of(issuing)?,
            infrastructure: NewCaKey::of(infrastructure)?,
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
        [root_der, infrastructure_der]: [&[u8]; 2],
    ) -> Result<AuthorityRow, Error> {
        let seal = |column, key: &[u8]| sealing.seal(draw.nonce()?, place(column), key);
        let seal_ca = |column, key: &NewCaKey| match &key.document {
            Some(document) => seal(column, document.expose()),
            None => Ok(Vec::new()),
        };
        Ok(AuthorityRow {
            trust_domain: trust_domain.clone(),
            founded_at: UnixSeconds::new(founded_at),
            restored_at: UnixSeconds::default(),
            root_der: root_der.to_vec(),
            issuing_der: Vec::new(),
            infrastructure_der: infrastructure_der.to_vec(),
            root_key: seal_ca("root", &self.root)?,
            issuing_key: Vec::new(),
            infrastructure_key: seal_ca("infrastructure", &self.infrastructure)?,
            identity_key: seal("identity", self.identity.expose())?,
            challenge_key: seal("challenge", self.challenge.expose())?,
        })
    }
}

/// An administrator whom nobody issues, to be made.
pub(crate) struct NewAdministrator {
    pub(crate) name: OperatorName,
    /// For how many seconds, within the CA's validity.
    pub(crate) lifetime: u64,
}

/// The same with its key and certificate.
pub(crate) struct Administrator {
    pub(crate) principal: Principal,
    pub(crate) validity: Validity,
    key: SecretBytes,
    /// The certificate.
    pub(crate) der: Vec<u8>,
}

impl NewAdministrator {
    /// Makes a key and certifies it from now on; `change` puts the administrator on record.
    pub(crate) async fn certify(
        self,
        infrastructure: &InfrastructureCa,
        draw: &mut Draw<'_>,
        offline: &mut Offline<'_>,
        change: &mut Change,
    ) -> Result<Administrator, Error> {
        let (Self { name, lifetime }, Offline { now, wall, .. }) = (self, &*offline);
        let ca = infrastructure.certificate().validity();
        if !ca.contains(*wall) {
            let message = format_args!(
                "the clock says Unix second {wall}, when the authority's CA is not valid; correct the clock"
            );
            return Err(Error::new(ErrorCode::ClockWrong, message));
        }
        // By both: with it the wall clock can be accepted.
        let validity = Validity::starting(*now.min(wall), now.abs_diff(*wall).saturating_add(lifetime))
            .and_then(|validity| validity.within(ca))
            .map_err(Error::internal)?;
        let principal = Principal { role: Role::Admin, tenant: None, name, serial: new_serial(draw)? };
        let key = new_key()?;
        let identity = OperatorIdentity { principal: principal.clone(), validity };
        let order = infrastructure.operator_order(&own_csr(&key)?, &identity).map_err(Error::internal)?;
        let issued = offline.sign(infrastructure, &order).await?;
        let serial = principal.serial.as_bytes().to_vec();
        let row = OperatorRow::new(&principal, validity, 0, None);
        change.insert(Table::Operator, serial.clone(), rows::encode(&row)?);
        change.insert(Table::TenantOperator, rows::tenant_operator_key(&principal), rows::encode(&())?);
        let name_key = rows::operator_name_key(principal.role, None, &principal.name);
        change.insert(Table::OperatorName, name_key.clone(), Link::encode(&serial));
        change.insert(Table::Serial, serial, Link::encode(&name_key));
        Ok(Administrator { principal, validity, key, der: issued.into_der() })
    }
}

/// Signing for a store that no engine serves. What a key in another process is to sign is on record before, in a change of its
/// own.
pub(crate) struct Offline<'a> {
    store: &'a dyn Store,
    /// The authority's time, in Unix seconds.
    now: u64,
    /// The wall clock, in Unix seconds.
    wall: u64,
    /// The certificates on record, with the versions of their rows.
    prepared: Vec<(Serial, u64)>,
}

impl<'a> Offline<'a> {
    pub(crate) fn new(store: &'a dyn Store, now: u64, wall: u64) -> Self {
        Self { store, now, wall, prepared: Vec::new() }
    }

    pub(crate) async fn sign<R: CaRole>(
        &mut self,
        ca: &CaKey<R>,
        order: &CertificateOrder<R>,
    ) -> Result<Issued, Error> {
        let tbs = ca.prepare(order).map_err(Error::internal)?;
        let signed = if ca.is_external() {
            self.record(&tbs).await?;
            tbs.recorded_assertion().sign(ca)
        } else {
            tbs.sign(ca)
        };
        signed.map_err(failed)
    }

    /// A root's own certificate.
    pub(crate) async fn sign_itself(
        &mut self,
        signer: &dyn Signer,
        tbs: ToBeSigned<wardein_pki::Root>,
    ) -> Result<Issued, Error> {
        let signed = if signer.is_external() {
            self.record(&tbs).await?;
            tbs.recorded_assertion().sign_itself(signer)
        } else {
            tbs.sign_itself(signer)
        };
        signed.map_err(failed)
    }

    async fn record<R: CaRole>(&mut self, tbs: &ToBeSigned<R>) -> Result<(), Error> {
        let row = PreparedRow { at: UnixSeconds::new(self.now), tbs: tbs.bytes().to_vec() };
        let mut change = Change::default();
        change.insert(Table::Prepared, tbs.serial().as_bytes().to_vec(), rows::encode(&row)?);
        let version = commit(self.store, change).await?;
        self.prepared.push((tbs.serial(), version));
        Ok(())
    }

    /// Removes the records of what is complete.
    pub(crate) fn end(self, change: &mut Change) {
        for (serial, version) in self.prepared {
            change.delete(Table::Prepared, serial.as_bytes().to_vec(), version);
        }
    }
}

fn failed(error: PkiError) -> Error {
    match error {
        PkiError::Signing => {
            Error::new(ErrorCode::SignerUnavailable, "the store of the CA's key does not sign")
        }
        error => Error::internal(error),
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
