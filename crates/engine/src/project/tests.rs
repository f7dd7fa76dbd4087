//! Memory and store in step, over a store that delays, reorders answers, answers *unknown* and fails at random.
//!
//! The short run is for every change; `WARDEIN_DECISIONS=100000 cargo test -p wardein-engine --lib project -- --nocapture`
//! is the long one.

use super::Memory;
use crate::access::operators::OperatorOrder;
use crate::derive::rotation::RotationScope;
use crate::fleet::enrollment::EnrollOrder;
use crate::fleet::profiles::ProfilePut;
use crate::fleet::transfers::{AcceptOrder, TransferOrder};
use crate::kernel::{Caller, Engine, Error, KEPT, Ports, Records};
use crate::rows::seal::{Keyring, RootRing};
use std::collections::BTreeMap;
use std::sync::Arc;
use wardein_crypto::{P256SigningKey, P256VerifyingKey, Secret, SystemEntropy};
use wardein_ddkg::device::{DeviceState as Keys, Enrolling};
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName, Purposes, Suite};
use wardein_domain::{
    Call, DeviceState, ErrorCode, ErrorKind, ProfileFields, Role, TenantId, TrustCondition, TrustLimit,
    TrustPolicy, TrustRule,
};
use wardein_pki::Csr;
use wardein_port::{RootKey, Store};
use wardein_testkit::{Chaos, ChaosStore, CrashPoint, MemoryStore, SeededSource, TestClock};

const START: u64 = 1_790_000_000;
const DEVICES: u64 = 12;

/// An authority over a rough store.
struct World {
    store: ChaosStore,
    clock: TestClock,
    engine: Engine,
    admin: Caller,
    station: Caller,
    /// Operators that may be revoked.
    others: Vec<Caller>,
    devices: BTreeMap<u64, (Keys, AttributeDigests)>,
    random: Random,
    counts: BTreeMap<&'static str, u64>,
}

/// splitmix64: one state, one step.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn root_keys() -> Vec<RootKey> {
    vec![RootKey { version: 1, secret: Secret::copied_from(&[7; 32]) }]
}

fn ports(store: &ChaosStore, clock: &TestClock, seed: u64) -> Ports {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    Ports { entropy: Arc::new(SeededSource::new(seed)), ..Ports::new(store, clock.clone()) }
}

fn csr() -> Vec<u8> {
    Csr::create(&P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()).unwrap()
}

fn name(number: u64) -> DeviceName {
    DeviceName { tenant: "klinik".parse().unwrap(), device: format!("pump-{number}").parse().unwrap() }
}

impl World {
    async fn new(seed: u64) -> Self {
        let store = ChaosStore::over(MemoryStore::new(), seed, Chaos::default());
        let clock = TestClock::at(START);
        let ports = ports(&store, &clock, seed);
        let root_key = Secret::copied_from(&[7; 32]);
        let founded = crate::found(&ports, root_key, "wardein.example".parse().unwrap()).await.unwrap();
        let engine = Engine::open(ports, root_keys()).await.unwrap();
        let caller = |principal| Caller { principal, call: Call::new("test") };
        let admin = caller(founded.admin);
        engine.create_tenant(&admin, "klinik".parse().unwrap()).await.unwrap();
        let order = Self::order(Role::Station, "line-1");
        let station = caller(engine.issue_operator(&admin, order).await.unwrap().1.principal);
        let (others, devices) = (Vec::new(), BTreeMap::new());
        let (random, counts) = (Random(seed), BTreeMap::new());
        Self { store, clock, engine, admin, station, others, devices, random, counts }
    }

    fn order(role: Role, name: &str) -> OperatorOrder {
        OperatorOrder {
            role,
            tenant: Some("klinik".parse().unwrap()),
            name: name.parse().unwrap(),
            csr: csr(),
            validity: 86_400,
            quota: if role == Role::Station { 1_000 } else { 0 },
        }
    }

    /// Does something by chance; the word for it.
    async fn act(&mut self) -> (&'static str, Result<(), Error>) {
        let number = self.random.below(DEVICES);
        let reason = || "by chance".parse().unwrap();
        let (engine, admin) = (&self.engine, &self.admin);
        match self.random.below(100) {
            0..40 => ("prove", self.prove(number).await),
            40..55 => ("enroll", self.enroll(number).await),
            55..70 => {
                let states = [DeviceState::Active, DeviceState::Suspended, DeviceState::Quarantined];
                let state = states[self.random.below(3) as usize];
                let set = engine.set_device_state(admin, name(number), state, reason()).await;
                if set.is_ok() {
                    let known = engine.memory.device(&name(number)).unwrap();
                    assert_eq!(known.state, state, "an answer before its change is projected");
                }
                ("state", set.map(|_| ()))
            }
            70..75 => {
                let anew = self.random.below(4) == 0;
                let readmitted = engine.readmit_device(admin, name(number), anew, reason()).await;
                if readmitted.is_ok() && anew {
                    self.devices.remove(&number);
                }
                ("readmit", readmitted.map(|_| ()))
            }
            75..80 => {
                let operator = format!("platform-{}", self.random.below(1_000_000));
                match engine.issue_operator(admin, Self::order(Role::Platform, &operator)).await {
                    Ok((_, issued)) => {
                        self.others.push(Caller { principal: issued.principal, call: Call::new("test") });
                        ("issue", Ok(()))
                    }
                    Err(error) => ("issue", Err(error)),
                }
            }
            80..85 => match self.others.pop() {
                Some(other) => {
                    let revoked = engine
                        .revoke_operator(admin, other.principal.serial, reason(), false)
                        .await
                        .map(|_| ());
                    if revoked.is_ok() {
                        let refused = engine.authenticate(&other.principal).await.unwrap_err();
                        assert_eq!(refused.code, ErrorCode::OperatorRevoked);
                    }
                    ("revoke", revoked)
                }
                None => ("revoke", Ok(())),
            },
            85..87 => {
                let (tenant, profile) = ("klinik".parse().unwrap(), "default".parse().unwrap());
                let profile = (self.random.below(2) == 0).then_some(&profile);
                let rule =
                    |age| TrustRule { when: TrustCondition::SilentFor(age), limit: TrustLimit::Restricted };
                let rules = vec![rule(60 + self.random.below(9))];
                let policy = (self.random.below(3) > 0).then(|| TrustPolicy::new(rules, None).unwrap());
                ("policy", engine.put_trust_policy(admin, &tenant, profile, policy, None).await.map(drop))
            }
            87..90 => {
                let verdict_lifetime = Some(60 + self.random.below(1_000));
                let fields = ProfileFields { verdict_lifetime, ..ProfileFields::default() };
                let (tenant, profile) = ("klinik".parse().unwrap(), "default".parse().unwrap());
                (
                    "profile",
                    engine.put_profile(admin, tenant, profile, ProfilePut::set(fields)).await.map(drop),
                )
            }
            90..95 => {
                let scope = match self.random.below(3) {
                    0 => RotationScope::Tenant,
                    1 => RotationScope::Profile("default".parse().unwrap()),
                    _ => RotationScope::Device(name(number).device),
                };
                let tenant = "klinik".parse().unwrap();
                ("rotate", engine.rotate_keys(admin, tenant, scope, false, reason()).await.map(|_| ()))
            }
            95..97 => {
                let tenant = format!("tenant-{}", self.random.below(50)).parse().unwrap();
                ("tenant", engine.create_tenant(admin, tenant).await.map(|_| ()))
            }
            _ => {
                let to: TenantId = format!("tenant-{}", self.random.below(3)).parse().unwrap();
                let (from, profile) = (name(number), "default".parse().unwrap());
                let done = match self.random.below(3) {
                    0 => {
                        let order = TransferOrder { device: from, to, lifetime: 3_600, reason: reason() };
                        engine.offer_transfer(admin, order).await
                    }
                    1 => {
                        let order = AcceptOrder { tenant: to, from, device: None, profile };
                        engine.accept_transfer(admin, order).await
                    }
                    _ => engine.withdraw_transfer(admin, from, reason()).await,
                };
                ("transfer", done.map(|_| ()))
            }
        }
    }

    /// What a device asks for, and how a station hands it on.
    fn enrolling(&self, number: u64) -> (Enrolling, EnrollOrder, AttributeDigests) {
        let mut attributes = Attributes::new();
        attributes.insert("firmware".parse().unwrap(), b"1.0").unwrap();
        let measured = attributes.digests();
        let identity = P256VerifyingKey(self.engine.trust_bundle().identity_key);
        let entropy = &mut SystemEntropy::default();
        let enrolling = Enrolling::begin(identity, Suite::P256, name(number), attributes, entropy).unwrap();
        let request = enrolling.request();
        let order = EnrollOrder {
            device: request.device.device.clone(),
            suite: request.share.suite().number().into(),
            nonce: request.nonce,
            share: request.share.as_bytes().to_vec(),
            attributes: request.attributes.clone(),
            profile: "default".parse().unwrap(),
            model: None,
            udi: None,
        };
        (enrolling, order, measured)
    }

    async fn enroll(&mut self, number: u64) -> Result<(), Error> {
        let (enrolling, order, measured) = self.enrolling(number);
        let reply = self.engine.enroll(&self.station, order).await?;
        let mut state = enrolling.finish(&reply, Purposes::ENROLLED).unwrap();
        let confirmation = state.confirmation().unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        let device = name(number).device;
        // Once it is asked for, the keys may be the authority's, whatever it answers.
        self.devices.insert(number, (state, measured));
        self.engine.confirm(&self.station, device, confirmation.tag.0).await
    }

    async fn prove(&mut self, number: u64) -> Result<(), Error> {
        let Some((state, measured)) = self.devices.get_mut(&number) else { return Ok(()) };
        let ask = state.ask_challenge();
        let offer = self.engine.challenge(&name(number))?;
        let action = "authenticate".parse().unwrap();
        let Ok(proved) = state.prove(ask, &offer, measured, action, b"", &mut SystemEntropy::default())
        else {
            return Ok(());
        };
        let (request, in_flight) = proved.save(|_| Ok::<_, ()>(())).unwrap();
        let proved = self.engine.prove(&Call::new("test"), request, Vec::new()).await?;
        state.acknowledge(in_flight, proved.reply).unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        Ok(())
    }

    /// Memory equals one that is loaded now.
    async fn compare(&self) {
        self.store.settle();
        let root = Arc::new(RootRing::new(Keyring::of(root_keys()).unwrap()));
        let loaded =
            Memory::new(root, Records::new(KEPT), self.engine.clock.clone(), Arc::new(Vec::new()), None);
        loaded.load(self.store.memory(), self.engine.time()).await.unwrap();
        assert_eq!(self.engine.memory.dump(), loaded.dump());
    }
}

/// How many decisions are made in one world.
const LIFETIME: u64 = 3_000;

async fn run(seed: u64, decisions: u64) {
    let mut world = World::new(seed).await;
    world.store.set(Chaos::ROUGH);
    for decision in 0..decisions {
        let (word, outcome) = world.act().await;
        *world.counts.entry(word).or_default() += 1;
        if let Err(error) = outcome {
            *world.counts.entry("refused").or_default() += 1;
            // A faulty store causes unavailability, and refusals of attempts on half a state; never a fault of
            // ours.
            assert_ne!(error.kind(), ErrorKind::Internal, "decision {decision}, {word}: {error}");
        }
        if world.random.below(20) == 0 {
            world.clock.pass(1 + world.random.below(120));
        }
        world.compare().await;
        // The process dies with a commit that is durable and not projected; the next one loads what there is.
        if world.random.below(500) == 0 {
            *world.counts.entry("deaths").or_default() += 1;
            world.store.memory().crash_at(0, CrashPoint::DurableNotProjected);
            while !world.store.memory().crashed() {
                world.act().await.1.err();
            }
            let chaos = ChaosStore::over(
                world.store.memory().restart(),
                world.random.below(u64::MAX),
                Chaos::default(),
            );
            world.engine =
                Engine::open(ports(&chaos, &world.clock, seed + decision), root_keys()).await.unwrap();
            world.store = chaos;
            world.store.set(Chaos::ROUGH);
            world.compare().await;
        }
    }
    println!("seed {seed}: {decisions} decisions in step: {:?}", world.counts);
}

/// No row is at hand, and answers come late: what is read of a device is of one moment all the same.
#[tokio::test]
async fn a_sweep_beside_a_change_of_keys_reads_both_rows_of_one_moment() {
    let mut world = World::new(7).await;
    world.enroll(1).await.unwrap();
    world.store.set(Chaos { later: 1000, slow: 1000, ..Chaos::default() });
    for _ in 0..200 {
        let reason = "by a test".parse().unwrap();
        world.engine.readmit_device(&world.admin, name(1), true, reason).await.unwrap();
        let (enrolling, order, _) = world.enrolling(1);
        let device = order.device.clone();
        let reply = world.engine.enroll(&world.station, order).await.unwrap();
        let mut state = enrolling.finish(&reply, Purposes::ENROLLED).unwrap();
        let confirmation = state.confirmation().unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        let sweep = async {
            let mut sweep = world.engine.begin_sweep(None, None).await?;
            while !world.engine.sweep_some(&mut sweep, 10).await?.is_done {}
            Ok::<_, Error>(())
        };
        let confirm = world.engine.confirm(&world.station, device, confirmation.tag.0);
        let (confirmed, swept) = tokio::join!(confirm, sweep);
        confirmed.unwrap();
        swept.unwrap();
    }
}

#[tokio::test]
async fn memory_and_store_are_in_step_after_each_decision() {
    let decisions = std::env::var("WARDEIN_DECISIONS").map_or(LIFETIME, |text| text.parse().unwrap());
    // All of memory is compared each time, so that a world that grew old would cost the square of its age.
    for seed in 1..=decisions.div_ceil(LIFETIME) {
        run(seed, LIFETIME.min(decisions - (seed - 1) * LIFETIME)).await;
    }
}

#[tokio::test]
async fn projection_again_changes_nothing() {
    let mut world = World::new(2).await;
    for _ in 0..200 {
        drop(world.act().await);
    }
    let before = world.engine.memory.dump();
    world.engine.memory.load(world.store.memory(), world.engine.time()).await.unwrap();
    assert_eq!(world.engine.memory.dump(), before, "rows that come twice");
}

/// Counted, records would be bounded by the longest that a device can make, which takes thirty times a young one's memory.
#[tokio::test]
async fn keys_of_so_many_bytes_are_kept_and_the_latest_of_them() {
    let mut world = World::new(5).await;
    let (bound, devices) = (64 << 10, 100);
    let kept = Records::new(bound);
    for number in 0..devices {
        while world.enroll(number).await.is_err() {}
        world.prove(number).await.unwrap();
        let held = world.engine.records.try_hold(&name(number)).unwrap().take().expect("just proved");
        kept.try_hold(&name(number)).unwrap().put(held);
    }
    let bytes =
        |number| kept.try_hold(&name(number)).unwrap().take().map(|held| held.keys.record.memory_len());
    assert!(bytes(devices - 1).is_some(), "the latest");
    let rest: Vec<_> = (0..devices - 1).filter_map(bytes).collect();
    assert!(
        rest.len() > 8 && rest.iter().sum::<usize>() < bound,
        "{} of {} bytes",
        rest.len(),
        rest.iter().sum::<usize>()
    );
}

/// A shredded device's keys would otherwise stay in memory until others push them out.
#[tokio::test]
async fn a_change_that_brings_no_keys_leaves_no_opened_ones_in_memory() {
    let mut world = World::new(3).await;
    while world.enroll(0).await.is_err() {}
    world.prove(0).await.unwrap();
    let held = |engine: &Engine| {
        let mut guard = engine.records.try_hold(&name(0)).unwrap();
        let held = guard.take();
        let is_held = held.is_some();
        if let Some(held) = held {
            guard.put(held);
        }
        is_held
    };
    assert!(held(&world.engine), "a proof keeps them for the next one");
    let (admin, reason) = (&world.admin, "lost".parse().unwrap());
    world.engine.set_device_state(admin, name(0), DeviceState::Retired, reason).await.unwrap();
    assert!(!held(&world.engine));
}

/// Those of a device that has gone over to another tenant open nothing that is used any more.
#[tokio::test]
async fn the_opened_keys_of_a_device_that_went_to_another_tenant_are_forgotten() {
    let mut world = World::new(4).await;
    while world.enroll(0).await.is_err() {}
    world.store.set(Chaos::default());
    world.prove(0).await.unwrap();
    let (lab, reason): (TenantId, _) = ("lab".parse().unwrap(), "sold".parse().unwrap());
    let World { engine, admin, devices, .. } = &mut world;
    engine.create_tenant(admin, lab.clone()).await.unwrap();
    let order = TransferOrder { device: name(0), to: lab.clone(), lifetime: 3_600, reason };
    engine.offer_transfer(admin, order).await.unwrap();
    let profile = "default".parse().unwrap();
    engine
        .accept_transfer(admin, AcceptOrder { tenant: lab, from: name(0), device: None, profile })
        .await
        .unwrap();
    let held = |engine: &Engine| {
        let mut guard = engine.records.try_hold(&name(0)).unwrap();
        guard.take().map(|held| guard.put(held)).is_some()
    };
    let (state, measured) = devices.get_mut(&0).unwrap();
    let entropy = &mut SystemEntropy::default();
    let (ask, offer) = (state.ask_challenge(), engine.challenge(&name(0)).unwrap());
    let proof = state.transfer(ask, &offer, measured, Suite::P256, entropy).unwrap();
    let (request, ask, in_flight) = proof.save(|_| Ok::<_, ()>(())).unwrap();
    let proved = engine.prove(&Call::new("test"), request, ask.encode()).await.unwrap();
    state.acknowledge(in_flight, proved.reply).unwrap().save(|_| Ok::<_, ()>(())).unwrap();
    assert!(held(engine), "it is still answered here");
    let (ask, offer) = (state.ask_challenge(), engine.challenge(state.device()).unwrap());
    let action = "authenticate".parse().unwrap();
    let proof = state.prove(ask, &offer, measured, action, b"", entropy).unwrap();
    let (request, _) = proof.save(|_| Ok::<_, ()>(())).unwrap();
    engine.prove(&Call::new("test"), request, Vec::new()).await.unwrap();
    assert!(!held(engine));
}

/// What a verdict takes, without a policy and with one:
/// `cargo test --release -p wardein-engine --lib project::tests::cost -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn cost() {
    const VERDICTS: u32 = 2_000_000;
    let mut world = World::new(9).await;
    world.enroll(0).await.unwrap();
    world.prove(0).await.unwrap();
    let order = World::order(Role::Platform, "iot");
    let platform = world.engine.issue_operator(&world.admin, order).await.unwrap().1.principal;
    let platform = Caller { principal: platform, call: Call::new("test") };
    let subject = crate::Subject::Device(name(0).device);
    let measure = |what| {
        let started = std::time::Instant::now();
        for _ in 0..VERDICTS {
            std::hint::black_box(world.engine.check_in_memory(&platform, &subject).unwrap());
        }
        println!("{what}: a verdict takes {:?}", started.elapsed() / VERDICTS);
    };
    (0..3).for_each(|_| measure("without a policy"));
    let rule = |when| TrustRule { when, limit: TrustLimit::Restricted };
    let floor = TrustCondition::FirmwareBelow("firmware".parse().unwrap(), "0.9".parse().unwrap());
    let conditions = [600, 86_400].map(TrustCondition::SilentFor);
    let rules = [TrustCondition::KeysOlder(86_400), TrustCondition::KeyShared, floor].map(rule).to_vec();
    let [first, last] = conditions;
    let rules = [rules, vec![rule(first), TrustRule { when: last, limit: TrustLimit::NotTrusted }]].concat();
    let policy = TrustPolicy::new(rules, None).unwrap();
    let tenant = "klinik".parse().unwrap();
    world.engine.put_trust_policy(&world.admin, &tenant, None, Some(policy), None).await.unwrap();
    (0..3).for_each(|_| measure("by five rules"));
}
