//! Clocks that are wrong: the authority's, which an administrator looks at and accepts; and a device's.
//!
//! A device whose clock is ten years ahead or behind enrolls, proves itself and renews its certificate: the authority's clock is moved
//! instead of the device's, which comes to the same.

use crate::common::{Served, issue, now};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use wardein_client::{ConnectError, Connection, Refusal, connect, time, v1};
use wardein_crypto::{P256VerifyingKey, SystemEntropy};
use wardein_ddkg::{DeviceName, Purposes, Suite};
use wardein_device::{
    Agent, Config, Directory, Remote, RemoteStation, Round, Session, Transport, Vouched, enroll,
};
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
        transport: Transport::default(),
        proxy: None,
        identity_key: P256VerifyingKey(served.founded.identity_key),
        trust_roots: roots.clone(),
        suite: Suite::P256,
        purposes: Purposes::ENROLLED,
        authenticate_every: 3600,
        rekey_after: 0,
        signs_with: None,
        sealed_by: None,
        made_key: None,
        update: None,
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

#[tokio::test]
async fn a_clock_that_jumps_is_shown_and_accepted() {
    const DAY: u64 = 86_400;
    let limits = Limits { renewal_check: Duration::from_millis(50), ..Limits::default() };
    let served = Served::with(limits, 10 * DAY).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let auditor = served.connect(Some(issue(&admin, Role::Auditor).await)).await.unwrap();
    let get = async |by: &Connection, count| {
        by.admin().get_clock(v1::GetClockRequest { count }).await.map(tonic::Response::into_inner)
    };
    let accept = async |wall_ms| {
        let request = v1::AcceptClockRequest { wall_time: time::at_ms(wall_ms) };
        admin.admin().accept_clock(request).await.map_err(|status| Refusal::from(status).code)
    };
    let wait_for = async |agreement: v1::ClockAgreement| {
        while get(&admin, false).await.unwrap().agreement() != agreement {
            sleep(Duration::from_millis(20)).await;
        }
    };
    wait_for(v1::ClockAgreement::Agrees).await;
    let refused = Refusal::from(get(&auditor, false).await.unwrap_err());
    assert_eq!(refused.code, "role-insufficient", "a tenant's auditor");
    assert!(http(&served, "/metrics").await.contains("wardein_clock_agrees 1"));

    let right = now();
    served.clock.set(right - 5 * DAY);
    wait_for(v1::ClockAgreement::Apart).await;
    let clock = get(&admin, true).await.unwrap();
    assert_eq!(time::seconds(clock.wall_time), right - 5 * DAY);
    // The authority counts from the second in which it began, and the test from one that may have begun since.
    assert!(right.abs_diff(time::seconds(clock.time)) <= 1, "{clock:?} at {right}");
    assert!(!clock.may_erase && clock.left_behind.is_some() && clock.acceptance.unwrap().is_new_era);
    assert!(http(&served, "/readyz").await.contains("ready; the clock is in doubt"));
    // Less a second where it began late in one.
    while !http(&served, "/metrics").await.lines().any(|line| {
        ["-432000", "-431999"].iter().any(|ahead| line == format!("wardein_clock_ahead_seconds {ahead}"))
    }) {
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(accept(time::ms(clock.wall_time) + 301_000).await.unwrap_err(), "clock-moved");
    accept(time::ms(clock.wall_time)).await.unwrap();
    wait_for(v1::ClockAgreement::Agrees).await;
    let clock = get(&admin, false).await.unwrap();
    assert_eq!((clock.time, clock.acceptances, clock.may_erase), (clock.wall_time, 1, true));

    // One that wakes up long before the CAs were made is never the authority's.
    served.clock.set(7);
    wait_for(v1::ClockAgreement::Apart).await;
    assert_eq!(get(&admin, true).await.unwrap().acceptance, None);
    assert_eq!(accept(7_000).await.unwrap_err(), "clock-wrong");
    // New connections are served by a certificate that clients find valid.
    served.connect(Some(served.admin())).await.unwrap();
}

/// What a path of the HTTP port answers.
pub(crate) async fn http(served: &Served, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(served.http).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
