//! Offers of releases: who is offered what, by proof, and how a staged rollout goes over a fleet.

use crate::update_receipts::{counts, receipt, tell};
use crate::updates::{founded, release, set};
use crate::world::{TestDevice, World, caller, facts, order};
use wardein_crypto::{Digest, P256VerifyingKey};
use wardein_domain::{ErrorCode, Event, Role, UnixSeconds, UpdateWindow};
use wardein_engine::{
    Caller, Error, Release, ReleaseDeed, ReleaseOrder, Rollout, UpdateDecision, UpdateRules,
};
use wardein_tuf::{NotOffered, Offer, OfferAsk, OfferReply, ReceiptOutcome};

pub(crate) fn ask(floor: u64, running: u64, version: u64) -> OfferAsk {
    OfferAsk {
        repository: "maker".parse().unwrap(),
        line: "pumps".parse().unwrap(),
        model: "pump-3".parse().unwrap(),
        floor,
        running,
        version,
    }
}

pub(crate) async fn asked(
    world: &World,
    device: &mut TestDevice,
    ask: &OfferAsk,
) -> Result<Offer, NotOffered> {
    let reply = device.prove(&world.engine, "update-offer", &ask.encode()).await.unwrap().body;
    let identity = P256VerifyingKey(world.engine.trust_bundle().identity_key);
    match OfferReply::decode(&reply).unwrap() {
        OfferReply::Offered(bytes) => Ok(Offer::open(&bytes, &identity).unwrap()),
        OfferReply::Not(why) => Err(why),
        OfferReply::WithKey(_) => panic!("no artifact here is sealed"),
    }
}

async fn roll_out(world: &World, version: u64, rollout: Rollout) -> Result<Release, Error> {
    let (name, line) = ("maker".parse().unwrap(), "pumps".parse().unwrap());
    let reason = "test".parse().unwrap();
    world.engine.set_release_rollout(&world.admin, (&name, &line, version), rollout, reason).await
}

/// What the tenant decides; its first decision is that nothing more needs its consent.
async fn rule(world: &World, needs_consent: bool, window: Option<UpdateWindow>) {
    let rules = UpdateRules { needs_consent, window };
    let tenant = Some(world.tenant());
    world.engine.put_update_rules(&world.admin, tenant, rules, "test".parse().unwrap()).await.unwrap();
}

/// The world of the tests of updates, with a tenant whose devices need no consent.
pub(crate) async fn ready() -> World {
    let world = founded().await;
    rule(&world, false, None).await;
    world
}

fn share(percent: u8) -> Rollout {
    Rollout { percent, ..Rollout::everyone() }
}

/// The release that goes by that number.
pub(crate) fn numbered(version: u64) -> ReleaseOrder {
    ReleaseOrder { floor: 1, ..release(version, &format!("pumps/{version}.img")) }
}

#[tokio::test]
async fn a_device_is_offered_what_is_released_for_it_and_nothing_else() {
    let world = ready().await;
    let mut device = world.proven("pump-1").await;
    let engine = &world.engine;
    let unknown = OfferAsk { line: "monitors".parse().unwrap(), ..ask(0, 0, 0) };
    assert_eq!(asked(&world, &mut device, &unknown).await, Err(NotOffered::Line));
    let unknown = OfferAsk { repository: "x".parse().unwrap(), ..ask(0, 0, 0) };
    assert_eq!(asked(&world, &mut device, &unknown).await, Err(NotOffered::Line));
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 0)).await, Err(NotOffered::Release));
    engine.add_release(&world.admin, numbered(2)).await.unwrap();
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 0)).await, Err(NotOffered::Proposed));
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    let offer = asked(&world, &mut device, &ask(0, 0, 0)).await.unwrap();
    assert_eq!((offer.tenant.as_str(), offer.device.as_str()), ("klinik", "pump-1"));
    assert_eq!((offer.repository.as_str(), offer.line.as_str(), offer.version), ("maker", "pumps", 2));
    assert_eq!((offer.length, offer.sha256), (8, Digest::of(b"firmware")));
    assert_eq!((offer.issued / 1000, offer.expires.get()), (engine.now(), engine.now() + Offer::LIFETIME));
    let other = OfferAsk { model: "monitor".parse().unwrap(), ..ask(0, 0, 0) };
    assert_eq!(asked(&world, &mut device, &other).await, Err(NotOffered::Release));
    // What runs is not offered again, unless it is asked for by its number.
    assert_eq!(asked(&world, &mut device, &ask(0, 2, 0)).await, Err(NotOffered::Release));
    assert_eq!(asked(&world, &mut device, &ask(0, 2, 2)).await.unwrap().version, 2);
    engine.add_release(&world.admin, numbered(3)).await.unwrap();
    set(&world, &world.admin, 3, ReleaseDeed::Release).await.unwrap();
    assert_eq!(asked(&world, &mut device, &ask(0, 2, 0)).await.unwrap().version, 3);
    // While the latest is paused, the one before it is there for who lags behind.
    set(&world, &world.admin, 3, ReleaseDeed::Pause).await.unwrap();
    assert_eq!(asked(&world, &mut device, &ask(0, 1, 0)).await.unwrap().version, 2);
    assert_eq!(asked(&world, &mut device, &ask(0, 2, 0)).await, Err(NotOffered::Paused));
    assert_eq!(asked(&world, &mut device, &ask(0, 2, 3)).await, Err(NotOffered::Paused));
    set(&world, &world.admin, 3, ReleaseDeed::Resume).await.unwrap();
    assert_eq!(asked(&world, &mut device, &ask(0, 2, 0)).await.unwrap().version, 3);
    set(&world, &world.admin, 3, ReleaseDeed::Recall).await.unwrap();
    assert_eq!(asked(&world, &mut device, &ask(0, 2, 3)).await, Err(NotOffered::Recalled));
    assert_eq!(world.entries(Event::UpdateNotOffered).await.len(), 9);
    let said = world.entries(Event::UpdateOffered).await;
    assert_eq!(said.len(), 5);
    let digest = wardein_crypto::hex::encode(&Digest::of(b"firmware").0);
    assert_eq!(facts(&said[0]), format!("repository=maker, line=pumps, release=2, artifact={digest}"));
    let body = [&ask(0, 0, 0).encode()[..], &[0]].concat();
    assert_eq!(device.prove(engine, "update-offer", &body).await.unwrap_err().code, ErrorCode::Malformed);
}

#[tokio::test]
async fn a_device_goes_below_its_floor_only_by_a_downgrade_that_was_signed() {
    let world = ready().await;
    let mut device = world.proven("pump-1").await;
    let (engine, admin) = (&world.engine, &world.admin);
    for version in [2, 3] {
        engine.add_release(admin, numbered(version)).await.unwrap();
        set(&world, admin, version, ReleaseDeed::Release).await.unwrap();
    }
    assert_eq!(asked(&world, &mut device, &ask(3, 3, 2)).await, Err(NotOffered::Floor));
    let low = ReleaseOrder { downgrade_from: Some(2), ..numbered(2) };
    assert_eq!(engine.add_release(admin, low).await.unwrap_err().code, ErrorCode::Malformed);
    let version_of = async || {
        let lines = engine.list_product_lines(admin, None).await.unwrap();
        lines[0].file.version
    };
    let (before, signed) = (version_of().await, ReleaseOrder { downgrade_from: Some(3), ..numbered(2) });
    let changed = engine.add_release(admin, signed.clone()).await.unwrap();
    assert_eq!(changed.order.downgrade_from, Some(3));
    assert!(version_of().await > before, "it is in the metadata, signed");
    assert_eq!(asked(&world, &mut device, &ask(3, 3, 2)).await.unwrap().version, 2);
    assert_eq!(asked(&world, &mut device, &ask(4, 4, 2)).await, Err(NotOffered::Floor));
    // The latest above what runs is never one below it.
    assert_eq!(asked(&world, &mut device, &ask(3, 3, 0)).await, Err(NotOffered::Release));
    let other = ReleaseOrder { length: 9, ..signed };
    assert_eq!(engine.add_release(admin, other).await.unwrap_err().code, ErrorCode::ReleaseNotNewer);
    // One that was never released may be added below the others, where it is signed as a downgrade from all of them.
    assert_eq!(engine.add_release(admin, numbered(1)).await.unwrap_err().code, ErrorCode::ReleaseNotNewer);
    let old = |from| ReleaseOrder { downgrade_from: Some(from), ..numbered(1) };
    assert_eq!(engine.add_release(admin, old(2)).await.unwrap_err().code, ErrorCode::ReleaseNotNewer);
    engine.add_release(admin, old(3)).await.unwrap();
}

#[tokio::test]
async fn a_rollout_is_bounded_and_its_line_s_managers_say_it() {
    let world = ready().await;
    let mut device = world.proven("pump-1").await;
    let (engine, admin) = (&world.engine, &world.admin);
    engine.add_release(admin, numbered(2)).await.unwrap();
    set(&world, admin, 2, ReleaseDeed::Release).await.unwrap();
    for (tenants, profiles, is_in) in [
        (vec!["klinik"], vec![], true),
        (vec!["lab"], vec![], false),
        (vec!["lab", "klinik"], vec!["default"], true),
        (vec![], vec!["icu"], false),
    ] {
        let rollout = Rollout {
            percent: 100,
            tenants: tenants.iter().map(|name| name.parse().unwrap()).collect(),
            profiles: profiles.iter().map(|name| name.parse().unwrap()).collect(),
        };
        assert_eq!(roll_out(&world, 2, rollout.clone()).await.unwrap().rollout, rollout);
        let offered = asked(&world, &mut device, &ask(0, 0, 0)).await;
        assert_eq!(offered.is_ok(), is_in, "{rollout}");
        assert!(is_in || offered == Err(NotOffered::Rollout));
    }
    assert_eq!(roll_out(&world, 2, share(101)).await.unwrap_err().code, ErrorCode::Malformed);
    let many = Rollout { tenants: vec!["lab".parse().unwrap(); 65], ..share(5) };
    assert_eq!(roll_out(&world, 2, many).await.unwrap_err().code, ErrorCode::Malformed);
    assert_eq!(roll_out(&world, 9, share(5)).await.unwrap_err().code, ErrorCode::ReleaseUnknown);
    let manager = engine.issue_operator(admin, order(Role::ReleaseManager, None, "ida")).await.unwrap();
    let (name, line) = ("maker".parse().unwrap(), "pumps".parse().unwrap());
    let by_ida = caller(manager.1.principal);
    let refused =
        engine.set_release_rollout(&by_ida, (&name, &line, 2), share(5), "x".parse().unwrap()).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::LineUnknown);
    set(&world, admin, 2, ReleaseDeed::Recall).await.unwrap();
    assert_eq!(roll_out(&world, 2, share(5)).await.unwrap_err().code, ErrorCode::ReleaseState);
    let said = world.entries(Event::ReleaseRolloutSet).await;
    assert_eq!(said.len(), 4);
    let expected =
        "repository=maker, line=pumps, release=2, rollout: 100 % → 100 % of tenants klinik, reason=test";
    assert_eq!(facts(&said[0]), expected);
}

/// 1,000 devices: a twentieth, a third, a pause, a resumption, all, a recall. Each that installs tells of it, one in ten that it went back; some
/// are not heard and tell again.
#[tokio::test]
async fn a_staged_rollout_goes_over_a_thousand_devices() {
    let world = ready().await;
    let station =
        wardein_engine::OperatorOrder { quota: 1000, ..order(Role::Station, Some("klinik"), "line-2") };
    let station = caller(world.engine.issue_operator(&world.admin, station).await.unwrap().1.principal);
    let mut fleet = Vec::new();
    for number in 0..1000 {
        let id = format!("pump-{number}");
        let mut device = TestDevice::begin(&world.engine, &id);
        let reply = world.engine.enroll(&station, device.order()).await.unwrap();
        let tag = device.finish(&reply);
        world.engine.confirm(&station, id.parse().unwrap(), tag).await.unwrap();
        fleet.push(device);
    }
    world.engine.add_release(&world.admin, numbered(2)).await.unwrap();
    roll_out(&world, 2, share(5)).await.unwrap();
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    let mut offered = async || {
        let mut have = Vec::new();
        for device in &mut fleet {
            if asked(&world, device, &ask(0, 0, 0)).await.is_ok() {
                have.push(device.name.device.clone());
            }
        }
        have
    };
    let twentieth = offered().await;
    assert!((20..100).contains(&twentieth.len()), "{}", twentieth.len());
    roll_out(&world, 2, share(33)).await.unwrap();
    let third = offered().await;
    assert!((260..400).contains(&third.len()), "{}", third.len());
    assert!(twentieth.iter().all(|device| third.contains(device)));
    set(&world, &world.admin, 2, ReleaseDeed::Pause).await.unwrap();
    assert_eq!(offered().await, []);
    set(&world, &world.admin, 2, ReleaseDeed::Resume).await.unwrap();
    assert_eq!(offered().await, third);
    roll_out(&world, 2, share(100)).await.unwrap();
    assert_eq!(offered().await.len(), 1000);
    for (number, device) in fleet.iter_mut().enumerate() {
        let issued = asked(&world, device, &ask(0, 0, 0)).await.unwrap().issued;
        let outcome = if number % 10 == 7 { ReceiptOutcome::RolledBack } else { ReceiptOutcome::Started };
        let receipt = receipt(&device.name, 2, issued, outcome);
        for _ in 0..1 + number % 3 {
            tell(&world, device, &receipt).await.unwrap();
        }
    }
    assert_eq!(counts(&world, 2).await, (900, 0, 100));
    set(&world, &world.admin, 2, ReleaseDeed::Recall).await.unwrap();
    let mut have = 0;
    for device in &mut fleet {
        have += usize::from(asked(&world, device, &ask(0, 0, 0)).await.is_ok());
    }
    assert_eq!((have, counts(&world, 2).await), (0, (900, 0, 100)));
}

#[tokio::test]
async fn nothing_is_offered_without_the_site_s_consent_or_outside_its_window() {
    let world = founded().await;
    let mut device = world.proven("pump-1").await;
    let (engine, admin) = (&world.engine, &world.admin);
    let site = engine.issue_operator(admin, order(Role::Site, Some("klinik"), "ada")).await.unwrap();
    let ada = caller(site.1.principal);
    for version in [2, 3] {
        engine.add_release(admin, numbered(version)).await.unwrap();
    }
    let (name, line) = ("maker".parse().unwrap(), "pumps".parse().unwrap());
    let decide = async |by: &Caller, version: Option<u64>, decision: UpdateDecision| {
        engine.decide_update(by, None, (&name, &line, version), decision, "test".parse().unwrap()).await
    };
    // What is proposed is its maker's affair.
    let unseen = decide(&ada, Some(2), UpdateDecision::Consent).await.unwrap_err();
    assert_eq!(unseen.code, ErrorCode::ReleaseUnknown);
    for version in [2, 3] {
        set(&world, admin, version, ReleaseDeed::Release).await.unwrap();
    }
    let listed = async |by: &Caller| {
        let releases = engine.list_releases(by, &name, &line).await.unwrap();
        releases.iter().map(|release| release.order.version).collect::<Vec<_>>()
    };
    // A site sees what was released for its tenant, and nothing that is proposed.
    engine.add_release(admin, numbered(4)).await.unwrap();
    roll_out(&world, 3, Rollout { tenants: vec!["lab".parse().unwrap()], ..share(100) }).await.unwrap();
    assert_eq!((listed(&ada).await, listed(admin).await), (vec![2], vec![2, 3, 4]));
    roll_out(&world, 3, share(100)).await.unwrap();
    assert_eq!(listed(&ada).await, [2, 3]);
    let auditor = engine.issue_operator(admin, order(Role::Auditor, Some("klinik"), "ole")).await.unwrap();
    let seen = engine.list_releases(&caller(auditor.1.principal), &name, &line).await.unwrap_err();
    assert_eq!(seen.code, ErrorCode::LineUnknown);
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 3)).await, Err(NotOffered::Consent));
    let decided = decide(&ada, Some(2), UpdateDecision::Consent).await.unwrap().unwrap();
    assert_eq!(decided.order.version, 2);
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 0)).await.unwrap().version, 2);
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 3)).await, Err(NotOffered::Consent));
    // Of all of the line, but for what was decided by number.
    decide(&ada, None, UpdateDecision::Consent).await.unwrap();
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 0)).await.unwrap().version, 3);
    decide(&ada, Some(3), UpdateDecision::Refuse).await.unwrap();
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 3)).await, Err(NotOffered::Refused));
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 0)).await.unwrap().version, 2);
    decide(&ada, Some(2), UpdateDecision::Withdraw).await.unwrap();
    decide(&ada, None, UpdateDecision::Withdraw).await.unwrap();
    decide(&ada, None, UpdateDecision::Withdraw).await.unwrap();
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 2)).await, Err(NotOffered::Consent));
    // Where none is needed, what was refused is refused still.
    rule(&world, false, None).await;
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 3)).await, Err(NotOffered::Refused));
    assert_eq!(asked(&world, &mut device, &ask(0, 0, 2)).await.unwrap().version, 2);
    let now = engine.now();
    let at = |second| Some(UnixSeconds::new(second));
    for (from, until, is_open) in [(at(now), None, true), (at(now + 60), None, false), (None, at(now), false)]
    {
        rule(&world, false, Some(UpdateWindow::new(from, until, None).unwrap())).await;
        let offered = asked(&world, &mut device, &ask(0, 0, 2)).await;
        assert_eq!(offered.is_ok(), is_open);
        assert!(is_open || offered == Err(NotOffered::Window));
    }
    let (rules, choices) = engine.get_update_rules(&ada, None).await.unwrap();
    assert!(!rules.needs_consent && rules.window.is_some());
    let said: Vec<_> = choices.iter().map(|choice| (choice.version, choice.consents)).collect();
    assert_eq!(said, [(Some(3), false)]);
    // Another tenant's is not there.
    engine.create_tenant(admin, "lab".parse().unwrap()).await.unwrap();
    let refused = engine.get_update_rules(&ada, Some("lab".parse().unwrap())).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TenantUnknown);
    let (tenant, reason) = (Some("lab".parse().unwrap()), "x".parse().unwrap());
    let refused =
        engine.decide_update(&ada, tenant, (&name, &line, None), UpdateDecision::Consent, reason).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::TenantUnknown);
    let unknown = "monitors".parse().unwrap();
    let (reason, consent) = ("x".parse().unwrap(), UpdateDecision::Consent);
    let refused = engine.decide_update(&ada, None, (&name, &unknown, None), consent, reason).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::LineUnknown);
    let said = world.entries(Event::UpdateDecided).await;
    assert_eq!(said.len(), 5);
    assert_eq!(facts(&said[0]), "repository=maker, line=pumps, release=2, consent=consent, reason=test");
    let said = world.entries(Event::UpdateRulesPut).await;
    assert_eq!(facts(&said[0]), "consent: needed → not-needed, window: any-time → any-time, reason=test");
}
