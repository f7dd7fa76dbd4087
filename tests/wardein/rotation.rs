//! A platform's identity is rotated while it calls: as its operators do it, by the command line and a symbolic link, and without a call
//! that fails.

use crate::common::{Served, wardein};
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wardein_client::{Connection, Refusal, connect_as, v1};
use wardein_crypto::{Entropy, P256VerifyingKey, SystemEntropy};
use wardein_ddkg::device::{Clock, DeviceState, Enrolling};
use wardein_ddkg::{Attributes, DeviceName, Purposes, Suite};
use wardein_device::{Authority, RemoteStation, Station, Vouched};

const ROTATIONS: usize = 5;

/// One logs devices in, the others check.
const CALLERS: usize = 9;

/// An identity's directory behind a symbolic link, as programs know it.
struct Place {
    directory: PathBuf,
    home: String,
}

impl Place {
    fn at(&self, name: &str) -> String {
        self.directory.join(name).to_str().unwrap().to_owned()
    }

    /// Gives the link another directory in one step.
    fn link(&self, to: &str) {
        symlink(to, self.directory.join("next")).unwrap();
        std::fs::rename(self.directory.join("next"), self.directory.join("platform")).unwrap();
    }

    fn run(&self, args: &[&str]) {
        let output = wardein(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn serial(&self) -> String {
        let described = crate::common::read(&Path::new(&self.at("platform")).join("operator.json"));
        let described: serde_json::Value = serde_json::from_str(&described).unwrap();
        described["serial"].as_str().unwrap().to_owned()
    }
}

/// A device that logs in.
struct Device(DeviceState);

impl Device {
    async fn enroll(served: &Served, station: wardein_client::Identity) -> Self {
        let name = DeviceName { tenant: "klinik".parse().unwrap(), device: "pump-1".parse().unwrap() };
        let mut attributes = Attributes::new();
        attributes.insert("firmware".parse().unwrap(), b"1.0").unwrap();
        let (measured, entropy) = (attributes.digests(), &mut SystemEntropy::default());
        let pinned = P256VerifyingKey(served.identity_key);
        let enrolling = Enrolling::begin(pinned, Suite::P256, name.clone(), attributes, entropy).unwrap();
        let mut factory = RemoteStation::new(served.remote(), station, Vouched::default());
        let (_, reply) = factory.enroll(enrolling.request()).await.unwrap();
        let mut state = enrolling.finish(&reply, Purposes::ENROLLED).unwrap();
        let confirmation = state.confirmation().unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        factory.confirm(&confirmation).await.unwrap();
        let mut authority = served.remote();
        let ask = state.ask_challenge();
        let offer = authority.challenge(&name).await.unwrap();
        let proof =
            state.prove(ask, &offer, &measured, "authenticate".parse().unwrap(), b"", entropy).unwrap();
        let (request, in_flight) = proof.save(|_| Ok::<_, ()>(())).unwrap();
        let reply = authority.prove(&request, b"").await.unwrap();
        state.acknowledge(in_flight, reply.acked).unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        Self(state)
    }

    fn token(&mut self) -> v1::VerifyTokenRequest {
        let clock = Clock { elapsed: 0, wall: None };
        let token = self.0.token(clock, "iot".parse().unwrap(), b"").unwrap();
        let token = token.save(|_| Ok::<_, ()>(())).unwrap().encode();
        let idempotency_key = SystemEntropy::default().array::<16>().unwrap().to_vec();
        v1::VerifyTokenRequest { token, platform_nonce: Vec::new(), idempotency_key }
    }
}

/// What the callers counted.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    /// Of each caller.
    answered: [AtomicU64; CALLERS],
    failed: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    fn count<T>(&self, caller: usize, answer: Result<T, Refusal>) {
        match answer {
            Ok(_) => drop(self.answered[caller].fetch_add(1, Ordering::Relaxed)),
            Err(refusal) => *self.failed.lock().unwrap().entry(refusal.to_string()).or_default() += 1,
        }
    }

    fn answered(&self) -> [u64; CALLERS] {
        std::array::from_fn(|caller| self.answered[caller].load(Ordering::Relaxed))
    }

    /// Until each caller has so many answers more, or one call failed. With two more, the last of them began since.
    async fn goes_on(&self, calls: u64) {
        let before = self.answered();
        let is_behind = |(now, before): (u64, u64)| now < before + calls;
        while self.answered().into_iter().zip(before).any(is_behind) && self.failed.lock().unwrap().is_empty()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// As fast as answers come, within what an operator may.
async fn checks(tally: Arc<Tally>, caller: usize, by: Connection) {
    let platform = by.platform();
    while !tally.stop.load(Ordering::Relaxed) {
        let subject = Some(v1::check_request::Subject::DeviceId("pump-1".into()));
        tally.count(caller, platform.check(v1::CheckRequest { subject, receipt: None }).await);
    }
}

async fn logins(tally: Arc<Tally>, by: Connection, mut device: Device) {
    let platform = by.platform();
    while !tally.stop.load(Ordering::Relaxed) {
        tally.count(0, platform.verify_token(device.token()).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platforms_identity_is_rotated_under_load_without_a_call_that_fails() {
    let served = Served::found().await;
    let home = served.home().to_str().unwrap().to_owned();
    let place = Place { directory: served.directory.path().to_owned(), home };
    let order = ["operator", "issue", "--role", "platform", "--tenant", "klinik", "--name", "iot"];
    let to = ["--validity", "30d", "--out", &place.at("platform.0"), "--dir", &place.home];
    place.run(&[&order[..], &to].concat());
    place.run(&["grant", "add", "iot", "token", "--tenant", "klinik", "--dir", &place.home]);
    place.link("platform.0");
    let device = Device::enroll(&served, served.issue("station", 1).await).await;

    let connection = connect_as(Path::new(&place.at("platform")), &served.endpoint).await.unwrap();
    let tally = Arc::new(Tally::default());
    let taken = Arc::new(AtomicU64::new(0));
    let heard = taken.clone();
    let following = tokio::spawn(connection.clone().follow(Duration::from_millis(20), move |outcome| {
        // Between two of its files the link may have come to lead elsewhere: half an identity is not taken, and the next look takes the whole.
        if outcome.is_ok() {
            heard.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let mut callers = vec![tokio::spawn(logins(tally.clone(), connection.clone(), device))];
    for caller in 1..CALLERS {
        callers.push(tokio::spawn(checks(tally.clone(), caller, connection.clone())));
    }
    tally.goes_on(20).await;
    let mut former = place.serial();
    for rotation in 1..=ROTATIONS as u64 {
        let next = format!("platform.{rotation}");
        place.run(&["operator", "renew", "--identity", &place.at("platform"), "--out", &place.at(&next)]);
        place.link(&next);
        while taken.load(Ordering::Relaxed) < rotation {
            tally.goes_on(1).await;
        }
        // Calls that began before have ended by now; nobody has the former any more, and it ends.
        tally.goes_on(20).await;
        let ended = std::mem::replace(&mut former, place.serial());
        assert_ne!(ended, former);
        place.run(&["operator", "revoke", &ended, "--reason", "renewed", "--yes", "--dir", &place.home]);
        tally.goes_on(20).await;
    }
    tally.stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    following.abort();
    let failed = tally.failed.lock().unwrap();
    println!(
        "{ROTATIONS} rotations: {} calls answered, failed: {failed:?}",
        tally.answered().iter().sum::<u64>()
    );
    assert!(failed.is_empty(), "{failed:?}");
}

/// What is not an identity, or is half of one, is not gone over to.
#[tokio::test]
async fn the_former_identity_is_used_until_another_is_whole() {
    let served = Served::found().await;
    let home = served.home().to_str().unwrap().to_owned();
    let place = Place { directory: served.directory.path().to_owned(), home };
    for name in ["iot", "other"] {
        let order = ["operator", "issue", "--role", "platform", "--tenant", "klinik", "--name", name];
        let to = ["--validity", "30d", "--out", &place.at(name), "--dir", &place.home];
        place.run(&[&order[..], &to].concat());
    }
    let directory = PathBuf::from(place.at("iot"));
    let connection = connect_as(&directory, &served.endpoint).await.unwrap();
    let check = async || {
        let subject = Some(v1::check_request::Subject::DeviceId("pump-1".into()));
        connection.platform().check(v1::CheckRequest { subject, receipt: None }).await.unwrap();
    };
    assert!(!connection.reload().await.unwrap(), "it is the same");
    let (key, certificate) = (directory.join("operator.key"), directory.join("operator.pem"));
    let other = PathBuf::from(place.at("other"));
    std::fs::copy(other.join("operator.key"), &key).unwrap();
    assert!(connection.reload().await.is_err(), "the key of another certificate");
    check().await;
    std::fs::rename(&key, directory.join("away")).unwrap();
    assert!(connection.reload().await.is_err(), "no key");
    check().await;
    std::fs::copy(other.join("operator.key"), &key).unwrap();
    std::fs::copy(other.join("operator.pem"), &certificate).unwrap();
    assert!(connection.reload().await.unwrap());
    check().await;
    assert!(!connection.reload().await.unwrap());
}
