//! An authority in memory with a tenant, its people and a device, and a place for the adapter's files.

use crate::device::TestDevice;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;
use wardein_client::{Connection, Identity, Settings, connect, number, time, v1};
use wardein_crypto::{P256SigningKey, Secret};
use wardein_ddkg::message::{Admitted, VisitEnd, VisitProtocol};
use wardein_domain::Role;
use wardein_engine::{Engine, Ports, found};
use wardein_pki::{Csr, pem};
use wardein_server::{Config, Limits, Metrics, Server};
use wardein_testkit::{MemoryCustody, MemoryStore, TestClock};

#[expect(clippy::disallowed_methods, reason = "a test's own clock")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) endpoint: String,
    pub(crate) clock: TestClock,
    infrastructure: String,
    admin: Connection,
    pub(crate) site: Connection,
    pub(crate) technician: Connection,
    pub(crate) device: TestDevice,
    _stop: oneshot::Sender<()>,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let clock = TestClock::at(now());
        let ports = Ports::new(Arc::new(MemoryStore::new()), clock.clone());
        let founded =
            found(&ports, Secret::copied_from(&ROOT_KEY), "wardein.test".parse().unwrap()).await.unwrap();
        let engine = Arc::new(Engine::open(ports, MemoryCustody::of(ROOT_KEY).root_keys()).await.unwrap());
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            http: "127.0.0.1:0".parse().unwrap(),
            names: vec!["127.0.0.1".parse().unwrap()],
            endpoint: "https://authority.test:7443".to_owned(),
            est: None,
            made_keys: 0,
            workers: 1,
            store_name: "memory",
            limits: Limits::default(),
        };
        let server = Server::bind(config, engine, Arc::new(Metrics::new().unwrap())).unwrap();
        let endpoint = format!("https://{}", server.grpc_address().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || server.run(async { drop(stopped.await) }));
        let key = pem::encode_private_key(founded.admin_key.expose()).unwrap();
        let identity = Identity { certificates: founded.admin_certificate_pem.clone().into_bytes(), key };
        let infrastructure = founded.infrastructure_pem.clone();
        let reach = async |identity: Identity| {
            let mut settings = Settings::new(endpoint.clone(), infrastructure.clone().into_bytes());
            settings.identity = Some(identity);
            settings.request_timeout = Duration::from_secs(10);
            connect(&settings).await.unwrap()
        };
        let admin = reach(identity).await;
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        let station = reach(issue(&admin, Role::Station, "line").await).await;
        let site = reach(issue(&admin, Role::Site, "sina").await).await;
        let technician = reach(issue(&admin, Role::Technician, "eva").await).await;
        let device = TestDevice::enrolled(&station, "pump-1").await;
        let directory = tempfile::tempdir().unwrap();
        let place =
            Self { directory, endpoint, clock, infrastructure, admin, site, technician, device, _stop: stop };
        let carla = issue(&place.admin, Role::ServiceCoordinator, "carla").await;
        fs::create_dir(place.path("identity")).unwrap();
        place.write("identity/operator.pem", &carla.certificates);
        place.write("identity/operator.key", carla.key.expose());
        place.write("identity/infrastructure.pem", place.infrastructure.as_bytes());
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file that its owner alone may read.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        write_private(&self.path(name), bytes);
    }

    /// The beginning of a configuration.
    pub(crate) fn general(&self) -> String {
        format!(
            "identity = {:?}\nendpoint = {:?}\nstate = {:?}\nsettle = 0\nscope = \"maintenance\"\n\
             [[technicians]]\nin_orders = \"Eva Example\"\nname = \"eva\"\nkey = \"{KEY}\"\n",
            self.path("identity"),
            self.endpoint,
            self.path("state")
        )
    }

    pub(crate) async fn visits(&self) -> Vec<v1::Visit> {
        let list = v1::ListVisitsRequest { tenant: "t".into(), ..Default::default() };
        let mut visits = self.admin.operator().list_visits(list).await.unwrap().visits;
        visits.sort_by_key(|visit| visit.invited_at.as_ref().map(|at| (at.seconds, at.nanos)));
        visits
    }

    /// The one visit that there is.
    pub(crate) async fn visit(&self) -> v1::Visit {
        let mut visits = self.visits().await;
        assert_eq!(visits.len(), 1, "{visits:?}");
        visits.remove(0)
    }

    pub(crate) async fn release(&self, id: &str) {
        let release = v1::ReleaseVisitRequest { tenant: String::new(), id: id.into() };
        self.site.operator().release_visit(release).await.unwrap();
    }

    /// The technician gets a certificate: from then on a protocol is awaited.
    pub(crate) async fn certify(&self, id: &str) {
        let order = v1::IssueVisitCertificateRequest {
            tenant: String::new(),
            id: id.into(),
            device_id: "pump-1".into(),
        };
        self.technician.operator().issue_visit_certificate(order).await.unwrap();
    }

    /// The device gives the protocol of a session of that visit.
    pub(crate) async fn give_protocol(&mut self, visit: &v1::Visit, session: u8) {
        let from = time::seconds(visit.starts_at);
        let protocol = VisitProtocol {
            device: self.device.name.clone(),
            by: Admitted::Visit {
                visit: wardein_crypto::hex::decode_array(&visit.id).unwrap(),
                technician: visit.technician.parse().unwrap(),
                work_order: visit.work_order.parse().unwrap(),
            },
            session: [session; 16],
            scope: visit.scope.parse().unwrap(),
            began: from + 1,
            ended: from + 2,
            end: VisitEnd::Left,
            actions: [("calibration".parse().unwrap(), 2), ("login".parse().unwrap(), 1)].into(),
        };
        let body = protocol.encode();
        self.device.prove(&self.site, "visit-protocol", &body).await;
    }
}

pub(crate) fn write_private(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

async fn issue(admin: &Connection, role: Role, name: &str) -> Identity {
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    let order = v1::IssueOperatorRequest {
        role: number::<v1::Role>(role.as_str()),
        tenant: "t".into(),
        name: name.into(),
        csr,
        validity: time::span(86_400),
        quota: if role == Role::Station { 9 } else { 0 },
    };
    let issued = admin.admin().issue_operator(order).await.unwrap().into_inner();
    let key = pem::encode_private_key(pkcs8.expose()).unwrap();
    Identity { certificates: issued.certificate_pem.into_bytes(), key }
}

const ROOT_KEY: [u8; 32] = [7; 32];

pub(crate) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";
