//! The receiving end of logs, which asks this authority about the device that delivers, and for the key of its batch.

use crate::common::device::TestDevice;
use crate::common::{Served, issue};
use bytes::Bytes;
use http_body_util::Full;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;
use wardein_client::{CERTIFICATE, Connection, INFRASTRUCTURE, Identity, KEY, number, v1};
use wardein_crypto::{P256SigningKey, Secret};
use wardein_ddkg::DeviceName;
use wardein_domain::Role;
use wardein_files::{Authority, FIRST, FileError, SignedStatement, Statement, seal};
use wardein_logs::batch::{self, FilterVersion, Header};
use wardein_pki::{Csr, pem};
use wardein_receive::{BatchName, Code, Limits, Part, Platform, Put, Receiver, Sender, Settings};

/// A certified device, a platform that receives, and the batch that is delivered.
struct World {
    served: Served,
    admin: Connection,
    serial: String,
    sender: Sender,
    receiver: Receiver<Platform>,
    name: BatchName,
    age: Vec<u8>,
    sig: String,
    _directory: TempDir,
}

impl World {
    async fn new() -> Self {
        let served = Served::start().await;
        let admin = served.connect(Some(served.admin())).await.unwrap();
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        let station = served.connect(Some(issue(&admin, Role::Station).await)).await.unwrap();
        let nobody = served.connect(None).await.unwrap();
        let mut device = TestDevice::enrolled(&station, "pump-1").await;
        let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        device.prove(&nobody, "certificate", &Csr::create(&key).unwrap()).await.unwrap();
        let asked = v1::ListCertificatesRequest { tenant: "t".into(), ..Default::default() };
        let listed = admin.certificates().list_certificates(asked).await.unwrap().into_inner();
        let certificate = listed.certificates.into_iter().next().unwrap();
        let bundle = pem::decode_certificates(&served.founded.bundle_pem).unwrap();
        let chain = [certificate.der.as_slice(), &bundle[1]];
        let sender = Sender::of(&chain, &[&bundle[0]]).unwrap();

        let directory = tempfile::tempdir().unwrap();
        let identity = issue(&admin, Role::Platform).await;
        keep(directory.path(), &identity, &served.founded.infrastructure_pem);
        let endpoint = format!("https://{}", served.grpc);
        let (tenant, reason) = ("t".parse().unwrap(), "logs are received".to_owned());
        let platform = Platform::connect(directory.path(), &endpoint, tenant, reason).await.unwrap();
        let settings = Settings {
            directory: directory.path().join("received"),
            tenant: "t".parse().unwrap(),
            audiences: vec!["maker".parse().unwrap()],
            roots: vec![bundle[0].clone()],
            reader_key: None,
            limits: Limits::default(),
        };
        let receiver = Receiver::open(settings, platform).unwrap();
        let (age, statement) = sealed(&mut device);
        let certificates = pem::encode_certificates(chain).unwrap();
        let sig = SignedStatement::sign(statement, &key, certificates).unwrap().text();
        let name = BatchName::parse("maker-000000000001").unwrap();
        let serial = certificate.serial;
        Self { served, admin, serial, sender, receiver, name, age, sig, _directory: directory }
    }

    /// Delivers the batch; the code of the refusal, or whether it had been taken before.
    async fn deliver(&self) -> Result<bool, Code> {
        let put = async |part, bytes: Vec<u8>| {
            let put = self.receiver.put(&self.sender, &self.name, part, Full::new(Bytes::from(bytes))).await;
            put.map_err(|refused| refused.code)
        };
        assert_eq!(put(Part::Statement, self.sig.clone().into_bytes()).await?, Put::Announced);
        match put(Part::Sealed, self.age.clone()).await? {
            Put::Taken(receipt) => Ok(receipt.is_repeated),
            Put::Announced => panic!("a sealed file is not a statement"),
        }
    }

    async fn set(&self, state: v1::DeviceState) {
        let set = v1::SetDeviceStateRequest {
            tenant: "t".into(),
            device_id: "pump-1".into(),
            state: state.into(),
            reason: "test".into(),
            ..Default::default()
        };
        self.admin.admin().set_device_state(set).await.unwrap();
    }
}

/// An identity as a platform keeps it.
fn keep(directory: &Path, identity: &Identity, infrastructure: &str) {
    fs::write(directory.join(CERTIFICATE), &identity.certificates).unwrap();
    fs::write(directory.join(INFRASTRUCTURE), infrastructure).unwrap();
    fs::write(directory.join(KEY), identity.key.expose()).unwrap();
    fs::set_permissions(directory.join(KEY), fs::Permissions::from_mode(0o600)).unwrap();
}

/// The first batch for the maker, sealed so that the authority opens it, and what its device says of it.
fn sealed(device: &mut TestDevice) -> (Vec<u8>, Statement) {
    let header = Header {
        format: Header::FORMAT.to_owned(),
        audience: "maker".parse().unwrap(),
        batch: 1,
        filter: FilterVersion::of(b"logs.toml"),
        begun: 1,
        ended: 2,
        records: 1,
        gaps: Vec::new(),
        withheld: 0,
        observed: Vec::new(),
    };
    let plaintext = batch::write(&header, &[r#"{"source":"app"}"#]).unwrap();
    let (mut age, mut key) = (Vec::new(), None);
    let mut wrap = |file_key: &Secret<16>| {
        let stanza = device.wrap(*file_key.expose());
        key = Some(stanza.name().clone());
        Ok::<_, FileError>(stanza)
    };
    let done = seal(plaintext.as_slice(), &mut age, &[], Authority::Opens(&mut wrap), &mut |_| {}).unwrap();
    let now = crate::common::now();
    let statement = Statement {
        device: DeviceName { tenant: "t".parse().unwrap(), device: "pump-1".parse().unwrap() },
        number: 1,
        previous: FIRST,
        sha256: done.sha256,
        length: done.length,
        key,
        sealed_at: now,
        heard_at: now,
    };
    (age, statement)
}

#[tokio::test]
async fn a_batch_is_opened_by_a_key_that_was_granted_and_only_while_its_device_is_trusted() {
    let mut world = World::new().await;
    assert_eq!(world.deliver().await, Err(Code::KeyRefused));
    let grant = v1::Grant {
        tenant: "t".into(),
        platform: "test-platform".into(),
        right: number::<v1::Right>("file"),
        ..Default::default()
    };
    world.admin.admin().add_grant(v1::AddGrantRequest { grant: Some(grant) }).await.unwrap();
    world.set(v1::DeviceState::Suspended).await;
    assert_eq!(world.deliver().await, Err(Code::NotTrusted));
    world.set(v1::DeviceState::Active).await;
    assert_eq!(world.deliver().await, Ok(false));
    assert_eq!(world.deliver().await, Ok(true), "a key that is spent is not asked for again");

    // The certificate alone is revoked; its device is in good standing.
    let (tenant, serial, reason) = ("t".into(), world.serial.clone(), "lost".into());
    let revoke = v1::RevokeCertificateRequest { tenant, serial, reason, ..Default::default() };
    world.admin.certificates().revoke_certificate(revoke).await.unwrap();
    assert_eq!(world.deliver().await, Err(Code::NotTrusted));
    world.served.stop().unwrap();
    assert_eq!(world.deliver().await, Err(Code::AuthorityUnreachable));
}
