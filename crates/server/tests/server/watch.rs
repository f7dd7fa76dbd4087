//! Trust that is pushed, over real TLS.
//!
//! `WARDEIN_WATCHERS=1000 cargo test --release -p wardein-server --test server watch::measured -- --nocapture` measures how long a
//! change takes to the last of so many watchers.

use crate::common::device::TestDevice;
use crate::common::{Served, copied, issue, issue_as, revoke};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tonic::Code;
use v1::check_result::Result as Outcome;
use v1::watch_request::From;
use v1::watch_response::Event;
use wardein_client::{
    Connection, Identity, Lookup, Parts, Refusal, TrustCache, WatchEvent, Watcher, number, time, v1,
};
use wardein_domain::Role;
use wardein_server::Limits;

/// An authority with tenant `t` and a device `pump-1`.
struct World {
    served: Served,
    admin: Connection,
    station: Connection,
    identity: Identity,
    platform: Connection,
}

impl World {
    async fn new(limits: Limits) -> Self {
        let served = Served::with(limits, 0).await;
        let admin = served.connect(Some(served.admin())).await.unwrap();
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        let station = served.connect(Some(issue(&admin, Role::Station).await)).await.unwrap();
        let identity = issue(&admin, Role::Platform).await;
        let platform = served.connect(Some(copied(&identity))).await.unwrap();
        TestDevice::enrolled(&station, "pump-1").await;
        Self { served, admin, station, identity, platform }
    }

    async fn set_state(&self, device: &str, state: v1::DeviceState) {
        let set = v1::SetDeviceStateRequest {
            tenant: "t".into(),
            device_id: device.into(),
            state: state.into(),
            reason: "test".into(),
            ..Default::default()
        };
        self.admin.admin().set_device_state(set).await.unwrap();
    }

    async fn watch(&self, from: From) -> Result<Parts<v1::WatchResponse>, Refusal> {
        self.platform.platform().watch(v1::WatchRequest { from: Some(from) }).await
    }
}

async fn event(parts: &mut Parts<v1::WatchResponse>) -> Event {
    let next = timeout(Duration::from_secs(20), parts.next()).await.expect("in time");
    next.unwrap().unwrap().event.unwrap()
}

/// Why it ends.
async fn end(parts: &mut Parts<v1::WatchResponse>) -> Refusal {
    loop {
        match timeout(Duration::from_secs(20), parts.next()).await.expect("in time") {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended as if all were well"),
            Err(refusal) => return refusal,
        }
    }
}

const SNAPSHOT: From = From::Snapshot(v1::FromSnapshot {});

#[tokio::test]
async fn a_snapshot_a_bookmark_changes_and_another_stream_that_goes_on() {
    let world = World::new(Limits::default()).await;
    let mut parts = world.watch(SNAPSHOT).await.unwrap();
    let Event::Snapshot(v1::Snapshot { devices }) = event(&mut parts).await else { panic!() };
    let [device] = &devices[..] else { panic!("{devices:?}") };
    assert_eq!((device.device_id.as_str(), device.verdict()), ("pump-1", v1::Verdict::Trusted));
    assert_eq!(time::span_seconds(device.lifetime), 300);
    let Event::SnapshotEnd(v1::SnapshotEnd { revision, devices: 1 }) = event(&mut parts).await else {
        panic!()
    };
    // At once, so that a cache need not wait for its first answer.
    let Event::Bookmark(bookmark) = event(&mut parts).await else { panic!() };
    assert_eq!(bookmark.revision, revision);
    assert!(bookmark.elapsed.unwrap().seconds < 4);
    world.set_state("pump-1", v1::DeviceState::Suspended).await;
    let Event::Change(change) = event(&mut parts).await else { panic!() };
    assert_eq!(change.previous, revision);
    assert_eq!(change.devices[0].verdict(), v1::Verdict::NotTrusted);
    // The next one in five seconds.
    let Event::Bookmark(bookmark) = event(&mut parts).await else { panic!() };
    assert_eq!(bookmark.revision, change.revision);
    assert!(bookmark.elapsed.unwrap().seconds >= 4);
    drop(parts);
    world.set_state("pump-1", v1::DeviceState::Active).await;
    let mut parts = world.watch(From::Revision(change.revision.clone())).await.unwrap();
    let Event::Change(next) = event(&mut parts).await else { panic!() };
    assert_eq!(next.previous, change.revision);
    assert_eq!(next.devices[0].verdict(), v1::Verdict::Trusted);
    let Event::Bookmark(_) = event(&mut parts).await else { panic!("as soon as there is nothing else") };
}

#[tokio::test]
async fn it_ends_with_its_caller_and_with_the_service() {
    let world = World::new(Limits::default()).await;
    let other = v1::IssueOperatorRequest {
        role: number::<v1::Role>("platform"),
        tenant: "t".into(),
        name: "other".into(),
        validity: time::span(3_600),
        ..Default::default()
    };
    let other = issue_as(&world.admin, other).await;
    let by = world.served.connect(Some(copied(&other))).await.unwrap();
    let mut theirs = by.platform().watch(v1::WatchRequest { from: Some(SNAPSHOT) }).await.unwrap();
    let mut ours = world.watch(SNAPSHOT).await.unwrap();
    while !matches!(event(&mut theirs).await, Event::Bookmark(_)) {}
    let began = Instant::now();
    revoke(&world.admin, &other).await;
    assert_eq!(end(&mut theirs).await.code, "operator-revoked");
    assert!(began.elapsed() < Duration::from_secs(3), "not only at the next bookmark");
    let World { mut served, .. } = world;
    let stopped = tokio::task::spawn_blocking(move || served.stop());
    let refusal = end(&mut ours).await;
    assert_eq!((refusal.status, refusal.code.as_str()), (Code::Unavailable, "stopping"));
    assert!(refusal.may_retry());
    stopped.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_operator_has_so_many_streams() {
    let limits = Limits { streams_per_operator: 2, ..Limits::default() };
    let world = World::new(limits).await;
    let (_one, two) = (world.watch(SNAPSHOT).await.unwrap(), world.watch(SNAPSHOT).await.unwrap());
    let refused = world.watch(SNAPSHOT).await.unwrap_err();
    assert_eq!((refused.status, refused.code.as_str()), (Code::ResourceExhausted, "too-many-streams"));
    let batches = world.platform.platform().check_stream(tokio_stream::pending()).await;
    assert_eq!(batches.unwrap_err().code, "too-many-streams");
    drop(two);
    let again = async {
        while world.watch(SNAPSHOT).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), again).await.expect("its place is free again");
}

#[tokio::test]
async fn answers_of_batches_come_in_order_and_a_bad_id_stops_nothing() {
    let world = World::new(Limits::default()).await;
    TestDevice::enrolled(&world.station, "pump-2").await;
    world.set_state("pump-2", v1::DeviceState::Suspended).await;
    let (send, messages) = tokio::sync::mpsc::channel(4);
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let ids =
        |ids: &[&str]| v1::CheckStreamRequest { device_ids: ids.iter().map(|id| (*id).into()).collect() };
    send.send(ids(&["pump-2", "not an id", "pump-1", "pump-3"])).await.unwrap();
    send.send(ids(&[])).await.unwrap();
    send.send(ids(&["pump-1"; 1_024])).await.unwrap();
    let mut answers = world.platform.platform().check_stream(messages).await.unwrap();
    let said = |result: &v1::CheckResult| match result.result.as_ref().unwrap() {
        Outcome::Verdict(given) => (given.device_id.clone(), given.verdict().as_str_name()),
        Outcome::Failure(failure) => (failure.code.clone(), "failure"),
    };
    let first = answers.next().await.unwrap().unwrap();
    assert!(first.decided_at.is_some() && first.revision > 0);
    let first: Vec<_> = first.results.iter().map(said).collect();
    let expected = [
        ("pump-2", "VERDICT_NOT_TRUSTED"),
        ("malformed", "failure"),
        ("pump-1", "VERDICT_TRUSTED"),
        ("pump-3", "VERDICT_UNKNOWN"),
    ];
    assert_eq!(first, expected.map(|(id, verdict)| (id.to_owned(), verdict)));
    assert!(answers.next().await.unwrap().unwrap().results.is_empty());
    assert_eq!(answers.next().await.unwrap().unwrap().results.len(), 1_024);
    // It ends with its caller.
    revoke(&world.admin, &world.identity).await;
    send.send(ids(&["pump-1"])).await.unwrap();
    assert_eq!(answers.next().await.unwrap_err().code, "operator-revoked");
}

async fn until(what: impl Fn() -> bool) {
    let waits = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), waits).await.expect("in time");
}

#[tokio::test]
async fn a_cache_hears_of_a_change_and_trusts_nobody_once_the_authority_is_gone() {
    let world = World::new(Limits::default()).await;
    let cache = TrustCache::new(Duration::from_secs(7));
    assert_eq!(cache.lookup("pump-1"), Lookup::Stale);
    let follow = tokio::spawn(cache.clone().follow(world.platform.platform(), |_| {}));
    until(|| cache.lookup("pump-1").is_trusted()).await;
    assert_eq!(cache.lookup("pump-2"), Lookup::Unknown);
    world.set_state("pump-1", v1::DeviceState::Suspended).await;
    until(|| matches!(cache.lookup("pump-1"), Lookup::Known(known) if known.verdict() == v1::Verdict::NotTrusted))
        .await;
    world.set_state("pump-1", v1::DeviceState::Active).await;
    until(|| cache.lookup("pump-1").is_trusted()).await;
    let World { mut served, platform, .. } = world;
    tokio::task::spawn_blocking(move || served.stop()).await.unwrap().unwrap();
    until(|| cache.lookup("pump-1") == Lookup::Stale).await;
    assert!(!follow.is_finished(), "it tries again");
    follow.abort();
    drop(platform);
}

/// The cache, the watch and Check end with the same, when time alone changes it and when a policy does.
#[tokio::test]
async fn a_cache_is_told_what_time_and_policies_change() {
    let world = World::new(Limits::default()).await;
    let cache = TrustCache::new(Duration::from_secs(30));
    let follow = tokio::spawn(cache.clone().follow(world.platform.platform(), |_| {}));
    until(|| cache.lookup("pump-1").is_trusted()).await;
    let rule = |seconds| v1::TrustRule {
        reason: v1::Reason::Silent.into(),
        verdict: v1::Verdict::Restricted.into(),
        max_age: time::span(seconds),
        ..Default::default()
    };
    let put = async |rules| {
        let policy = v1::TrustPolicy { tenant: "t".into(), rules, ..Default::default() };
        let put = v1::PutTrustPolicyRequest { policy: Some(policy) };
        world.admin.trust_policies().put_trust_policy(put).await.unwrap();
    };
    put(vec![rule(600)]).await;
    let known = || match cache.lookup("pump-1") {
        Lookup::Known(known) => Some(known),
        _ => None,
    };
    until(|| known().is_some_and(|known| known.valid_until.is_some())).await;
    assert!(cache.lookup("pump-1").is_trusted());
    // From then on it says nothing but what the authority does.
    world.served.clock.pass(600);
    until(|| known().is_some_and(|known| known.verdict() == v1::Verdict::Restricted)).await;
    let subject = v1::check_request::Subject::DeviceId("pump-1".into());
    let check = v1::CheckRequest { subject: Some(subject), receipt: None };
    let answer = world.platform.platform().check(check).await.unwrap();
    let told = known().unwrap();
    assert_eq!((told.verdict, &told.reasons), (answer.verdict, &answer.reasons));
    assert_eq!((told.valid_until, answer.valid_until), (None, None));
    put(vec![rule(86_400)]).await;
    until(|| cache.lookup("pump-1").is_trusted()).await;
    put(Vec::new()).await;
    until(|| known().is_some_and(|known| known.valid_until.is_none())).await;
    follow.abort();
}

#[tokio::test]
async fn a_watcher_of_the_library_ends_where_no_other_attempt_helps() {
    let world = World::new(Limits::default()).await;
    let mut watcher = Watcher::new(world.platform.platform());
    while !matches!(watcher.next().await.unwrap(), WatchEvent::Bookmark { .. }) {}
    // What the authority never gave it: it begins again by itself.
    let mut foreign = watcher.revision().unwrap().to_vec();
    foreign[1] ^= 1;
    let mut other = Watcher::resume(world.platform.platform(), foreign);
    assert!(
        matches!(other.next().await.unwrap(), WatchEvent::Interrupted(refusal) if refusal.code == "revision-foreign")
    );
    assert!(matches!(other.next().await.unwrap(), WatchEvent::SnapshotBegin));
    revoke(&world.admin, &world.identity).await;
    let refusal = loop {
        match timeout(Duration::from_secs(20), watcher.next()).await.expect("in time") {
            Ok(_) => {}
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.code, "operator-revoked");
}

/// From the moment at which a suspension is asked for to the last watcher's knowing of it.
#[tokio::test]
async fn measured() {
    let watchers = std::env::var("WARDEIN_WATCHERS").map_or(50, |text| text.parse().unwrap());
    let world = World::new(Limits::default()).await;
    // As many as one connection carries.
    let mut connections = Vec::new();
    for _ in 0..usize::div_ceil(watchers, 200) {
        connections.push(world.served.connect(Some(copied(&world.identity))).await.unwrap());
    }
    let (heard, mut all) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = Vec::new();
    for number in 0..watchers {
        let (platform, heard) = (connections[number / 200].platform(), heard.clone());
        let mut parts = platform.watch(v1::WatchRequest { from: Some(SNAPSHOT) }).await.unwrap();
        tasks.push(tokio::spawn(async move {
            while let Ok(Some(message)) = parts.next().await {
                if let Some(Event::Change(_) | Event::SnapshotEnd(_)) = message.event {
                    heard.send(Instant::now()).unwrap();
                }
            }
        }));
    }
    for _ in 0..watchers {
        all.recv().await.unwrap();
    }
    let mut took = Vec::new();
    let states = [v1::DeviceState::Suspended, v1::DeviceState::Active];
    for number in 0..100 {
        let began = Instant::now();
        world.set_state("pump-1", states[number % 2]).await;
        let mut last = began;
        for _ in 0..watchers {
            last = last.max(timeout(Duration::from_secs(20), all.recv()).await.unwrap().unwrap());
        }
        took.push(last - began);
    }
    took.sort_unstable();
    println!(
        "{watchers} watchers: to the last of them p50 {:?}, p99 {:?}, most {:?}",
        took[49], took[98], took[99]
    );
    tasks.iter().for_each(|task| task.abort());
}
