//! The authority's time: a wall clock that jumps, a start that cannot be believed, and acceptance.

use crate::world::{CRASH_POINTS, START, World, csr, facts, order};
use wardein_ddkg::{DeviceName, Suite};
use wardein_domain::{Agreement, Call, DeviceState, Event, RekeyGate, Right, Role, UnixSeconds, Verdict};
use wardein_engine::{Certificate, Error, Page, RotationScope, Subject};
use wardein_port::Clock as _;
use wardein_testkit::CrashPoint;

const DAY: u64 = 86_400;
const YEAR: u64 = 365 * DAY;

fn code<T>(answer: Result<T, Error>) -> &'static str {
    answer.map_or_else(|error| error.code.as_str(), |_| "ok")
}

#[tokio::test]
async fn a_wall_clock_that_jumps_moves_nothing_and_is_on_record() {
    for wall in
        [0, START - 12 * YEAR, START - DAY, START + DAY, START + 2 * YEAR, START + 12 * YEAR, u64::MAX / 1000]
    {
        let mut world = World::new().await;
        let mut device = world.proven("pump-1").await;
        world.clock.pass(10);
        world.clock.set(wall);
        let status = world.engine.look_at_clock().await.unwrap();
        assert_eq!((status.agreement, status.may_erase), (Agreement::Apart, false), "{wall}");
        assert_eq!(world.engine.now(), START + 10);
        device.prove(&world.engine, "certificate", &csr()).await.unwrap();
        // Once, however often it is looked at.
        world.clock.pass(5);
        world.engine.look_at_clock().await.unwrap();
        let entries = world.entries(Event::ClockApart).await;
        assert_eq!(entries.len(), 1);
        assert_eq!(facts(&entries[0]), format!("wall-ms={}", wall * 1000));
        // It is right again, and is believed again.
        world.clock.set(START + 15);
        world.engine.look_at_clock().await.unwrap();
        assert_eq!(world.entries(Event::ClockAgrees).await.len(), 1);
        assert!(!world.engine.clock_status().may_erase, "not before a day is over");
        world.clock.pass(DAY);
        world.engine.look_at_clock().await.unwrap();
        assert!(world.engine.clock_status().may_erase);
        world.restart().await;
        assert!(world.engine.clock_status().may_erase);
    }
}

#[tokio::test]
async fn a_start_that_cannot_be_believed_holds_the_time() {
    for wall in [0, START - 12 * YEAR, START - DAY, START + 41 * DAY, START + 12 * YEAR, u64::MAX / 1000] {
        let mut world = World::new().await;
        let mut device = world.proven("pump-1").await;
        let known = world.proven("pump-2").await;
        world.clock.pass(10);
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
        world.clock.set(wall);
        world.restart().await;
        let engine = &world.engine;
        assert_eq!((engine.now(), engine.clock_status().agreement), (START + 10, Agreement::Held), "{wall}");
        world.clock.pass(5);
        assert_eq!(engine.now(), START + 15, "it goes on by boot time");
        // Proofs and queries go on; certificates wait; nothing is erased.
        device.prove(engine, "authenticate", b"").await.unwrap();
        let subject = Subject::Device(known.name.device.clone());
        assert_eq!(engine.check(&world.platform, subject).await.unwrap().verdict, Verdict::Trusted);
        assert_eq!(code(device.prove(engine, "certificate", &csr()).await), "clock-held");
        let issued = engine.issue_operator(&world.admin, order(Role::Auditor, None, "new")).await;
        assert_eq!(code(issued), "clock-held");
        assert!(!engine.clock_status().may_erase);
        engine.look_at_clock().await.unwrap();
        assert_eq!(world.entries(Event::ClockHeld).await.len(), 1);
        // The server certifies itself, or nobody could accept anything.
        world.engine.issue_server_identity(&["localhost".parse().unwrap()]).await.unwrap();
        // NTP comes.
        world.clock.set(START + 3 * DAY);
        world.engine.look_at_clock().await.unwrap();
        assert_eq!(world.engine.now(), START + 3 * DAY);
        device.prove(&world.engine, "certificate", &csr()).await.unwrap();
    }
}

#[tokio::test]
async fn a_machine_that_was_off_for_weeks_is_believed() {
    let mut world = World::new().await;
    for _ in 0..3 {
        world.clock.pass(40 * DAY);
        // A machine that was off does not count on.
        let wall = world.clock.wall_ms() / 1000;
        world.restart().await;
        assert_eq!(world.engine.now(), wall);
        assert!(matches!(world.engine.clock_status().agreement, Agreement::Since(_)));
        assert!(!world.engine.clock_status().may_erase);
        world.engine.record_system(Event::Started).await.unwrap();
    }
    // Two starts in one second.
    world.restart().await;
    world.restart().await;
    assert_eq!(world.engine.now(), world.clock.wall_ms() / 1000);
}

#[tokio::test]
async fn a_clock_is_accepted_by_one_who_saw_it_and_stays_valid() {
    let world = World::new().await;
    let wall_ms = |seconds: u64| seconds * 1000;
    // Behind and beyond the CAs of the authority.
    for wall in [0, START - DAY, START + 11 * YEAR, 253_402_300_800, u64::MAX / 1000] {
        world.clock.set(wall);
        assert_eq!(code(world.accept_clock().await), "clock-wrong", "{wall}");
    }
    world.clock.set(START + 300 * DAY);
    let seen = world.engine.accept_clock(&world.admin, wall_ms(START + 300 * DAY - 301)).await;
    assert_eq!(code(seen), "clock-moved");
    world.clock.set(START + 2 * YEAR);
    assert_eq!(code(world.accept_clock().await), "last-administrator", "its own certificate ends before");
    assert_eq!(world.entries(Event::ClockAccepted).await.len(), 0);
    world.clock.set(START + 300 * DAY);
    let accepted = world.accept_clock().await.unwrap();
    assert_eq!((accepted.from_ms, accepted.to_ms), (wall_ms(START), wall_ms(START + 300 * DAY)));
    assert!(!accepted.is_new_era && world.engine.clock_status().may_erase);
    let entries = world.entries(Event::ClockAccepted).await;
    let changed = format!("time-ms: {} → {}, era=0", accepted.from_ms, accepted.to_ms);
    assert_eq!((facts(&entries[0]), entries[0].time_ms), (changed, accepted.to_ms));
}

async fn gate(world: &World, name: &DeviceName) -> RekeyGate {
    let device = Some(name.device.clone());
    let status = world.engine.key_status(&world.admin, world.tenant(), None, device).await;
    status.unwrap().device.unwrap().gate
}

/// The time ran ahead for half a year, and is set back: what was made meanwhile counts for nothing that lasts.
#[tokio::test]
async fn a_new_era_leaves_the_former_ones_marks_behind() {
    let mut world = World::new().await;
    let (mut old, mut new) = (world.proven("pump-1").await, world.device("pump-2").await);
    let before = old.prove(&world.engine, "certificate", &csr()).await.unwrap();
    let wrong = START + 180 * DAY;
    world.clock.set(wrong);
    world.accept_clock().await.unwrap();
    new.rekey(&world.engine, Suite::P256).await.unwrap();
    new.prove(&world.engine, "certificate", &csr()).await.unwrap();
    let third = world.proven("pump-3").await;
    world.engine.issue_operator(&world.admin, order(Role::Auditor, None, "new")).await.unwrap();
    let (stale, _) = old.proof(&world.engine, "authenticate", b"");
    let tenant = world.tenant();
    let readmit = |name| {
        world.engine.set_device_state(&world.admin, name, DeviceState::Quarantined, "test".parse().unwrap())
    };
    readmit(old.name.clone()).await.unwrap();
    world
        .engine
        .readmit_device(&world.admin, old.name.clone(), false, "test".parse().unwrap())
        .await
        .unwrap();
    world
        .engine
        .rotate_keys(
            &world.admin,
            tenant.clone(),
            RotationScope::Device(third.name.device.clone()),
            true,
            "test".parse().unwrap(),
        )
        .await
        .unwrap();

    world.clock.set(START + 100);
    world.engine.look_at_clock().await.unwrap();
    let to = UnixSeconds::new(START + 100);
    let left = world.engine.left_behind(to).await.unwrap();
    assert_eq!((left.devices, left.certificates), (2, 1), "pump-2 and pump-3; the certificate of pump-2");
    assert_eq!(left.operators, 1);
    assert!(world.accept_clock().await.unwrap().is_new_era);
    for _ in 0..2 {
        let engine = &world.engine;
        assert_eq!(engine.now(), START + 100);
        // Its time would come again in half a year.
        let answer = engine.prove(&Call::new("1"), stale.clone(), vec![]).await;
        assert_eq!(code(answer), "challenge-unknown");
        let listed = engine
            .list_certificates(&world.admin, tenant.clone(), None, Page { size: 100, after: None })
            .await
            .unwrap();
        let revoked = |device: &str| {
            let of = |one: &&Certificate| one.device.as_ref().unwrap().as_str() == device;
            listed.items.iter().filter(of).map(|one| one.revoked.is_some()).collect::<Vec<_>>()
        };
        assert_eq!((revoked("pump-1"), revoked("pump-2")), (vec![true], vec![true]));
        let wrong =
            listed.items.iter().find(|one| one.device.as_ref().unwrap().as_str() == "pump-2").unwrap();
        assert_eq!(wrong.revoked.as_ref().map(|revoked| revoked.at), Some(START + 100), "when its era ended");
        world.restart().await;
    }
    drop(before);
    world.clock.pass(10);
    // The readmitted device rekeys once, and its certificates are good again.
    old.rekey(&world.engine, Suite::P256).await.unwrap();
    world.clock.pass(10);
    old.prove(&world.engine, "certificate", &csr()).await.unwrap();
    // That of the wrong era is due, and free once it has rekeyed.
    assert_eq!(gate(&world, &new.name).await, RekeyGate::Due);
    new.rekey(&world.engine, Suite::P256).await.unwrap();
    new.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!(gate(&world, &new.name).await, RekeyGate::Free);
    // One that was required to rekey by that clock does it once.
    let mut third = third;
    assert_eq!(code(third.prove(&world.engine, "authenticate", b"").await), "rekey-required");
    third.rekey(&world.engine, Suite::P256).await.unwrap();
    third.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!(gate(&world, &third.name).await, RekeyGate::Free);
}

/// Killed at any point of it, the clock is accepted whole or not at all.
#[tokio::test]
async fn an_acceptance_is_cut_off_whole_or_not_there() {
    for point in CRASH_POINTS {
        let mut world = World::new().await;
        let mut device = world.proven("pump-1").await;
        world.clock.pass(1000);
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
        world.clock.set(START + 200);
        world.engine.look_at_clock().await.unwrap();
        let (old, _) = device.proof(&world.engine, "authenticate", b"");
        world.store.crash_at(0, point);
        assert!(world.accept_clock().await.is_err());
        world.restart().await;
        let status = world.engine.clock_status();
        let answer = code(world.engine.prove(&Call::new("1"), old, vec![]).await);
        let seen = (status.now_ms / 1000, status.acceptances, answer);
        match point {
            CrashPoint::BeforeApply => assert_eq!(seen, (START + 1000, 0, "ok")),
            _ => assert_eq!(seen, (START + 200, 1, "challenge-unknown")),
        }
    }
}

/// The trial of the audit: one proof under a clock that is ahead erases no key of data that is retained.
#[tokio::test]
async fn a_jump_erases_nothing_that_retention_promises() {
    for jump in [DAY, 2 * YEAR, 12 * YEAR] {
        let mut world = World::new().await;
        let mut device = world.proven("pump-1").await;
        world.grant(Right::Open).await;
        let (first, second) = (device.seal(b"pressure 120", 0), device.seal(b"pressure 121", 0));
        world.clock.set(START + jump);
        world.engine.look_at_clock().await.unwrap();
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
        let mut sweep = world.engine.begin_sweep(None, None).await.unwrap();
        while !world.engine.sweep_some(&mut sweep, 100).await.unwrap().is_done {}
        drop(sweep);
        world.clock.set(START + 10);
        world.engine.look_at_clock().await.unwrap();
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
        world.open(&first, b"1").await.unwrap();
        world.restart().await;
        world.open(&second, b"2").await.unwrap();
    }
}
