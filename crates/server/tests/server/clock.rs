//! A device whose clock is ten years ahead or behind enrolls, proves itself and renews its certificate: the authority's clock is moved
//! instead of the device's, which comes to the same.

use crate::common::{Served, issue, now};
use std::path::PathBuf;
use wardein_client::{ConnectError, connect, v1};
use wardein_crypto::{P256VerifyingKey, SystemEntropy};
use wardein_ddkg::{DeviceName, Purposes, Suite};
use wardein_device::{Agent, Config, Directory, Remote, RemoteStation, Round, Session, Vouched, enroll};
use wardein_domain::Role;
use wardein_server::Limits;

const TEN_YEARS: u64 = 10 * 31_556_952;

async fn a_device_works_at(authority_time: u64) {
    let served = Served::founded(Limits::default(), authority_time, 0).await;
    // One with a clock, such as a platform's, is right to turn away: by its clock the certificate is not valid.
    let turned_away = served.connect(None).await;
    let says_why =
        matches!(turned_away, Err(ConnectError::ClockBehind { .. } | ConnectError::AuthorityEnded { .. }));
    assert!(says_why, "{:?}", turned_away.err());
    let mut settings = served.settings(Some(served.admin()));
    settings.has_clock = false;
    let admin = connect(&settings).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let (endpoint, roots) = (format!("https://{}", served.grpc), served.founded.root_pem.clone());
    let station = issue(&admin, Role::Station).await;

    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("device");
    let config = Config {
        device: DeviceName { tenant: "t".parse().unwrap(), device: "pump-1".parse().unwrap() },
        endpoint: endpoint.clone(),
        identity_key: P256VerifyingKey(served.founded.identity_key),
        trust_roots: roots.clone(),
        suite: Suite::P256,
        purposes: Purposes::ALL,
        authenticate_every: 3600,
        rekey_after: 0,
        signs_with: None,
        sealed_by: None,
        attributes: Default::default(),
    };
    let directory = Directory::create(&path).unwrap();
    let mut line = RemoteStation::new(Remote::new(&endpoint, &roots), station, Vouched::default());
    let (root, entropy) = (PathBuf::from("/"), &mut SystemEntropy::default());
    let enrolled = enroll(&directory, &config, &root, false, &mut line, entropy).await.unwrap();
    assert!(enrolled.is_confirmed);

    let remote = Remote::new(&endpoint, &roots);
    let mut session =
        Session::new(directory, config.clone(), remote, SystemEntropy::default(), root.clone()).unwrap();
    assert_eq!(session.authenticate().await.unwrap(), authority_time);
    let first = session.certificate().await.unwrap();
    assert!((first.not_before..=first.not_after).contains(&authority_time));
    drop(session);

    // After a restart, and when most of its time is over, it is renewed.
    served.clock.pass((first.not_after - first.not_before) * 5 / 6);
    let (directory, remote) = (Directory::open(&path).unwrap(), Remote::new(&endpoint, &roots));
    let session = Session::new(directory, config, remote, SystemEntropy::default(), root).unwrap();
    let mut agent = Agent::new(session).unwrap();
    assert_eq!(agent.round().await.unwrap(), Round::Renewed);
    assert_eq!(agent.round().await.unwrap(), Round::Authenticated);
}

#[tokio::test]
async fn ten_years_ahead() {
    a_device_works_at(now() - TEN_YEARS).await;
}

#[tokio::test]
async fn ten_years_behind() {
    a_device_works_at(now() + TEN_YEARS).await;
}
