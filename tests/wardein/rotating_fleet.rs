//! A fleet that goes on while another CA follows the issuing CA, another root the root, and a CA under the new root that one; and a device that
//! sleeps through all of it. Every certificate is verified by its device, which trusts the root that it was enrolled under, by the authority, and
//! by relying parties that trust the former root, the new one, or both.
//!
//! `WARDEIN_ROTATING_DEVICES=1000 cargo test --release --test wardein rotating_fleet:: -- --nocapture` for a large fleet.

use crate::common::{Served, wardein};
use futures_util::future::join_all;
use serde_json::Value;
use std::process::Output;
use std::time::Instant;
use wardein_client::{Connection, Identity, Settings, connect, v1};
use wardein_crypto::{P256SigningKey, P256VerifyingKey, SecretBytes, SystemEntropy};
use wardein_ddkg::device::{DeviceState, Enrolling};
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName, Purposes, Suite};
use wardein_device::{Authority, Remote, RemoteStation, Station, Vouched};
use wardein_pki::{Csr, pem, verify_device_chain};

/// A device, and what it trusts: the root as it was at its enrollment.
struct Device {
    name: DeviceName,
    state: DeviceState,
    measured: AttributeDigests,
}

/// Devices that share a connection.
struct Lane {
    authority: Remote,
    devices: Vec<Device>,
}

struct Fleet {
    served: Served,
    home: String,
    /// The root at enrollment, DER.
    anchor: Vec<u8>,
    lanes: Vec<Lane>,
    /// The platform's operator.
    platform: Identity,
    certificates: usize,
}

const LANES: usize = 8;

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn chain(mut body: &[u8]) -> Vec<Vec<u8>> {
    let mut chain = Vec::new();
    while let Some((length, rest)) = body.split_first_chunk() {
        let (der, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        chain.push(der.to_vec());
        body = rest;
    }
    chain
}

fn verifies(chain: &[Vec<u8>], roots: &[&[u8]]) {
    let chain: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    verify_device_chain(&chain, roots).expect("a chain that is verified");
}

impl Lane {
    /// A fresh certificate for each device, which verifies it.
    async fn certify(&mut self, anchor: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut chains = Vec::new();
        for device in &mut self.devices {
            let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
            let (csr, entropy) = (Csr::create(&key).unwrap(), &mut SystemEntropy::default());
            let Device { name, state, measured } = device;
            let ask = state.ask_challenge();
            let offer = self.authority.challenge(name).await.expect("the server's certificate is verified");
            let action = "certificate".parse().unwrap();
            let proof = state.prove(ask, &offer, measured, action, &csr, entropy).unwrap();
            let (request, in_flight) = proof.save(|_| Ok::<_, ()>(())).unwrap();
            let reply = self.authority.prove(&request, &csr).await.unwrap();
            let body = reply.acked.body.clone();
            state.acknowledge(in_flight, reply.acked).unwrap().save(|_| Ok::<_, ()>(())).unwrap();
            let chain = chain(&body);
            verifies(&chain, &[anchor]);
            chains.push(chain);
        }
        chains
    }
}

impl Fleet {
    /// So many devices, dealt out to lanes, and one that is in a lane of its own.
    async fn of(count: usize) -> Self {
        let served = Served::found().await;
        let home = served.home().to_str().unwrap().to_owned();
        let root = std::fs::read_to_string(format!("{home}/root-ca.pem")).unwrap();
        let anchor = pem::decode_certificates(&root).unwrap().remove(0);
        let station = served.issue("station", count as u64 + 1).await;
        let platform = served.issue("platform", 0).await;
        let mut factory = RemoteStation::new(served.remote(), station, Vouched::default());
        let mut lanes: Vec<_> = (0..=LANES)
            .map(|_| Lane { authority: Remote::new(&served.endpoint, &root), devices: Vec::new() })
            .collect();
        for number in 0..=count {
            let lane = if number == count { LANES } else { number % LANES };
            let device = format!("pump-{number:04}").parse().unwrap();
            let name = DeviceName { tenant: "klinik".parse().unwrap(), device };
            let attributes = Attributes::new();
            let (measured, entropy) = (attributes.digests(), &mut SystemEntropy::default());
            let pinned = P256VerifyingKey(served.identity_key);
            let enrolling = Enrolling::begin(pinned, Suite::P256, name.clone(), attributes, entropy).unwrap();
            let (_, reply) = factory.enroll(enrolling.request()).await.unwrap();
            let mut state = enrolling.finish(&reply, Purposes::ENROLLED).unwrap();
            let confirmation = state.confirmation().unwrap().save(|_| Ok::<_, ()>(())).unwrap();
            factory.confirm(&confirmation).await.unwrap();
            lanes[lane].devices.push(Device { name, state, measured });
        }
        Self { served, home, anchor, lanes, platform, certificates: 0 }
    }

    /// What `wardein ca` prints for scripts.
    fn ca(&self, args: &[&str]) -> Value {
        let output = wardein(&[&["--json", "ca"][..], args, &["--dir", &self.home]].concat());
        done(&output);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Another CA that is made and published ahead, and then issues; its certificate.
    fn follow_ca(&self) -> Vec<u8> {
        let next = self.ca(&["next", "--shared"]);
        self.ca(&["switch", next["id"].as_str().unwrap(), "--yes"]);
        pem::decode_certificates(next["pem"].as_str().unwrap()).unwrap().remove(0)
    }

    /// Certificates of the devices in these lanes, as devices, the authority and those who trust `roots` see them.
    async fn certify(&mut self, lanes: std::ops::Range<usize>, roots: &[&[u8]]) -> Vec<Vec<Vec<u8>>> {
        let anchor = &self.anchor;
        let work = self.lanes[lanes].iter_mut().map(|lane| lane.certify(anchor));
        let chains: Vec<_> = join_all(work).await.into_iter().flatten().collect();
        self.certificates += chains.len();
        self.judge(&chains, roots).await;
        chains
    }

    async fn judge(&self, chains: &[Vec<Vec<u8>>], roots: &[&[u8]]) {
        let platform = self.connect().await;
        for chain in chains {
            for root in roots {
                verifies(chain, &[root]);
            }
            verifies(chain, roots);
            let subject = Some(v1::check_request::Subject::Certificate(chain[0].clone()));
            let checked = platform
                .trust()
                .check(v1::CheckRequest { subject, receipt: None })
                .await
                .unwrap()
                .into_inner();
            assert_eq!(checked.verdict(), v1::Verdict::Trusted);
        }
    }

    /// A connection of the platform, whose operator trusts the root of before.
    async fn connect(&self) -> Connection {
        let Identity { certificates, key } = &self.platform;
        let identity = Identity {
            certificates: certificates.clone(),
            key: SecretBytes::from_vec(key.expose().to_vec()),
        };
        connect(&Settings { identity: Some(identity), ..self.served.settings() }).await.unwrap()
    }
}

#[tokio::test]
async fn a_fleet_goes_on_while_cas_and_the_root_are_followed_and_one_sleeps_through_it() {
    let count = std::env::var("WARDEIN_ROTATING_DEVICES").map_or(12, |text| text.parse().unwrap());
    let began = Instant::now();
    let mut fleet = Fleet::of(count).await;
    let old = fleet.anchor.clone();
    let slept = fleet.certify(LANES..LANES + 1, &[&old]).await;
    let first = fleet.certify(0..LANES, &[&old]).await;

    let next = fleet.follow_ca();
    let second = fleet.certify(0..LANES, &[&old]).await;
    assert!(first.iter().all(|chain| chain[1] != next) && second.iter().all(|chain| chain[1] == next));
    fleet.judge(&first, &[&old]).await;

    fleet.served.terminate();
    let out = format!("{}/roots.pem", fleet.home);
    done(&wardein(&[
        "ca",
        "rotate-root",
        "--algorithm",
        "p384",
        "--dir",
        &fleet.home,
        "--out",
        &out,
        "--yes",
    ]));
    fleet.served.start().await;
    let new = pem::decode_certificates(&std::fs::read_to_string(&out).unwrap()).unwrap().remove(0);
    let third = fleet.certify(0..LANES, &[&old, &new]).await;
    assert!(third.iter().all(|chain| chain[1] == next));

    let last = fleet.follow_ca();
    let fourth = fleet.certify(0..LANES, &[&old, &new]).await;
    assert!(fourth.iter().all(|chain| chain[1] == last));
    // What was issued before is as good as it was.
    for chains in [&slept, &first, &second] {
        fleet.judge(chains, &[&old]).await;
    }
    fleet.judge(&third, &[&old, &new]).await;
    // The one that heard of nothing.
    let woken = fleet.certify(LANES..LANES + 1, &[&old, &new]).await;
    assert!(woken.iter().all(|chain| chain[1] == last));
    println!(
        "{} devices, {} certificates, two CAs and a root followed: no verification failed, in {:.0?}",
        count + 1,
        fleet.certificates,
        began.elapsed()
    );
}
