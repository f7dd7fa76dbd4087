//! Keys that seal rows: changed while the authority works, whatever crashes between; and the sweep that goes over the rows.

use crate::world::{CRASH_POINTS, ROOT_KEY, TestDevice, World, csr, open_under};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use wardein_domain::{Event, FieldName};
use wardein_engine::{AuditFilter, Engine, Ports, Sweep, SweepProgress};
use wardein_port::{Store, Table};
use wardein_testkit::{Chaos, ChaosStore, CrashPoint, MemoryCustody, get};

/// The process starts again with what custody keeps, and finishes what was begun.
pub(crate) async fn restart(world: &mut World, custody: &MemoryCustody) {
    world.store = world.store.restart();
    world.engine = open_under(&world.store, &world.clock, &custody.restart()).await.unwrap();
    world.engine.resume().await.unwrap();
}

/// Gives the world an engine over a store in which commits can overtake each other.
async fn with_overtaking(world: &mut World, custody: &MemoryCustody) -> ChaosStore {
    let store = ChaosStore::over(world.store.clone(), 1, Chaos::default());
    let ports = Ports {
        custody: Some(Arc::new(custody.clone())),
        ..Ports::new(Arc::new(store.clone()), world.clock.clone())
    };
    world.engine = Engine::open(ports, custody.root_keys()).await.unwrap();
    store
}

/// Lets `call` come as far as its commit, which waits for [`ChaosStore::settle`].
async fn begin<T>(store: &ChaosStore, mut call: Pin<&mut impl Future<Output = T>>) {
    store.set(Chaos { delayed: 1_000, ..Chaos::default() });
    assert!(poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_pending())).await);
    store.set(Chaos::default());
}

/// The versions that the rows of a table are under.
async fn versions(world: &World, table: Table) -> Vec<u32> {
    let rows = world.store.scan(table, b"", None, 1_000).await.unwrap();
    let sealed = |value: &[u8]| u32::from_be_bytes(value[1..5].try_into().unwrap());
    let mut versions: Vec<_> = rows.iter().map(|(_, row)| sealed(&row.value)).collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}

async fn sweep(engine: &Engine) -> SweepProgress {
    let mut sweep: Sweep = engine.begin_sweep(None, None).await.unwrap();
    loop {
        let progress = engine.sweep_some(&mut sweep, 3).await.unwrap();
        if progress.is_done {
            return progress;
        }
    }
}

async fn devices(world: &World, count: usize) -> Vec<TestDevice> {
    let mut devices = Vec::new();
    for number in 0..count {
        devices.push(world.device(&format!("pump-{number}")).await);
    }
    devices
}

#[tokio::test]
async fn the_root_key_is_changed_and_nothing_below_it() {
    let (mut world, custody) = (World::new().await, MemoryCustody::of(ROOT_KEY));
    restart(&mut world, &custody).await;
    let mut devices = devices(&world, 3).await;
    let below = world.store.scan(Table::DeviceKeys, b"", None, 100).await.unwrap();
    assert_eq!(world.engine.rotate_root_key(&world.admin).await.unwrap(), 2);
    assert_eq!(custody.versions(), [2]);
    assert_eq!(world.store.scan(Table::DeviceKeys, b"", None, 100).await.unwrap(), below);
    world.engine.create_tenant(&world.admin, "nord".parse().unwrap()).await.unwrap();
    assert_eq!(world.engine.rotate_root_key(&world.admin).await.unwrap(), 3);
    restart(&mut world, &custody).await;
    let standing = world.engine.status().await.unwrap().root_key;
    assert_eq!((standing.version, standing.older), (3, 0));
    for device in &mut devices {
        device.prove(&world.engine, "certificate", &csr()).await.unwrap();
    }
    // The previous key no longer opens anything.
    let old = open_under(&world.store, &world.clock, &MemoryCustody::of(ROOT_KEY)).await;
    assert!(old.is_err());
}

#[tokio::test]
async fn without_custody_the_root_key_stays_as_it_is() {
    let world = World::new().await;
    let refused = world.engine.rotate_root_key(&world.admin).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "custody-fixed");
}

#[tokio::test]
async fn no_crash_while_the_root_key_is_changed_loses_anything() {
    let (mut in_custody, mut in_store) = (0, 0);
    for point in CRASH_POINTS {
        for nth in 0..10 {
            for of_custody in [true, false] {
                let (mut world, custody) = (World::new().await, MemoryCustody::of(ROOT_KEY));
                restart(&mut world, &custody).await;
                for tenant in ["nord", "sued"] {
                    world.engine.create_tenant(&world.admin, tenant.parse().unwrap()).await.unwrap();
                }
                let mut device = world.device("pump-1").await;
                if of_custody {
                    custody.crash_at(nth, point);
                } else {
                    world.store.crash_at(nth, point);
                }
                let outcome = world.engine.rotate_root_key(&world.admin).await;
                if outcome.is_ok() {
                    continue;
                }
                *(if of_custody { &mut in_custody } else { &mut in_store }) += 1;
                restart(&mut world, &custody).await;
                assert_eq!(custody.versions().len(), 1, "one is left: crash {nth}, {point:?}, {of_custody}");
                device.prove(&world.engine, "certificate", &csr()).await.unwrap();
                world.engine.create_tenant(&world.admin, "west".parse().unwrap()).await.unwrap();
                world.engine.rotate_root_key(&world.admin).await.unwrap();
                restart(&mut world, &custody).await;
                device.prove(&world.engine, "authenticate", b"").await.unwrap();
            }
        }
    }
    // Keeping and destroying; begun, the version chosen, the authority, its CA, three tenants, all of it; the end.
    assert_eq!((in_custody, in_store), (3 * 2, 3 * 9));
}

#[tokio::test]
async fn custody_that_fails_is_told_and_the_old_key_serves_on() {
    let (mut world, custody) = (World::new().await, MemoryCustody::of(ROOT_KEY));
    restart(&mut world, &custody).await;
    let mut device = world.device("pump-1").await;
    custody.crash_at(0, CrashPoint::BeforeApply);
    let refused = world.engine.rotate_root_key(&world.admin).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "custody-unavailable");
    device.prove(&world.engine, "certificate", &csr()).await.unwrap();
    custody.restart();
    assert_eq!(world.engine.rotate_root_key(&world.admin).await.unwrap(), 2);
    assert_eq!(custody.versions(), [2]);
}

#[tokio::test]
async fn a_tenants_key_is_changed_by_one_row_and_the_sweep_does_the_rest() {
    let mut world = World::new().await;
    let mut devices = devices(&world, 8).await;
    let (before, commits) =
        (world.store.scan(Table::DeviceKeys, b"", None, 100).await.unwrap(), world.store.commits());
    assert_eq!(world.engine.rotate_tenant_key(&world.admin, world.tenant()).await.unwrap(), 2);
    assert_eq!(world.store.commits() - commits, 1);
    assert_eq!(
        world.store.scan(Table::DeviceKeys, b"", None, 100).await.unwrap(),
        before,
        "no device is written"
    );
    let standing = async |world: &World| {
        let status = world.engine.key_status(&world.admin, world.tenant(), None, None).await.unwrap();
        (status.storage.version, status.storage.older)
    };
    assert_eq!(standing(&world).await, (2, 1));
    // One that speaks is under the new version from then on; both open, after a restart as well.
    devices[0].prove(&world.engine, "certificate", &csr()).await.unwrap();
    assert_eq!(versions(&world, Table::DeviceKeys).await, [1, 2]);
    world.restart().await;
    devices[1].prove(&world.engine, "authenticate", b"").await.unwrap();

    let swept = sweep(&world.engine).await;
    assert_eq!((swept.devices, swept.renewed, swept.dropped, swept.has_clock), (8, 6, 1, true));
    assert_eq!(versions(&world, Table::DeviceKeys).await, [2]);
    assert_eq!(standing(&world).await, (2, 0));
    world.restart().await;
    for device in &mut devices {
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
    }
    let again = sweep(&world.engine).await;
    assert_eq!((again.devices, again.renewed, again.dropped), (8, 0, 0));
}

#[tokio::test]
async fn versions_are_bounded_until_a_sweep_drops_them() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    for version in 2..=8 {
        assert_eq!(world.engine.rotate_tenant_key(&world.admin, world.tenant()).await.unwrap(), version);
    }
    let refused = world.engine.rotate_tenant_key(&world.admin, world.tenant()).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "sweep-first");
    assert_eq!(sweep(&world.engine).await.dropped, 7);
    assert_eq!(world.engine.rotate_tenant_key(&world.admin, world.tenant()).await.unwrap(), 9);
    device.prove(&world.engine, "certificate", &csr()).await.unwrap();
}

#[tokio::test]
async fn a_device_that_enrolls_while_its_tenants_key_is_changed_is_under_a_key_that_stays() {
    let mut world = World::new().await;
    let store = with_overtaking(&mut world, &MemoryCustody::of(ROOT_KEY)).await;
    let mut device = TestDevice::begin(&world.engine, "pump-1");
    let order = device.order();
    let mut enrolling = std::pin::pin!(world.engine.enroll(&world.station, order));
    // It is decided, and comes to the store only after the rotation and the whole of a sweep.
    begin(&store, enrolling.as_mut()).await;
    world.engine.rotate_tenant_key(&world.admin, world.tenant()).await.unwrap();
    assert_eq!(sweep(&world.engine).await.dropped, 1);
    assert_eq!(get(&store, Table::Device, b"klinik\0pump-1").await, Ok(None));
    store.settle();
    let tag = device.finish(&enrolling.await.unwrap());
    world.engine.confirm(&world.station, device.name.device.clone(), tag).await.unwrap();
    device.prove(&world.engine, "certificate", &csr()).await.unwrap();
}

#[tokio::test]
async fn a_tenant_that_is_created_while_the_root_key_is_changed_is_under_the_new_one() {
    let (mut world, custody) = (World::new().await, MemoryCustody::of(ROOT_KEY));
    let store = with_overtaking(&mut world, &custody).await;
    {
        let mut creating = std::pin::pin!(world.engine.create_tenant(&world.admin, "nord".parse().unwrap()));
        begin(&store, creating.as_mut()).await;
        world.engine.rotate_root_key(&world.admin).await.unwrap();
        assert_eq!(get(&store, Table::Tenant, b"nord").await, Ok(None));
        store.settle();
        creating.await.unwrap();
    }
    // All tenants' keys are opened at the start.
    restart(&mut world, &custody).await;
}

#[tokio::test]
async fn no_crash_in_a_sweep_loses_anything() {
    for nth in 0.. {
        let mut finished = 0;
        for point in CRASH_POINTS {
            let mut world = World::new().await;
            let mut devices = devices(&world, 7).await;
            world.engine.rotate_tenant_key(&world.admin, world.tenant()).await.unwrap();
            world.store.crash_at(nth, point);
            let mut swept = world.engine.begin_sweep(None, None).await.unwrap();
            let outcome = loop {
                match world.engine.sweep_some(&mut swept, 3).await {
                    Ok(progress) if progress.is_done => break Ok(()),
                    Ok(_) => (),
                    Err(error) => break Err(error),
                }
            };
            finished += u32::from(outcome.is_ok());
            drop(swept);
            world.restart().await;
            devices[3].prove(&world.engine, "certificate", &csr()).await.unwrap();
            sweep(&world.engine).await;
            assert_eq!(versions(&world, Table::DeviceKeys).await, [2]);
            for device in &mut devices {
                device.prove(&world.engine, "authenticate", b"").await.unwrap();
            }
        }
        if finished == 3 {
            // Three groups of rows, the tenant's, and the end.
            assert_eq!(nth, 5);
            return;
        }
    }
}

#[tokio::test]
async fn one_sweep_at_a_time() {
    let world = World::new().await;
    let first = world.engine.begin_sweep(None, None).await.unwrap();
    assert_eq!(world.engine.begin_sweep(None, None).await.err().unwrap().code.as_str(), "under-way");
    drop(first);
    sweep(&world.engine).await;
}

#[tokio::test]
async fn what_is_out_of_retention_is_erased_while_the_clock_is_believed() {
    const DAY: u64 = 86_400;
    let world = World::new().await;
    let _silent = devices(&world, 4).await;
    assert_eq!(sweep(&world.engine).await.erased, 0, "all of it is new");
    world.clock.pass(20 * DAY);
    let swept = sweep(&world.engine).await;
    assert!(swept.has_clock && swept.erased == 4, "{swept:?}");
    // A clock that jumps erases nothing, forward or backward; a person may know better.
    world.clock.pass(41 * DAY);
    world.clock.set(crate::world::START + 400 * DAY);
    world.engine.look_at_clock().await.unwrap();
    let doubted = sweep(&world.engine).await;
    assert!(!doubted.has_clock && doubted.erased == 0, "{doubted:?}");
    let (entries, _) = world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 1000).await.unwrap();
    let last = entries.iter().rfind(|(_, entry)| entry.event == Event::Swept).unwrap();
    assert_eq!(last.1.field(FieldName::ClockBelieved), Some("false"));
    world.clock.set(crate::world::START + 61 * DAY);
    world.engine.look_at_clock().await.unwrap();
    assert!(!sweep(&world.engine).await.has_clock, "it has agreed for no day");
    world.accept_clock().await.unwrap();
    assert_eq!(sweep(&world.engine).await.erased, 4);
    world.clock.set(crate::world::START + 60 * DAY);
    world.engine.look_at_clock().await.unwrap();
    assert!(!sweep(&world.engine).await.has_clock, "it was set back");
}

#[tokio::test]
async fn spent_keys_that_cannot_be_derived_any_more_are_forgotten() {
    let (world, mut device) = World::with_tokens().await;
    let token = device.token(b"", 0);
    world.login(&token, b"", b"1").await.unwrap();
    let spent = async || world.store.scan(Table::Spent, b"", None, 10).await.unwrap().len();
    sweep(&world.engine).await;
    assert_eq!(spent().await, 1, "the token could still be shown");
    world.clock.pass(3 * 3_600);
    sweep(&world.engine).await;
    assert_eq!(spent().await, 0);
    assert!(world.login(&token, b"", b"2").await.is_err());
}
