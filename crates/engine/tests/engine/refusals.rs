//! Refusals of one caller: the first of a minute one by one, and the others as a number.

use crate::world::World;
use wardein_domain::{DeviceState, ErrorCode, Event, FieldName, Method};
use wardein_engine::{Caller, Error};

/// How many of a caller have an entry of their own in a minute.
const RECORDED: usize = 60;

impl World {
    /// As the edge does.
    async fn refuse(&self, caller: &Caller, code: ErrorCode) {
        if self.engine.records_refusal(caller, Method::PutProfile, code) {
            let error = Error::new(code, "a test refuses");
            self.engine.record_refusal(caller, Method::PutProfile, None, &error).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_operator_that_is_refused_all_the_time_leaves_a_bounded_number_of_entries() {
    let world = World::new().await;
    for _ in 0..200 {
        world.refuse(&world.station, ErrorCode::RoleDenied).await;
    }
    for _ in 0..30 {
        world.refuse(&world.station, ErrorCode::OperatorRevoked).await;
    }
    world.refuse(&world.platform, ErrorCode::RoleDenied).await;
    assert_eq!(world.entries(Event::CallRefused).await.len(), RECORDED + 1, "another has its own");
    world.engine.record_further_refusals(false).await.unwrap();
    assert!(world.entries(Event::CallsRefused).await.is_empty(), "the minute is not over");

    world.clock.pass(60);
    world.engine.record_further_refusals(false).await.unwrap();
    world.engine.record_further_refusals(false).await.unwrap();
    let further = world.entries(Event::CallsRefused).await;
    let [entry] = further.as_slice() else { panic!("{further:?}") };
    assert_eq!(entry.actor.to_string(), "station/klinik/line-1");
    assert_eq!(entry.target.to_string(), Method::PutProfile.path());
    assert_eq!((entry.outcome.code(), entry.tenant.as_ref()), ("operator-revoked", Some(&world.tenant())));
    assert_eq!(entry.field(FieldName::Count), Some("170"));
    assert_eq!(entry.field(FieldName::Codes), Some("operator-revoked 30,role-denied 140"));

    // The next minute begins again; a stop does not wait for its end.
    for _ in 0..=RECORDED {
        world.refuse(&world.station, ErrorCode::RoleDenied).await;
    }
    world.engine.record_further_refusals(true).await.unwrap();
    assert_eq!(world.entries(Event::CallRefused).await.len(), 2 * RECORDED + 1);
    assert_eq!(world.entries(Event::CallsRefused).await[1].field(FieldName::Count), Some("1"));
}

#[tokio::test]
async fn a_device_that_is_refused_all_the_time_leaves_a_bounded_number_of_entries() {
    a_device_is_refused_all_the_time(&World::new().await).await;
}

/// Each refusal is decided twice there, and counted once.
#[tokio::test]
async fn nor_more_where_other_nodes_are_heard_before_it_is_refused() {
    let world = World::new().await;
    world.store.has_nodes(true);
    a_device_is_refused_all_the_time(&world).await;
}

async fn a_device_is_refused_all_the_time(world: &World) {
    let mut device = world.device("pump-1").await;
    let reason = || "maintenance".parse().unwrap();
    world
        .engine
        .set_device_state(&world.admin, device.name.clone(), DeviceState::Suspended, reason())
        .await
        .unwrap();
    for _ in 0..100 {
        let refused = device.prove(&world.engine, "authenticate", b"").await.unwrap_err();
        assert_eq!(refused.code.as_str(), "suspended");
    }
    assert_eq!(world.entries(Event::CallRefused).await.len(), RECORDED);
    world.engine.record_further_refusals(true).await.unwrap();
    let further = world.entries(Event::CallsRefused).await;
    assert_eq!(further[0].actor.to_string(), "device/klinik/pump-1");
    assert_eq!(further[0].field(FieldName::Codes), Some("suspended 40"));
}

#[tokio::test]
async fn what_the_store_does_not_take_stays_counted() {
    let world = World::new().await;
    for _ in 0..RECORDED + 5 {
        world.refuse(&world.station, ErrorCode::RoleDenied).await;
    }
    world.store.crash_at(0, wardein_testkit::CrashPoint::BeforeApply);
    assert!(world.engine.record_further_refusals(true).await.is_err());
    world.store.restart();
    world.engine.record_further_refusals(true).await.unwrap();
    assert_eq!(world.entries(Event::CallsRefused).await[0].field(FieldName::Count), Some("5"));
}
