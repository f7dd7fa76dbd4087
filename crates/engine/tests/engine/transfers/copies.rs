//! Transfers of devices that somebody copied, that crash, or that do not come.

use super::*;
use wardein_port::{Peek, StoreError};

#[tokio::test]
async fn a_copy_that_stayed_behind_is_told_in_the_new_tenant() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let mut copy = device.copied();
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    device.go_over(&two).await;
    two.clock.pass(10);
    assert_eq!(code(copy.prove(&two.engine, "authenticate", b"").await), "clone-suspected");
    assert_eq!(two.state(&from).await, Some(DeviceState::Transferred), "it stays so");
    assert_eq!(two.state(&device.name).await, Some(DeviceState::Quarantined));
    let alarm = two.entries(Event::CloneSuspected).await.pop().unwrap();
    assert_eq!(alarm.tenant, Some("lab".parse().unwrap()));
    assert!(facts(&alarm).contains("device=klinik/pump-1"), "{}", facts(&alarm));
}

/// Two holders ask for the transfer: the one whose keys were replaced gives itself away, and the device does not arrive.
#[tokio::test]
async fn two_holders_that_both_go_over_are_told_apart() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let mut copy = device.copied();
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    device.transfer(&two).await.unwrap();
    two.clock.pass(10);
    // It is ahead of the device by a number that was reserved for a token, not for a proof.
    while copy.transfer(&two).await.is_err() {
        two.clock.pass(10);
        assert_ne!(two.state(&from).await, Some(DeviceState::Quarantined), "told at once");
    }
    assert_eq!(code(device.prove(&two.engine, "authenticate", b"").await), "clone-suspected");
    assert_eq!(two.state(&from).await, Some(DeviceState::Quarantined));
    assert_eq!(code(copy.prove(&two.engine, "authenticate", b"").await), "quarantined");
    assert!(two.trusting("pump-1").await.is_empty());
}

/// An older message that was long on its way is no sign of a copy.
#[tokio::test]
async fn an_overtaken_message_raises_no_alarm() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    let (late, _) = device.proof(&two.engine, "authenticate", b"");
    two.clock.pass(5);
    device.go_over(&two).await;
    let refused = two.engine.prove(&Call::new("test"), late, Vec::new()).await;
    assert_eq!(code(refused), "generation-retired");
    assert_eq!(two.state(&device.name).await, Some(DeviceState::Active));
}

/// A crash at any commit of it, on the authority's side; and at each, the device either heard the answer or lost it.
#[tokio::test]
async fn no_crash_locks_the_device_out_or_has_two_tenants_trust_it() {
    for nth in 0..5 {
        for point in CRASH_POINTS {
            for forgets in [false, true] {
                let mut two = Two::new().await;
                let mut device = two.proven("pump-1").await;
                let from = device.name.clone();
                two.store.crash_at(nth, point);
                let mut failures = 0;
                // As each side would: whatever failed is asked for again.
                loop {
                    let step = async {
                        if two.trusting("pump-1").await == ["lab"] && device.name.tenant.as_str() == "lab" {
                            device.prove(&two.engine, "authenticate", b"").await?;
                            return Ok(true);
                        }
                        if device.name == from {
                            two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")).await?;
                            two.engine.accept_transfer(&two.lab, accept(from.clone(), "lab")).await?;
                            if forgets && failures == 0 {
                                // Its power went before the answer was on flash.
                                device.ask_transfer(&two).await.0?;
                            }
                            device.transfer(&two).await?;
                        }
                        device.prove(&two.engine, "authenticate", b"").await?;
                        Ok::<_, Error>(false)
                    };
                    let done = step.await;
                    match done {
                        Ok(true) => break,
                        Ok(false) => {}
                        Err(error) => {
                            failures += 1;
                            assert!(failures < 3, "{nth} {point:?} {forgets}: {error}");
                            two.world.restart().await;
                        }
                    }
                    assert_eq!(two.trusting("pump-1").await.len(), 1, "{nth} {point:?} {forgets}");
                }
                assert_eq!(failures, 1, "{nth} {point:?} {forgets}");
                assert_eq!(two.state(&from).await, Some(DeviceState::Transferred));
                assert_eq!(two.entries(Event::DeviceTransferred).await.len(), 2, "done once, in two logs");
                assert!(two.open("klinik").await.is_empty() && two.open("lab").await.is_empty());
            }
        }
    }
}

/// A copy agreed on keys there, and is shut out here: what it holds brings it nowhere, and the device goes over when it asks.
#[tokio::test]
async fn an_agreement_of_a_copy_ends_with_the_rekey_of_the_device() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let mut copy = device.copied();
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    copy.transfer(&two).await.unwrap();
    two.clock.pass(10);
    assert_eq!(code(device.prove(&two.engine, "authenticate", b"").await), "clone-suspected");
    two.engine.readmit_device(&two.klinik, from.clone(), false, reason()).await.unwrap();
    // The copy has used up numbers that the device has yet to come to.
    while let Err(error) = device.rekey(&two.engine, Suite::P256).await {
        assert_eq!(error.code.as_str(), "replayed");
        two.clock.pass(10);
    }
    device.prove(&two.engine, "authenticate", b"").await.unwrap();
    assert_eq!(code(copy.prove(&two.engine, "authenticate", b"").await), "pending");
    assert_eq!(two.trusting("pump-1").await, ["klinik"]);
    device.go_over(&two).await;
    assert_eq!(two.trusting("pump-1").await, ["lab"]);
}

/// A device that was on its way back, and is not to come, is gone from there as before.
#[tokio::test]
async fn a_return_that_is_called_off_leaves_what_was_left() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let home = device.name.clone();
    two.agree(&home, "lab").await;
    device.go_over(&two).await;
    let lent = device.name.clone();
    let order = offer(lent.clone(), "klinik");
    two.engine.offer_transfer(&two.lab, order).await.unwrap();
    two.engine.accept_transfer(&two.klinik, accept(lent.clone(), "klinik")).await.unwrap();
    device.transfer(&two).await.unwrap();
    assert_eq!(two.state(&home).await, Some(DeviceState::Pending));
    let key = b"klinik\0pump-1";
    let before = version(two.store.peek(Table::DeviceHot, key));
    two.engine.readmit_device(&two.lab, lent, true, reason()).await.unwrap();
    assert!(
        version(two.store.peek(Table::DeviceHot, key)) > before,
        "a proof that rests on it is judged again"
    );
    assert_eq!(two.state(&home).await, Some(DeviceState::Transferred));
}

/// Either tenant may end a device that has agreed and does not come; then the transfer is over.
#[tokio::test]
async fn one_that_the_receiving_tenant_ended_can_be_called_off() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    let _ = device.ask_transfer(&two).await;
    let withdrawn = two.engine.withdraw_transfer(&two.klinik, from.clone(), reason()).await;
    assert_eq!(code(withdrawn), "transfer-agreed");
    let arriving = name("lab", "pump-1");
    two.engine.set_device_state(&two.lab, arriving, DeviceState::Revoked, reason()).await.unwrap();
    assert_eq!(
        code(device.ask_transfer(&two).await.0),
        "transfer-unknown",
        "it is not brought back by asking"
    );
    two.engine.withdraw_transfer(&two.klinik, from, reason()).await.unwrap();
    two.clock.pass(10);
    device.prove(&two.engine, "authenticate", b"").await.unwrap();
    assert_eq!(two.trusting("pump-1").await, ["klinik"]);
}

fn version(row: Result<Peek, StoreError>) -> u64 {
    match row {
        Ok(Peek::Found(Some(row))) => row.version,
        _ => panic!("the row is there"),
    }
}
