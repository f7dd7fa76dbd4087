//! Devices as administrators find, readmit and retire them, and what their histories say.

use crate::world::{TestDevice, World, caller, csr, facts, order};
use wardein_ddkg::Suite;
use wardein_domain::{AuditEntry, DeviceState, Event, FieldName, Reason, Role, Verdict};
use wardein_engine::{
    AuditFilter, BatchChange, BatchOrder, Caller, Device, DeviceFilter, EnrollOrder, Error, ErrorKind, Page,
    RotationScope, Subject,
};
use wardein_port::Store;

const ALL: Page = Page { size: 1000, after: None };

fn reason() -> Reason {
    "looked at".parse().unwrap()
}

impl World {
    async fn readmit(&self, device: &TestDevice, reenroll: bool) -> Result<Device, Error> {
        self.engine.readmit_device(&self.admin, device.name.clone(), reenroll, reason()).await
    }

    async fn set(&self, device: &TestDevice, state: DeviceState) -> Result<Device, Error> {
        self.engine.set_device_state(&self.admin, device.name.clone(), state, reason()).await
    }

    async fn history(&self, device: &TestDevice) -> Vec<(String, String)> {
        let history = self.engine.device_history(&self.admin, &device.name, ALL).await.unwrap();
        let said = |entry: AuditEntry| (entry.event.to_string(), entry.outcome.to_string());
        history.items.into_iter().map(said).collect()
    }

    async fn found(&self, filter: &DeviceFilter) -> Vec<String> {
        let found = self.engine.list_devices(&self.admin, self.tenant(), filter, ALL).await.unwrap().items;
        found.iter().map(|device| device.name.device.to_string()).collect()
    }

    /// Enrolls the device again, as after its state was lost.
    async fn enroll_again(&self, id: &str) -> Result<TestDevice, Error> {
        let mut device = TestDevice::begin(&self.engine, id);
        let reply = self.engine.enroll(&self.station, device.order()).await?;
        let again = self.engine.enroll(&self.station, device.order()).await.unwrap();
        assert_eq!(again.encode(), reply.encode(), "asked twice, answered alike");
        let tag = device.finish(&reply);
        for _ in 0..2 {
            self.engine.confirm(&self.station, id.parse().unwrap(), tag).await.unwrap();
        }
        Ok(device)
    }

    /// A device and a copy of its state, which has spoken; the device is quarantined.
    async fn cloned(&self) -> (TestDevice, TestDevice) {
        let mut device = self.device("pump-1").await;
        device.prove(&self.engine, "authenticate", b"").await.unwrap();
        let mut copy = device.copied();
        self.clock.pass(10);
        copy.prove(&self.engine, "authenticate", b"").await.unwrap();
        self.clock.pass(10);
        assert_eq!(
            device.prove(&self.engine, "authenticate", b"").await.unwrap_err().code.as_str(),
            "clone-suspected"
        );
        (device, copy)
    }
}

#[tokio::test]
async fn a_readmitted_device_must_rekey_and_shuts_the_other_holder_out() {
    let mut world = World::new().await;
    let (mut other, mut first) = world.cloned().await;
    for _ in 0..2 {
        let device = world.readmit(&first, false).await.unwrap();
        assert_eq!(device.state, DeviceState::Active);
        world.restart().await;
    }
    world.clock.pass(10);
    let refused = first.prove(&world.engine, "authenticate", b"").await.unwrap_err();
    assert_eq!(refused.code.as_str(), "rekey-required");
    first.rekey(&world.engine, Suite::P256).await.unwrap();
    first.prove(&world.engine, "authenticate", b"").await.unwrap();
    // The other one is found out by the generation that has retired. More of its words are in the log alone.
    for _ in 0..5 {
        world.clock.pass(10);
        let again = other.prove(&world.engine, "authenticate", b"").await.unwrap_err();
        assert_eq!(again.code.as_str(), "clone-suspected");
    }
    assert_eq!(world.entries(Event::CloneSuspected).await.len(), 6);
    let mut events: Vec<_> = world.history(&first).await.into_iter().map(|(event, _)| event).collect();
    // Within one millisecond there is no order.
    events.sort_unstable();
    assert_eq!(
        events,
        [
            "device.clone-suspected",
            "device.clone-suspected",
            "device.confirm",
            "device.enroll",
            "device.readmit",
            "device.rekey",
        ]
    );
}

#[tokio::test]
async fn what_was_certified_before_a_readmission_counts_as_revoked() {
    let mut world = World::new().await;
    let mut device = world.proven("pump-1").await;
    let certified = async |device: &mut TestDevice, world: &World| {
        let reply = device.prove(&world.engine, "certificate", &csr()).await.unwrap().body;
        let length = u32::from_be_bytes(*reply.first_chunk().unwrap()) as usize;
        reply[4..4 + length].to_vec()
    };
    let verdict = async |world: &World, der: &Vec<u8>| {
        let answer = world.engine.check(&world.platform, Subject::Certificate(der.clone())).await.unwrap();
        (answer.verdict, answer.reasons.iter().map(|reason| reason.code()).collect::<Vec<_>>())
    };
    let before = certified(&mut device, &world).await;
    assert_eq!(verdict(&world, &before).await, (Verdict::Trusted, vec!["in-good-standing"]));
    world.clock.pass(10);
    world.set(&device, DeviceState::Quarantined).await.unwrap();
    world.readmit(&device, false).await.unwrap();
    world.clock.pass(10);
    device.rekey(&world.engine, Suite::P256).await.unwrap();
    let after = certified(&mut device, &world).await;
    for _ in 0..2 {
        assert_eq!(verdict(&world, &before).await, (Verdict::NotTrusted, vec!["certificate-revoked"]));
        assert_eq!(verdict(&world, &after).await, (Verdict::Trusted, vec!["in-good-standing"]));
        let listed =
            world.engine.list_certificates(&world.admin, world.tenant(), None, ALL).await.unwrap().items;
        assert_eq!(listed.iter().filter(|certificate| certificate.revoked.is_some()).count(), 1);
        world.restart().await;
    }
    // Enrolled again, it stays so.
    world.clock.pass(10);
    world.readmit(&device, true).await.unwrap();
    world.clock.pass(10);
    let mut anew = world.enroll_again("pump-1").await.unwrap();
    anew.prove(&world.engine, "authenticate", b"").await.unwrap();
    for der in [&before, &after] {
        assert_eq!(verdict(&world, der).await, (Verdict::NotTrusted, vec!["certificate-revoked"]));
    }
}

#[tokio::test]
async fn a_device_that_may_reenroll_gets_the_next_generation_and_nothing_before_that() {
    let mut world = World::new().await;
    let (mut device, mut copy) = world.cloned().await;
    let early = world.enroll_again("pump-1").await.err().unwrap();
    assert_eq!(early.code.as_str(), "already-enrolled", "nobody has let it");
    for _ in 0..2 {
        assert_eq!(world.readmit(&device, true).await.unwrap().state, DeviceState::Pending);
        world.restart().await;
    }
    let verdict =
        world.engine.check(&world.platform, Subject::Device(device.name.device.clone())).await.unwrap();
    assert_eq!(verdict.verdict, Verdict::NotTrusted);
    world.clock.pass(10);
    assert_eq!(copy.prove(&world.engine, "authenticate", b"").await.unwrap_err().code.as_str(), "pending");
    // Asked for, and lost before it was confirmed: the generation is that of the one that replaces it.
    let lost = TestDevice::begin(&world.engine, "pump-1");
    assert_eq!(world.engine.enroll(&world.station, lost.order()).await.unwrap().generation, 2);
    world.clock.pass(10);
    let mut anew = world.enroll_again("pump-1").await.unwrap();
    assert_eq!(anew.state.as_ref().unwrap().generation(), 2);
    for _ in 0..2 {
        anew.prove(&world.engine, "authenticate", b"").await.unwrap();
        for former in [&mut device, &mut copy] {
            let refused = former.prove(&world.engine, "authenticate", b"").await.unwrap_err();
            assert_eq!(
                (refused.kind(), refused.code.as_str()),
                (ErrorKind::Unauthenticated, "generation-unknown")
            );
        }
        world.restart().await;
    }
    anew.rekey(&world.engine, Suite::P256).await.unwrap();
    world.readmit(&anew, true).await.unwrap();
    let last = world.enroll_again("pump-1").await.unwrap();
    assert_eq!(last.state.unwrap().generation(), 4, "one more than that which was agreed and never used");
}

#[tokio::test]
async fn who_may_not_be_readmitted() {
    let world = World::new().await;
    let device = world.device("pump-1").await;
    let refused = |error: Error| {
        assert_eq!((error.kind(), error.code.as_str()), (ErrorKind::Precondition, "transition-not-allowed"))
    };
    world.set(&device, DeviceState::Suspended).await.unwrap();
    refused(world.readmit(&device, false).await.unwrap_err());
    world.set(&device, DeviceState::Quarantined).await.unwrap();
    refused(world.set(&device, DeviceState::Active).await.unwrap_err());
    for _ in 0..2 {
        world.set(&device, DeviceState::Retired).await.unwrap();
    }
    for reenroll in [false, true] {
        refused(world.readmit(&device, reenroll).await.unwrap_err());
    }
    refused(world.set(&device, DeviceState::Active).await.unwrap_err());
}

#[tokio::test]
async fn a_retired_device_is_refused_for_good_and_cannot_enroll() {
    let mut world = World::new().await;
    let mut device = world.device("pump-1").await;
    world.set(&device, DeviceState::Retired).await.unwrap();
    for _ in 0..2 {
        let refused = device.prove(&world.engine, "certificate", &csr()).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Denied, "retired"));
        let again = TestDevice::begin(&world.engine, "pump-1");
        let refused = world.engine.enroll(&world.station, again.order()).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "device-retired"));
        world.restart().await;
    }
    let answer =
        world.engine.check(&world.platform, Subject::Device(device.name.device.clone())).await.unwrap();
    assert_eq!(answer.reasons[0].code(), "retired");
}

#[tokio::test]
async fn a_history_has_no_signs_of_life_and_comes_in_pages() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    world.device("pump-10").await;
    for _ in 0..3 {
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
        device.prove(&world.engine, "trust-bundle", b"").await.unwrap();
    }
    device.prove(&world.engine, "certificate", &csr()).await.unwrap();
    world.clock.pass(1);
    let scope = RotationScope::Device(device.name.device.clone());
    world.engine.rotate_keys(&world.admin, world.tenant(), scope, false, reason()).await.unwrap();
    world.set(&device, DeviceState::Suspended).await.unwrap();
    let last = world.store.head().await.unwrap().last_audit;
    for _ in 0..20 {
        device.prove(&world.engine, "authenticate", b"").await.unwrap_err();
    }
    assert_eq!(
        world.store.head().await.unwrap().last_audit,
        last + 20,
        "each refusal is in the log, and there alone"
    );
    let (mut after, mut events) = (None, Vec::new());
    loop {
        let page = Page { size: 2, after };
        let page = world.engine.device_history(&world.admin, &device.name, page).await.unwrap();
        assert!(page.items.len() <= 2);
        events.extend(page.items.into_iter().map(|entry| (entry.time_ms, entry.event, entry.outcome)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(events.is_sorted_by_key(|(time, _, _)| *time));
    let mut said: Vec<_> =
        events.iter().map(|(_, event, outcome)| (event.as_str(), outcome.code())).collect();
    // Within one millisecond there is no order.
    said.sort_unstable();
    assert_eq!(
        said,
        [
            ("certificate.issue", "ok"),
            ("device.confirm", "ok"),
            ("device.enroll", "ok"),
            ("device.set-state", "ok"),
            ("key.rotate", "ok"),
        ]
    );
    let (entries, _) = world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 1000).await.unwrap();
    assert!(
        entries.iter().any(|(_, entry)| entry.target.to_string() == "audit/device/klinik/pump-1"),
        "reading is recorded"
    );
    let absent = crate::world::name("klinik", "pump-2");
    assert_eq!(
        world.engine.device_history(&world.admin, &absent, ALL).await.unwrap_err().code.as_str(),
        "device-unknown"
    );
}

#[tokio::test]
async fn devices_are_found_by_each_filter() {
    let world = World::new().await;
    let mut early = world.device("pump-1").await;
    early.prove(&world.engine, "authenticate", b"").await.unwrap();
    world.clock.pass(1_000);
    let mut late = world.device("pump-2").await;
    late.prove(&world.engine, "authenticate", b"").await.unwrap();
    let silent = world.device("pump-3").await;
    world.set(&silent, DeviceState::Suspended).await.unwrap();
    let scope = RotationScope::Device("pump-2".parse().unwrap());
    world.engine.rotate_keys(&world.admin, world.tenant(), scope, false, reason()).await.unwrap();
    let now = crate::world::START + 1_000;
    let all = DeviceFilter::default;
    for (filter, expected) in [
        (all(), vec!["pump-1", "pump-2", "pump-3"]),
        (DeviceFilter { state: Some(DeviceState::Suspended), ..all() }, vec!["pump-3"]),
        (
            DeviceFilter { profile: Some("default".parse().unwrap()), ..all() },
            vec!["pump-1", "pump-2", "pump-3"],
        ),
        (DeviceFilter { profile: Some("other".parse().unwrap()), ..all() }, vec![]),
        (DeviceFilter { model: Some("pump".parse().unwrap()), ..all() }, vec!["pump-1", "pump-2", "pump-3"]),
        (DeviceFilter { model: Some("scale".parse().unwrap()), ..all() }, vec![]),
        (
            DeviceFilter { enrolled_by: Some(world.station.principal.to_string()), ..all() },
            vec!["pump-1", "pump-2", "pump-3"],
        ),
        (DeviceFilter { enrolled_by: Some("station/klinik/none".to_owned()), ..all() }, vec![]),
        (DeviceFilter { enrolled_after: Some(now), ..all() }, vec!["pump-2", "pump-3"]),
        (DeviceFilter { enrolled_after: Some(now + 1), ..all() }, vec![]),
        (DeviceFilter { seen_before: Some(now), ..all() }, vec!["pump-1", "pump-3"]),
        (DeviceFilter { seen_after: Some(now), ..all() }, vec!["pump-2"]),
        (DeviceFilter { rekey_due: true, ..all() }, vec!["pump-2"]),
    ] {
        assert_eq!(world.found(&filter).await, expected, "{filter:?}");
    }
}

const UDI: &str = "(01)09506000134352(21)4711";

impl World {
    /// Enrolls a device with that UDI.
    async fn labeled(&self, id: &str, udi: &str) -> Result<TestDevice, Error> {
        let mut device = TestDevice::begin(&self.engine, id);
        let order = EnrollOrder { udi: Some(udi.parse().unwrap()), ..device.order() };
        let reply = self.engine.enroll(&self.station, order).await?;
        let tag = device.finish(&reply);
        self.engine.confirm(&self.station, id.parse().unwrap(), tag).await.unwrap();
        Ok(device)
    }
}

#[tokio::test]
async fn a_udi_is_that_of_one_device_of_a_tenant() {
    let world = World::new().await;
    let first = world.labeled("pump-1", UDI).await.unwrap();
    // The same device on another label, and other devices of the model.
    let other_form = "(01)09506000134352(17)271231(21)4711";
    for udi in [UDI, other_form] {
        let refused = world.labeled("pump-2", udi).await.err().unwrap();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Exists, "udi-of-another-device"));
        assert!(refused.message.contains("device pump-1, which is active"), "{refused}");
    }
    world.labeled("pump-3", "(01)09506000134352(21)4712").await.unwrap();
    for id in ["pump-4", "pump-5"] {
        world.labeled(id, "(01)09506000134352(10)LOT").await.unwrap();
    }
    // The device itself may have it again, and what is retired sets it free.
    world.set(&first, DeviceState::Quarantined).await.unwrap();
    world.readmit(&first, true).await.unwrap();
    let again = world.labeled("pump-1", UDI).await.unwrap();
    world.set(&again, DeviceState::Retired).await.unwrap();
    world.labeled("pump-2", UDI).await.unwrap();
}

#[tokio::test]
async fn devices_are_found_by_udi_and_serial_number() {
    let world = World::new().await;
    world.labeled("pump-1", UDI).await.unwrap();
    world.labeled("scale-1", "(01)00012345600012(21)4711").await.unwrap();
    world.labeled("pump-2", "(01)09506000134352(21)47110").await.unwrap();
    let all = DeviceFilter::default;
    let udi = |text: &str| DeviceFilter { udi: Some(text.parse().unwrap()), ..all() };
    let serial = |text: &str| DeviceFilter { serial_number: Some(text.parse().unwrap()), ..all() };
    assert_eq!(world.found(&udi(UDI)).await, ["pump-1"]);
    assert_eq!(world.found(&udi("(01)09506000134352(17)271231(21)4711")).await, ["pump-1"]);
    assert_eq!(world.found(&serial("4711")).await, ["pump-1", "scale-1"]);
    assert_eq!(world.found(&serial("471")).await, [""; 0]);
    let model = |model: &str| DeviceFilter { model: Some(model.parse().unwrap()), ..serial("47110") };
    assert_eq!((world.found(&model("pump")).await.len(), world.found(&model("scale")).await.len()), (1, 0));
    // A page ends, and the next one begins behind it.
    let page = Page { size: 1, after: None };
    let first = world.engine.list_devices(&world.admin, world.tenant(), &serial("4711"), page).await.unwrap();
    let page = Page { size: 1, after: first.next };
    let second =
        world.engine.list_devices(&world.admin, world.tenant(), &serial("4711"), page).await.unwrap();
    assert_eq!(
        (first.items[0].name.device.as_str(), second.items[0].name.device.as_str()),
        ("pump-1", "scale-1")
    );
    let of_all = udi("(01)09506000134352");
    let refused = world.engine.list_devices(&world.admin, world.tenant(), &of_all, ALL).await.unwrap_err();
    assert!(refused.message.starts_with("udi: has no serial number"), "{refused}");
    // Another label has taken the place of the former one.
    for udi in ["(01)09506000134352(21)A", "(01)09506000134352(21)B"] {
        let device = TestDevice::begin(&world.engine, "pump-9");
        let order = EnrollOrder { udi: Some(udi.parse().unwrap()), ..device.order() };
        world.engine.enroll(&world.station, order).await.unwrap();
    }
    assert_eq!(world.found(&serial("A")).await, [""; 0]);
    assert_eq!(world.found(&serial("B")).await, ["pump-9"]);
}

fn batch(change: BatchChange, digest: u8) -> BatchOrder {
    let (tenant, selector) =
        ("klinik".parse().unwrap(), "enrolled by station/klinik/line-1".parse().unwrap());
    BatchOrder { tenant, change, selector, devices: 2, digest: [digest; 32], reason: reason() }
}

#[tokio::test]
async fn a_change_of_many_devices_is_on_record_once_and_with_each_device() {
    let world = World::new().await;
    let devices = [world.device("pump-1").await, world.device("pump-2").await];
    let suspend = batch(BatchChange::State(DeviceState::Suspended), 7);
    world.engine.begin_batch(&world.admin, &suspend).await.unwrap();
    let by = world.admin.in_batch(Some([7; 32]));
    for TestDevice { name, .. } in &devices {
        world.engine.set_device_state(&by, name.clone(), DeviceState::Suspended, reason()).await.unwrap();
        // Again changes nothing, and has no entry.
        world.engine.set_device_state(&by, name.clone(), DeviceState::Suspended, reason()).await.unwrap();
        let scope = RotationScope::Device(name.device.clone());
        world.engine.rotate_keys(&by, world.tenant(), scope, false, reason()).await.unwrap();
    }
    let digest = "07".repeat(32);
    let begun = world.entries(Event::DeviceBatchBegun).await;
    let said: Vec<_> = begun.iter().map(|entry| (entry.target.to_string(), facts(entry))).collect();
    let fields = format!(
        "batch={digest}, change=suspended, selector=enrolled by station/klinik/line-1, devices=2, reason=looked at"
    );
    assert_eq!(said, [("tenant/klinik".to_owned(), fields)]);
    assert_eq!(begun[0].tenant, Some(world.tenant()), "the tenant's auditor sees it");
    for event in [Event::DeviceStateSet, Event::KeysRotated] {
        let entries = world.entries(event).await;
        let batches: Vec<_> = entries.iter().map(|entry| entry.field(FieldName::Batch)).collect();
        assert_eq!(batches, [Some(digest.as_str()); 2], "{event}");
    }
    world.set(&devices[0], DeviceState::Active).await.unwrap();
    let alone = world.entries(Event::DeviceStateSet).await.pop().unwrap();
    assert_eq!(alone.field(FieldName::Batch), None);
    for devices in [0, BatchOrder::MAX_DEVICES + 1] {
        let refused =
            world.engine.begin_batch(&world.admin, &BatchOrder { devices, ..suspend.clone() }).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_helpdesk_suspends_and_changes_nothing_else() {
    let world = World::new().await;
    let device = world.device("pump-1").await;
    let of = async |role, name: &str| -> Caller {
        let order = order(role, Some("klinik"), name);
        caller(world.engine.issue_operator(&world.admin, order).await.unwrap().1.principal)
    };
    let helpdesk = of(Role::Helpdesk, "desk").await;
    let set =
        async |state| world.engine.set_device_state(&helpdesk, device.name.clone(), state, reason()).await;
    let others = [DeviceState::Active, DeviceState::Quarantined, DeviceState::Revoked, DeviceState::Retired];
    for state in others {
        assert_eq!(set(state).await.unwrap_err().code.as_str(), "role-insufficient", "{state}");
        let refused = world.engine.begin_batch(&helpdesk, &batch(BatchChange::State(state), 7)).await;
        assert_eq!(refused.unwrap_err().code.as_str(), "role-insufficient", "{state}");
    }
    let rotation = batch(BatchChange::Rotation { is_required: false }, 7);
    let refused = world.engine.begin_batch(&helpdesk, &rotation).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "role-insufficient");
    assert_eq!(set(DeviceState::Suspended).await.unwrap().state, DeviceState::Suspended);
    // It does not bring back what it suspended.
    assert_eq!(set(DeviceState::Active).await.unwrap_err().code.as_str(), "role-insufficient");
    let suspend = batch(BatchChange::State(DeviceState::Suspended), 7);
    world.engine.begin_batch(&helpdesk, &suspend).await.unwrap();
    // Nor does it see another tenant.
    let lab = BatchOrder { tenant: "lab".parse().unwrap(), ..suspend };
    world.engine.create_tenant(&world.admin, lab.tenant.clone()).await.unwrap();
    assert_eq!(world.engine.begin_batch(&helpdesk, &lab).await.unwrap_err().code.as_str(), "tenant-unknown");
}
