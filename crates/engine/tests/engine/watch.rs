//! Watching: whatever breaks, a watcher ends with exactly what the authority has.
//!
//! The short run is for every change; `WARDEIN_CHANGES=100000 cargo test -p wardein-engine --test engine watch -- --nocapture` is
//! the long one.

use crate::world::{TestDevice, World, caller, grant, order};
use std::collections::BTreeMap;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use wardein_domain::{DeviceState, ErrorKind, LoginNames, ProfileFields, Right, Role, Verdict};
use wardein_engine::{
    Caller, Detail, DeviceVerdict, Engine, Error, ErrorCode, ProfilePut, Watch, WatchFrom, Watched,
};
use wardein_testkit::CrashPoint;

type Devices = BTreeMap<String, DeviceVerdict>;

/// What a platform keeps over all its streams.
#[derive(Default)]
pub(crate) struct Client {
    pub(crate) devices: Devices,
    coming: Devices,
    pub(crate) revision: Option<Vec<u8>>,
    pub(crate) watch: Option<Watch>,
    pub(crate) messages: u64,
}

/// What is to be told without waiting.
fn polled(watch: &mut Watch, engine: &Engine) -> Option<Result<Watched, Error>> {
    let mut next = pin!(watch.next(engine));
    // A long walk leaves room to others in between.
    (0..200).find_map(|_| match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(told) => Some(told),
        Poll::Pending => None,
    })
}

impl Client {
    pub(crate) async fn open(&mut self, engine: &Engine, by: &Caller) -> Result<(), Error> {
        let from = match &self.revision {
            Some(revision) => WatchFrom::Revision(revision.clone()),
            None => WatchFrom::Snapshot,
        };
        self.coming.clear();
        self.watch = Some(engine.watch(by, from).await?);
        Ok(())
    }

    fn by_id(devices: Vec<DeviceVerdict>) -> impl Iterator<Item = (String, DeviceVerdict)> {
        devices.into_iter().map(|device| (device.device.to_string(), device))
    }

    /// Takes one message in; whether there was one.
    pub(crate) fn read(&mut self, engine: &Engine) -> Result<bool, Error> {
        let told = match polled(self.watch.as_mut().unwrap(), engine) {
            Some(Ok(Watched::Current)) | None => return Ok(false),
            Some(told) => told?,
        };
        self.messages += 1;
        match told {
            Watched::Snapshot(devices) => self.coming.extend(Self::by_id(devices)),
            Watched::SnapshotEnd { revision, devices } => {
                assert_eq!(devices, self.coming.len() as u64, "each once");
                self.devices = std::mem::take(&mut self.coming);
                self.revision = Some(revision);
            }
            Watched::Change { previous, revision, devices, .. } => {
                assert_eq!(Some(previous), self.revision, "a gap");
                self.revision = Some(revision);
                self.devices.extend(Self::by_id(devices));
            }
            Watched::Current => unreachable!("it is no message"),
        }
        Ok(true)
    }

    pub(crate) fn read_all(&mut self, engine: &Engine) -> Result<(), Error> {
        while self.read(engine)? {}
        Ok(())
    }

    /// Takes in a bookmark, if there is one: the moment that it is of.
    pub(crate) async fn bookmark(&mut self, engine: &Engine) -> Result<Option<Instant>, Error> {
        let bookmark = self.watch.as_mut().unwrap().bookmark(engine).await?;
        Ok(bookmark.map(|bookmark| {
            self.revision = Some(bookmark.revision);
            bookmark.as_of
        }))
    }
}

/// What the authority has, by another way.
async fn truth(engine: &Engine, by: &Caller, devices: &[String]) -> Devices {
    let mut batch = engine.batch(by).await.unwrap();
    Client::by_id(devices.iter().map(|id| batch.verdict(id.parse().unwrap())).collect()).collect()
}

/// splitmix64: one state, one step.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

async fn set_state(world: &World, id: &str, state: DeviceState) -> Result<(), Error> {
    let name = crate::world::name("klinik", id);
    world.engine.set_device_state(&world.admin, name, state, "test".parse().unwrap()).await.map(|_| ())
}

async fn set_lifetime(world: &World, profile: &str, lifetime: Option<u64>) -> Result<(), Error> {
    let fields = ProfileFields { verdict_lifetime: lifetime, ..ProfileFields::default() };
    let name = profile.parse().unwrap();
    let put = world.engine.put_profile(&world.admin, world.tenant(), name, ProfilePut::whole(fields));
    put.await.map(|_| ())
}

/// Enrolls a device that is not confirmed.
async fn enroll(world: &World, id: &str, profile: &str) {
    let order = TestDevice::begin(&world.engine, id).order();
    let order = wardein_engine::EnrollOrder { profile: profile.parse().unwrap(), ..order };
    world.engine.enroll(&world.station, order).await.unwrap();
}

async fn station(world: &World, quota: u64) -> Caller {
    let order = wardein_engine::OperatorOrder { quota, ..order(Role::Station, Some("klinik"), "line-2") };
    caller(world.engine.issue_operator(&world.admin, order).await.unwrap().1.principal)
}

#[tokio::test]
async fn watchers_that_are_killed_cut_off_and_resumed_at_random_end_with_what_the_authority_has() {
    let changes = std::env::var("WARDEIN_CHANGES").map_or(4_000, |text| text.parse().unwrap());
    let (mut world, mut random) = (World::new().await, Random(1));
    let ids: Vec<_> = (0..24).map(|number| format!("pump-{number}")).collect();
    for id in &ids {
        world.device(id).await;
    }
    // One that reads now and then only, and is left behind by the ring and by the feed.
    let mut clients: Vec<_> = (0..6).map(|_| Client::default()).collect();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut count = |word| *counts.entry(word).or_default() += 1;
    let mut changed = Instant::now();
    let (mut done, mut weeks, slow) = (0, 1, changes / 3);
    while done < changes {
        match random.below(1_000) {
            0..600 => {
                let id = &ids[random.below(24) as usize];
                let state = [DeviceState::Active, DeviceState::Suspended][random.below(2) as usize];
                if set_state(&world, id, state).await.is_ok() {
                    done += 1;
                }
                changed = Instant::now();
            }
            600..620 => {
                let lifetime = [None, Some(60), Some(600)][random.below(3) as usize];
                let profile = ["default", "other"][random.below(2) as usize];
                set_lifetime(&world, profile, lifetime).await.unwrap();
                changed = Instant::now();
                count("profiles");
                done += 1;
            }
            620..622 => {
                world.restart().await;
                clients.iter_mut().for_each(|client| client.watch = None);
                count("restarts");
            }
            622..624 => {
                // It dies with a change that is durable and that no memory has heard of.
                world.store.crash_at(0, CrashPoint::DurableNotProjected);
                assert!(
                    set_state(&world, &ids[0], DeviceState::Suspended).await.is_err()
                        || !world.store.crashed()
                );
                world.restart().await;
                clients.iter_mut().for_each(|client| client.watch = None);
                changed = Instant::now();
                count("crashes");
            }
            // Twice at most: the certificates here are good for thirty days.
            624..626 if done > weeks * slow && weeks <= 2 => {
                weeks += 1;
                // Nobody is left whom the feed keeps anything for.
                world.clock.pass(8 * 86_400);
                set_state(&world, &ids[0], DeviceState::Active).await.ok();
                changed = Instant::now();
                count("weeks");
            }
            step => {
                let number = if step == 999 { 0 } else { 1 + random.below(5) as usize };
                let client = &mut clients[number];
                if client.watch.is_none() {
                    match client.open(&world.engine, &world.platform).await {
                        Ok(()) => count(if client.revision.is_some() { "resumed" } else { "snapshots" }),
                        Err(error) => panic!("{error}"),
                    }
                }
                let read = match random.below(4) {
                    0 => client.read(&world.engine).map(drop),
                    1 => (0..3).try_for_each(|_| client.read(&world.engine).map(drop)),
                    _ => client.read_all(&world.engine),
                };
                match read {
                    Ok(()) => {}
                    Err(error) if error.code == ErrorCode::RevisionCompacted => {
                        (client.watch, client.revision) = (None, None);
                        count("compacted");
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                }
                if random.below(3) == 0
                    && let Some(as_of) = client.bookmark(&world.engine).await.unwrap()
                    && as_of > changed
                {
                    count("bookmarks");
                    assert_eq!(client.devices, truth(&world.engine, &world.platform, &ids).await);
                }
                match random.below(20) {
                    0 => client.watch = None,
                    // All that it had is lost.
                    1 if number != 0 => *client = Client { messages: client.messages, ..Client::default() },
                    _ => {}
                }
            }
        }
    }
    let truth = truth(&world.engine, &world.platform, &ids).await;
    for client in &mut clients {
        for _ in 0..2 {
            if client.watch.is_none() {
                client.open(&world.engine, &world.platform).await.unwrap();
            }
            match client.read_all(&world.engine) {
                Ok(()) => break,
                Err(error) => {
                    assert_eq!(error.code, ErrorCode::RevisionCompacted);
                    (client.watch, client.revision) = (None, None);
                }
            }
        }
        assert_eq!(client.devices, truth);
    }
    let messages: Vec<_> = clients.iter().map(|client| client.messages).collect();
    println!("{done} changes, {counts:?}, messages {messages:?}");
}

#[tokio::test]
async fn a_slow_reader_makes_nobody_wait_and_begins_again() {
    let world = World::new().await;
    world.device("pump-1").await;
    let mut client = Client::default();
    client.open(&world.engine, &world.platform).await.unwrap();
    client.read_all(&world.engine).unwrap();
    // More than the ring keeps: the stored feed has them.
    let states = [DeviceState::Suspended, DeviceState::Active];
    for number in 0..9_001 {
        set_state(&world, "pump-1", states[number % 2]).await.unwrap();
    }
    assert!(client.read(&world.engine).unwrap());
    assert_eq!(client.devices["pump-1"].verdict, Verdict::NotTrusted);
    client.read_all(&world.engine).unwrap();
    for number in 0..9_001 {
        set_state(&world, "pump-1", states[(number + 1) % 2]).await.unwrap();
    }
    world.clock.pass(8 * 86_400);
    set_state(&world, "pump-1", DeviceState::Suspended).await.unwrap();
    set_state(&world, "pump-1", DeviceState::Active).await.unwrap();
    let error = client.read(&world.engine).unwrap_err();
    assert_eq!((error.kind(), error.code), (ErrorKind::OutOfRange, ErrorCode::RevisionCompacted));
    // From the oldest one it would have gone on.
    let Some(Detail::OldestRevision(oldest)) = error.detail else { panic!("{error}") };
    let mut other = Client { revision: Some(oldest), ..Client::default() };
    other.open(&world.engine, &world.platform).await.unwrap();
    other.read_all(&world.engine).unwrap();
    client.revision = None;
    client.open(&world.engine, &world.platform).await.unwrap();
    client.read_all(&world.engine).unwrap();
    assert_eq!(client.devices["pump-1"].verdict, Verdict::Trusted);
    assert_eq!(client.devices, other.devices);
}

#[tokio::test]
async fn a_restored_authority_is_another_one_to_its_watchers() {
    let (world, custody) = World::with_custody().await;
    world.device("pump-1").await;
    let backup = world.backup().await;
    world.device("pump-2").await;
    let mut client = Client::default();
    client.open(&world.engine, &world.platform).await.unwrap();
    client.read_all(&world.engine).unwrap();
    assert_eq!(client.devices.len(), 2);
    let after = world.restored(&backup, &custody).await;
    let error = client.open(&after.engine, &after.platform).await.unwrap_err();
    assert_eq!((error.kind(), error.code), (ErrorKind::OutOfRange, ErrorCode::RevisionForeign));
    client.revision = None;
    client.open(&after.engine, &after.platform).await.unwrap();
    client.read_all(&after.engine).unwrap();
    assert_eq!(client.devices.keys().collect::<Vec<_>>(), ["pump-1"]);
}

/// The last change before a restart may be one that no watched memory is made of.
#[tokio::test]
async fn a_revision_that_was_handed_out_is_good_over_a_restart_and_no_other_is() {
    let mut world = World::new().await;
    world.device("pump-1").await;
    let mut client = Client::default();
    client.open(&world.engine, &world.platform).await.unwrap();
    client.read_all(&world.engine).unwrap();
    world.engine.add_grant(&world.admin, grant(Right::Token, None), LoginNames::default()).await.unwrap();
    let before = client.revision.clone();
    client.bookmark(&world.engine).await.unwrap().unwrap();
    assert_ne!(client.revision, before);
    world.restart().await;
    client.open(&world.engine, &world.platform).await.unwrap();
    set_state(&world, "pump-1", DeviceState::Suspended).await.unwrap();
    client.read_all(&world.engine).unwrap();
    assert_eq!(client.devices["pump-1"].verdict, Verdict::NotTrusted);
    // From the future, of another form, cut off.
    let good = client.revision.clone().unwrap();
    let mut ahead = good.clone();
    ahead[9..].copy_from_slice(&u64::MAX.to_be_bytes());
    for (bytes, code) in [
        (ahead, ErrorCode::RevisionAhead),
        (good[1..].to_vec(), ErrorCode::Malformed),
        (Vec::new(), ErrorCode::Malformed),
        ([&good[..], b"!"].concat(), ErrorCode::Malformed),
    ] {
        let refused = world.engine.watch(&world.platform, WatchFrom::Revision(bytes)).await;
        assert_eq!(refused.err().unwrap().code, code);
    }
}

#[tokio::test]
async fn it_ends_with_its_caller_who_need_not_be_waited_for() {
    let world = World::new().await;
    world.device("pump-1").await;
    for is_revoked in [true, false] {
        let name = if is_revoked { "one" } else { "two" };
        let order =
            wardein_engine::OperatorOrder { validity: 3_600, ..order(Role::Platform, Some("klinik"), name) };
        let by = caller(world.engine.issue_operator(&world.admin, order).await.unwrap().1.principal);
        let mut client = Client::default();
        client.open(&world.engine, &by).await.unwrap();
        client.read_all(&world.engine).unwrap();
        let watch = client.watch.as_mut().unwrap();
        if is_revoked {
            let reason = "lost".parse().unwrap();
            let serial = by.principal.serial;
            let revoke = world.engine.revoke_operator(&world.admin, serial, reason, false);
            // It waits for a change, and hears of the revocation.
            let (ended, revoked) = tokio::join!(watch.next(&world.engine), revoke);
            revoked.unwrap();
            assert_eq!(ended.unwrap_err().code, ErrorCode::OperatorRevoked);
        } else {
            world.clock.pass(3_601);
            assert_eq!(watch.bookmark(&world.engine).await.unwrap_err().code, ErrorCode::OperatorExpired);
            set_state(&world, "pump-1", DeviceState::Suspended).await.unwrap();
            assert_eq!(watch.next(&world.engine).await.unwrap_err().code, ErrorCode::OperatorExpired);
        }
    }
}

#[tokio::test]
async fn a_watcher_sees_its_own_tenant_and_who_has_none_sees_nothing() {
    let world = World::new().await;
    world.device("pump-1").await;
    world.engine.create_tenant(&world.admin, "lab".parse().unwrap()).await.unwrap();
    let order = order(Role::Platform, Some("lab"), "iot");
    let lab = caller(world.engine.issue_operator(&world.admin, order).await.unwrap().1.principal);
    let (mut own, mut other) = (Client::default(), Client::default());
    own.open(&world.engine, &world.platform).await.unwrap();
    other.open(&world.engine, &lab).await.unwrap();
    set_state(&world, "pump-1", DeviceState::Suspended).await.unwrap();
    set_lifetime(&world, "default", Some(7)).await.unwrap();
    for client in [&mut own, &mut other] {
        client.read_all(&world.engine).unwrap();
    }
    assert_eq!((own.devices.len(), own.devices["pump-1"].lifetime), (1, 7));
    assert!(other.devices.is_empty());
    // The same from the stored feed.
    let mut late = Client { revision: other.revision.clone(), ..Client::default() };
    set_state(&world, "pump-1", DeviceState::Active).await.unwrap();
    (own.watch, other.watch) = (None, None);
    late.open(&world.engine, &lab).await.unwrap();
    late.read_all(&world.engine).unwrap();
    assert!(late.devices.is_empty());
    let refused = world.engine.watch(&world.admin, WatchFrom::Snapshot).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::RoleInsufficient);
}

/// More devices than a message has: the revision moves with the last of them.
#[tokio::test]
async fn a_change_of_a_profile_reaches_each_of_its_devices_also_over_a_broken_stream() {
    let mut world = World::new().await;
    world.station = station(&world, 2_000).await;
    set_lifetime(&world, "ward", Some(100)).await.unwrap();
    for number in 0..1_100 {
        enroll(&world, &format!("pump-{number}"), "ward").await;
    }
    world.device("other").await;
    let mut client = Client::default();
    client.open(&world.engine, &world.platform).await.unwrap();
    client.read_all(&world.engine).unwrap();
    assert_eq!(client.devices.len(), 1_101);
    let before = client.revision.clone();
    set_lifetime(&world, "ward", Some(200)).await.unwrap();
    set_state(&world, "other", DeviceState::Suspended).await.unwrap();
    let moved = |client: &Client| client.devices.values().filter(|device| device.lifetime == 200).count();
    for is_first in [true, false] {
        // The device that changed by itself, and a part of the others.
        assert!(client.read(&world.engine).unwrap() && client.read(&world.engine).unwrap());
        assert_eq!(client.revision, before, "there is more of it");
        assert_eq!(moved(&client), 512);
        assert_eq!(client.devices["other"].verdict, Verdict::NotTrusted);
        assert!(client.bookmark(&world.engine).await.unwrap().is_none(), "not while there is more");
        if is_first {
            client.open(&world.engine, &world.platform).await.unwrap();
        }
    }
    client.read_all(&world.engine).unwrap();
    assert_ne!(client.revision, before);
    assert_eq!(moved(&client), 1_100);
    // A change of the profile that no verdict shows is told to nobody.
    let fields =
        ProfileFields { verdict_lifetime: Some(200), period: Some(7_200), ..ProfileFields::default() };
    let put = ProfilePut::whole(fields);
    world.engine.put_profile(&world.admin, world.tenant(), "ward".parse().unwrap(), put).await.unwrap();
    assert!(!client.read(&world.engine).unwrap());
}
