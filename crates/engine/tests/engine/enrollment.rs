//! Enrollment: what a station may do, and that nothing is done twice.

use crate::world::{TestDevice, World, caller, name, order};
use wardein_domain::{DeviceState, Role};
use wardein_engine::ErrorKind;

#[tokio::test]
async fn a_device_is_enrolled_confirmed_and_on_record() {
    let world = World::new().await;
    let mut device = TestDevice::begin(&world.engine, "pump-1");
    let reply = world.engine.enroll(&world.station, device.order()).await.unwrap();
    let pending = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
    assert_eq!((pending.state, pending.generation, pending.suite), (DeviceState::Pending, 1, 1));
    assert_eq!(pending.enrolled_by, "station/klinik/line-1");

    let tag = device.finish(&reply);
    let id = device.name.device.clone();
    world.engine.confirm(&world.station, id.clone(), tag).await.unwrap();
    world.engine.confirm(&world.station, id, tag).await.expect("the same confirmation again is fine");
    let active = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
    assert_eq!(active.state, DeviceState::Active);
    assert_eq!(active.last_seen, None);
}

#[tokio::test]
async fn the_same_request_again_is_answered_alike_and_writes_nothing() {
    let world = World::new().await;
    let device = TestDevice::begin(&world.engine, "pump-1");
    let first = world.engine.enroll(&world.station, device.order()).await.unwrap();
    let commits = world.store.commits();
    let again = world.engine.enroll(&world.station, device.order()).await.unwrap();
    assert_eq!(first.encode(), again.encode());
    assert_eq!(world.store.commits(), commits);
}

#[tokio::test]
async fn another_request_replaces_what_is_pending_and_touches_nothing_confirmed() {
    let world = World::new().await;
    let mut first = TestDevice::begin(&world.engine, "pump-1");
    let reply = world.engine.enroll(&world.station, first.order()).await.unwrap();
    let old = first.finish(&reply);
    let mut second = TestDevice::begin(&world.engine, "pump-1");
    let reply = world.engine.enroll(&world.station, second.order()).await.unwrap();
    let id = first.name.device.clone();
    let refused = world.engine.confirm(&world.station, id.clone(), old).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Unauthenticated, "confirmation-wrong"));
    world.engine.confirm(&world.station, id, second.finish(&reply)).await.unwrap();

    let third = TestDevice::begin(&world.engine, "pump-1");
    let refused = world.engine.enroll(&world.station, third.order()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Exists, "already-enrolled"));
    second.prove(&world.engine, "authenticate", b"").await.unwrap();
}

#[tokio::test]
async fn a_quota_is_a_bound_across_restarts_and_counts_a_device_once() {
    let mut world = World::new().await;
    let mut station = order(Role::Station, Some("klinik"), "small");
    station.quota = 2;
    let (_, operator) = world.engine.issue_operator(&world.admin, station).await.unwrap();
    let small = caller(operator.principal);
    for id in ["a", "a", "b", "b"] {
        let device = TestDevice::begin(&world.engine, id);
        world.engine.enroll(&small, device.order()).await.unwrap();
    }
    for _ in 0..2 {
        let device = TestDevice::begin(&world.engine, "c");
        let refused = world.engine.enroll(&small, device.order()).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Exhausted, "quota-exhausted"));
        assert!(world.engine.get_device(&world.admin, name("klinik", "c")).await.is_err());
        world.restart().await;
    }
}

#[tokio::test]
async fn a_failed_enrollment_gives_its_quota_back() {
    let world = World::new().await;
    let mut station = order(Role::Station, Some("klinik"), "small");
    station.quota = 1;
    let (_, operator) = world.engine.issue_operator(&world.admin, station).await.unwrap();
    let small = caller(operator.principal);
    let mut bad = TestDevice::begin(&world.engine, "a").order();
    bad.share = vec![4; 65];
    let refused = world.engine.enroll(&small, bad).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Invalid, "share-invalid"));
    world.engine.enroll(&small, TestDevice::begin(&world.engine, "a").order()).await.unwrap();
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_by_name() {
    let world = World::new().await;
    let good = || TestDevice::begin(&world.engine, "a").order();
    let mut cases = Vec::new();
    for suite in [0, 3, 65_537] {
        cases.push((wardein_engine::EnrollOrder { suite, ..good() }, "malformed", "suite"));
    }
    cases.push((wardein_engine::EnrollOrder { share: vec![4; 64], ..good() }, "malformed", "device share"));
    cases.push((
        wardein_engine::EnrollOrder { device: "..".parse().unwrap(), ..good() },
        "malformed",
        "device_id",
    ));
    let profile = "none".parse().unwrap();
    cases.push((wardein_engine::EnrollOrder { profile, ..good() }, "profile-unknown", "profile"));
    let commits = world.store.commits();
    for (order, code, field) in cases {
        let refused = world.engine.enroll(&world.station, order).await.unwrap_err();
        assert_eq!(refused.code.as_str(), code, "{refused}");
        assert!(refused.message.starts_with(field), "{refused}");
    }
    assert_eq!(world.store.commits(), commits, "a refused request changes nothing");
}

#[tokio::test]
async fn only_a_station_enrolls_and_only_in_its_tenant() {
    let world = World::new().await;
    for other in [&world.admin, &world.platform] {
        let order = TestDevice::begin(&world.engine, "a").order();
        assert_eq!(world.engine.enroll(other, order).await.unwrap_err().kind(), ErrorKind::Denied);
    }
    world.engine.create_tenant(&world.admin, "other".parse().unwrap()).await.unwrap();
    let order_there = order(Role::Station, Some("other"), "line-1");
    let (_, there) = world.engine.issue_operator(&world.admin, order_there).await.unwrap();
    // The same device id in another tenant is another device.
    world.device("a").await;
    let reply =
        world.engine.enroll(&caller(there.principal), TestDevice::begin(&world.engine, "a").order()).await;
    assert!(reply.is_ok());
    assert_eq!(
        world.engine.get_device(&world.admin, name("klinik", "a")).await.unwrap().state,
        DeviceState::Active
    );
    assert_eq!(
        world.engine.get_device(&world.admin, name("other", "a")).await.unwrap().state,
        DeviceState::Pending
    );
}
