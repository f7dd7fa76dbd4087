//! A founded authority with a tenant and a station, and devices.

use std::sync::Arc;
use wardein_crypto::{P256SigningKey, P256VerifyingKey, Secret, Signer, SystemEntropy};
use wardein_ddkg::device::{Acknowledged, Clock, DeviceState, Enrolling, InFlight};
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, EnrollReply, FileStanza, ProofRequest, SealedPayload, Token,
};
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName, Purposes, Suite};
use wardein_domain::{AuditEntry, Call, Event, Field, LoginNames, Principal, Right, Role, TenantId};
use wardein_engine::{
    Acceptance, AuditFilter, CaKeys, Caller, Engine, EnrollOrder, Error, GrantOrder, OperatorOrder, Ports,
    Proved, found_with,
};
use wardein_pki::Csr;
use wardein_port::{Clock as _, Row, Signers, Store, Table};
use wardein_testkit::{CrashPoint, MemoryCustody, MemoryStore, TestClock};

pub(crate) const START: u64 = 1_790_000_000;
/// Where a process may die over a commit.
pub(crate) const CRASH_POINTS: [CrashPoint; 3] =
    [CrashPoint::BeforeApply, CrashPoint::DurableNotProjected, CrashPoint::AfterApply];
pub(crate) const ROOT_KEY: [u8; 32] = [7; 32];

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) clock: TestClock,
    /// The CAs' keys that are in another process.
    pub(crate) signers: Arc<dyn Signers>,
    pub(crate) engine: Engine,
    pub(crate) admin: Caller,
    pub(crate) station: Caller,
    pub(crate) platform: Caller,
}

pub(crate) fn caller(principal: Principal) -> Caller {
    Caller { principal, call: Call::new("test") }
}

/// The fields of an entry, as `wardein audit list` has them.
pub(crate) fn facts(entry: &AuditEntry) -> String {
    let fact = |field: &Field| match &field.before {
        Some(before) => format!("{}: {before} → {}", field.name, field.value),
        None => format!("{}={}", field.name, field.value),
    };
    entry.fields.iter().map(fact).collect::<Vec<_>>().join(", ")
}

pub(crate) fn csr() -> Vec<u8> {
    Csr::create(&P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()).unwrap()
}

pub(crate) fn order(role: Role, tenant: Option<&str>, name: &str) -> OperatorOrder {
    OperatorOrder {
        role,
        tenant: tenant.map(|tenant| tenant.parse().unwrap()),
        name: name.parse().unwrap(),
        csr: csr(),
        validity: 30 * 86_400,
        quota: if role == Role::Station { 100 } else { 0 },
    }
}

pub(crate) fn name(tenant: &str, device: &str) -> DeviceName {
    DeviceName { tenant: tenant.parse().unwrap(), device: device.parse().unwrap() }
}

impl World {
    /// An authority with tenant `klinik`, a station and a platform in it.
    pub(crate) async fn new() -> Self {
        Self::founded(CaKeys::default(), Vec::new()).await
    }

    /// The same with these keys of its CAs.
    pub(crate) async fn founded(ca_keys: CaKeys, signers: Vec<Arc<dyn Signer>>) -> Self {
        Self::founded_by(ca_keys, Arc::new(signers)).await
    }

    /// The same with a store of keys in another process.
    pub(crate) async fn founded_by(ca_keys: CaKeys, signers: Arc<dyn Signers>) -> Self {
        let (store, clock) = (MemoryStore::new(), TestClock::at(START));
        let (ports, key) = (ports(&store, &clock), Secret::copied_from(&ROOT_KEY));
        let domain = "wardein.example".parse().unwrap();
        let founded = found_with(&ports, key, domain, ca_keys).await.unwrap();
        let engine = opened(&store, &clock, &signers).await;
        let admin = caller(founded.admin.clone());
        engine.create_tenant(&admin, "klinik".parse().unwrap()).await.unwrap();
        let issue = async |role, name: &str| {
            let (_, operator) =
                engine.issue_operator(&admin, order(role, Some("klinik"), name)).await.unwrap();
            caller(operator.principal)
        };
        let (station, platform) = (issue(Role::Station, "line-1").await, issue(Role::Platform, "iot").await);
        Self { store, clock, signers, engine, admin, station, platform }
    }

    /// The same authority after its process was started again.
    pub(crate) async fn restart(&mut self) {
        self.store = self.store.restart();
        self.engine = opened(&self.store, &self.clock, &self.signers).await;
    }

    /// The administrator accepts the wall clock.
    pub(crate) async fn accept_clock(&self) -> Result<Acceptance, Error> {
        self.engine.look_at_clock().await.unwrap();
        self.engine.accept_clock(&self.admin, self.clock.wall_ms()).await
    }

    /// Another engine over the same store, with these keys of CAs.
    pub(crate) async fn reopened(&self, signers: Vec<Arc<dyn Signer>>) -> Result<Engine, Error> {
        reopened(&self.store.restart(), &self.clock, &(Arc::new(signers) as Arc<dyn Signers>)).await
    }

    pub(crate) fn tenant(&self) -> TenantId {
        "klinik".parse().unwrap()
    }

    /// Grants the platform `iot` a right over all devices.
    pub(crate) async fn grant(&self, right: Right) {
        self.engine.add_grant(&self.admin, grant(right, None), LoginNames::default()).await.unwrap();
    }

    /// All that is stored, but for the audit log.
    pub(crate) async fn rows(&self) -> Vec<(Vec<u8>, Row)> {
        let mut rows = Vec::new();
        for table in Table::ALL {
            rows.extend(self.store.scan(table, b"", None, usize::MAX).await.unwrap());
        }
        rows
    }

    /// The entries of one event, oldest first.
    pub(crate) async fn entries(&self, event: Event) -> Vec<AuditEntry> {
        let (entries, _) =
            self.engine.list_audit(&self.admin, AuditFilter::default(), 1, 1000).await.unwrap();
        entries.into_iter().map(|(_, entry)| entry).filter(|entry| entry.event == event).collect()
    }

    /// A device that is enrolled and has proved itself.
    pub(crate) async fn proven(&self, id: &str) -> TestDevice {
        let mut device = self.device(id).await;
        device.prove(&self.engine, "authenticate", b"").await.unwrap();
        device
    }

    /// A device that is enrolled and confirmed.
    pub(crate) async fn device(&self, id: &str) -> TestDevice {
        let mut device = TestDevice::begin(&self.engine, id);
        let reply = self.engine.enroll(&self.station, device.order()).await.unwrap();
        let tag = device.finish(&reply);
        self.engine.confirm(&self.station, id.parse().unwrap(), tag).await.unwrap();
        device
    }
}

/// An engine over these, without custody.
pub(crate) async fn open(store: &MemoryStore, clock: &TestClock) -> Engine {
    let none: Arc<dyn Signers> = Arc::new(Vec::new());
    opened(store, clock, &none).await
}

async fn opened(store: &MemoryStore, clock: &TestClock, signers: &Arc<dyn Signers>) -> Engine {
    reopened(store, clock, signers).await.unwrap()
}

async fn reopened(
    store: &MemoryStore,
    clock: &TestClock,
    signers: &Arc<dyn Signers>,
) -> Result<Engine, Error> {
    let ports = Ports { signers: signers.clone(), ..ports(store, clock) };
    Engine::open(ports, MemoryCustody::of(ROOT_KEY).root_keys()).await
}

/// An engine over these, with what custody keeps.
pub(crate) async fn open_under(
    store: &MemoryStore,
    clock: &TestClock,
    custody: &MemoryCustody,
) -> Result<Engine, Error> {
    let ports = Ports { custody: Some(Arc::new(custody.clone())), ..ports(store, clock) };
    Engine::open(ports, custody.root_keys()).await
}

pub(crate) fn ports(store: &MemoryStore, clock: &TestClock) -> Ports {
    Ports::new(Arc::new(store.clone()), clock.clone())
}

/// The order of a grant to `iot`.
pub(crate) fn grant(right: Right, profile: Option<&str>) -> GrantOrder {
    let profile = profile.map(|profile| profile.parse().unwrap());
    GrantOrder { tenant: "klinik".parse().unwrap(), platform: "iot".parse().unwrap(), right, profile }
}

/// A device in memory, with the attribute `firmware`.
pub(crate) struct TestDevice {
    pub(crate) name: DeviceName,
    enrolling: Option<Enrolling>,
    pub(crate) state: Option<DeviceState>,
    pub(crate) measured: AttributeDigests,
}

impl TestDevice {
    pub(crate) fn begin(engine: &Engine, id: &str) -> Self {
        let mut attributes = Attributes::new();
        attributes.insert("firmware".parse().unwrap(), b"1.0").unwrap();
        let (name, measured) = (name("klinik", id), attributes.digests());
        let identity = P256VerifyingKey(engine.trust_bundle().identity_key);
        let enrolling =
            Enrolling::begin(identity, Suite::P256, name.clone(), attributes, &mut SystemEntropy::default());
        Self { name, enrolling: Some(enrolling.unwrap()), state: None, measured }
    }

    pub(crate) fn order(&self) -> EnrollOrder {
        let request = self.enrolling.as_ref().unwrap().request();
        EnrollOrder {
            device: request.device.device.clone(),
            suite: request.share.suite().number().into(),
            nonce: request.nonce,
            share: request.share.as_bytes().to_vec(),
            attributes: request.attributes.clone(),
            profile: "default".parse().unwrap(),
            model: Some("pump".parse().unwrap()),
            udi: None,
        }
    }

    /// Takes in the reply; what is to be confirmed with.
    pub(crate) fn finish(&mut self, reply: &EnrollReply) -> [u8; 32] {
        let mut state = self.enrolling.take().unwrap().finish(reply, Purposes::ENROLLED).unwrap();
        let confirmation = state.confirmation().unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        self.state = Some(state);
        confirmation.tag.0
    }

    /// A proof of `action` for a fresh challenge, and what is needed to believe the reply.
    pub(crate) fn proof(&mut self, engine: &Engine, action: &str, body: &[u8]) -> (ProofRequest, InFlight) {
        let state = self.state.as_mut().unwrap();
        let ask = state.ask_challenge();
        let offer: ChallengeOffer = engine.challenge(&self.name).unwrap();
        let entropy = &mut SystemEntropy::default();
        let proved =
            state.prove(ask, &offer, &self.measured, action.parse().unwrap(), body, entropy).unwrap();
        proved.save(|_| Ok::<_, ()>(())).unwrap()
    }

    /// Proves, and believes the reply.
    pub(crate) async fn prove(
        &mut self,
        engine: &Engine,
        action: &str,
        body: &[u8],
    ) -> Result<Acknowledged, Error> {
        self.hear(engine, action, body).await.map(|(acknowledged, _)| acknowledged)
    }

    /// The same, with whether the device is to rekey.
    pub(crate) async fn hear(
        &mut self,
        engine: &Engine,
        action: &str,
        body: &[u8],
    ) -> Result<(Acknowledged, bool), Error> {
        let (request, in_flight) = self.proof(engine, action, body);
        let Proved { reply, rekey_due, .. } =
            engine.prove(&Call::new("test"), request, body.to_vec()).await?;
        Ok((self.acknowledge(in_flight, reply), rekey_due))
    }

    pub(crate) fn acknowledge(&mut self, in_flight: InFlight, reply: AckedReply) -> Acknowledged {
        let state = self.state.as_mut().unwrap();
        state.acknowledge(in_flight, reply).unwrap().save(|_| Ok::<_, ()>(())).unwrap()
    }

    /// A proof of `rekey` for a fresh challenge, with its body.
    pub(crate) fn rekey_proof(&mut self, engine: &Engine, suite: Suite) -> (ProofRequest, Vec<u8>, InFlight) {
        let state = self.state.as_mut().unwrap();
        let ask = state.ask_challenge();
        let offer = engine.challenge(&self.name).unwrap();
        let proved = state.rekey(ask, &offer, &self.measured, suite, &mut SystemEntropy::default());
        let (request, ask, in_flight) = proved.unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        (request, ask.encode(), in_flight)
    }

    /// Agrees on a generation and goes over to it.
    pub(crate) async fn rekey(&mut self, engine: &Engine, suite: Suite) -> Result<(), Error> {
        let (request, body, in_flight) = self.rekey_proof(engine, suite);
        let proved = engine.prove(&Call::new("test"), request, body).await?;
        self.acknowledge(in_flight, proved.reply);
        Ok(())
    }

    /// A token for `iot`, made when the device has counted `elapsed` seconds since its last ack.
    pub(crate) fn token(&mut self, nonce: &[u8], elapsed: u64) -> Token {
        let clock = Clock { elapsed, wall: None };
        let token = self.state.as_mut().unwrap().token(clock, "iot".parse().unwrap(), nonce).unwrap();
        token.save(|_| Ok::<_, ()>(())).unwrap()
    }

    /// A payload under a key of its own, with the additional data `log`.
    pub(crate) fn seal(&mut self, plaintext: &[u8], elapsed: u64) -> SealedPayload {
        let (clock, entropy) = (Clock { elapsed, wall: None }, &mut SystemEntropy::default());
        let sealed = self.state.as_mut().unwrap().seal(clock, b"log", plaintext, entropy).unwrap();
        sealed.save(|_| Ok::<_, ()>(())).unwrap()
    }

    /// The key of a file, wrapped.
    pub(crate) fn wrap(&mut self, file_key: [u8; 16]) -> FileStanza {
        let clock = Clock { elapsed: 0, wall: None };
        let stanza =
            self.state.as_mut().unwrap().wrap_file_key(clock, &Secret::copied_from(&file_key)).unwrap();
        stanza.save(|_| Ok::<_, ()>(())).unwrap()
    }

    /// A copy of the device's state, as a thief would have it.
    pub(crate) fn copied(&mut self) -> Self {
        let mut bytes = Vec::new();
        let state = self.state.as_mut().unwrap();
        // A number that was taken but not reserved would make the copy look older than it is.
        let audience = "copy".parse().unwrap();
        let clock = Clock { elapsed: 0, wall: None };
        while bytes.is_empty() {
            let token = state.token(clock, std::clone::Clone::clone(&audience), b"").unwrap();
            token
                .save(|saved| {
                    bytes = saved.expose().to_vec();
                    Ok::<_, ()>(())
                })
                .unwrap();
        }
        let state = Some(DeviceState::restore(&bytes, 0).unwrap());
        Self { name: self.name.clone(), enrolling: None, state, measured: self.measured.clone() }
    }
}
