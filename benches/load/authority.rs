//! The authority under load, composed as the binary composes it: SQLite on disk, or PostgreSQL where `WARDEIN_LOAD_STORE` says so, with
//! as many nodes as `WARDEIN_LOAD_NODES` says; the edge, one runtime per core and node.

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
    /// Of each node.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) est: SocketAddr,
    pub(crate) founded: Founded,
    /// A certificate and key for the echo, of the same kind as the authority's own.
    pub(crate) twin: ServerIdentity,
    pub(crate) infrastructure_ca: Vec<u8>,
    nodes: Vec<Node>,
    directory: TempDir,
    /// The server of the store, where it has one: on the same cores.
    database: Option<Postgres>,
}

/// A server of the authority.
struct Node {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), ServeError>>,
}

/// How many nodes serve; more than one only from PostgreSQL.
pub(crate) fn nodes() -> usize {
    std::env::var("WARDEIN_LOAD_NODES").map_or(1, |count| count.parse().expect("a number of nodes"))
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

/// The stores of all nodes, their name, and the server that they are in.
fn stored(directory: &Path) -> (Vec<Arc<dyn Store>>, &'static str, Option<Postgres>) {
    if std::env::var_os("WARDEIN_LOAD_STORE").is_some_and(|store| store == "postgresql") {
        let server = Postgres::start().expect("PostgreSQL is installed");
        let address = Address::parse(&server.database(), None, None).unwrap();
        postgres::create(&address, None).unwrap();
        let open = |_| -> Arc<dyn Store> {
            Arc::new(PostgresStore::open(&address, "load", Sharing::Shared).unwrap())
        };
        return ((0..nodes()).map(open).collect(), "postgresql", Some(server));
    }
    assert_eq!(nodes(), 1, "several nodes need WARDEIN_LOAD_STORE=postgresql");
    let path = directory.join(Kind::Sqlite.file_name());
    let store = wardein_store::open(Kind::Sqlite, &path, &Options::default()).unwrap();
    (vec![store], Kind::Sqlite.name(), None)
}

impl Authority {
    pub(crate) async fn start() -> Self {
        // Beneath the build's directory, for the system's temporary one is memory on many machines.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        log_into(directory.path());
        let (stores, store_name, database) = stored(directory.path());
        let custody = MemoryCustody::of(ROOT_KEY);
        let ports = |store: &Arc<dyn Store>, metrics: &Arc<Metrics>| {
            let metered = metrics.clone();
            Ports {
                custody: Some(Arc::new(custody.clone())),
                meter: Some(Arc::new(move |took, is_applied| metered.committed(took, is_applied))),
                ..Ports::new(store.clone(), SystemClock)
            }
        };
        let unmetered = Arc::new(Metrics::new().unwrap());
        let key = Secret::copied_from(&ROOT_KEY);
        let founding = ports(&stores[0], &unmetered);
        let founded = found(&founding, key, "load.test".parse().unwrap()).await.unwrap();
        drop(founding);
        let (mut served, mut nodes) = (Vec::new(), Vec::new());
        for store in &stores {
            let metrics = Arc::new(Metrics::new().unwrap());
            let engine = Arc::new(Engine::open(ports(store, &metrics), custody.root_keys()).await.unwrap());
            served.push((engine, metrics));
        }
        let names = vec!["127.0.0.1".parse().unwrap()];
        let twin = served[0].0.issue_server_identity(&names).await.unwrap();
        let infrastructure_ca = served[0].0.infrastructure_ca().unwrap();
        // Rates guard against one peer; here one peer is all the load there is.
        let unbounded = Rate { per_second: 0, burst: 1 };
        let config = || Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            http: "127.0.0.1:0".parse().unwrap(),
            names: names.clone(),
            endpoint: "https://127.0.0.1".to_owned(),
            est: Some(EstConfig { listen: "127.0.0.1:0".parse().unwrap(), lines: Lines::One }),
            made_keys: 0,
            workers: 0,
            store_name,
            limits: Limits { open: unbounded, operator: unbounded, ..Limits::default() },
        };
        let (mut addresses, mut est) = (Vec::new(), None);
        for (engine, metrics) in served {
            let server = Server::bind(config(), engine, metrics).unwrap();
            addresses.push(server.grpc_address().unwrap());
            est = est.or(server.est_address().unwrap());
            let (stop, stopped) = oneshot::channel::<()>();
            let thread = std::thread::spawn(move || server.run(async { drop(stopped.await) }));
            nodes.push(Node { stop, thread });
        }
        let est = est.unwrap();
        Self { addresses, est, founded, twin, infrastructure_ca, nodes, directory, database }
    }

    /// How many bytes the database has written ahead, where there is one.
    pub(crate) fn written_ahead(&self) -> Option<u64> {
        let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8";
        self.database.as_ref().map(|server| server.sql("postgres", sql).trim().parse().unwrap())
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

    pub(crate) fn stop(self) {
        for Node { stop, thread } in self.nodes {
            drop(stop);
            if let Err(error) = thread.join().unwrap() {
                println!("a node did not stop in order: {error}");
            }
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

pub(crate) async fn issue(admin: &Connection, tenant: &TenantId, role: Role) -> Operator {
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
