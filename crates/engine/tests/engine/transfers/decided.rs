//! What the people of both tenants decide of a transfer, and what others decide meanwhile.

use super::*;

#[tokio::test]
async fn each_side_decides_for_itself_alone() {
    let two = Two::new().await;
    let device = two.proven("pump-1").await;
    let from = device.name.clone();
    let engine = &two.engine;
    let offered = |to: &str| offer(from.clone(), to);
    // Giving is the giver's, and the receiver is another tenant.
    assert_eq!(code(engine.offer_transfer(&two.lab, offered("lab")).await), "tenant-unknown");
    assert_eq!(code(engine.offer_transfer(&two.klinik, offered("klinik")).await), "malformed");
    assert_eq!(code(engine.offer_transfer(&two.admin, offered("nowhere")).await), "tenant-unknown");
    for lifetime in [59, 366 * 86_400 + 1] {
        let offered = TransferOrder { lifetime, ..offered("lab") };
        assert_eq!(code(engine.offer_transfer(&two.klinik, offered).await), "malformed");
    }
    // A tenant's administrator learns by it of no other tenant.
    engine.offer_transfer(&two.klinik, offered("nowhere")).await.unwrap();
    assert_eq!(code(engine.offer_transfer(&two.klinik, offered("lab")).await), "transfer-open");
    engine.withdraw_transfer(&two.klinik, from.clone(), reason()).await.unwrap();
    engine.offer_transfer(&two.klinik, offered("lab")).await.unwrap();
    engine.offer_transfer(&two.klinik, offered("lab")).await.unwrap();
    assert_eq!(two.entries(Event::TransferOffered).await.len(), 3, "the same again changes nothing");
    // Taking is the receiver's.
    let taken = || accept(from.clone(), "lab");
    assert_eq!(code(engine.accept_transfer(&two.klinik, taken()).await), "tenant-unknown");
    assert_eq!(
        code(engine.accept_transfer(&two.home, accept(from.clone(), "home")).await),
        "transfer-unknown"
    );
    let none = AcceptOrder { profile: "absent".parse().unwrap(), ..taken() };
    assert_eq!(code(engine.accept_transfer(&two.lab, none).await), "profile-unknown");
    assert_eq!(code(engine.withdraw_transfer(&two.home, from.clone(), reason()).await), "transfer-unknown");
    engine.accept_transfer(&two.lab, taken()).await.unwrap();
    engine.accept_transfer(&two.lab, taken()).await.unwrap();
    let other = AcceptOrder { device: Some("pump-9".parse().unwrap()), ..taken() };
    assert_eq!(code(engine.accept_transfer(&two.lab, other).await), "transfer-open");
    // Each reads what concerns it.
    let page = Page { size: 10, after: None };
    let others = engine.list_transfers(&two.lab, "klinik".parse().unwrap(), page).await;
    assert_eq!(code(others), "tenant-unknown");
    // The receiver may decline, too.
    let declined = engine.withdraw_transfer(&two.lab, from.clone(), reason()).await.unwrap();
    assert_eq!(declined.state, TransferState::Withdrawn);
    engine.withdraw_transfer(&two.lab, from.clone(), reason()).await.unwrap();
    assert_eq!(code(engine.accept_transfer(&two.lab, taken()).await), "transfer-unknown");
    assert!(two.open("klinik").await.is_empty() && two.open("lab").await.is_empty());
}

#[tokio::test]
async fn what_was_withdrawn_or_has_expired_comes_to_nothing_and_leaves_nothing() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")).await.unwrap();
    two.clock.pass(WEEK);
    assert_eq!(two.open("lab").await.len(), 1, "to its last second");
    two.clock.pass(1);
    assert!(two.open("lab").await.is_empty() && two.open("klinik").await.is_empty());
    assert_eq!(
        code(two.engine.accept_transfer(&two.lab, accept(from.clone(), "lab")).await),
        "transfer-expired"
    );
    // Another may be made, to another tenant; and once accepted it waits for the device as long as it takes.
    two.agree(&from, "home").await;
    assert_eq!(two.rows().await, 3, "what the expired one left is gone");
    two.clock.pass(2 * WEEK);
    assert!(device.hears(&two).await);
    two.engine.withdraw_transfer(&two.klinik, from.clone(), reason()).await.unwrap();
    assert!(!device.hears(&two).await);
    assert_eq!(code(device.ask_transfer(&two).await.0), "transfer-unknown");
    assert_eq!(two.rows().await, 1, "nothing leads to it any more");
    // The id is free there again, in any case of its letters.
    let station = order(Role::Station, Some("home"), "line");
    let station = caller(two.engine.issue_operator(&two.admin, station).await.unwrap().1.principal);
    let shouted = TestDevice::begin(&two.engine, "PUMP-1").order();
    two.engine.enroll(&station, shouted).await.unwrap();
}

#[tokio::test]
async fn an_id_that_is_taken_is_not_given_twice() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    let station = order(Role::Station, Some("lab"), "line");
    let station = caller(two.engine.issue_operator(&two.admin, station).await.unwrap().1.principal);
    two.engine.enroll(&station, TestDevice::begin(&two.engine, "pump-1").order()).await.unwrap();
    two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")).await.unwrap();
    let taken = accept(from.clone(), "lab");
    assert_eq!(code(two.engine.accept_transfer(&two.lab, taken.clone()).await), "already-enrolled");
    let similar = AcceptOrder { device: Some("PUMP-1".parse().unwrap()), ..taken.clone() };
    assert_eq!(code(two.engine.accept_transfer(&two.lab, similar).await), "id-similar");
    // Nor one that no device could be enrolled under.
    let option = AcceptOrder { device: Some("-pump".parse().unwrap()), ..taken.clone() };
    assert_eq!(code(two.engine.accept_transfer(&two.lab, option).await), "malformed");
    let other = AcceptOrder { device: Some("pump-2".parse().unwrap()), ..taken };
    two.engine.accept_transfer(&two.lab, other).await.unwrap();
    // It is kept free for the device from now on: for a station, and for another transfer.
    let begun = TestDevice::begin(&two.engine, "pump-2").order();
    assert_eq!(code(two.engine.enroll(&station, begun).await), "already-enrolled");
    let policy = KeyPolicy { keepers: vec![KeyKeeper::Software], ..KeyPolicy::default() };
    two.engine.put_key_policy(&two.admin, "lab".parse().unwrap(), policy, None).await.unwrap();
    let (order, csr) = (key_order("pump-2"), csr());
    let signing = two.engine.enroll_key(&station, &order, KeyKeeper::Software, &csr).await;
    assert_eq!(code(signing), "already-enrolled");
    let voucher = VoucherOrder {
        tenant: None,
        device: "pump-2".parse().unwrap(),
        profile: "default".parse().unwrap(),
        model: None,
        udi: None,
        lifetime: WEEK,
    };
    assert_eq!(code(two.engine.make_voucher(&station, voucher).await), "already-enrolled");
    let second = two.proven("pump-2").await;
    two.engine.offer_transfer(&two.klinik, offer(second.name.clone(), "lab")).await.unwrap();
    let taken = accept(second.name.clone(), "lab");
    assert_eq!(code(two.engine.accept_transfer(&two.lab, taken).await), "already-enrolled");
    device.go_over(&two).await;
    assert_eq!(device.name, name("lab", "pump-2"));
    assert_eq!(two.state(&name("lab", "pump-2")).await, Some(DeviceState::Active));
    // The id that it left is kept for its return.
    assert_eq!(
        code(two.engine.enroll(&two.station, TestDevice::begin(&two.engine, "pump-1").order()).await),
        "device-transferred"
    );
}

#[tokio::test]
async fn a_device_out_of_trust_stays_where_it_is() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    let set = async |state| {
        two.engine.set_device_state(&two.klinik, from.clone(), state, reason()).await.unwrap();
    };
    set(DeviceState::Suspended).await;
    assert_eq!(
        code(two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")).await),
        "transition-not-allowed"
    );
    set(DeviceState::Active).await;
    two.agree(&from, "lab").await;
    set(DeviceState::Suspended).await;
    assert_eq!(code(device.ask_transfer(&two).await.0), "suspended");
    set(DeviceState::Active).await;
    device.transfer(&two).await.unwrap();
    // It has the other tenant's keys, and is its former tenant's still.
    set(DeviceState::Suspended).await;
    assert_eq!(code(device.prove(&two.engine, "authenticate", b"").await), "suspended");
    assert!(two.trusting("pump-1").await.is_empty());
    // To call it off now could lock it out.
    assert_eq!(code(two.engine.withdraw_transfer(&two.lab, from.clone(), reason()).await), "transfer-agreed");
    set(DeviceState::Active).await;
    device.prove(&two.engine, "authenticate", b"").await.unwrap();
    assert_eq!(two.trusting("pump-1").await, ["lab"]);
}

#[tokio::test]
async fn a_device_that_is_ended_on_its_way_arrives_nowhere() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    device.transfer(&two).await.unwrap();
    two.engine.set_device_state(&two.klinik, from.clone(), DeviceState::Revoked, reason()).await.unwrap();
    assert_eq!(code(device.prove(&two.engine, "authenticate", b"").await), "revoked");
    let withdrawn = two.engine.withdraw_transfer(&two.lab, from.clone(), reason()).await.unwrap();
    assert_eq!(withdrawn.state, TransferState::Withdrawn);
    assert_eq!(code(device.prove(&two.engine, "authenticate", b"").await), "pending");
    assert!(two.trusting("pump-1").await.is_empty());

    // One that is to be enrolled again comes with other keys: its transfer is over.
    let mut device = two.proven("pump-2").await;
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    device.transfer(&two).await.unwrap();
    two.engine.readmit_device(&two.klinik, from.clone(), true, reason()).await.unwrap();
    assert_eq!(code(device.prove(&two.engine, "authenticate", b"").await), "pending");
    assert!(two.open("lab").await.is_empty());
}

/// The two decisions rest on one row, whichever comes first: an id is enrolled, or kept for the device, and never both.
#[tokio::test]
async fn an_acceptance_and_an_enrollment_at_one_time_do_not_both_take_the_id() {
    for seed in 0..8 {
        let two = Two::new().await;
        let device = two.proven("pump-1").await;
        let from = device.name.clone();
        let station = order(Role::Station, Some("lab"), "line");
        let station = caller(two.engine.issue_operator(&two.admin, station).await.unwrap().1.principal);
        two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")).await.unwrap();
        let begun = TestDevice::begin(&two.engine, "pump-1").order();
        let accepting = two.engine.accept_transfer(&two.lab, accept(from.clone(), "lab"));
        let enrolling = two.engine.enroll(&station, begun);
        let (accepted, enrolled) = match seed % 2 {
            0 => tokio::join!(accepting, enrolling),
            _ => {
                let (enrolled, accepted) = tokio::join!(enrolling, accepting);
                (accepted, enrolled)
            }
        };
        assert_eq!(usize::from(accepted.is_ok()) + usize::from(enrolled.is_ok()), 1, "{seed}");
    }
}

#[tokio::test]
async fn one_that_was_carried_out_cannot_be_withdrawn_and_leaves_nothing_to_be_accepted() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    device.go_over(&two).await;
    for side in [&two.klinik, &two.lab] {
        let withdrawn = two.engine.withdraw_transfer(side, from.clone(), reason()).await;
        assert_eq!(code(withdrawn), "transfer-unknown");
    }
    assert_eq!(
        code(two.engine.accept_transfer(&two.lab, accept(from.clone(), "lab")).await),
        "transfer-unknown"
    );
    assert_eq!(two.state(&from).await, Some(DeviceState::Transferred));
    assert_eq!(two.trusting("pump-1").await, ["lab"]);
    assert_eq!(two.rows().await, 1, "where it went, and nothing else");
}

/// Nobody fills the log of another: one that has not accepted reads of the offer, which is bounded by what can be open.
#[tokio::test]
async fn what_is_withdrawn_before_it_was_accepted_is_in_the_givers_log_alone() {
    let two = Two::new().await;
    let device = two.proven("pump-1").await;
    let from = device.name.clone();
    let tenants = async || -> Vec<String> {
        let entries = two.entries(Event::TransferWithdrawn).await;
        entries.iter().map(|entry| entry.tenant.clone().unwrap().to_string()).collect()
    };
    two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")).await.unwrap();
    two.engine.withdraw_transfer(&two.klinik, from.clone(), reason()).await.unwrap();
    assert_eq!(tenants().await, ["klinik"]);
    two.agree(&from, "lab").await;
    two.engine.withdraw_transfer(&two.klinik, from, reason()).await.unwrap();
    assert_eq!(tenants().await, ["klinik", "klinik", "lab"]);
}
