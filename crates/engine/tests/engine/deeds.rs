//! Deeds of several steps: each comes to its end, once, also where its caller goes away or a step fails.

use crate::storage_keys::restart;
use crate::world::{ROOT_KEY, TestDevice, World, caller, csr, facts, name, open_under, order};
use std::future::poll_fn;
use std::task::Poll;
use wardein_crypto::Secret;
use wardein_domain::{Actor, AuditEntry, Call, DeviceState, Event, Origin, Role};
use wardein_engine::{Caller, DeedOf, DeedStep, Error, Page, Shredding};
use wardein_port::{Custody, RootKey, Store, Table};
use wardein_testkit::{CrashPoint, MemoryCustody, SEALED_KEY, get, unsealed};

/// A world with custody and devices, and what somebody saw who copied its store all the time.
pub(crate) struct Watched {
    pub(crate) world: World,
    pub(crate) custody: MemoryCustody,
    pub(crate) devices: Vec<TestDevice>,
    /// The records of the first device, sealed.
    records: Vec<Vec<u8>>,
    /// The rows of tenants.
    tenants: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Watched {
    pub(crate) async fn new(devices: usize) -> Self {
        let (mut world, custody) = (World::new().await, MemoryCustody::of(ROOT_KEY));
        restart(&mut world, &custody).await;
        let mut watched = Self { world, custody, devices: Vec::new(), records: vec![], tenants: vec![] };
        for number in 0..devices {
            watched.devices.push(watched.world.device(&format!("pump-{number}")).await);
        }
        watched.look().await;
        watched
    }

    pub(crate) async fn look(&mut self) {
        // A store that has died shows nothing.
        let Ok(tenants) = self.world.store.scan(Table::Tenant, b"", None, 100).await else { return };
        self.tenants.extend(tenants.into_iter().map(|(key, row)| (key, row.value)));
        let record = get(&self.world.store, Table::DeviceKeys, b"klinik\0pump-0").await.unwrap();
        self.records.extend(record.map(|row| row.value));
    }

    /// Whether the record of the first device opens by what custody keeps now, and by whatever row of a tenant there ever was.
    pub(crate) fn opens(&self) -> bool {
        let mut keys = Vec::new();
        for (key, row) in &self.tenants {
            for sealed in row.windows(SEALED_KEY).filter(|sealed| sealed[..4] == [1, 0, 0, 0]) {
                for root in self.custody.root_keys() {
                    let plain = unsealed(&root.secret, Table::Tenant, key, "key", sealed);
                    keys.extend(plain.map(|plain| Secret::<32>::copied_from(plain[4..].try_into().unwrap())));
                }
            }
        }
        let opens = |record: &Vec<u8>| {
            let key = |key| unsealed(key, Table::DeviceKeys, b"klinik\0pump-0", "cold", record).is_some();
            keys.iter().any(key)
        };
        self.records.iter().any(opens)
    }

    pub(crate) async fn shred(&self, device: &str, per_second: u32) -> Result<Shredding, Error> {
        let (caller, reason) = (self.caller("shred"), "sold".parse().unwrap());
        self.world.engine.begin_shred(&caller, &name("klinik", device), reason, per_second).await
    }

    pub(crate) fn caller(&self, request_id: &str) -> Caller {
        let origin = Origin { address: ([192, 0, 2, 7], 40_007).into(), certificate: Some([7; 32]) };
        let call = Call { origin: Some(origin), ..Call::new(request_id) };
        Caller { call, ..self.world.admin.clone() }
    }

    /// Works off all deeds, looking at the store after each step.
    pub(crate) async fn work(&mut self) -> Result<(), Error> {
        while self.world.engine.deed_step().await?.is_some() {
            self.look().await;
        }
        Ok(())
    }

    /// The process starts again, and does no more than that.
    pub(crate) async fn restart(&mut self) {
        self.world.store = self.world.store.restart();
        let custody = self.custody.restart();
        self.world.engine = open_under(&self.world.store, &self.world.clock, &custody).await.unwrap();
    }

    pub(crate) async fn deeds(&self) -> Vec<(DeedOf, DeedStep)> {
        let page = Page { size: 100, after: None };
        let listed = self.world.engine.list_deeds(&self.world.admin, page).await.unwrap();
        listed.items.into_iter().map(|deed| (deed.of, deed.progress.step)).collect()
    }

    /// How many entries of an event say that.
    pub(crate) async fn said(&self, event: Event, words: &str) -> Vec<AuditEntry> {
        let entries = self.world.entries(event).await.into_iter();
        entries.filter(|entry| facts(entry).contains(words)).collect()
    }

    fn step(&self, watch: &mut Shredding) -> DeedStep {
        watch.watch.now().step
    }
}

/// Two devices a step.
pub(crate) const SLOWLY: u32 = 40;

pub(crate) async fn is_shredded(watched: &mut Watched, at: &str) {
    assert!(watched.deeds().await.is_empty(), "{at}");
    assert!(!watched.opens(), "{at}");
    assert_eq!(watched.custody.versions(), [2], "{at}");
    let record = watched.world.engine.get_device(&watched.world.admin, name("klinik", "pump-0")).await;
    assert_eq!(record.unwrap().state, DeviceState::Retired);
    let (shred, key) = (Event::DeviceShredded, Event::StorageKeyRotated);
    for (event, words) in [
        (shred, "step=begun, state: active → retired, had-keys=true, reason=sold"),
        (shred, "step=complete, key-version=2, root-key-version=2"),
        (key, "step=chosen, key-version: 1 → 2"),
        (key, "step=sealed-again, key-version=2, tenants="),
        (key, "step=complete, key-version=2, destroyed=1"),
        (Event::StorageKeyDropped, "key-version=2, dropped=1"),
    ] {
        let said = watched.said(event, words).await;
        assert_eq!(said.len(), 1, "{words}: {at}");
        assert_eq!(said[0].origin.is_some(), words.starts_with("step=begun"), "{words}: {at}");
        let by = watched.world.admin.principal.to_string();
        assert_eq!(
            (said[0].request_id.as_str(), &said[0].actor.to_string()),
            ("shred", &by),
            "{words}: {at}"
        );
    }
    let (first, others) = watched.devices.split_first_mut().unwrap();
    assert!(first.prove(&watched.world.engine, "authenticate", b"").await.is_err());
    for device in others {
        device.prove(&watched.world.engine, "certificate", &csr()).await.unwrap();
    }
}

#[tokio::test]
async fn a_shredding_that_is_asked_for_twice_is_one() {
    let mut watched = Watched::new(2).await;
    let mut first = watched.shred("pump-0", SLOWLY).await.unwrap();
    assert_eq!((first.state, first.had_keys), (DeviceState::Retired, true));
    let mut second = watched.shred("pump-0", SLOWLY).await.unwrap();
    assert_eq!((second.state, second.had_keys), (DeviceState::Retired, false));
    assert_eq!(watched.deeds().await, [(DeedOf::Shred(name("klinik", "pump-0")), DeedStep::Waiting)]);
    watched.world.engine.deed_step().await.unwrap();
    assert_eq!(
        (watched.step(&mut first), watched.step(&mut second)),
        (DeedStep::Sweeping, DeedStep::Sweeping)
    );
    watched.work().await.unwrap();
    for watch in [&mut first.watch, &mut second.watch] {
        watch.changed().await;
        let done = watch.now();
        assert_eq!((done.step, done.devices, done.tenant_key, done.root_key), (DeedStep::Done, 1, 2, 2));
        // Nothing more comes, and nobody waits for it.
        watch.changed().await;
    }
    is_shredded(&mut watched, "twice").await;
    // Afterward it is done again: an earlier copy of the store may have been put back.
    let mut third = watched.shred("pump-0", SLOWLY).await.unwrap();
    watched.work().await.unwrap();
    let done = third.watch.now();
    assert_eq!((done.is_done(), done.tenant_key, done.root_key), (true, 3, 3));
}

#[tokio::test]
async fn those_that_wait_share_the_work_of_the_one_that_goes_on() {
    let mut watched = Watched::new(4).await;
    let mut first = watched.shred("pump-0", SLOWLY).await.unwrap();
    watched.world.clock.pass(1);
    let mut second = watched.shred("pump-1", SLOWLY).await.unwrap();
    watched.world.engine.deed_step().await.unwrap();
    // The key of the tenant was changed before this one came: what was erased is under the new version.
    watched.world.clock.pass(1);
    let mut third = watched.shred("pump-2", SLOWLY).await.unwrap();
    while !first.watch.now().is_done() {
        assert_eq!(watched.step(&mut third), DeedStep::Waiting);
        watched.world.engine.deed_step().await.unwrap();
    }
    assert_eq!(watched.step(&mut second), DeedStep::Done);
    assert_eq!(watched.deeds().await, [(DeedOf::Shred(name("klinik", "pump-2")), DeedStep::Waiting)]);
    watched.work().await.unwrap();
    for (watch, version) in [(&mut first.watch, 2), (&mut second.watch, 2), (&mut third.watch, 3)] {
        let done = watch.now();
        assert_eq!((done.step, done.tenant_key, done.root_key), (DeedStep::Done, version, version));
    }
    assert_eq!(watched.custody.versions(), [3]);
    assert_eq!(watched.said(Event::DeviceShredded, "complete").await.len(), 3);
    assert_eq!(watched.said(Event::DeviceShredded, "completed-by=shred").await.len(), 1);
}

#[tokio::test]
async fn another_tenants_keys_are_changed_for_their_own_sake() {
    let mut watched = Watched::new(2).await;
    let (engine, admin) = (&watched.world.engine, &watched.world.admin);
    engine.create_tenant(admin, "nord".parse().unwrap()).await.unwrap();
    let (_, issued) =
        engine.issue_operator(admin, order(Role::Station, Some("nord"), "line-1")).await.unwrap();
    let station = caller(issued.principal);
    let mut device = TestDevice::begin(engine, "pump-9");
    device.name = name("nord", "pump-9");
    engine.enroll(&station, device.order()).await.unwrap();
    let reason = || "sold".parse().unwrap();
    let mut elsewhere = engine.begin_shred(admin, &device.name, reason(), SLOWLY).await.unwrap();
    watched.world.clock.pass(1);
    let mut here = watched.shred("pump-0", SLOWLY).await.unwrap();
    watched.work().await.unwrap();
    for (watch, root_key) in [(&mut elsewhere.watch, 2), (&mut here.watch, 3)] {
        let done = watch.now();
        assert_eq!((done.step, done.tenant_key, done.root_key), (DeedStep::Done, 2, root_key));
    }
}

#[tokio::test]
async fn a_change_of_the_root_key_does_not_wait_for_a_sweep() {
    let mut watched = Watched::new(8).await;
    let mut shred = watched.shred("pump-0", SLOWLY).await.unwrap();
    watched.world.engine.deed_step().await.unwrap();
    assert_eq!(watched.world.engine.rotate_root_key(&watched.caller("root")).await.unwrap(), 2);
    assert_eq!(watched.step(&mut shred), DeedStep::Sweeping);
    watched.look().await;
    watched.work().await.unwrap();
    assert_eq!(shred.watch.now().root_key, 3);
    assert!(!watched.opens());
    assert_eq!(watched.custody.versions(), [3]);
}

/// Its caller, and the task that worked it off, go away in the middle of each commit.
#[tokio::test]
async fn who_is_dropped_in_the_middle_leaves_a_deed_that_goes_on() {
    let mut watched = Watched::new(4).await;
    watched.world.store.hold();
    {
        let mut begin = Box::pin(watched.shred("pump-0", SLOWLY));
        assert!(poll_fn(|context| Poll::Ready(begin.as_mut().poll(context).is_pending())).await);
    }
    watched.world.store.release();
    loop {
        watched.world.store.hold();
        {
            let mut step = Box::pin(watched.world.engine.deed_step());
            if let Poll::Ready(stepped) = poll_fn(|context| Poll::Ready(step.as_mut().poll(context))).await {
                assert_eq!(stepped, Ok(None));
                break;
            }
        }
        watched.world.store.release();
        watched.world.engine.deed_step().await.unwrap();
        watched.look().await;
    }
    watched.world.store.release();
    is_shredded(&mut watched, "dropped").await;
}

#[tokio::test]
async fn a_device_that_speaks_while_its_page_is_swept_loses_nothing() {
    let mut watched = Watched::new(3).await;
    watched.shred("pump-0", 100_000).await.unwrap();
    watched.world.engine.deed_step().await.unwrap();
    let world = &watched.world;
    let (request, in_flight) = watched.devices[1].proof(&world.engine, "authenticate", b"");
    {
        let call = Call::new("test");
        let mut prove = Box::pin(world.engine.prove(&call, request, Vec::new()));
        let mut step = Box::pin(world.engine.deed_step());
        world.store.hold();
        // The proof is in front: what the sweep decided on is gone when its turn comes.
        assert!(poll_fn(|context| Poll::Ready(prove.as_mut().poll(context).is_pending())).await);
        assert!(poll_fn(|context| Poll::Ready(step.as_mut().poll(context).is_pending())).await);
        world.store.release();
        let (proved, stepped) = tokio::join!(prove, step);
        stepped.unwrap();
        watched.devices[1].acknowledge(in_flight, proved.unwrap().reply);
    }
    watched.work().await.unwrap();
    watched.restart().await;
    for device in &mut watched.devices[1..] {
        device.prove(&watched.world.engine, "certificate", &csr()).await.unwrap();
    }
}

#[tokio::test]
async fn a_tenant_that_comes_in_the_middle_of_the_change_is_under_the_new_root_key() {
    let mut watched = Watched::new(1).await;
    watched.shred("pump-0", SLOWLY).await.unwrap();
    while watched.deeds().await[0].1 != DeedStep::RootKey {
        watched.world.engine.deed_step().await.unwrap();
    }
    watched.world.engine.deed_step().await.unwrap();
    let world = &watched.world;
    {
        world.store.hold();
        let mut creating = Box::pin(world.engine.create_tenant(&world.admin, "nord".parse().unwrap()));
        let mut step = Box::pin(world.engine.deed_step());
        // Decided under the previous root key, and applied after custody kept the new one.
        assert!(poll_fn(|context| Poll::Ready(creating.as_mut().poll(context).is_pending())).await);
        assert!(poll_fn(|context| Poll::Ready(step.as_mut().poll(context).is_pending())).await);
        assert_eq!((watched.custody.versions(), world.store.waiting()), (vec![1, 2], 2));
        world.store.release();
        let (created, stepped) = tokio::join!(creating, step);
        created.unwrap();
        stepped.unwrap();
    }
    watched.work().await.unwrap();
    assert_eq!(watched.custody.versions(), [2]);
    // All tenants' keys are opened at the start.
    watched.restart().await;
}

#[tokio::test]
async fn custody_that_fails_is_told_and_asked_again_with_the_same_key() {
    let mut watched = Watched::new(2).await;
    let mut shred = watched.shred("pump-0", SLOWLY).await.unwrap();
    watched.custody.crash_at(0, CrashPoint::AfterApply);
    let refused = watched.work().await.unwrap_err();
    assert_eq!(refused.code.as_str(), "custody-unavailable");
    assert_eq!(shred.watch.now().failure, Some(refused));
    // It has the key, and said that it has not.
    let kept = watched.custody.root_keys();
    watched.custody.restart();
    watched.work().await.unwrap();
    let done = shred.watch.now();
    assert_eq!((done.step, done.failure), (DeedStep::Done, None));
    assert!(watched.custody.root_keys()[0].secret.expose() == kept[1].secret.expose());
    is_shredded(&mut watched, "asked again").await;
}

#[tokio::test]
async fn without_custody_nothing_is_begun_that_could_not_end() {
    let world = World::new().await;
    let device = world.proven("pump-1").await;
    let refused = world.engine.begin_shred(&world.admin, &device.name, "sold".parse().unwrap(), SLOWLY).await;
    assert_eq!(refused.err().unwrap().code.as_str(), "custody-fixed");
    let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
    assert_eq!(record.state, DeviceState::Active);
}

#[tokio::test]
async fn a_version_that_custody_has_and_no_deed_knows_of_is_taken_to_its_end() {
    let mut watched = Watched::new(1).await;
    let half_done = RootKey { version: 2, secret: Secret::copied_from(&[9; 32]) };
    watched.custody.keep(half_done).await.unwrap();
    watched.restart().await;
    let mut shred = watched.shred("pump-0", SLOWLY).await.unwrap();
    watched.work().await.unwrap();
    // The one that was found first, and then the shredding's own: the one that was found may be older than what was erased.
    assert_eq!((watched.custody.versions(), shred.watch.now().root_key), (vec![3], 3));
    let found = watched.said(Event::StorageKeyRotated, "step=found-in-custody, key-version=2").await;
    assert_eq!((found.len(), &found[0].actor), (1, &Actor::System));
    assert_eq!(
        watched.said(Event::StorageKeyRotated, "step=complete, key-version=2, destroyed=1").await.len(),
        1
    );
    assert!(!watched.opens());
}

#[tokio::test]
async fn an_auditor_of_a_tenant_sees_the_deeds_of_that_tenant() {
    let watched = Watched::new(1).await;
    let engine = &watched.world.engine;
    engine.create_tenant(&watched.world.admin, "nord".parse().unwrap()).await.unwrap();
    watched.shred("pump-0", SLOWLY).await.unwrap();
    for (tenant, seen) in [("klinik", 1), ("nord", 0)] {
        let order = order(Role::Auditor, Some(tenant), "eye");
        let (_, issued) = engine.issue_operator(&watched.world.admin, order).await.unwrap();
        let page = Page { size: 10, after: None };
        let listed = engine.list_deeds(&caller(issued.principal), page).await.unwrap().items;
        assert_eq!(listed.len(), seen, "{tenant}");
        for deed in listed {
            assert_eq!((deed.request_id.as_str(), deed.begun_at), ("shred", crate::world::START));
        }
    }
}
