//! An authority in memory, served over real TLS on loopback.

pub(crate) mod device;
pub(crate) mod full;
pub(crate) mod http1;
pub(crate) mod raw;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{oneshot, watch};
use wardein_client::{ConnectError, Connection, Identity, Settings, connect, number, time, v1};
use wardein_crypto::{P256SigningKey, Secret, SecretBytes};
use wardein_domain::Role;
use wardein_engine::{Engine, Founded, Ports, found};
use wardein_pki::est::Lines;
use wardein_pki::{Csr, parse_operator, pem};
use wardein_server::{Config, EstConfig, Limits, Metrics, ServeError, Server, SinkConfig, TraceConfig};
use wardein_testkit::{MemoryCustody, MemoryStore, TestClock};

pub(crate) struct Served {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) est: SocketAddr,
    pub(crate) founded: Founded,
    pub(crate) clock: TestClock,
    pub(crate) store: MemoryStore,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

#[expect(clippy::disallowed_methods, reason = "a test's own clock")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Served {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default(), 0).await
    }

    /// An authority that was founded `age` seconds ago.
    pub(crate) async fn with(limits: Limits, age: u64) -> Self {
        Self::founded(limits, now() - age, age).await
    }

    /// An authority that is founded at `time`, and begins to serve `later`.
    pub(crate) async fn founded(limits: Limits, time: u64, later: u64) -> Self {
        Self::serve(limits, time, later, |ports| ports).await
    }

    /// One that has so many keys of each size ready for devices that cannot make one.
    pub(crate) async fn with_made_keys(keys: usize) -> Self {
        Self::serve_with(Limits::default(), (now(), 0), keys, |ports| ports).await
    }

    /// The same over the ports that `with` makes of them.
    pub(crate) async fn serve(
        limits: Limits,
        time: u64,
        later: u64,
        with: impl FnOnce(Ports) -> Ports,
    ) -> Self {
        Self::serve_with(limits, (time, later), 0, with).await
    }

    async fn serve_with(
        limits: Limits,
        (time, later): (u64, u64),
        keys: usize,
        with: impl FnOnce(Ports) -> Ports,
    ) -> Self {
        Self::serve_as(limits, (time, later), keys, with, |server| server).await
    }

    /// One that delivers its audit log.
    pub(crate) async fn with_sinks(sinks: Vec<SinkConfig>, reopen: watch::Receiver<u64>) -> Self {
        let with = |server: Server| server.deliver_audit(sinks, reopen);
        Self::serve_as(Limits::default(), (now(), 0), 0, |ports| ports, with).await
    }

    /// One that delivers spans.
    pub(crate) async fn with_traces(traces: TraceConfig) -> Self {
        let with = |server: Server| server.deliver_traces(traces);
        Self::serve_as(Limits::default(), (now(), 0), 0, |ports| ports, with).await
    }

    async fn serve_as(
        limits: Limits,
        (time, later): (u64, u64),
        keys: usize,
        with: impl FnOnce(Ports) -> Ports,
        server_with: impl FnOnce(Server) -> Server,
    ) -> Self {
        let (clock, store) = (TestClock::at(time), MemoryStore::new());
        let metrics = Arc::new(Metrics::new().unwrap());
        let metered = metrics.clone();
        let ports = with(Ports {
            meter: Some(Arc::new(move |took, is_applied| metered.committed(took, is_applied))),
            ..Ports::new(Arc::new(store.clone()), clock.clone())
        });
        let key = Secret::copied_from(&ROOT_KEY);
        let founded = found(&ports, key, "wardein.test".parse().unwrap()).await.unwrap();
        clock.pass(later);
        let root_keys = MemoryCustody::of(ROOT_KEY).root_keys();
        let engine = Arc::new(Engine::open(ports, root_keys).await.unwrap());
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            http: "127.0.0.1:0".parse().unwrap(),
            names: vec!["localhost".parse().unwrap(), "127.0.0.1".parse().unwrap()],
            endpoint: ENDPOINT.to_owned(),
            est: Some(EstConfig { listen: "127.0.0.1:0".parse().unwrap(), lines: Lines::Of64 }),
            made_keys: keys,
            workers: 2,
            store_name: "memory",
            limits,
        };
        let server = server_with(Server::bind(config, engine, metrics).unwrap());
        let (grpc, http) = (server.grpc_address().unwrap(), server.http_address().unwrap());
        let est = server.est_address().unwrap().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || server.run(async { drop(stopped.await) }));
        Self { grpc, http, est, founded, clock, store, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn settings(&self, identity: Option<Identity>) -> Settings {
        let roots = self.founded.infrastructure_pem.clone().into_bytes();
        let mut settings = Settings::new(format!("https://{}", self.grpc), roots);
        settings.identity = identity;
        settings.request_timeout = Duration::from_secs(10);
        settings
    }

    pub(crate) async fn connect(&self, identity: Option<Identity>) -> Result<Connection, ConnectError> {
        connect(&self.settings(identity)).await
    }

    pub(crate) fn admin(&self) -> Identity {
        let key = pem::encode_private_key(self.founded.admin_key.expose()).unwrap();
        Identity { certificates: self.founded.admin_certificate_pem.clone().into_bytes(), key }
    }

    /// A tenant `t`, and an operator of each role.
    pub(crate) async fn operators(&self) -> Vec<(Role, Connection)> {
        let admin = self.connect(Some(self.admin())).await.unwrap();
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        let mut operators = Vec::new();
        for role in Role::ALL {
            let identity = issue(&admin, role).await;
            operators.push((role, self.connect(Some(identity)).await.unwrap()));
        }
        operators
    }

    pub(crate) fn stop(&mut self) -> Result<(), ServeError> {
        drop(self.stop.take());
        self.thread.take().expect("stopped once").join().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

pub(crate) async fn issue(admin: &Connection, role: Role) -> Identity {
    let order = v1::IssueOperatorRequest {
        role: number::<v1::Role>(role.as_str()),
        tenant: if role.fits_tenant(true) { "t".into() } else { String::new() },
        name: format!("test-{role}"),
        csr: Vec::new(),
        validity: time::span(3600),
        quota: if role == Role::Station { 100 } else { 0 },
    };
    issue_as(admin, order).await
}

/// Has `order` issued, for a key that is made here.
pub(crate) async fn issue_as(admin: &Connection, order: v1::IssueOperatorRequest) -> Identity {
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    let order = v1::IssueOperatorRequest { csr, ..order };
    let issued = admin.admin().issue_operator(order).await.unwrap().into_inner();
    let key: SecretBytes = pem::encode_private_key(pkcs8.expose()).unwrap();
    Identity { certificates: issued.certificate_pem.into_bytes(), key }
}

pub(crate) fn copied(identity: &Identity) -> Identity {
    let Identity { certificates, key } = identity;
    Identity { certificates: certificates.clone(), key: SecretBytes::from_vec(key.expose().to_vec()) }
}

pub(crate) async fn revoke(by: &Connection, identity: &Identity) {
    let text = std::str::from_utf8(&identity.certificates).unwrap();
    let leaf = pem::decode_certificates(text).unwrap().remove(0);
    let operator = parse_operator(&"wardein.test".parse().unwrap(), &leaf).unwrap();
    let (serial, reason) = (operator.principal.serial.to_string(), "test".into());
    let revoke = v1::RevokeOperatorRequest { serial, reason, with_issued: false };
    assert_eq!(by.admin().revoke_operator(revoke).await.unwrap().into_inner().revoked, 1);
}

/// Where it is said to be, which is not where it is.
pub(crate) const ENDPOINT: &str = "https://authority.test:7443";

pub(crate) const ROOT_KEY: [u8; 32] = [7; 32];
