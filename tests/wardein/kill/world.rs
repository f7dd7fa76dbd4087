//! A tenant with its station, its platform and its connections, and the devices that work in it.

use super::devices::TestDevice;
use super::gifts::lab;
use super::operators::Made;
use super::witness::Witness;
use crate::common::Served;
use std::cell::RefCell;
use wardein_client::{Connection, Identity, Refusal, Settings, connect, number, time, v1};
use wardein_crypto::{P256SigningKey, P256VerifyingKey, SecretBytes};
use wardein_device::{Remote, RemoteStation, Vouched};
use wardein_pki::{Csr, pem};

pub(crate) struct World {
    pub(crate) tenant: String,
    pub(crate) has_snapshots: bool,
    /// Whether there are several nodes.
    pub(crate) has_nodes: bool,
    pub(crate) pinned: P256VerifyingKey,
    pub(crate) kill: usize,
    pub(crate) admin: Connection,
    pub(crate) platform: Connection,
    /// Devices since the last kill, and before.
    pub(crate) devices: RefCell<Vec<TestDevice>>,
    pub(crate) earlier: RefCell<Vec<TestDevice>>,
    pub(crate) made: RefCell<Made>,
    endpoint: String,
    roots: String,
    station: Identity,
    platform_identity: Identity,
}

impl World {
    /// In calm: nobody kills meanwhile.
    pub(crate) async fn found(served: &Served, witness: &Witness, store: &str, number: usize) -> Self {
        let (tenant, admin) = (format!("t{number}"), served.admin().await);
        let operator = admin.operator();
        for tenant in [tenant.clone(), lab(&tenant)] {
            let target = format!("tenant/{tenant}");
            let request = v1::CreateTenantRequest { tenant };
            witness.ask("tenant.create", &target, operator.create_tenant(request)).await.unwrap();
        }
        let (station, _) = issue(&admin, witness, &tenant, "station", "line-1").await.unwrap();
        let (platform_identity, _) = issue(&admin, witness, &tenant, "platform", "iot").await.unwrap();
        for right in ["token", "open"] {
            let grant = grant(&tenant, right, "");
            let call = operator.add_grant(v1::AddGrantRequest { grant: Some(grant) });
            witness.ask("grant.add", &format!("platform/{tenant}/iot"), call).await.unwrap();
        }
        let settings = Settings { identity: Some(copy(&platform_identity)), ..served.settings() };
        Self {
            tenant,
            has_snapshots: store != "sled",
            has_nodes: store == "nodes",
            pinned: P256VerifyingKey(served.identity_key),
            kill: number,
            platform: connect(&settings).await.unwrap(),
            admin,
            devices: RefCell::default(),
            earlier: RefCell::default(),
            made: RefCell::default(),
            endpoint: served.endpoint.clone(),
            roots: served.roots(),
            station,
            platform_identity,
        }
    }

    pub(crate) fn begin(&mut self, kill: usize) {
        self.kill = kill;
        self.earlier.get_mut().append(self.devices.get_mut());
    }

    pub(crate) async fn reconnect(&mut self, served: &Served) {
        let settings = Settings { identity: Some(copy(&self.platform_identity)), ..served.settings() };
        (self.admin, self.platform) = (served.admin().await, connect(&settings).await.unwrap());
    }

    /// The platform at another address.
    pub(crate) async fn platform_at(&self, settings: Settings) -> Connection {
        connect(&Settings { identity: Some(copy(&self.platform_identity)), ..settings }).await.unwrap()
    }

    pub(crate) fn authority(&self) -> Remote {
        Remote::new(&self.endpoint, &self.roots)
    }

    pub(crate) fn factory(&self) -> RemoteStation {
        RemoteStation::new(self.authority(), copy(&self.station), Vouched::default())
    }
}

/// The operator's certificate, and its serial.
pub(crate) async fn issue(
    admin: &Connection,
    witness: &Witness,
    tenant: &str,
    role: &str,
    name: &str,
) -> Option<(Identity, String)> {
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    let quota = if role == "station" { 1_000_000 } else { 0 };
    let (role, of, name) = (number::<v1::Role>(role), tenant.to_owned(), name.to_owned());
    let validity = time::span(86_400);
    let order = v1::IssueOperatorRequest { role, tenant: of, name, csr, validity, quota };
    let issued = witness.ask("operator.issue", tenant, admin.operator().issue_operator(order)).await?;
    let key = pem::encode_private_key(pkcs8.expose()).unwrap();
    let identity = Identity { certificates: issued.certificate_pem.into_bytes(), key };
    Some((identity, issued.operator.unwrap().serial))
}

pub(crate) fn grant(tenant: &str, right: &str, profile: &str) -> v1::Grant {
    let (tenant, right, profile) = (tenant.to_owned(), number::<v1::Right>(right), profile.to_owned());
    v1::Grant { tenant, platform: "iot".into(), right, profile, ..Default::default() }
}

/// All items of a list.
pub(crate) async fn all<T>(
    page: impl AsyncFnMut(u32, Vec<u8>) -> Result<(Vec<T>, Vec<u8>), Refusal>,
) -> Vec<T> {
    wardein_client::pages(Vec::new(), usize::MAX, page).await.unwrap().0
}

fn copy(identity: &Identity) -> Identity {
    let key = SecretBytes::from_vec(identity.key.expose().to_vec());
    Identity { certificates: identity.certificates.clone(), key }
}
