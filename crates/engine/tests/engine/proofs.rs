//! Proofs over the engine: accepted once, durable before the reply, and refused without a trace for who cannot prove.

use crate::world::{World, csr, facts, open};
use wardein_domain::{Call, DeviceState, Event, FieldName};
use wardein_engine::{AuditFilter, ErrorKind, Page, Subject};

#[tokio::test]
async fn each_action_is_proved_and_safe_to_ask_twice() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    for _ in 0..2 {
        assert_eq!(device.prove(&world.engine, "authenticate", b"").await.unwrap().body, b"");
        let bundle = device.prove(&world.engine, "trust-bundle", b"").await.unwrap().body;
        assert_eq!(bundle, world.engine.trust_bundle().pem.as_bytes());
        let chain = device.prove(&world.engine, "certificate", &csr()).await.unwrap().body;
        let length = u32::from_be_bytes(*chain.first_chunk().unwrap()) as usize;
        let leaf = chain[4..4 + length].to_vec();
        let answer = world.engine.check(&world.platform, Subject::Certificate(leaf)).await.unwrap();
        assert_eq!(answer.device.unwrap(), device.name.device);
    }
    let all = Page { size: 10, after: None };
    let issued = world.engine.list_certificates(&world.admin, world.tenant(), None, all).await.unwrap().items;
    assert_eq!(issued.len(), 2);
    assert_ne!(issued[0].serial, issued[1].serial);
}

#[tokio::test]
async fn a_repeated_proof_is_refused_also_after_a_restart() {
    let mut world = World::new().await;
    let mut device = world.device("pump-1").await;
    let (request, _) = device.proof(&world.engine, "authenticate", b"");
    world.engine.prove(&Call::new("1"), request.clone(), vec![]).await.unwrap();
    for _ in 0..2 {
        let refused = world.engine.prove(&Call::new("2"), request.clone(), vec![]).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "replayed"));
        world.restart().await;
    }
}

#[tokio::test]
async fn who_cannot_prove_learns_nothing_and_changes_nothing() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    let commits = world.store.commits();

    let (mut request, _) = device.proof(&world.engine, "authenticate", b"");
    request.mac.0[0] ^= 1;
    let wrong = world.engine.prove(&Call::new("1"), request, vec![]).await.unwrap_err();
    assert_eq!((wrong.kind(), wrong.code.as_str()), (ErrorKind::Unauthenticated, "mac-wrong"));

    let (mut request, _) = device.proof(&world.engine, "authenticate", b"");
    request.device.device = "unheard".parse().unwrap();
    let foreign = world.engine.prove(&Call::new("2"), request.clone(), vec![]).await.unwrap_err();
    assert_eq!((foreign.kind(), foreign.code.as_str()), (ErrorKind::Unauthenticated, "challenge-unknown"));
    request.challenge = world.engine.challenge(&request.device).unwrap().challenge;
    let absent = world.engine.prove(&Call::new("3"), request, vec![]).await.unwrap_err();
    assert_eq!(
        (absent.code.as_str(), absent.message),
        (wrong.code.as_str(), wrong.message),
        "absent and wrong look alike"
    );
    assert_eq!(world.store.commits(), commits);
}

#[tokio::test]
async fn a_challenge_expires_and_other_bodies_and_actions_are_refused() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let (request, _) = device.proof(&world.engine, "authenticate", b"");
    world.clock.pass(61);
    let late = world.engine.prove(&Call::new("1"), request, vec![]).await.unwrap_err();
    assert_eq!((late.kind(), late.code.as_str()), (ErrorKind::Unauthenticated, "challenge-expired"));

    let (request, _) = device.proof(&world.engine, "authenticate", b"");
    let body = world.engine.prove(&Call::new("1"), request, vec![1]).await.unwrap_err();
    assert_eq!((body.kind(), body.code.as_str()), (ErrorKind::Invalid, "malformed"));

    let (request, _) = device.proof(&world.engine, "certificate", &csr());
    let other = world.engine.prove(&Call::new("1"), request, csr()).await.unwrap_err();
    assert_eq!(
        (other.kind(), other.code.as_str()),
        (ErrorKind::Invalid, "body-wrong"),
        "the request of another key"
    );

    let (request, _) = device.proof(&world.engine, "fly", b"");
    let action = world.engine.prove(&Call::new("1"), request, vec![]).await.unwrap_err();
    assert_eq!((action.kind(), action.code.as_str()), (ErrorKind::Invalid, "action-unknown"));
}

#[tokio::test]
async fn a_device_that_is_not_active_is_refused_and_one_that_is_resumed_goes_on() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    let set = async |state| {
        let reason = "maintenance".parse().unwrap();
        world.engine.set_device_state(&world.admin, device_name(&world), state, reason).await.unwrap();
    };
    set(DeviceState::Suspended).await;
    let refused = device.prove(&world.engine, "authenticate", b"").await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Denied, "suspended"));
    let (entries, _) = world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 1000).await.unwrap();
    let entry = &entries.iter().find(|(_, entry)| entry.event == Event::CallRefused).unwrap().1;
    assert_eq!(
        (entry.actor.to_string().as_str(), entry.outcome.code()),
        ("device/klinik/pump-1", "suspended")
    );
    assert_eq!(entry.field(FieldName::Device), Some("klinik/pump-1"));
    assert_eq!(entry.field(FieldName::Message), Some(refused.message.as_str()));
    set(DeviceState::Active).await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
}

fn device_name(_: &World) -> wardein_ddkg::DeviceName {
    crate::world::name("klinik", "pump-1")
}

#[tokio::test]
async fn changed_hardware_cannot_prove() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let mut changed = wardein_ddkg::Attributes::new();
    changed.insert("firmware".parse().unwrap(), b"1.1").unwrap();
    device.measured = changed.digests();
    let refused = device.prove(&world.engine, "authenticate", b"").await.unwrap_err();
    assert_eq!(refused.code.as_str(), "mac-wrong");
}

#[tokio::test]
async fn a_clone_is_quarantined_with_the_evidence_on_record() {
    let mut world = World::new().await;
    let mut device = world.device("pump-1").await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    let mut copy = device.copied();
    world.clock.pass(10);
    copy.prove(&world.engine, "authenticate", b"").await.expect("the copy speaks first");
    world.clock.pass(10);
    let alarm = device.prove(&world.engine, "authenticate", b"").await.unwrap_err();
    assert_eq!((alarm.kind(), alarm.code.as_str()), (ErrorKind::Denied, "clone-suspected"));

    for _ in 0..2 {
        let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
        assert_eq!(record.state, DeviceState::Quarantined);
        let refused = copy.prove(&world.engine, "authenticate", b"").await.unwrap_err();
        assert_eq!(refused.code.as_str(), "quarantined");
        world.restart().await;
    }
    let (entries, _) = world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 1000).await.unwrap();
    let alarm = entries.iter().find(|(_, entry)| entry.event == Event::CloneSuspected).unwrap();
    assert_eq!(alarm.1.target.to_string(), "device/klinik/pump-1");
    let said = facts(&alarm.1);
    // The copy goes on behind the 64 numbers that the device had reserved.
    let evidence = "sign=number-too-low, state: active → quarantined, generation=1, epoch=0, number=1, highest-number=64, ";
    assert!(said.starts_with(evidence), "{said}");
    assert_eq!(alarm.1.field(FieldName::Transcript).unwrap().len(), 64);
}

#[tokio::test]
async fn keys_in_memory_that_are_behind_the_store_accept_nothing_twice_and_strand_nobody() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    let other = open(&world.store, &world.clock).await;

    // What the other node accepted is not accepted again by this one, whose memory has not heard of it.
    let (request, _) = device.proof(&world.engine, "authenticate", b"");
    other.prove(&Call::new("1"), request.clone(), vec![]).await.unwrap();
    let refused = world.engine.prove(&Call::new("2"), request, vec![]).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "replayed");

    // Nor does this one's memory say why a proof is refused.
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    let (request, _) = device.proof(&world.engine, "authenticate", b"");
    other.prove(&Call::new("3"), request.clone(), vec![]).await.unwrap();
    let set = async |state| {
        let (name, reason) = (device_name(&world), "maintenance".parse().unwrap());
        other.set_device_state(&world.admin, name, state, reason).await.unwrap();
    };
    set(DeviceState::Suspended).await;
    let refused = world.engine.prove(&Call::new("4"), request, vec![]).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "replayed");
    set(DeviceState::Active).await;

    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    device.prove(&other, "authenticate", b"").await.unwrap();
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
}
