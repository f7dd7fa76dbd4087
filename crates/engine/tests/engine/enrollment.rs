//! Enrollment: what a station may do, and that nothing is done twice.

use crate::world::{TestDevice, World, caller, name, order};
use wardein_ddkg::message::EnrollReply;
use wardein_domain::{DeviceState, KeyKeeper, Role};
use wardein_engine::{Caller, ErrorKind, KeyPolicy, OperatorOrder, Page};

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
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "quota-exhausted"));
        assert!(world.engine.get_device(&world.admin, name("klinik", "c")).await.is_err());
        world.restart().await;
    }
}

impl World {
    async fn station_of(&self, name: &str, quota: u64) -> Caller {
        let mut station = order(Role::Station, Some("klinik"), name);
        station.quota = quota;
        caller(self.engine.issue_operator(&self.admin, station).await.unwrap().1.principal)
    }

    async fn used(&self, station: &Caller) -> u64 {
        let all = Page { size: 1000, after: None };
        let operators = self.engine.list_operators(&self.admin, None, all).await.unwrap().items;
        operators.iter().find(|operator| operator.principal == station.principal).unwrap().used
    }

    /// Enrolls a device from the start; its first half, and what became of it.
    async fn enroll_by(&self, station: &Caller, id: &str) -> (TestDevice, Result<EnrollReply, &'static str>) {
        let device = TestDevice::begin(&self.engine, id);
        let reply = self.engine.enroll(station, device.order()).await;
        (device, reply.map_err(|error| error.code.as_str()))
    }

    async fn let_reenroll(&self, id: &str) {
        let reason = "state lost".parse().unwrap();
        self.engine.readmit_device(&self.admin, name("klinik", id), true, reason).await.unwrap();
    }
}

#[tokio::test]
async fn a_station_without_quota_takes_no_device_over() {
    let mut world = World::new().await;
    let (small, none) = (world.station_of("small", 1).await, world.station_of("none", 0).await);
    let (mut pending, reply) = world.enroll_by(&small, "a").await;
    let tag = pending.finish(&reply.unwrap());
    assert_eq!(world.enroll_by(&none, "a").await.1.unwrap_err(), "quota-exhausted", "it is pending");
    world.engine.confirm(&small, "a".parse().unwrap(), tag).await.unwrap();
    world.let_reenroll("a").await;
    for _ in 0..2 {
        // Also the station that enrolled it has no place left.
        for station in [&none, &small] {
            assert_eq!(world.enroll_by(station, "a").await.1.unwrap_err(), "quota-exhausted", "readmitted");
        }
        assert_eq!((world.used(&small).await, world.used(&none).await), (1, 0));
        world.restart().await;
    }
    // An administrator's remedy: another identity.
    let next = world.station_of("next", 1).await;
    let (mut device, reply) = world.enroll_by(&next, "a").await;
    let tag = device.finish(&reply.unwrap());
    world.engine.confirm(&next, "a".parse().unwrap(), tag).await.unwrap();
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!((world.used(&small).await, world.used(&next).await), (1, 1));
}

#[tokio::test]
async fn a_pending_enrollment_is_replaced_a_number_of_times_and_a_repeated_request_costs_nothing() {
    let mut world = World::new().await;
    let (small, other) = (world.station_of("small", 1).await, world.station_of("other", 1).await);
    let (mut last, mut reply) = world.enroll_by(&small, "a").await;
    let mut last_reply = reply.unwrap();
    for _ in 0..8 {
        (last, reply) = world.enroll_by(&small, "a").await;
        last_reply = reply.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(world.enroll_by(&small, "a").await.1.unwrap_err(), "quota-exhausted");
        let again = world.engine.enroll(&small, last.order()).await.unwrap();
        assert_eq!(again.encode(), last_reply.encode(), "a station that lost the reply asks again");
        assert_eq!(world.used(&small).await, 1);
        world.restart().await;
    }
    // Each that takes it over pays, and nobody gets a place back for it.
    world.enroll_by(&other, "a").await.1.unwrap();
    assert_eq!((world.used(&small).await, world.used(&other).await), (1, 1));
    assert_eq!(world.enroll_by(&small, "a").await.1.unwrap_err(), "quota-exhausted");
    world.restart().await;
    let (mut device, reply) = world.enroll_by(&other, "a").await;
    let tag = device.finish(&reply.unwrap());
    for _ in 0..2 {
        world.engine.confirm(&other, "a".parse().unwrap(), tag).await.unwrap();
    }
    assert_eq!((world.used(&small).await, world.used(&other).await), (1, 1));
}

#[tokio::test]
async fn a_signing_device_that_was_readmitted_costs_a_place_too() {
    let world = World::new().await;
    let (two, none) = (world.station_of("two", 2).await, world.station_of("none", 0).await);
    let policy = KeyPolicy { keepers: vec![KeyKeeper::Software], ..KeyPolicy::default() };
    world.engine.put_key_policy(&world.admin, world.tenant(), policy, None).await.unwrap();
    let csrs = [crate::world::csr(), crate::world::csr()];
    let enroll = async |station: &Caller, csr: &[u8]| {
        let order = crate::tpm::key_order("s-1");
        let enrolled = world.engine.enroll_key(station, &order, KeyKeeper::Software, csr).await;
        enrolled.map(|_| ()).map_err(|error| error.code.as_str())
    };
    for _ in 0..2 {
        enroll(&two, &csrs[0]).await.unwrap();
    }
    assert_eq!(world.used(&two).await, 1);
    world.let_reenroll("s-1").await;
    assert_eq!(enroll(&none, &csrs[1]).await, Err("quota-exhausted"));
    for _ in 0..2 {
        enroll(&two, &csrs[1]).await.unwrap();
    }
    assert_eq!(world.used(&two).await, 2);
    world.let_reenroll("s-1").await;
    assert_eq!(enroll(&two, &csrs[0]).await, Err("quota-exhausted"));
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

#[tokio::test]
async fn a_station_renews_what_is_left_of_its_quota_and_no_more() {
    let world = World::new().await;
    let engine = &world.engine;
    let order = OperatorOrder { quota: 3, ..order(Role::Station, Some("klinik"), "line-7") };
    let csr = order.csr.clone();
    let station = caller(engine.issue_operator(&world.admin, order).await.unwrap().1.principal);
    let enrolls = async |by: &Caller, id| world.enroll_by(by, id).await.1.map(|_| ());
    assert_eq!(enrolls(&station, "renewed-1").await, Ok(()));
    let (_, renewed) = engine.renew_operator(&station, &csr, 0).await.unwrap();
    assert_eq!(renewed.quota, 2);
    assert_eq!(enrolls(&station, "renewed-2").await, Err("quota-exhausted"));
    let renewed = caller(renewed.principal);
    assert_eq!(enrolls(&renewed, "renewed-2").await, Ok(()));
    assert_eq!(enrolls(&renewed, "renewed-3").await, Ok(()));
    assert_eq!(enrolls(&renewed, "renewed-4").await, Err("quota-exhausted"));
    let (_, again) = engine.renew_operator(&renewed, &csr, 0).await.unwrap();
    assert_eq!(again.quota, 0);
}
