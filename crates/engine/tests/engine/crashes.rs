//! A crash at any point of any commit of a device's first day: what was acknowledged is there, and what was not can be asked again.

use crate::world::{CRASH_POINTS, TestDevice, World, csr};
use wardein_ddkg::{Attributes, Suite};
use wardein_domain::DeviceState;
use wardein_engine::AuditFilter;

/// Enrolls, confirms, proves and certifies, asking again after each failure as a device and its station would.
async fn first_day(world: &mut World) -> (TestDevice, u32) {
    let mut device = TestDevice::begin(&world.engine, "pump-1");
    let mut failures = 0;
    let mut failed = async |world: &mut World| {
        failures += 1;
        assert!(failures < 3, "one crash costs one failure");
        world.restart().await;
    };
    let reply = loop {
        match world.engine.enroll(&world.station, device.order()).await {
            Ok(reply) => break reply,
            Err(_) => failed(world).await,
        }
    };
    let tag = device.finish(&reply);
    while world.engine.confirm(&world.station, device.name.device.clone(), tag).await.is_err() {
        failed(world).await;
    }
    while device.prove(&world.engine, "certificate", &csr()).await.is_err() {
        failed(world).await;
    }
    (device, failures)
}

#[tokio::test]
async fn no_crash_loses_or_repeats_anything() {
    for nth in 0..3 {
        for point in CRASH_POINTS {
            let mut world = World::new().await;
            world.store.crash_at(nth, point);
            let (mut device, failures) = first_day(&mut world).await;
            assert_eq!(failures, 1, "commit {nth}, {point:?}");
            let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
            assert_eq!(record.state, DeviceState::Active);
            device.prove(&world.engine, "authenticate", b"").await.unwrap();
            let (entries, _) =
                world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 1000).await.unwrap();
            let count =
                |event: &str| entries.iter().filter(|(_, entry)| entry.event.as_str() == event).count();
            assert_eq!((count("device.enroll"), count("device.confirm")), (1, 1), "each was done once");
        }
    }
}

/// New keys, put into use, then new firmware, announced and shown: each asked for again after a failure.
async fn new_keys_and_firmware(world: &mut World, device: &mut TestDevice) -> u32 {
    let mut failures = 0;
    let mut failed = async |world: &mut World| {
        failures += 1;
        assert!(failures < 3, "one crash costs one failure");
        world.restart().await;
    };
    while device.rekey(&world.engine, Suite::P256).await.is_err() {
        failed(world).await;
    }
    while device.prove(&world.engine, "authenticate", b"").await.is_err() {
        failed(world).await;
    }
    let mut firmware = Attributes::new();
    firmware.insert("firmware".parse().unwrap(), b"2.0").unwrap();
    while device.prove(&world.engine, "attributes", &firmware.encode()).await.is_err() {
        failed(world).await;
    }
    device.measured = firmware.digests();
    while device.prove(&world.engine, "authenticate", b"").await.is_err() {
        failed(world).await;
    }
    failures
}

#[tokio::test]
async fn no_crash_parts_a_device_from_its_new_keys_or_its_new_firmware() {
    for nth in 0..4 {
        for point in CRASH_POINTS {
            let mut world = World::new().await;
            let mut device = world.device("pump-1").await;
            world.store.crash_at(nth, point);
            let failures = new_keys_and_firmware(&mut world, &mut device).await;
            assert_eq!(failures, 1, "commit {nth}, {point:?}");
            let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
            assert_eq!(
                (record.state, record.generation),
                (DeviceState::Active, 2),
                "commit {nth}, {point:?}"
            );
            device.prove(&world.engine, "authenticate", b"").await.unwrap();
        }
    }
}
