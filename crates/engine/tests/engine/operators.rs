//! Operators from issue to end: who issued them, what is revoked with whom, how many there are, and that an administrator stays.

use crate::world::{CRASH_POINTS, ROOT_KEY, World, caller, csr, facts, open, order, ports};
use wardein_domain::{Actor, Event, Principal, Role, Serial};
use wardein_engine::{
    Caller, Engine, Error, ErrorCode, Operator, OperatorOrder, Page, Recovery, administrators,
};
use wardein_pki::{Csr, pem};
use wardein_port::{Store, Table};
use wardein_testkit::{CrashPoint, MemoryCustody};

const DAY: u64 = 86_400;
const ALL: Page = Page { size: 1000, after: None };

async fn issue(engine: &Engine, by: &Caller, role: Role, name: &str, days: u64) -> Caller {
    let tenant = (role != Role::Admin).then_some("klinik");
    let order = OperatorOrder { validity: days * DAY, ..order(role, tenant, name) };
    caller(engine.issue_operator(by, order).await.unwrap().1.principal)
}

async fn revoke(engine: &Engine, by: &Caller, whom: &Caller, with_issued: bool) -> Result<u64, Error> {
    engine.revoke_operator(by, whom.principal.serial, "left".parse().unwrap(), with_issued).await
}

async fn code(engine: &Engine, who: &Caller) -> Option<ErrorCode> {
    engine.authenticate(&who.principal).await.err().map(|error| error.code)
}

async fn listed(world: &World, serial: Serial) -> Operator {
    let all = world.engine.list_operators(&world.admin, None, ALL).await.unwrap().items;
    all.into_iter().find(|operator| operator.principal.serial == serial).unwrap()
}

#[tokio::test]
async fn an_administrator_that_is_valid_for_a_week_stays() {
    let world = World::new().await;
    let (engine, first) = (&world.engine, &world.admin);
    let refused = revoke(engine, first, first, false).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::LastAdministrator);
    assert!(refused.message.contains("operator issue --role admin"), "{refused}");
    // An auditor of everything is not an administrator, and one for six days is too short.
    engine.issue_operator(first, order(Role::Auditor, None, "auditor")).await.unwrap();
    let short = issue(engine, first, Role::Admin, "short", 6).await;
    for by in [first, &short] {
        assert_eq!(revoke(engine, by, first, false).await.unwrap_err().code, ErrorCode::LastAdministrator);
    }
    assert_eq!(code(engine, first).await, None);
    let second = issue(engine, first, Role::Admin, "second", 60).await;
    assert_eq!(revoke(engine, &second, first, false).await, Ok(1));
    // What was revoked before is revoked, no matter who is left.
    assert_eq!(revoke(engine, &second, first, false).await, Ok(0));
    assert_eq!(revoke(engine, &second, &second, false).await.unwrap_err().code, ErrorCode::LastAdministrator);
    assert_eq!(revoke(engine, &second, &short, false).await, Ok(1));
    // One that has expired is no loss.
    let gone = issue(engine, &second, Role::Admin, "gone", 1).await;
    world.clock.pass(54 * DAY);
    assert_eq!(revoke(engine, &second, &gone, false).await, Ok(1));
}

/// Of two that are revoked at the same time, at one node or at two, one stays.
#[tokio::test]
async fn two_administrators_are_not_revoked_past_each_other() {
    for is_elsewhere in [false, true] {
        let world = World::new().await;
        let other = open(&world.store, &world.clock).await;
        let there = if is_elsewhere { &other } else { &world.engine };
        let second = issue(&world.engine, &world.admin, Role::Admin, "second", 60).await;
        let third = issue(&world.engine, &world.admin, Role::Admin, "third", 5).await;
        world.store.hold();
        let (one, two, ()) = tokio::join!(
            revoke(&world.engine, &third, &world.admin, false),
            revoke(there, &third, &second, false),
            async { world.store.release() },
        );
        assert_eq!(one, Ok(1));
        assert_eq!(two.unwrap_err().code, ErrorCode::LastAdministrator);
        assert_eq!(code(&other, &second).await, None);
    }
}

#[tokio::test]
async fn what_a_tenants_administrator_issues_ends_with_it() {
    let world = World::new().await;
    let engine = &world.engine;
    let anna = issue(engine, &world.admin, Role::TenantAdmin, "anna", 10).await;
    let bob = issue(engine, &anna, Role::TenantAdmin, "bob", 366).await;
    let station = issue(engine, &bob, Role::Station, "line-9", 366).await;
    let short = issue(engine, &anna, Role::Platform, "short", 1).await;
    let end = listed(&world, anna.principal.serial).await.not_after;
    assert_eq!(listed(&world, bob.principal.serial).await.not_after, end);
    assert_eq!(listed(&world, station.principal.serial).await.not_after, end);
    assert!(listed(&world, short.principal.serial).await.not_after < end);
    // An administrator of everything renews itself.
    let admin = issue(engine, &world.admin, Role::Admin, "renewed", 366).await;
    let own = listed(&world, world.admin.principal.serial).await;
    assert!(listed(&world, admin.principal.serial).await.not_after >= own.not_after);

    let issuer = |operator: Operator| operator.issued_by.map(|issuer| (issuer.serial, issuer.name));
    assert_eq!(issuer(own), None);
    let by = |who: &Principal| Some((who.serial, who.to_string()));
    assert_eq!(issuer(listed(&world, station.principal.serial).await), by(&bob.principal));
    assert_eq!(issuer(listed(&world, bob.principal.serial).await), by(&anna.principal));
}

#[tokio::test]
async fn what_an_operator_issued_is_revoked_with_it() {
    let mut world = World::new().await;
    let engine = &world.engine;
    let anna = issue(engine, &world.admin, Role::TenantAdmin, "anna", 10).await;
    let bob = issue(engine, &anna, Role::TenantAdmin, "bob", 10).await;
    let carl = issue(engine, &bob, Role::TenantAdmin, "carl", 10).await;
    let station = issue(engine, &carl, Role::Station, "line-9", 10).await;
    // The chain goes on behind one that was revoked before.
    assert_eq!(revoke(engine, &world.admin, &bob, false).await, Ok(1));
    assert_eq!(code(engine, &carl).await, None);
    // One of them may revoke the others and itself.
    assert_eq!(revoke(engine, &carl, &anna, true).await, Ok(3));
    assert_eq!(revoke(engine, &world.admin, &anna, true).await, Ok(0));
    let said: Vec<_> = world.entries(Event::OperatorRevoked).await.iter().map(facts).collect();
    let with = format!("revoked-with={}", anna.principal.serial);
    assert_eq!(
        said,
        [
            "operator=tenant-admin/klinik/bob, reason=left".to_owned(),
            "operator=tenant-admin/klinik/anna, reason=left, with-issued=3".to_owned(),
            format!("operator=station/klinik/line-9, reason=left, {with}"),
            format!("operator=tenant-admin/klinik/carl, reason=left, {with}"),
        ]
    );
    for _ in 0..2 {
        for gone in [&anna, &bob, &carl, &station] {
            assert_eq!(code(&world.engine, gone).await, Some(ErrorCode::OperatorRevoked));
        }
        assert_eq!(code(&world.engine, &world.station).await, None, "the administrator issued it");
        world.restart().await;
    }
    // An administrator that issued all others does not take the last ones with it.
    let admin = &world.admin;
    let second = issue(&world.engine, admin, Role::Admin, "second", 60).await;
    let refused = revoke(&world.engine, &second, admin, true).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::LastAdministrator);
    assert_eq!(code(&world.engine, admin).await, None);
}

/// An identity that is issued while its issuer is revoked goes too.
#[tokio::test]
async fn nothing_slips_out_while_its_issuer_is_revoked() {
    let world = World::new().await;
    let engine = &world.engine;
    let anna = issue(engine, &world.admin, Role::TenantAdmin, "anna", 10).await;
    world.store.hold();
    let late = order(Role::Platform, Some("klinik"), "late");
    let (late, revoked, ()) =
        tokio::join!(engine.issue_operator(&anna, late), revoke(engine, &world.admin, &anna, true), async {
            world.store.release()
        });
    assert_eq!(revoked, Ok(2));
    let late = caller(late.unwrap().1.principal);
    assert_eq!(code(engine, &late).await, Some(ErrorCode::OperatorRevoked));
}

/// Those that have expired leave memory with the next issue, and at a restart; they are told the same as before.
#[tokio::test]
async fn who_left_memory_is_told_the_same() {
    let mut world = World::new().await;
    world.clock.pass(31 * DAY);
    issue(&world.engine, &world.admin, Role::Auditor, "new", 30).await;
    for _ in 0..2 {
        for gone in [&world.platform, &world.station] {
            assert_eq!(code(&world.engine, gone).await, Some(ErrorCode::OperatorExpired));
        }
        world.restart().await;
    }
    // The clock was wrong: they may call, and a station enrolls.
    world.clock.set(crate::world::START + DAY);
    world.accept_clock().await.unwrap();
    assert_eq!(code(&world.engine, &world.platform).await, None);
    world.device("pump-1").await;
    let unknown = Principal { serial: Serial::from_random([9; 16]), ..world.platform.principal.clone() };
    assert_eq!(code(&world.engine, &caller(unknown)).await, Some(ErrorCode::IdentityUnknown));
}

#[tokio::test]
async fn an_administrator_is_recovered_where_none_is_left() {
    let mut world = World::new().await;
    world.clock.pass(400 * DAY);
    world.engine.record_system(Event::Stopped).await.unwrap();
    let ports = ports(&world.store, &world.clock);
    assert_eq!(administrators(&ports).await.unwrap(), []);
    let keys = || MemoryCustody::of(ROOT_KEY).root_keys();
    let before = (world.rows().await, world.store.head().await.unwrap());
    let recovery = Recovery::begin(&ports, keys(), 30 * DAY).await.unwrap();
    let recovered = caller(recovery.files.admin.clone());
    let named = format!("admin/recovered-{}-", ports.clock.wall_ms() / 1000);
    assert!(recovered.principal.to_string().starts_with(&named), "{}", recovered.principal);
    // Nothing is on record before its files are.
    assert_eq!((world.rows().await, world.store.head().await.unwrap()), before);
    recovery.finish(&ports).await.unwrap();
    world.restart().await;
    world.engine.authenticate(&recovered.principal).await.unwrap();
    world.admin = recovered;
    let entries = world.entries(Event::AdministratorRecovered).await;
    assert_eq!((entries.len(), &entries[0].actor), (1, &Actor::Owner));
    assert!(facts(&entries[0]).starts_with(&format!("operator={}", world.admin.principal)), "{entries:?}");
    let found = administrators(&ports).await.unwrap();
    assert_eq!((found.len(), &found[0].principal), (1, &world.admin.principal));
    assert_eq!(found[0].not_after, world.engine.now() + 30 * DAY);
    assert!(Recovery::begin(&ports, MemoryCustody::of([8; 32]).root_keys(), 30 * DAY).await.is_err());
    assert!(Recovery::begin(&ports, keys(), 367 * DAY).await.is_err());
}

/// Cut off at any point, the administrator is on record with its entry, or neither is.
#[tokio::test]
async fn a_recovery_that_is_cut_off_is_whole_or_not_there() {
    for point in [CrashPoint::BeforeApply, CrashPoint::AfterApply] {
        let mut world = World::new().await;
        let ports = ports(&world.store, &world.clock);
        let keys = MemoryCustody::of(ROOT_KEY).root_keys();
        let recovery = Recovery::begin(&ports, keys, 30 * DAY).await.unwrap();
        let recovered = recovery.files.admin.clone();
        world.store.crash_at(0, point);
        let _ = recovery.finish(&ports).await;
        world.restart().await;
        let is_known = world.engine.authenticate(&recovered).await.is_ok();
        assert_eq!(world.entries(Event::AdministratorRecovered).await.len(), usize::from(is_known));
    }
}

async fn renew(engine: &Engine, who: &Caller, validity: u64) -> Result<Operator, Error> {
    let order = order(Role::Auditor, None, "csr");
    engine.renew_operator(who, &order.csr, validity).await.map(|(_, operator)| operator)
}

#[tokio::test]
async fn an_operator_renews_itself_and_both_certificates_are_good() {
    let world = World::new().await;
    let engine = &world.engine;
    let platform = issue(engine, &world.admin, Role::Platform, "billing", 30).await;
    world.clock.pass(20 * DAY);
    let renewed = renew(engine, &platform, 0).await.unwrap();
    let Principal { role, tenant, name, serial } = &renewed.principal;
    let Principal { role: was_role, tenant: was_tenant, name: was_name, serial: was } = &platform.principal;
    assert_eq!((role, tenant, name), (was_role, was_tenant, was_name));
    assert_ne!(serial, was);
    assert_eq!(renewed.not_after, engine.now() + 30 * DAY);
    assert_eq!(renewed.issued_by.as_ref().unwrap().serial, platform.principal.serial);
    let renewed = caller(renewed.principal);
    assert_eq!((code(engine, &platform).await, code(engine, &renewed).await), (None, None));
    world.clock.pass(11 * DAY);
    assert_eq!(code(engine, &platform).await, Some(ErrorCode::OperatorExpired));
    assert_eq!(code(engine, &renewed).await, None);
    // Its name is still its own.
    let tenant = Some("klinik");
    let refused =
        engine.issue_operator(&world.admin, order(Role::Platform, tenant, "billing")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::OperatorExists);
    assert_eq!(renew(engine, &platform, 0).await.unwrap_err().code, ErrorCode::OperatorExpired);
    // No longer than it was trusted for; a shorter time is its own choice.
    assert_eq!(renew(engine, &renewed, 30 * DAY + 1).await.unwrap_err().code, ErrorCode::Malformed);
    assert_eq!(renew(engine, &renewed, DAY).await.unwrap().not_after, engine.now() + DAY);
}

#[tokio::test]
async fn what_a_stolen_identity_renewed_is_revoked_with_it_and_is_not_without_end() {
    let world = World::new().await;
    let engine = &world.engine;
    let stolen = issue(engine, &world.admin, Role::Platform, "billing", 30).await;
    let mut renewed = Vec::new();
    for _ in 0..7 {
        renewed.push(caller(renew(engine, &stolen, 0).await.unwrap().principal));
    }
    let refused = renew(engine, &stolen, 0).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::OperatorQuota);
    assert_eq!(revoke(engine, &world.admin, &stolen, true).await, Ok(8));
    for each in &renewed {
        assert_eq!(code(engine, each).await, Some(ErrorCode::OperatorRevoked));
        assert_eq!(renew(engine, each, 0).await.unwrap_err().code, ErrorCode::OperatorRevoked);
    }
}

#[tokio::test]
async fn a_renewal_outlives_no_administrator_of_a_tenant_that_issued() {
    let world = World::new().await;
    let engine = &world.engine;
    let chief = issue(engine, &world.admin, Role::TenantAdmin, "chief", 40).await;
    let platform = issue(engine, &chief, Role::Platform, "billing", 30).await;
    world.clock.pass(20 * DAY);
    let first = renew(engine, &platform, 0).await.unwrap();
    assert_eq!(first.not_after, engine.now() + 20 * DAY, "with the one who issued it");
    // One who renews itself takes along whom it issued, when they renew themselves.
    renew(engine, &chief, 0).await.unwrap();
    let second = renew(engine, &caller(first.principal.clone()), 0).await.unwrap();
    assert_eq!(second.not_after, engine.now() + 20 * DAY, "as long as the renewed one was issued for");
    assert_eq!(revoke(engine, &world.admin, &chief, false).await, Ok(1));
    assert!(renew(engine, &caller(second.principal.clone()), 0).await.is_ok(), "the renewed chief is there");
    world.clock.pass(41 * DAY);
    assert_eq!(code(engine, &chief).await, Some(ErrorCode::OperatorRevoked));
}

/// Who orders the same for the same key by the same certificate did not hear the answer.
#[tokio::test]
async fn an_operator_whose_answer_was_lost_is_answered_again_and_nobody_else_is() {
    let mut world = World::new().await;
    let billing = order(Role::Platform, Some("klinik"), "billing");
    let first = world.engine.issue_operator(&world.admin, billing.clone()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.engine.issue_operator(&world.admin, billing.clone()).await.unwrap(), first);
        world.restart().await;
    }
    assert_eq!(
        world
            .entries(Event::OperatorIssued)
            .await
            .iter()
            .filter(|one| facts(one).contains("billing"))
            .count(),
        1
    );

    // Another key, another order, another caller: the name is taken.
    let other = issue(&world.engine, &world.admin, Role::Admin, "other", 60).await;
    let (engine, admin) = (&world.engine, &world.admin);
    let key = OperatorOrder { csr: csr(), ..billing.clone() };
    let validity = OperatorOrder { validity: billing.validity - 1, ..billing.clone() };
    for (by, order) in [(admin, key), (admin, validity), (&other, billing.clone())] {
        assert_eq!(engine.issue_operator(by, order).await.unwrap_err().code, ErrorCode::OperatorExists);
    }
    let station = OperatorOrder { quota: 5, ..order(Role::Station, Some("klinik"), "line-9") };
    engine.issue_operator(admin, station.clone()).await.unwrap();
    let more = OperatorOrder { quota: 6, ..station };
    assert_eq!(engine.issue_operator(admin, more).await.unwrap_err().code, ErrorCode::OperatorExists);

    // What was revoked is not handed out again; the name is free for another certificate, of the same key too.
    revoke(engine, admin, &caller(first.1.principal.clone()), false).await.unwrap();
    let second = engine.issue_operator(admin, billing.clone()).await.unwrap();
    assert_ne!(second.1.principal.serial, first.1.principal.serial);
    assert_eq!(engine.issue_operator(admin, billing.clone()).await.unwrap(), second);
    // Nor is a caller answered that is revoked by now.
    revoke(engine, &other, admin, false).await.unwrap();
    assert_eq!(engine.issue_operator(admin, billing).await.unwrap_err().code, ErrorCode::OperatorRevoked);
}

#[tokio::test]
async fn a_renewal_whose_answer_was_lost_is_answered_again_and_counts_once() {
    let world = World::new().await;
    let engine = &world.engine;
    let station = issue(engine, &world.admin, Role::Station, "line-9", 30).await;
    let request = csr();
    let first = engine.renew_operator(&station, &request, 0).await.unwrap();
    for _ in 0..9 {
        assert_eq!(engine.renew_operator(&station, &request, 0).await.unwrap(), first);
    }
    assert_eq!(first.1.quota, 100);
    // Another time is another order.
    let shorter = engine.renew_operator(&station, &request, DAY).await.unwrap();
    assert_ne!(shorter.1.principal.serial, first.1.principal.serial);
}

/// At every crash point, the order is repeated and completes, with one certificate.
#[tokio::test]
async fn an_issue_that_is_cut_off_completes_when_it_is_repeated() {
    for point in CRASH_POINTS {
        let mut world = World::new().await;
        let billing = order(Role::Platform, Some("klinik"), "billing");
        world.store.crash_at(0, point);
        assert!(world.engine.issue_operator(&world.admin, billing.clone()).await.is_err(), "{point:?}");
        world.restart().await;
        let (certificate, operator) =
            world.engine.issue_operator(&world.admin, billing.clone()).await.unwrap();
        let chain = pem::decode_certificates(&certificate).unwrap();
        let key = Csr::parse(&billing.csr).unwrap().public_key().spki();
        assert!(chain[0].windows(key.len()).any(|part| part == key), "{point:?}");
        world.engine.authenticate(&operator.principal).await.unwrap();
        let billings = world.engine.list_operators(&world.admin, None, ALL).await.unwrap().items;
        assert_eq!(
            billings.iter().filter(|one| one.principal.name.as_str() == "billing").count(),
            1,
            "{point:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_is_forgotten_a_day_later() {
    let world = World::new().await;
    let billing = order(Role::Platform, Some("klinik"), "billing");
    world.engine.issue_operator(&world.admin, billing.clone()).await.unwrap();
    let sweep = async || {
        let mut sweep = world.engine.begin_sweep(None, None).await.unwrap();
        while !world.engine.sweep_some(&mut sweep, 100).await.unwrap().is_done {}
        world.store.scan(Table::OperatorAnswer, b"", None, 100).await.unwrap().len()
    };
    world.clock.pass(DAY);
    // Its clock is believed.
    world.engine.look_at_clock().await.unwrap();
    assert_ne!(sweep().await, 0);
    world.engine.issue_operator(&world.admin, billing.clone()).await.unwrap();
    world.clock.pass(1);
    assert_eq!(sweep().await, 0);
    let refused = world.engine.issue_operator(&world.admin, billing).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::OperatorExists);
}
