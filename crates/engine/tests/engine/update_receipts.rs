//! Receipts: what devices say came of their installations, counted once, and what follows from it.

use crate::offers::{ask, asked, numbered, ready};
use crate::updates::{release, set};
use crate::watch::Client;
use crate::world::{TestDevice, World, facts, name};
use wardein_crypto::Digest;
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName};
use wardein_domain::{
    ErrorCode, Event, TrustCondition, TrustLimit, TrustPolicy, TrustRule, Verdict, VerdictReason,
};
use wardein_engine::{Page, ReceiptCounts, ReleaseDeed, ReleaseOrder, Subject};
use wardein_tuf::{NotOffered, Receipt, ReceiptOutcome};

pub(crate) fn receipt(device: &DeviceName, version: u64, installed: u64, outcome: ReceiptOutcome) -> Receipt {
    Receipt {
        tenant: device.tenant.clone(),
        device: device.device.clone(),
        repository: "maker".parse().unwrap(),
        line: "pumps".parse().unwrap(),
        version,
        sha256: Digest::of(b"firmware"),
        installed,
        outcome,
    }
}

pub(crate) async fn tell(world: &World, device: &mut TestDevice, receipt: &Receipt) -> Result<(), ErrorCode> {
    let told = device.prove(&world.engine, "update-receipt", &receipt.encode()).await;
    told.map(|acknowledged| assert_eq!(acknowledged.body, b"")).map_err(|error| error.code)
}

pub(crate) async fn counts(world: &World, version: u64) -> (u64, u64, u64) {
    let (name, line) = ("maker".parse().unwrap(), "pumps".parse().unwrap());
    let releases = world.engine.list_releases(&world.admin, &name, &line).await.unwrap();
    let of = releases.iter().find(|release| release.order.version == version).unwrap().receipts;
    let ReceiptCounts { running, differing, rolled_back } = of;
    (running, differing, rolled_back)
}

/// Releases 2 and 3, each with its own number as the floor.
async fn released() -> World {
    let world = ready().await;
    for version in [2, 3] {
        let order = ReleaseOrder { floor: version, attributes: Vec::new(), ..numbered(version) };
        world.engine.add_release(&world.admin, order).await.unwrap();
        set(&world, &world.admin, version, ReleaseDeed::Release).await.unwrap();
    }
    world
}

#[tokio::test]
async fn a_receipt_counts_once_and_only_by_it_the_floor_rises() {
    use ReceiptOutcome::{Differs, RolledBack, Started, Verified};
    let mut world = released().await;
    let mut device = world.proven("pump-1").await;
    let of = device.name.clone();
    let at = asked(&world, &mut device, &ask(0, 0, 3)).await.unwrap().issued;
    assert_eq!(
        asked(&world, &mut device, &ask(0, 0, 2)).await.unwrap().version,
        2,
        "an offer raises nothing"
    );
    let started = receipt(&of, 3, at, Started);
    for _ in 0..3 {
        tell(&world, &mut device, &started).await.unwrap();
        assert_eq!(counts(&world, 3).await, (1, 0, 0));
    }
    assert_eq!(world.entries(Event::UpdateStarted).await.len(), 1);
    let digest = wardein_crypto::hex::encode(&Digest::of(b"firmware").0);
    let said = facts(&world.entries(Event::UpdateStarted).await[0]);
    assert_eq!(said, format!("repository=maker, line=pumps, release=3, artifact={digest}, floor: 0 → 3"));
    // Whatever the device says of its floor.
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 2)).await, Err(NotOffered::Floor));
    // What it finds later counts; what it said before takes nothing back.
    tell(&world, &mut device, &receipt(&of, 3, at, Differs)).await.unwrap();
    tell(&world, &mut device, &started).await.unwrap();
    assert_eq!(counts(&world, 3).await, (1, 1, 0));
    tell(&world, &mut device, &receipt(&of, 3, at, Verified)).await.unwrap();
    assert_eq!(counts(&world, 3).await, (1, 0, 0));
    assert_eq!(world.entries(Event::SoftwareDiffers).await.len(), 1);
    // The next installation is rolled back: what ran before runs.
    tell(&world, &mut device, &receipt(&of, 2, at + 1, RolledBack)).await.unwrap();
    assert_eq!((counts(&world, 3).await, counts(&world, 2).await), ((1, 0, 0), (0, 0, 1)));
    // And the one after it starts, and goes back all the same.
    tell(&world, &mut device, &receipt(&of, 3, at + 2, Started)).await.unwrap();
    assert_eq!((counts(&world, 3).await, counts(&world, 2).await), ((1, 0, 0), (0, 0, 0)));
    tell(&world, &mut device, &receipt(&of, 3, at + 2, RolledBack)).await.unwrap();
    assert_eq!(counts(&world, 3).await, (0, 0, 1));
    let total = world.engine.receipts_counted();
    assert_eq!((total.running, total.rolled_back), (0, 1));
    // Memory that is loaded again counts the same.
    world.restart().await;
    assert_eq!(counts(&world, 3).await, (0, 0, 1));
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 2)).await, Err(NotOffered::Floor));
    // Devices that are out of service are not counted.
    let reason = "scrapped".parse().unwrap();
    let state = wardein_domain::DeviceState::Retired;
    world.engine.set_device_state(&world.admin, name("klinik", "pump-1"), state, reason).await.unwrap();
    assert_eq!(counts(&world, 3).await, (0, 0, 0));
}

#[tokio::test]
async fn receipts_that_are_forged_replayed_or_of_others_change_nothing() {
    use ReceiptOutcome::{RolledBack, Started};
    let world = released().await;
    let mut device = world.proven("pump-1").await;
    let of = device.name.clone();
    let order = ReleaseOrder { attributes: Vec::new(), ..numbered(4) };
    world.engine.add_release(&world.admin, order).await.unwrap();
    let good = receipt(&of, 2, 1_000, Started);
    tell(&world, &mut device, &good).await.unwrap();
    tell(&world, &mut device, &receipt(&of, 3, 2_000, RolledBack)).await.unwrap();
    let known = (counts(&world, 2).await, counts(&world, 3).await, counts(&world, 4).await);
    assert_eq!(known, ((1, 0, 0), (0, 0, 1), (0, 0, 0)));
    let third = || receipt(&of, 3, 3_000, Started);
    let refused = [
        (Receipt { device: "pump-2".parse().unwrap(), ..third() }, ErrorCode::ReceiptOtherDevice),
        (Receipt { tenant: "lab".parse().unwrap(), ..third() }, ErrorCode::ReceiptOtherDevice),
        (Receipt { sha256: Digest::of(b"firmwarf"), ..third() }, ErrorCode::ReceiptOtherRelease),
        (Receipt { repository: "other".parse().unwrap(), ..third() }, ErrorCode::RepositoryUnknown),
        (Receipt { line: "monitors".parse().unwrap(), ..third() }, ErrorCode::LineUnknown),
        (Receipt { version: 9, ..third() }, ErrorCode::ReleaseUnknown),
        (Receipt { version: 4, ..third() }, ErrorCode::ReleaseState),
        (good.clone(), ErrorCode::ReceiptReplayed),
        (Receipt { installed: 1_999, ..third() }, ErrorCode::ReceiptReplayed),
        (Receipt { installed: 2_000, ..third() }, ErrorCode::ReceiptContradicts),
        (
            Receipt { version: 2, outcome: RolledBack, ..receipt(&of, 2, 2_000, Started) },
            ErrorCode::ReceiptContradicts,
        ),
    ];
    for (receipt, code) in refused {
        assert_eq!(tell(&world, &mut device, &receipt).await, Err(code), "{receipt:?}");
        let now = (counts(&world, 2).await, counts(&world, 3).await, counts(&world, 4).await);
        assert_eq!(now, known, "{code}");
    }
    // Bytes that are none, a proof whose body was altered on its way, and one that is sent twice.
    let body = third().encode();
    let wrong = device.prove(&world.engine, "update-receipt", &body[1..]).await.unwrap_err();
    assert_eq!(wrong.code, ErrorCode::Malformed);
    let (request, _) = device.proof(&world.engine, "update-receipt", &body);
    let mut altered = body.clone();
    altered[1] = 2;
    let call = wardein_domain::Call::new("test");
    let wrong = world.engine.prove(&call, request.clone(), altered).await.unwrap_err();
    assert_eq!(wrong.code, ErrorCode::BodyWrong);
    world.engine.prove(&call, request.clone(), body.clone()).await.unwrap();
    let twice = world.engine.prove(&call, request, body).await.unwrap_err();
    assert_eq!(twice.code, ErrorCode::Replayed);
    assert_eq!(counts(&world, 3).await, (1, 0, 0));
}

fn showing(version: &[u8]) -> AttributeDigests {
    let mut attributes = Attributes::new();
    attributes.insert("firmware".parse().unwrap(), version).unwrap();
    attributes.digests()
}

#[tokio::test]
async fn what_a_release_shows_is_accepted_from_its_offer_on_and_alone_once_a_proof_has_shown_it() {
    let world = ready().await;
    let mut device = world.proven("pump-1").await;
    let of = device.name.clone();
    let (engine, admin) = (&world.engine, &world.admin);
    // Of a device that shows less than the release says nothing more is awaited.
    let (mut order, other) =
        (release(2, "pumps/2.img"), ("bootloader".parse().unwrap(), "7".parse().unwrap()));
    order.attributes.push(other);
    engine.add_release(admin, order).await.unwrap();
    set(&world, admin, 2, ReleaseDeed::Release).await.unwrap();
    let below = |floor: &str| {
        TrustPolicy::new(
            vec![TrustRule {
                when: TrustCondition::FirmwareBelow("firmware".parse().unwrap(), floor.parse().unwrap()),
                limit: TrustLimit::NotTrusted,
            }],
            None,
        )
        .unwrap()
    };
    engine.put_trust_policy(admin, &world.tenant(), None, Some(below("2.2")), None).await.unwrap();
    let verdict =
        async || engine.check(&world.platform, Subject::Device("pump-1".parse().unwrap())).await.unwrap();
    let code = async |device: &mut TestDevice| {
        device.prove(engine, "authenticate", b"").await.map(|_| ()).map_err(|error| error.code)
    };
    device.measured = showing(b"2.2");
    assert_eq!(code(&mut device).await, Err(ErrorCode::MacWrong));
    device.measured = showing(b"1.0");
    let commits = async || world.entries(Event::UpdateOffered).await.len();
    let issued = asked(&world, &mut device, &ask(0, 0, 0)).await.unwrap().issued;
    assert_eq!(commits().await, 1);
    // Both, until one shows the coming ones.
    assert_eq!(code(&mut device).await, Ok(()));
    assert_eq!(verdict().await.verdict, Verdict::NotTrusted);
    device.measured = showing(b"2.2");
    tell(&world, &mut device, &receipt(&of, 2, issued, ReceiptOutcome::Started)).await.unwrap();
    assert_eq!(verdict().await.verdict, Verdict::Trusted);
    device.measured = showing(b"1.0");
    assert_eq!(code(&mut device).await, Err(ErrorCode::MacWrong));
    device.measured = showing(b"3.0");
    assert_eq!(code(&mut device).await, Err(ErrorCode::MacWrong));
}

#[tokio::test]
async fn what_runs_is_told_by_the_verdict_and_a_recall_changes_it_at_once() {
    use ReceiptOutcome::{Differs, RolledBack, Started, Verified};
    let mut world = released().await;
    let (mut device, mut other) = (world.proven("pump-1").await, world.proven("pump-2").await);
    let of = device.name.clone();
    let rule = TrustRule { when: TrustCondition::FirmwareUnapproved, limit: TrustLimit::NotTrusted };
    let policy = TrustPolicy::new(vec![rule], None).unwrap();
    let preview = world
        .engine
        .preview_trust_policy(
            &world.admin,
            &world.tenant(),
            None,
            Some(policy.clone()),
            Page { size: 10, after: None },
        )
        .await
        .unwrap();
    let changed: Vec<_> = preview.changes.items.iter().map(|change| change.reasons.clone()).collect();
    assert_eq!(changed, vec![vec![VerdictReason::FirmwareUnapproved]; 2]);
    world.engine.put_trust_policy(&world.admin, &world.tenant(), None, Some(policy), None).await.unwrap();
    let mut client = Client::default();
    client.open(&world.engine, &world.platform).await.unwrap();
    // A watcher is told what a query is answered.
    let mut trusted = async |world: &World, is_trusted: bool| {
        client.read_all(&world.engine).unwrap();
        let subject = Subject::Device("pump-1".parse().unwrap());
        let answer = world.engine.check(&world.platform, subject).await.unwrap();
        let reason =
            if is_trusted { VerdictReason::InGoodStanding } else { VerdictReason::FirmwareUnapproved };
        assert_eq!(
            (answer.reasons.as_slice(), &client.devices["pump-1"].reasons),
            (&[reason][..], &answer.reasons)
        );
        assert_eq!(client.devices["pump-2"].verdict, Verdict::NotTrusted);
    };
    trusted(&world, false).await;
    let told = [
        (2, 1, Started, true),
        (2, 1, Differs, false),
        (2, 1, Verified, true),
        (3, 2, RolledBack, true),
        (3, 3, Started, true),
        // The image before, which is approved, under a floor that has risen.
        (2, 3, Verified, false),
        (3, 3, Verified, true),
        // It is not known any more what runs.
        (3, 3, Differs, false),
        (3, 4, Started, true),
        (3, 4, RolledBack, false),
        (3, 5, Started, true),
    ];
    for (version, installed, outcome, is_trusted) in told {
        tell(&world, &mut device, &receipt(&of, version, installed, outcome)).await.unwrap();
        trusted(&world, is_trusted).await;
    }
    // What one device tells is of that device alone.
    let forged = receipt(&of, 3, 6, Started);
    assert_eq!(tell(&world, &mut other, &forged).await, Err(ErrorCode::ReceiptOtherDevice));
    // A pause is no doubt about what runs; a recall is.
    set(&world, &world.admin, 3, ReleaseDeed::Pause).await.unwrap();
    trusted(&world, true).await;
    set(&world, &world.admin, 2, ReleaseDeed::Recall).await.unwrap();
    trusted(&world, true).await;
    set(&world, &world.admin, 3, ReleaseDeed::Recall).await.unwrap();
    trusted(&world, false).await;
    drop(client);
    world.restart().await;
    let subject = Subject::Device("pump-1".parse().unwrap());
    assert_eq!(world.engine.check(&world.platform, subject).await.unwrap().verdict, Verdict::NotTrusted);
}
