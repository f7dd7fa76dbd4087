//! What devices with a TPM cost the authority: `cargo bench -p wardein-engine --bench attest [-- DEVICES]`, 2,000 by default.
//!
//! One thread, a store in memory: what is counted is judging, deciding and signing the reply, not the disk. Evidence is made
//! beforehand, by a TPM that is none: endorsement and attestation keys on P-256, listed by the factory. `cargo bench -p wardein-attest`
//! has what other kinds of keys and a vendor's certificates cost.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it measures, states its expectations so, and prints"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};
use wardein_attest::EkDigest;
use wardein_crypto::{Digest, P256SigningKey, Secret, SecretBytes};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::SignatureClaim;
use wardein_domain::{Bank, Call, PcrSelection, Quote, Role, TpmEvidence};
use wardein_engine::{
    Caller, Engine, KeyOrder, OperatorOrder, PcrPolicy, Ports, SignedRequest, TpmActivation, found,
};
use wardein_pki::{Csr, PublicKey};
use wardein_testkit::{MemoryCustody, MemoryStore, SoftTpm, TestClock};

const STATE: [(u8, [u8; 32]); 4] = [(0, [1; 32]), (2, [2; 32]), (4, [3; 32]), (7, [4; 32])];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // `cargo test --benches` runs this too, and wants no measurement.
    let default = if std::env::args().any(|argument| argument == "--bench") { 2_000 } else { 2 };
    let devices = std::env::args().skip(1).find_map(|text| text.parse().ok()).unwrap_or(default);
    let world = World::found(devices).await;
    for quotes in [false, true] {
        let policy = if quotes { PcrPolicy::AsEnrolled(selection()) } else { PcrPolicy::Any };
        world.ask(policy).await;
        let with = if quotes { "with a quote" } else { "without a quote" };
        let mut tpms: Vec<SoftTpm> = (0..devices).map(|_| SoftTpm::new()).collect();
        let keys = tpms.iter().map(|tpm| EkDigest(Digest(tpm.ek_digest()))).collect::<Vec<_>>();
        for keys in keys.chunks(500) {
            let keys = keys.iter().copied().collect();
            world.engine.add_endorsement_keys(&world.admin, &tenant(), &keys).await.unwrap();
        }
        let (first, second) = world.enroll(&mut tpms, quotes).await;
        let count = u32::try_from(devices).unwrap();
        let rate = f64::from(count) / (first + second).as_secs_f64();
        println!(
            "enrollment {with:<15}: first step {:>8.1?}, second step {:>8.1?}: {rate:>6.0} a second and core",
            first / count,
            second / count
        );
        for action in ["authenticate", "certificate"] {
            if quotes && action == "authenticate" {
                continue;
            }
            let took = world.request(&tpms, action, quotes).await;
            println!("{action:<12} {with:<15}: {:>8.1?} a request", took / count);
        }
    }
}

struct World {
    engine: Engine,
    admin: Caller,
    station: Caller,
}

impl World {
    async fn found(devices: usize) -> Self {
        let ports = Ports::new(Arc::new(MemoryStore::new()), TestClock::at(1_790_000_000));
        let key = Secret::copied_from(&[7; 32]);
        let founded = found(&ports, key, "wardein.example".parse().unwrap()).await.unwrap();
        let admin = Caller { principal: founded.admin.clone(), call: Call::new("bench") };
        let engine = Engine::open(ports, MemoryCustody::of([7; 32]).root_keys()).await.unwrap();
        engine.create_tenant(&admin, tenant()).await.unwrap();
        let own = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        let order = OperatorOrder {
            role: Role::Station,
            tenant: Some(tenant()),
            name: "line-1".parse().unwrap(),
            csr: Csr::create(&own).unwrap(),
            validity: 86_400,
            quota: 2 * devices as u64,
        };
        let (_, operator) = engine.issue_operator(&admin, order).await.unwrap();
        let station = Caller { principal: operator.principal, call: Call::new("bench") };
        Self { engine, admin, station }
    }

    async fn ask(&self, policy: PcrPolicy) {
        let (tenant, profile) = (tenant(), "default".parse().unwrap());
        self.engine.put_pcr_policy(&self.admin, &tenant, &profile, Some(policy), None).await.unwrap();
    }

    /// The time of all first and of all second steps.
    async fn enroll(&self, tpms: &mut [SoftTpm], quotes: bool) -> (Duration, Duration) {
        let evidence: Vec<_> = tpms
            .iter()
            .enumerate()
            .map(|(number, tpm)| {
                let order = KeyOrder {
                    device: id(number, quotes),
                    profile: "default".parse().unwrap(),
                    model: None,
                    udi: None,
                };
                let (ek_public, ak_public) = (tpm.ek_public(), tpm.ak_public());
                (order, TpmEvidence { ek_public, ek_certificates: Vec::new(), ak_public })
            })
            .collect();
        let begun = Instant::now();
        let mut challenges = Vec::new();
        for (order, one) in &evidence {
            let begun = self.engine.begin_tpm_enrollment(&self.station, order, one).await;
            challenges.push(begun.unwrap().0);
        }
        let first = begun.elapsed();
        let answers: Vec<_> = tpms
            .iter_mut()
            .zip(challenges)
            .enumerate()
            .map(|(number, (tpm, challenge))| {
                let secret = tpm.activate(&challenge.id_object, &challenge.encrypted_secret).unwrap();
                let (attested, signature) = tpm.certify(&challenge.nonce);
                TpmActivation {
                    device: id(number, quotes),
                    ticket: challenge.ticket,
                    secret: SecretBytes::from_vec(secret),
                    device_key: tpm.device_public(),
                    attested,
                    signature,
                    quote: quotes.then(|| quote(tpm, &challenge.nonce)),
                }
            })
            .collect();
        let begun = Instant::now();
        for answer in answers {
            self.engine.finish_tpm_enrollment(&self.station, answer).await.unwrap();
        }
        (first, begun.elapsed())
    }

    /// The time of a request of each device.
    async fn request(&self, tpms: &[SoftTpm], action: &str, quotes: bool) -> Duration {
        let requests: Vec<_> = tpms
            .iter()
            .enumerate()
            .map(|(number, tpm)| {
                let body =
                    if action == "certificate" { Csr::create(tpm.device_key()).unwrap() } else { Vec::new() };
                let device = DeviceName { tenant: tenant(), device: id(number, quotes) };
                let claim = SignatureClaim {
                    challenge: self.engine.challenge(&device).unwrap().challenge,
                    device,
                    nonce: [7; 32],
                    key_id: Digest::of(&PublicKey::from(*tpm.device_key().verifying_key()).spki()),
                    action: action.parse().unwrap(),
                    body_digest: Digest::of(&body),
                };
                let transcript = claim.transcript();
                let signature = tpm.device_key().sign(transcript.as_ref()).unwrap();
                let quote = quotes.then(|| quote(tpm, &transcript.0));
                let SignatureClaim { device, challenge, nonce, action, .. } = claim;
                (SignedRequest { device, challenge, nonce, action, signature, quote }, body)
            })
            .collect();
        let begun = Instant::now();
        for (request, body) in &requests {
            self.engine.prove_by_signature(&Call::new("bench"), request, body).await.unwrap();
        }
        begun.elapsed()
    }
}

fn tenant() -> wardein_domain::TenantId {
    "klinik".parse().unwrap()
}

fn id(number: usize, quotes: bool) -> wardein_domain::DeviceId {
    format!("{}-{number}", if quotes { "quoting" } else { "plain" }).parse().unwrap()
}

fn selection() -> PcrSelection {
    PcrSelection::new(Bank::Sha256, &STATE.map(|(register, _)| register)).unwrap()
}

fn quote(tpm: &SoftTpm, nonce: &[u8; 32]) -> Quote {
    let (attested, signature) = tpm.quote(nonce, &STATE);
    Quote { attested, signature, values: STATE.iter().map(|(_, value)| value.to_vec()).collect() }
}
