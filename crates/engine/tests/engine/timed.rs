//! Trust policies, devices and time at random: asking, watching and keeping a cache give the same answer, over restarts too.
//!
//! The short run is for every change; `WARDEIN_TIMED=100000 cargo test -p wardein-engine --test engine timed -- --nocapture` is the long one.

use crate::watch::{Client, Random};
use crate::world::{TestDevice, World};
use std::collections::BTreeMap;
use wardein_ddkg::{Attributes, Suite};
use wardein_domain::{
    DeviceState, ProfileFields, TrustCondition, TrustLimit, TrustPolicy, TrustRule, Verdict,
};
use wardein_engine::{DeviceVerdict, EnrollOrder, ErrorKind};
use wardein_testkit::CrashPoint;

/// Steps in one world: the certificates here are good for thirty days, of which these take five.
const LIFETIME: u64 = 4_000;

const AGES: [u64; 5] = [60, 90, 600, 3_600, 50_000];
const VERSIONS: [&str; 4] = ["1.0", "1.1", "2.0-rc.1", "nightly"];

fn any_policy(random: &mut Random) -> TrustPolicy {
    loop {
        let rules = (0..random.below(5)).map(|_| {
            let age = AGES[random.below(5) as usize];
            let floor = VERSIONS[random.below(3) as usize].parse().unwrap();
            let when = match random.below(6) {
                0 | 1 => TrustCondition::SilentFor(age),
                2 => TrustCondition::KeysOlder(age),
                3 => TrustCondition::AttestationOlder(age),
                4 => TrustCondition::KeyShared,
                _ => TrustCondition::FirmwareBelow("firmware".parse().unwrap(), floor),
            };
            let limit = TrustLimit::ALL[random.below(2) as usize];
            TrustRule { when, limit }
        });
        let rules = rules.collect();
        let lifetime = [None, Some(30), Some(3_600)][random.below(3) as usize];
        // Some contradict themselves.
        if let Ok(policy) = TrustPolicy::new(rules, lifetime) {
            return policy;
        }
    }
}

async fn enrolled(world: &World, id: &str, profile: &str) -> TestDevice {
    let mut device = TestDevice::begin(&world.engine, id);
    let order = EnrollOrder { profile: profile.parse().unwrap(), ..device.order() };
    let reply = world.engine.enroll(&world.station, order).await.unwrap();
    let tag = device.finish(&reply);
    world.engine.confirm(&world.station, id.parse().unwrap(), tag).await.unwrap();
    device
}

/// What the authority answers now.
async fn truth(world: &World, ids: &[String]) -> BTreeMap<String, DeviceVerdict> {
    let mut batch = world.engine.batch(&world.platform).await.unwrap();
    ids.iter().map(|id| (id.clone(), batch.verdict(id.parse().unwrap()))).collect()
}

/// A client that has read everything has what the authority answers; of a verdict that time ends it knows until when at the latest, and
/// that is not over.
async fn compare(world: &World, client: &Client, ids: &[String]) -> usize {
    let (truth, now) = (truth(world, ids).await, world.engine.now());
    assert_eq!(client.devices.len(), truth.len());
    let mut bound = 0;
    for (id, told) in &client.devices {
        let answer = &truth[id];
        let known = DeviceVerdict { valid_until: answer.valid_until, ..told.clone() };
        assert_eq!(known, *answer, "at {now}: {told:?}");
        if let Some(until) = told.valid_until {
            assert!(
                now < until && answer.valid_until.is_none_or(|answer| until <= answer),
                "{told:?} at {now}"
            );
            bound += 1;
        }
        assert!(told.valid_until.is_some() || answer.valid_until.is_none(), "{told:?} at {now}: {answer:?}");
    }
    bound
}

#[tokio::test]
async fn whoever_asks_watches_or_resumes_has_the_same_answer_whatever_time_does() {
    let steps = std::env::var("WARDEIN_TIMED").map_or(LIFETIME, |text| text.parse().unwrap());
    for seed in 1..=steps.div_ceil(LIFETIME) {
        run(seed, LIFETIME.min(steps - (seed - 1) * LIFETIME)).await;
    }
}

async fn run(seed: u64, steps: u64) {
    let (mut world, mut random) = (World::new().await, Random(seed));
    world.put_profile("icu", ProfileFields::default()).await;
    let ids: Vec<_> = (0..8).map(|number| format!("pump-{number}")).collect();
    let mut devices = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        devices.push(enrolled(&world, id, ["default", "icu"][number % 2]).await);
    }
    let mut clients: Vec<_> = (0..4).map(|_| Client::default()).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..steps {
        let number = random.below(8) as usize;
        let device = &mut devices[number];
        let mut count = |word, by| *counts.entry(word).or_default() += by;
        match random.below(100) {
            0..25 => {
                // One that is not active is refused.
                drop(device.prove(&world.engine, "authenticate", b"").await);
                count("proofs", 1);
            }
            25..30 => drop(device.rekey(&world.engine, Suite::P256).await),
            30..35 => {
                let mut attributes = Attributes::new();
                let version = VERSIONS[random.below(4) as usize];
                attributes.insert("firmware".parse().unwrap(), version.as_bytes()).unwrap();
                if device.prove(&world.engine, "attributes", &attributes.encode()).await.is_ok() {
                    device.measured = attributes.digests();
                }
            }
            35..45 => {
                let state = [DeviceState::Active, DeviceState::Suspended][random.below(4) as usize / 3];
                let (name, reason) = (device.name.clone(), "test".parse().unwrap());
                drop(world.engine.set_device_state(&world.admin, name, state, reason).await);
            }
            45..51 => {
                let profile = [None, Some("default"), Some("icu")][random.below(3) as usize];
                let policy = (random.below(4) > 0).then(|| any_policy(&mut random));
                world.put_policy(profile, policy).await.unwrap();
                count("policies", 1);
            }
            51..65 => world.clock.pass([1, 5, 29, 60, 61, 600, 3_600][random.below(7) as usize]),
            65..67 => {
                if random.below(2) == 0 {
                    // It dies with a change that is durable and that no memory has heard of.
                    world.store.crash_at(0, CrashPoint::DurableNotProjected);
                    let lost = world.put_policy(None, Some(any_policy(&mut random))).await;
                    assert!(lost.err().is_none_or(|error| error.kind() != ErrorKind::Invalid));
                }
                world.restart().await;
                clients.iter_mut().for_each(|client| client.watch = None);
                count("restarts", 1);
            }
            _ => {
                let client = &mut clients[random.below(4) as usize];
                if client.watch.is_none() {
                    count(if client.revision.is_some() { "resumed" } else { "snapshots" }, 1);
                    client.open(&world.engine, &world.platform).await.unwrap();
                }
                if random.below(3) == 0 {
                    client.read(&world.engine).unwrap();
                } else {
                    client.read_all(&world.engine).unwrap();
                    if client.bookmark(&world.engine).await.unwrap().is_some() {
                        let bound = compare(&world, client, &ids).await;
                        count("compared", 1);
                        count("bound by time", bound);
                        for verdict in client.devices.values().map(|told| told.verdict) {
                            let word = match verdict {
                                Verdict::Trusted => "trusted",
                                Verdict::Restricted => "restricted",
                                Verdict::NotTrusted => "not trusted",
                                Verdict::Unknown => "unknown",
                            };
                            *verdicts.entry(word).or_default() += 1;
                        }
                    }
                }
                match random.below(12) {
                    0 => client.watch = None,
                    1 => *client = Client::default(),
                    _ => {}
                }
            }
        }
    }
    for client in &mut clients {
        if client.watch.is_none() {
            client.open(&world.engine, &world.platform).await.unwrap();
        }
        client.read_all(&world.engine).unwrap();
        compare(&world, client, &ids).await;
    }
    println!("seed {seed}, {steps} steps: {counts:?}, {verdicts:?}");
    if steps == LIFETIME {
        for word in ["trusted", "restricted", "not trusted"] {
            assert!(verdicts.get(word).is_some_and(|count| *count > 50), "{word}: {verdicts:?}");
        }
        assert!(counts["bound by time"] > 100, "{counts:?}");
    }
}

/// Nothing is read from the store, and no device is looked at but those whose time has come.
#[tokio::test]
async fn a_watcher_that_waits_is_woken_by_time_alone() {
    let world = World::new().await;
    for number in 0..3 {
        enrolled(&world, &format!("pump-{number}"), "default").await;
    }
    world.clock.pass(30);
    let mut late = enrolled(&world, "late", "default").await;
    late.prove(&world.engine, "authenticate", b"").await.unwrap();
    let rule = TrustRule { when: TrustCondition::SilentFor(600), limit: TrustLimit::Restricted };
    world.put_policy(None, Some(TrustPolicy::new(vec![rule], None).unwrap())).await.unwrap();
    let mut client = Client::default();
    client.open(&world.engine, &world.platform).await.unwrap();
    client.read_all(&world.engine).unwrap();
    let restricted =
        |client: &Client| client.devices.values().filter(|told| told.verdict == Verdict::Restricted).count();
    assert_eq!(restricted(&client), 0);
    let messages = client.messages;
    world.clock.pass(564);
    assert!(!client.read(&world.engine).unwrap(), "nobody's time has come");
    world.clock.pass(6);
    client.read_all(&world.engine).unwrap();
    assert_eq!((restricted(&client), client.messages - messages), (3, 1));
    // It waits, and a thread of its own wakes it.
    let clock = world.clock.clone();
    let later = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        clock.pass(30);
    });
    let mut watch = client.watch.take().unwrap();
    let told = loop {
        match watch.next(&world.engine).await.unwrap() {
            wardein_engine::Watched::Change { devices, .. } => break devices,
            other => assert_eq!(other, wardein_engine::Watched::Current),
        }
    };
    later.join().unwrap();
    assert_eq!((told[0].device.as_str(), told[0].verdict), ("late", Verdict::Restricted));
    // Its next proof is told as well, though no feed has it.
    late.prove(&world.engine, "authenticate", b"").await.unwrap();
    let wardein_engine::Watched::Change { devices, .. } = watch.next(&world.engine).await.unwrap() else {
        panic!("it is no change")
    };
    assert_eq!((devices[0].device.as_str(), devices[0].verdict), ("late", Verdict::Trusted));
}
