//! Receipts: kept until the authority has acknowledged them.

use super::*;
use crate::common::{Device, Fault};
use wardein_device::{Agent, Told};
use wardein_tuf::{Receipt, ReceiptOutcome};

/// A device that was offered release 2 and has installed it.
async fn installed() -> (Bench, Shared, Device) {
    let bench = Bench::new();
    let shared = Shared::new();
    let device = Device::new(&shared);
    device.enroll(false).await.unwrap();
    bench.trust().await;
    bench.needs_offers_of(&shared);
    bench.download(Pick::Version(2)).await.unwrap();
    offer_of(&bench, &shared, 7);
    bench.updater().await.install(Pick::Version(2)).await.unwrap();
    (bench, shared, device)
}

fn offer_of(bench: &Bench, shared: &Shared, issued: u64) {
    let bytes = offers::offer(issued).sign(&shared.0.borrow().identity).unwrap();
    fs::write(bench.at("device/update/offer"), bytes).unwrap();
}

fn heard(shared: &Shared) -> Vec<(u64, u64, ReceiptOutcome)> {
    let bodies = std::mem::take(&mut shared.0.borrow_mut().receipts);
    let read = |body: Vec<u8>| {
        let receipt = Receipt::decode(&body).unwrap();
        assert_eq!((receipt.tenant.as_str(), receipt.device.as_str()), ("clinic", "pump-1"));
        assert_eq!((receipt.repository.as_str(), receipt.line.as_str()), ("acme", INFUSION));
        assert_eq!(receipt.sha256, Digest::of(b"the second"));
        (receipt.version, receipt.installed, receipt.outcome)
    };
    bodies.into_iter().map(read).collect()
}

#[tokio::test]
async fn a_receipt_is_kept_until_it_is_acknowledged_and_survives_a_power_cut() {
    let (bench, shared, device) = installed().await;
    let before = fs::read(bench.at("device/update/progress.json")).unwrap();
    bench.updater().await.confirm().unwrap();
    // The power is cut between the receipt and the confirmation, which is made again.
    fs::write(bench.at("device/update/progress.json"), before).unwrap();
    bench.updater().await.confirm().unwrap();
    assert!(!bench.updater().await.is_told().unwrap());
    shared.0.borrow_mut().away = true;
    let told = bench.updater().await.tell(&mut device.session().unwrap()).await;
    assert_eq!(told.unwrap_err().exit_code(), 4);
    assert!(!bench.updater().await.is_told().unwrap());
    shared.0.borrow_mut().away = false;
    // It is taken, and nobody hears that: it is sent again.
    shared.fault(&[Some(Fault::AnswerLost)]);
    bench.updater().await.tell(&mut device.session().unwrap()).await.unwrap_err();
    assert_eq!(bench.updater().await.tell(&mut device.session().unwrap()).await.unwrap(), Told::Acknowledged);
    assert_eq!(heard(&shared), [(2, 7, ReceiptOutcome::Started); 2]);
    assert!(bench.updater().await.is_told().unwrap());
    bench.updater().await.tell(&mut device.session().unwrap()).await.unwrap();
    assert_eq!(heard(&shared), []);
}

#[tokio::test]
async fn a_rollback_has_a_receipt_of_its_own_and_the_agent_sends_what_is_kept() {
    let (bench, shared, device) = installed().await;
    bench.updater().await.rolled_back().unwrap();
    offer_of(&bench, &shared, 9);
    bench.updater().await.install(Pick::Version(2)).await.unwrap();
    bench.updater().await.confirm().unwrap();
    let files = Files::open(&bench.at("device")).unwrap();
    let mut agent = Agent::new(device.session().unwrap()).unwrap().telling(files, bench.at("visits"));
    // An update that is under way tells by itself: the agent does not wait for it.
    let busy = bench.updater().await;
    agent.round().await.unwrap();
    assert_eq!(heard(&shared), []);
    drop(busy);
    agent.round().await.unwrap();
    assert_eq!(heard(&shared), [(2, 7, ReceiptOutcome::RolledBack), (2, 9, ReceiptOutcome::Started)]);
    agent.round().await.unwrap();
    assert_eq!(heard(&shared), []);
}

#[tokio::test]
async fn of_several_looks_at_what_runs_the_last_one_is_told() {
    let (bench, shared, device) = installed().await;
    bench.updater().await.confirm().unwrap();
    fs::write(bench.at("firmware"), b"the second").unwrap();
    bench.updater().await.running().unwrap();
    fs::write(bench.at("firmware"), b"the secone").unwrap();
    bench.updater().await.running().unwrap();
    bench.updater().await.tell(&mut device.session().unwrap()).await.unwrap();
    assert_eq!(heard(&shared), [(2, 7, ReceiptOutcome::Started), (2, 7, ReceiptOutcome::Differs)]);
}

#[tokio::test]
async fn what_the_authority_will_never_take_is_dropped_and_the_next_is_sent() {
    let (bench, shared, device) = installed().await;
    bench.updater().await.rolled_back().unwrap();
    offer_of(&bench, &shared, 9);
    bench.updater().await.install(Pick::Version(2)).await.unwrap();
    bench.updater().await.confirm().unwrap();
    shared.fault(&[Some(Fault::Refused("device-suspended"))]);
    bench.updater().await.tell(&mut device.session().unwrap()).await.unwrap_err();
    assert!(!bench.updater().await.is_told().unwrap(), "it may be taken another time");
    shared.fault(&[Some(Fault::Refused("receipt-replayed"))]);
    assert_eq!(bench.updater().await.tell(&mut device.session().unwrap()).await.unwrap(), Told::Acknowledged);
    assert_eq!(heard(&shared), [(2, 9, ReceiptOutcome::Started)]);
    fs::write(bench.at("device/update/receipts.json"), b"{").unwrap();
    let damaged = bench.updater().await.tell(&mut device.session().unwrap()).await.unwrap_err();
    assert!(matches!(damaged, Error::Damaged { .. }), "{damaged}");
}

#[tokio::test]
async fn nothing_else_is_asked_for_while_something_waits_for_its_first_start() {
    let (bench, shared, device) = installed().await;
    shared.calls();
    let asked = bench.updater().await.ask_offer(&mut device.session().unwrap(), Pick::Latest).await;
    assert_eq!(code(asked), "update-pending");
    assert_eq!(shared.calls(), Vec::<&str>::new(), "the authority awaits what is about to start");
}
