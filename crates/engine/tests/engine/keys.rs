//! Keys that change: rekeys, announced attributes, rotations and the gate that they put before a device, profiles.

use crate::world::{START, TestDevice, World, csr};
use wardein_ddkg::{Attributes, Suite};
use wardein_domain::{Call, DeviceState, Event, ProfileFields, Reason, RekeyGate};
use wardein_engine::{AuditFilter, ProfilePut};
use wardein_engine::{DeviceKeys, Error, ErrorKind, RotationScope};

fn reason() -> Reason {
    "drill".parse().unwrap()
}

fn firmware(version: &[u8]) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert("firmware".parse().unwrap(), version).unwrap();
    attributes
}

impl World {
    fn now(&self) -> u64 {
        self.engine.now()
    }

    async fn keys(&self, device: &TestDevice) -> DeviceKeys {
        let device = Some(device.name.device.clone());
        self.engine.key_status(&self.admin, self.tenant(), None, device).await.unwrap().device.unwrap()
    }

    pub(crate) async fn put_profile(&self, name: &str, fields: ProfileFields) {
        let name = name.parse().unwrap();
        self.engine.put_profile(&self.admin, self.tenant(), name, ProfilePut::whole(fields)).await.unwrap();
    }

    async fn rotate(&self, scope: RotationScope, is_required: bool) -> u64 {
        self.engine.rotate_keys(&self.admin, self.tenant(), scope, is_required, reason()).await.unwrap()
    }

    async fn refusals(&self) -> Vec<(String, String)> {
        let (entries, _) =
            self.engine.list_audit(&self.admin, AuditFilter::default(), 1, 1000).await.unwrap();
        let refused = entries.into_iter().filter(|(_, entry)| entry.event == Event::CallRefused);
        refused.map(|(_, entry)| (entry.actor.to_string(), entry.outcome.to_string())).collect()
    }
}

#[tokio::test]
async fn a_device_rekeys_with_either_suite_and_goes_over_with_its_next_proof() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    for (number, suite) in [(2, Suite::P256), (3, Suite::P256MlKem768), (4, Suite::P256)] {
        world.clock.pass(10);
        device.rekey(&world.engine, suite).await.unwrap();
        let keys = world.keys(&device).await;
        assert_eq!((keys.generation, keys.pending_generation), (number - 1, Some(number)));
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
        let keys = world.keys(&device).await;
        assert_eq!((keys.generation, keys.pending_generation), (number, None));
        assert_eq!((keys.suite, keys.agreed_at), (suite.number(), world.now()));
    }
}

#[tokio::test]
async fn a_suite_that_policy_does_not_allow_is_refused_and_on_record() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    world.put_profile("default", ProfileFields { suites: Some(vec![2]), ..ProfileFields::default() }).await;
    let refused = device.rekey(&world.engine, Suite::P256).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "suite-not-allowed"));
    assert_eq!(world.refusals().await, [("device/klinik/pump-1".into(), "suite-not-allowed".into())]);
    assert_eq!(world.keys(&device).await.pending_generation, None);
    device.rekey(&world.engine, Suite::P256MlKem768).await.unwrap();
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
}

#[tokio::test]
async fn a_rekey_whose_reply_was_lost_is_asked_anew_also_after_a_restart() {
    let mut world = World::new().await;
    let mut device = world.device("pump-1").await;
    for _ in 0..3 {
        let (request, body, _) = device.rekey_proof(&world.engine, Suite::P256);
        world.engine.prove(&Call::new("lost"), request, body).await.unwrap();
        world.restart().await;
        device.prove(&world.engine, "authenticate", b"").await.expect("the former keys go on");
    }
    device.rekey(&world.engine, Suite::P256).await.unwrap();
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!(world.keys(&device).await.generation, 2);
    let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
    assert_eq!(record.state, DeviceState::Active, "no alarm");
}

#[tokio::test]
async fn attributes_are_announced_twice_then_shown_and_the_recipe_follows() {
    let mut world = World::new().await;
    let mut device = world.device("pump-1").await;
    let mut next = firmware(b"2.0");
    next.insert("board".parse().unwrap(), b"b").unwrap();
    for _ in 0..2 {
        device.prove(&world.engine, "attributes", &next.encode()).await.unwrap();
        world.restart().await;
    }
    device.prove(&world.engine, "authenticate", b"").await.expect("the update has not come yet");
    device.measured = next.digests();
    device.prove(&world.engine, "authenticate", b"").await.expect("it has come");
    for _ in 0..2 {
        let offer = world.engine.challenge(&device.name).unwrap();
        let names: Vec<_> = offer.recipe.names().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["board", "firmware"]);
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
        world.restart().await;
    }
    device.measured = firmware(b"1.0").digests();
    let mut back = firmware(b"1.0");
    back.insert("board".parse().unwrap(), b"b").unwrap();
    device.measured = back.digests();
    let over = device.prove(&world.engine, "authenticate", b"").await.unwrap_err();
    assert_eq!(over.code.as_str(), "mac-wrong", "what was on record before is over");
}

#[tokio::test]
async fn an_attribute_cannot_be_dropped() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let mut other = Attributes::new();
    other.insert("board".parse().unwrap(), b"b").unwrap();
    for body in [Attributes::new(), other] {
        let refused = device.prove(&world.engine, "attributes", &body.encode()).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "attribute-dropped"));
    }
    assert_eq!(world.refusals().await.len(), 2);
}

/// Proves twice: what the gate says to a proof, and to the administrator.
async fn gate(world: &World, device: &mut TestDevice) -> Result<RekeyGate, Error> {
    let (_, is_due) = device.hear(&world.engine, "authenticate", b"").await?;
    let gate = world.keys(device).await.gate;
    assert_eq!(is_due, gate == RekeyGate::Due);
    Ok(gate)
}

#[tokio::test]
async fn a_rotation_of_each_level_reaches_its_devices_and_no_others() {
    let mut world = World::new().await;
    world.put_profile("infusion", ProfileFields::default()).await;
    let mut devices = vec![world.device("pump-1").await, world.device("pump-2").await];
    let mut other = TestDevice::begin(&world.engine, "scale-1");
    let order = wardein_engine::EnrollOrder { profile: "infusion".parse().unwrap(), ..other.order() };
    let reply = world.engine.enroll(&world.station, order).await.unwrap();
    let tag = other.finish(&reply);
    world.engine.confirm(&world.station, other.name.device.clone(), tag).await.unwrap();
    devices.push(other);
    for (scope, due) in [
        (RotationScope::Device("pump-1".parse().unwrap()), [true, false, false]),
        (RotationScope::Profile("infusion".parse().unwrap()), [false, false, true]),
        (RotationScope::Tenant, [true, true, true]),
    ] {
        world.clock.pass(5);
        assert_eq!(world.rotate(scope.clone(), false).await, world.now());
        world.restart().await;
        world.clock.pass(5);
        for (device, is_due) in devices.iter_mut().zip(due) {
            let expected = if is_due { RekeyGate::Due } else { RekeyGate::Free };
            assert_eq!(gate(&world, device).await.unwrap(), expected, "{scope:?}, {:?}", device.name);
            if is_due {
                device.rekey(&world.engine, Suite::P256).await.unwrap();
                assert_eq!(gate(&world, device).await.unwrap(), RekeyGate::Free);
            }
        }
    }
}

#[tokio::test]
async fn where_it_is_required_a_device_may_rekey_and_nothing_else() {
    let mut world = World::new().await;
    let mut device = world.device("pump-1").await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    world.clock.pass(5);
    world.rotate(RotationScope::Tenant, true).await;
    world.clock.pass(5);
    let next = firmware(b"2.0").encode();
    for _ in 0..2 {
        let asks: [(&str, Vec<u8>); 4] = [
            ("authenticate", vec![]),
            ("trust-bundle", vec![]),
            ("certificate", csr()),
            ("attributes", next.clone()),
        ];
        for (action, body) in asks {
            let refused = device.prove(&world.engine, action, &body).await.unwrap_err();
            assert_eq!(
                (refused.kind(), refused.code.as_str()),
                (ErrorKind::Precondition, "rekey-required"),
                "{action}"
            );
        }
        // What comes later asks for less, and lifts nothing.
        world.rotate(RotationScope::Device(device.name.device.clone()), false).await;
        world.restart().await;
    }
    assert_eq!(world.refusals().await.len(), 8);
    assert_eq!(world.keys(&device).await.gate, RekeyGate::Required);
    world.clock.pass(5);
    device.rekey(&world.engine, Suite::P256).await.unwrap();
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!(world.keys(&device).await.gate, RekeyGate::Free);
}

#[tokio::test]
async fn a_pending_generation_that_a_required_rotation_overtook_can_still_rekey() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    device.rekey(&world.engine, Suite::P256).await.unwrap();
    world.clock.pass(5);
    world.rotate(RotationScope::Tenant, true).await;
    world.clock.pass(5);
    let refused = device.prove(&world.engine, "authenticate", b"").await.unwrap_err();
    assert_eq!(refused.code.as_str(), "rekey-required");
    device.rekey(&world.engine, Suite::P256).await.unwrap();
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!(world.keys(&device).await.generation, 3);
}

#[tokio::test]
async fn keys_come_due_by_their_age() {
    let world = World::new().await;
    let hours = ProfileFields { rekey_after: Some(7_200), ..ProfileFields::default() };
    world.put_profile("default", hours).await;
    let mut device = world.device("pump-1").await;
    assert_eq!(world.keys(&device).await.due_at, Some(START + 7_200));
    world.clock.pass(7_199);
    assert_eq!(gate(&world, &mut device).await.unwrap(), RekeyGate::Free);
    world.clock.pass(1);
    assert_eq!(gate(&world, &mut device).await.unwrap(), RekeyGate::Due);
    device.rekey(&world.engine, Suite::P256).await.unwrap();
    assert_eq!(gate(&world, &mut device).await.unwrap(), RekeyGate::Free);
}

#[tokio::test]
async fn a_record_that_is_full_of_what_was_sealed_is_not_locked_out() {
    let world = World::new().await;
    let keep = ProfileFields { data_retention: Some(10_000), ..ProfileFields::default() };
    world.put_profile("default", keep).await;
    let mut device = world.device("pump-1").await;
    // Sixteen retired generations: as many as a record holds.
    for _ in 0..16 {
        world.clock.pass(4_000);
        device.rekey(&world.engine, Suite::P256MlKem768).await.unwrap();
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
    }
    world.clock.pass(1);
    world.rotate(RotationScope::Tenant, true).await;
    world.clock.pass(1);
    let full = device.rekey(&world.engine, Suite::P256).await.unwrap_err();
    assert_eq!((full.kind(), full.code.as_str()), (ErrorKind::Precondition, "retention-full"));
    assert_eq!(gate(&world, &mut device).await.unwrap(), RekeyGate::Due);
}

#[tokio::test]
async fn a_profile_inherits_what_it_does_not_set_and_merging_keeps_the_rest() {
    let mut world = World::new().await;
    let own = ProfileFields { max_uses: Some(5), ..ProfileFields::default() };
    world.put_profile("infusion", own.clone()).await;
    let base = ProfileFields { period: Some(60), max_uses: Some(9), ..ProfileFields::default() };
    world.put_profile("default", base).await;
    let merged = ProfileFields { rekey_after: Some(0), ..ProfileFields::default() };
    let name = "infusion".parse().unwrap();
    world.engine.put_profile(&world.admin, world.tenant(), name, ProfilePut::set(merged)).await.unwrap();
    for _ in 0..2 {
        let listed = world.engine.list_profiles(&world.admin, world.tenant()).await.unwrap();
        let names: Vec<_> = listed.iter().map(|one| one.name.to_string()).collect();
        assert_eq!(names, ["default", "infusion"]);
        assert_eq!(listed[1].set, ProfileFields { rekey_after: Some(0), ..own.clone() });
        let schedule = listed[1].effective.schedule(0);
        assert_eq!((schedule.period, schedule.max_uses), (60, 5));
        assert_eq!(listed[1].effective.rekey_after(), None);
        world.restart().await;
    }
    let wrong = ProfileFields { period: Some(1), ..ProfileFields::default() };
    let name = "infusion".parse().unwrap();
    let refused = world
        .engine
        .put_profile(&world.admin, world.tenant(), name, ProfilePut::set(wrong))
        .await
        .unwrap_err();
    assert!(refused.message.starts_with("profile.period: "), "{refused}");
}

#[tokio::test]
async fn a_clone_is_reported_and_not_quarantined_where_the_profile_says_so() {
    let world = World::new().await;
    let report = ProfileFields { quarantine_on_clone: Some(false), ..ProfileFields::default() };
    world.put_profile("default", report).await;
    let mut device = world.device("pump-1").await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    let mut copy = device.copied();
    world.clock.pass(10);
    copy.prove(&world.engine, "authenticate", b"").await.unwrap();
    world.clock.pass(10);
    let alarm = device.prove(&world.engine, "authenticate", b"").await.unwrap_err();
    assert_eq!(alarm.code.as_str(), "clone-suspected");
    let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
    assert_eq!(record.state, DeviceState::Active);
    let (entries, _) = world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 1000).await.unwrap();
    assert!(entries.iter().any(|(_, entry)| entry.event == Event::CloneSuspected));
}
