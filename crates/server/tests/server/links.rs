//! What a device does, over each way to the authority: by gRPC, and by POST.

use crate::common::{Served, copied, issue};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;
use wardein_client::{Connection, Identity, number, v1};
use wardein_crypto::{Digest, P256SigningKey, P256VerifyingKey, SystemEntropy};
use wardein_ddkg::message::{Confirmation, EnrollReply, EnrollRequest, SignatureClaim, ack_transcript};
use wardein_ddkg::{DeviceName, Purposes, Suite};
use wardein_device::{
    Authority, CallError, Config, Directory, Error, Link, Remote, RemoteStation, Session, SignedRequest,
    SigningAuthority, Station, Transport, Vouched, enroll,
};
use wardein_domain::{Role, TenantId};
use wardein_pki::{Csr, PublicKey};
use wardein_server::Limits;

const TRANSPORTS: [Transport; 2] = [Transport::Grpc, Transport::Http];

struct World {
    served: Served,
    admin: Connection,
    station: Identity,
}

impl World {
    async fn new(limits: Limits) -> Self {
        let served = Served::with(limits, 0).await;
        let admin = served.connect(Some(served.admin())).await.unwrap();
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        let station = issue(&admin, Role::Station).await;
        Self { served, admin, station }
    }

    fn config(&self, id: &str, transport: Transport) -> Config {
        Config {
            device: DeviceName { tenant: "t".parse().unwrap(), device: id.parse().unwrap() },
            endpoint: format!("https://{}", self.served.grpc),
            transport,
            proxy: None,
            identity_key: P256VerifyingKey(self.served.founded.identity_key),
            trust_roots: self.served.founded.root_pem.clone(),
            suite: Suite::P256,
            purposes: Purposes::ENROLLED,
            authenticate_every: 3600,
            rekey_after: 0,
            signs_with: None,
            sealed_by: None,
            made_key: None,
            update: None,
            attributes: BTreeMap::from([("firmware".parse().unwrap(), "file:/firmware".parse().unwrap())]),
        }
    }

    fn station(&self, config: &Config) -> RemoteStation {
        RemoteStation::new(Remote::of(config), copied(&self.station), Vouched::default())
    }

    async fn set_state(&self, device_id: &str, state: &str) {
        let set = v1::SetDeviceStateRequest {
            tenant: "t".into(),
            device_id: device_id.into(),
            state: number::<v1::DeviceState>(state),
            reason: "test".into(),
            ..Default::default()
        };
        self.admin.admin().set_device_state(set).await.unwrap();
    }
}

/// A station whose confirmations are lost.
struct Forgetful(RemoteStation);

impl Station for Forgetful {
    async fn enroll(&mut self, request: &EnrollRequest) -> Result<(TenantId, EnrollReply), CallError> {
        self.0.enroll(request).await
    }

    async fn confirm(&mut self, _: &Confirmation) -> Result<(), CallError> {
        Err(CallError::Unreachable("lost".into()))
    }
}

type Asking = Session<Link, SystemEntropy>;

async fn enrolled(home: &Path, config: &Config, station: &mut impl Station) -> Asking {
    std::fs::write(home.join("firmware"), b"v1").unwrap();
    let directory = Directory::create(&home.join(config.device.device.as_str())).unwrap();
    enroll(&directory, config, home, false, station, &mut SystemEntropy::default()).await.unwrap();
    let link = Link::of(config);
    Session::new(directory, config.clone(), link, SystemEntropy::default(), home.into()).unwrap()
}

#[tokio::test]
async fn a_device_does_all_that_it_does_over_each_way() {
    let world = World::new(Limits::default()).await;
    let home = tempfile::tempdir().unwrap();
    for transport in TRANSPORTS {
        let id = format!("pump-{transport}");
        let config = world.config(&id, transport);
        // Its first request confirms the enrollment, for the station's word was lost.
        let mut session = enrolled(home.path(), &config, &mut Forgetful(world.station(&config))).await;
        session.authenticate().await.unwrap();
        let certificate = session.certificate().await.unwrap();
        assert_eq!(session.stored_certificate().unwrap().unwrap().serial, certificate.serial);
        let rekeyed = session.rekey().await.unwrap();
        assert!(rekeyed.is_in_use && rekeyed.generation == 2, "{transport}: {rekeyed:?}");
        std::fs::write(home.path().join("next"), b"v2").unwrap();
        let next = BTreeMap::from([("firmware".parse().unwrap(), "file:/next".parse().unwrap())]);
        session.announce(&next, &BTreeMap::new()).await.unwrap();
        std::fs::write(home.path().join("firmware"), b"v2").unwrap();
        session.authenticate().await.unwrap();
        std::fs::write(home.path().join("firmware"), b"v3").unwrap();
        let error = session.authenticate().await.unwrap_err();
        assert!(
            matches!(&error, Error::Refused(refused) if refused.code == "mac-wrong"),
            "{transport}: {error}"
        );
        std::fs::write(home.path().join("firmware"), b"v2").unwrap();
        world.set_state(&id, "suspended").await;
        let error = session.authenticate().await.unwrap_err();
        let Error::Refused(refused) = &error else { panic!("{transport}: {error}") };
        assert!(refused.code == "suspended" && !refused.request_id.is_empty(), "{transport}: {refused}");
        world.set_state(&id, "active").await;
        session.authenticate().await.unwrap();
    }
}

#[tokio::test]
async fn a_device_that_signs_asks_over_each_way() {
    let world = World::new(Limits::default()).await;
    let policy = v1::KeyPolicy {
        tenant: "t".into(),
        keepers: vec![v1::KeyKeeper::Software.into()],
        ..Default::default()
    };
    let put = v1::PutKeyPolicyRequest { policy: Some(policy) };
    world.admin.attestation().put_key_policy(put).await.unwrap();
    let station = world.served.connect(Some(copied(&world.station))).await.unwrap();
    for transport in TRANSPORTS {
        let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        let config = world.config(&format!("pump-{transport}"), transport);
        let enroll = v1::EnrollKeyRequest {
            device_id: config.device.device.to_string(),
            keeper: v1::KeyKeeper::Software.into(),
            csr: Csr::create(&key).unwrap(),
            ..Default::default()
        };
        station.provisioning().enroll_key(enroll).await.unwrap();
        let mut link = Link::of(&config);
        let (offer, quote) = link.challenge_to_sign(&config.device).await.unwrap();
        assert_eq!(quote, None);
        let claim = SignatureClaim {
            device: config.device.clone(),
            challenge: offer.challenge,
            nonce: [7; 32],
            key_id: Digest::of(&PublicKey::from(*key.verifying_key()).spki()),
            action: "authenticate".parse().unwrap(),
            body_digest: Digest::of(b""),
        };
        let transcript = claim.transcript();
        let signature = key.sign(transcript.as_ref()).unwrap();
        let request = SignedRequest { claim, signature, quote: None };
        let reply = link.prove_by_signature(&request, b"").await.unwrap();
        let signed = ack_transcript(&transcript, reply.server_time, &reply.body);
        config.identity_key.verify(signed.as_ref(), &reply.signature).unwrap();
        let again = link.prove_by_signature(&request, b"").await.unwrap_err();
        assert!(matches!(&again, CallError::Refused(refused) if refused.code == "replayed"), "{again:?}");
    }
}

/// A server closes what is idle, and a device asks seldom.
#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_made_again() {
    let (short, first_call_time) = (Duration::from_millis(200), Duration::from_secs(1));
    let limits = Limits { first_call_time, idle_time: short, open_answer_time: short, ..Limits::default() };
    let world = World::new(limits).await;
    let home = tempfile::tempdir().unwrap();
    for transport in TRANSPORTS {
        let config = world.config(&format!("pump-{transport}"), transport);
        let mut session = enrolled(home.path(), &config, &mut world.station(&config)).await;
        session.authenticate().await.unwrap();
        // Looked at after a second, and then every fifth of one.
        sleep(2 * first_call_time).await;
        session.authenticate().await.unwrap();
    }
}

#[tokio::test]
async fn one_who_answers_in_the_authoritys_place_is_named() {
    let (world, other) = (World::new(Limits::default()).await, Served::start().await);
    for transport in TRANSPORTS {
        let config =
            Config { endpoint: format!("https://{}", other.grpc), ..world.config("pump-1", transport) };
        for _ in 0..2 {
            let error = Link::of(&config).challenge(&config.device).await.unwrap_err();
            let CallError::Intercepted { endpoint, issuer } = &error else {
                panic!("{transport}: {error:?}")
            };
            assert!(*endpoint == config.endpoint && issuer.contains("wardein.test"), "{transport}: {issuer}");
            let error = Error::from(error);
            assert!(error.to_string().contains("(tls-intercepted)") && error.exit_code() == 4, "{error}");
        }
    }
}
