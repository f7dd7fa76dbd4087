//! The authority under load, composed as the binary composes it: SQLite on disk, or PostgreSQL where `WARDEIN_LOAD_STORE` says so; the
//! edge, one runtime per core.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::sync::oneshot;
use wardein_client::{Connection, Identity, number, time, v1};
use wardein_crypto::{P256SigningKey, P256VerifyingKey, Secret, SecretBytes};
use wardein_domain::{Role, TenantId};
use wardein_engine::{Engine, Founded, Ports, ServerIdentity, found};
use wardein_pki::est::Lines;
use wardein_pki::{Csr, pem};
use wardein_port::{Store, SystemClock};
use wardein_server::{Config, EstConfig, Limits, Metrics, Rate, ServeError, Server};
use wardein_store::postgres::{self, Address, PostgresStore, Sharing};
use wardein_store::{Kind, Options};
use wardein_testkit::{MemoryCustody, Postgres};

/// A running authority in a directory of its own.
pub(crate) struct Authority {
    pub(crate) address: SocketAddr,
    pub(crate) est: SocketAddr,
    pub(crate) founded: Founded,
    /// A certificate and key for the echo, of the same kind as the authority's own.
    pub(crate) twin: ServerIdentity,
    pub(crate) infrastructure_ca: Vec<u8>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    directory: TempDir,
    /// The server of the store, where it has one: on the same cores.
    _database: Option<Postgres>,
}

/// Whom to connect as.
pub(crate) struct Operator {
    certificates: Vec<u8>,
    key: SecretBytes,
}

impl Operator {
    pub(crate) fn identity(&self) -> Identity {
        Identity {
            certificates: self.certificates.clone(),
            key: SecretBytes::from_vec(self.key.expose().to_vec()),
        }
    }
}

/// The store, its name, and the server that it is in.
fn stored(directory: &Path) -> (Arc<dyn Store>, &'static str, Option<Postgres>) {
    if std::env::var_os("WARDEIN_LOAD_STORE").is_some_and(|store| store == "postgresql") {
        let server = Postgres::start().expect("PostgreSQL is installed");
        let address = Address::parse(&server.database(), None, None).unwrap();
        postgres::create(&address, None).unwrap();
        let store = PostgresStore::open(&address, "load", Sharing::Shared).unwrap();
        return (Arc::new(store), "postgresql", Some(server));
    }
    let path = directory.join(Kind::Sqlite.file_name());
    let store = wardein_store::open(Kind::Sqlite, &path, &Options::default()).unwrap();
    (store, Kind::Sqlite.name(), None)
}

impl Authority {
    pub(crate) async fn start() -> Self {
        // Beneath the build's directory, for the system's temporary one is memory on many machines.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        log_into(directory.path());
        let (store, store_name, database) = stored(directory.path());
        let custody = MemoryCustody::of(ROOT_KEY);
        let metrics = Arc::new(Metrics::new().unwrap());
        let metered = metrics.clone();
        let ports = Ports {
            custody: Some(Arc::new(custody.clone())),
            meter: Some(Arc::new(move |took, is_applied| metered.committed(took, is_applied))),
            ..Ports::new(store, SystemClock)
        };
        let key = Secret::copied_from(&ROOT_KEY);
        let founded = found(&ports, key, "load.test".parse().unwrap()).await.unwrap();
        let engine = Arc::new(Engine::open(ports, custody.root_keys()).await.unwrap());
        let names = vec!["127.0.0.1".parse().unwrap()];
        let twin = engine.issue_server_identity(&names).await.unwrap();
        let infrastructure_ca = engine.infrastructure_ca().unwrap();
        // Rates guard against one peer; here one peer is all the load there is.
        let unbounded = Rate { per_second: 0, burst: 1 };
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            http: "127.0.0.1:0".parse().unwrap(),
            names,
            endpoint: "https://127.0.0.1".to_owned(),
            est: Some(EstConfig { listen: "127.0.0.1:0".parse().unwrap(), lines: Lines::One }),
            made_keys: 0,
            workers: 0,
            store_name,
            limits: Limits { open: unbounded, operator: unbounded, ..Limits::default() },
        };
        let server = Server::bind(config, engine, metrics).unwrap();
        let address = server.grpc_address().unwrap();
        let est = server.est_address().unwrap().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || server.run(async { drop(stopped.await) }));
        let (stop, thread) = (Some(stop), Some(thread));
        Self { address, est, founded, twin, infrastructure_ca, stop, thread, directory, _database: database }
    }

    pub(crate) fn roots(&self) -> Vec<u8> {
        self.founded.infrastructure_pem.clone().into_bytes()
    }

    pub(crate) fn identity_key(&self) -> P256VerifyingKey {
        P256VerifyingKey(self.founded.identity_key)
    }

    pub(crate) fn admin(&self) -> Operator {
        let certificates = self.founded.admin_certificate_pem.clone().into_bytes();
        Operator { certificates, key: pem::encode_private_key(self.founded.admin_key.expose()).unwrap() }
    }

    /// Where the store and the log lie.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn stop(mut self) {
        drop(self.stop.take());
        if let Some(Err(error)) = self.thread.take().map(|thread| thread.join().unwrap()) {
            println!("the authority did not stop in order: {error}");
        }
    }
}

/// Logs as the binary does by default: what a call's log line costs belongs to the call.
fn log_into(directory: &Path) {
    let file = File::create(directory.join("log")).unwrap();
    let level = tracing_subscriber::EnvFilter::new("info");
    tracing_subscriber::fmt().with_env_filter(level).with_ansi(false).with_writer(Mutex::new(file)).init();
}

/// A tenant, with the platform and the station that put the load on; the platform may have payloads opened.
pub(crate) async fn operators(admin: &Connection, tenant: &TenantId) -> [Operator; 2] {
    let request = v1::CreateTenantRequest { tenant: tenant.to_string() };
    admin.admin().create_tenant(request).await.unwrap();
    let operators = [issue(admin, tenant, Role::Platform).await, issue(admin, tenant, Role::Station).await];
    let grant = v1::Grant {
        tenant: tenant.to_string(),
        platform: format!("load-{}", Role::Platform),
        right: v1::Right::Open.into(),
        ..v1::Grant::default()
    };
    admin.admin().add_grant(v1::AddGrantRequest { grant: Some(grant) }).await.unwrap();
    operators
}

async fn issue(admin: &Connection, tenant: &TenantId, role: Role) -> Operator {
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    let order = v1::IssueOperatorRequest {
        role: number::<v1::Role>(role.as_str()),
        tenant: tenant.to_string(),
        name: format!("load-{role}"),
        csr,
        validity: time::span(3600),
        quota: if role == Role::Station { 1_000_000 } else { 0 },
    };
    let issued = admin.admin().issue_operator(order).await.unwrap().into_inner();
    let key = pem::encode_private_key(pkcs8.expose()).unwrap();
    Operator { certificates: issued.certificate_pem.into_bytes(), key }
}

const ROOT_KEY: [u8; 32] = [7; 32];
