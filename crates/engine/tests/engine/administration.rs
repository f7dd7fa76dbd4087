//! Tenants and operators: separate, limited, and revoked at once; and the log that says so.

use crate::world::{World, caller, name, order};
use wardein_domain::{Method, Role, TenantId};
use wardein_engine::{AuditFilter, DeviceFilter, Error, ErrorCode, ErrorKind, Page, RotationScope};

const ALL: Page = Page { size: 1000, after: None };

#[tokio::test]
async fn an_operator_stands_until_it_is_revoked_or_expires() {
    let mut world = World::new().await;
    world.engine.authenticate(&world.station.principal).await.unwrap();
    let mut other_role = world.station.principal.clone();
    other_role.role = Role::TenantAdmin;
    assert_eq!(world.engine.authenticate(&other_role).await.unwrap_err().code.as_str(), "identity-unknown");

    let serial = world.station.principal.serial;
    for _ in 0..2 {
        world.engine.revoke_operator(&world.admin, serial, "stolen".parse().unwrap(), false).await.unwrap();
    }
    for _ in 0..2 {
        let refused = world.engine.authenticate(&world.station.principal).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Unauthenticated, "operator-revoked"));
        world.restart().await;
    }
    world.clock.pass(31 * 86_400);
    assert_eq!(
        world.engine.authenticate(&world.platform.principal).await.unwrap_err().code.as_str(),
        "operator-expired"
    );
}

#[tokio::test]
async fn a_name_is_taken_until_its_holder_is_revoked() {
    let world = World::new().await;
    let again = || order(Role::Station, Some("klinik"), "line-1");
    let refused = world.engine.issue_operator(&world.admin, again()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Exists, "operator-exists"));
    let serial = world.station.principal.serial;
    world.engine.revoke_operator(&world.admin, serial, "renewed".parse().unwrap(), false).await.unwrap();
    world.engine.issue_operator(&world.admin, again()).await.unwrap();
}

#[tokio::test]
async fn a_tenants_administrator_ends_at_its_tenant() {
    let world = World::new().await;
    world.engine.create_tenant(&world.admin, "other".parse().unwrap()).await.unwrap();
    let issued =
        world.engine.issue_operator(&world.admin, order(Role::TenantAdmin, Some("klinik"), "anna")).await;
    let anna = caller(issued.unwrap().1.principal);
    world.engine.issue_operator(&anna, order(Role::Station, Some("klinik"), "line-2")).await.unwrap();

    let [absent, foreign]: [TenantId; 2] = ["nowhere", "other"].map(|tenant| tenant.parse().unwrap());
    for tenant in [&absent, &foreign] {
        let refusals = [
            world
                .engine
                .issue_operator(&anna, order(Role::Station, Some(&tenant.to_string()), "x"))
                .await
                .err(),
            world.engine.list_operators(&anna, Some(tenant.clone()), ALL).await.err(),
            world.engine.list_profiles(&anna, tenant.clone()).await.err(),
            world.engine.list_devices(&anna, tenant.clone(), &DeviceFilter::default(), ALL).await.err(),
            world.engine.list_certificates(&anna, tenant.clone(), None, ALL).await.err(),
            world.engine.get_device(&anna, name(tenant.as_str(), "pump")).await.err(),
            world
                .engine
                .list_audit(
                    &anna,
                    AuditFilter { tenant: Some(tenant.clone()), ..AuditFilter::default() },
                    1,
                    10,
                )
                .await
                .err(),
            world.engine.key_status(&anna, tenant.clone(), None, None).await.err(),
            world
                .engine
                .rotate_keys(&anna, tenant.clone(), RotationScope::Tenant, false, "coup".parse().unwrap())
                .await
                .err(),
            world
                .engine
                .readmit_device(&anna, name(tenant.as_str(), "pump"), false, "coup".parse().unwrap())
                .await
                .err(),
        ];
        for refusal in refusals {
            let refusal = refusal.unwrap();
            // What is another's looks as if it were not there.
            assert_eq!((refusal.kind(), refusal.code.as_str()), (ErrorKind::NotFound, "tenant-unknown"));
        }
    }
    for role in [Role::Admin, Role::Auditor] {
        assert_eq!(
            world.engine.issue_operator(&anna, order(role, None, "x")).await.unwrap_err().kind(),
            ErrorKind::Denied
        );
    }
    let admin = world.admin.principal.serial;
    let refused =
        world.engine.revoke_operator(&anna, admin, "coup".parse().unwrap(), false).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let seen = world.engine.list_operators(&anna, None, ALL).await.unwrap().items;
    assert!(seen.iter().all(|operator| operator.principal.tenant.as_ref() == Some(&world.tenant())));
}

#[tokio::test]
async fn roles_take_what_fits_them() {
    let world = World::new().await;
    let mut cases = vec![
        (order(Role::Admin, Some("klinik"), "x"), "tenant"),
        (order(Role::Station, None, "x"), "tenant"),
        (order(Role::Helpdesk, None, "x"), "tenant"),
        (order(Role::Backup, Some("klinik"), "x"), "tenant"),
    ];
    for validity in [59, 366 * 86_400 + 1] {
        let order = order(Role::Platform, Some("klinik"), "x");
        cases.push((wardein_engine::OperatorOrder { validity, ..order }, "validity"));
    }
    let platform = order(Role::Platform, Some("klinik"), "x");
    cases.push((wardein_engine::OperatorOrder { quota: 1, ..platform }, "quota"));
    for (order, field) in cases {
        let refused = world.engine.issue_operator(&world.admin, order).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.message.starts_with(field), "{refused}");
    }
    let order =
        wardein_engine::OperatorOrder { csr: vec![1, 2, 3], ..order(Role::Platform, Some("klinik"), "x") };
    assert_eq!(
        world.engine.issue_operator(&world.admin, order).await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[tokio::test]
async fn the_log_tells_what_was_done_and_what_was_refused() {
    let world = World::new().await;
    world.device("pump-1").await;
    let refusal = Error::new(ErrorCode::RoleInsufficient, "a station does not ask");
    world.engine.record_refusal(&world.station, Method::Check, None, &refusal).await.unwrap();
    let (entries, next) =
        world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 1000).await.unwrap();
    assert_eq!(next, 0);
    let said: Vec<_> =
        entries.iter().map(|(_, entry)| (entry.event.as_str(), entry.outcome.code())).collect();
    assert_eq!(
        said,
        [
            ("authority.found", "ok"),
            ("tenant.create", "ok"),
            ("operator.issue", "ok"),
            ("operator.issue", "ok"),
            ("device.enroll", "ok"),
            ("device.confirm", "ok"),
            ("call.refuse", "role-insufficient"),
            ("audit.read", "ok"),
        ]
    );
    assert!(entries.iter().map(|(sequence, _)| *sequence).eq(1..=8), "no gaps");

    let (first, next) = world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 3).await.unwrap();
    assert_eq!((first.len(), next), (3, 4));
    let device = Some("pump-1".parse().unwrap());
    let tenant = Some(world.tenant());
    let (of_device, _) = world
        .engine
        .list_audit(&world.admin, AuditFilter { tenant, device, ..AuditFilter::default() }, 1, 10)
        .await
        .unwrap();
    assert_eq!(of_device.len(), 2);
}

#[tokio::test]
async fn pages_hold_what_was_asked_for_and_follow_each_other() {
    let world = World::new().await;
    for id in ["a", "b", "c"] {
        world.device(id).await;
    }
    let list = async |after| {
        let page = Page { size: 2, after };
        world.engine.list_devices(&world.admin, world.tenant(), &DeviceFilter::default(), page).await.unwrap()
    };
    let first = list(None).await;
    let second = list(first.next.clone()).await;
    let ids = |page: &wardein_engine::Paged<wardein_engine::Device>| -> Vec<String> {
        page.items.iter().map(|device| device.name.device.to_string()).collect()
    };
    assert_eq!((ids(&first), ids(&second)), (vec!["a".into(), "b".into()], vec!["c".into()]));
    assert_eq!(second.next, None);
    for size in [0, 1001] {
        let page = Page { size, after: None };
        assert_eq!(
            world.engine.list_tenants(&world.admin, page).await.unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
    let token = Page { size: 1, after: Some(b"other\0x".to_vec()) };
    let refused = world
        .engine
        .list_devices(&world.admin, world.tenant(), &DeviceFilter::default(), token)
        .await
        .unwrap_err();
    assert!(refused.message.starts_with("page_token"), "{refused}");
}

#[tokio::test]
async fn a_wrong_root_key_opens_nothing() {
    let world = World::new().await;
    let custody = wardein_testkit::MemoryCustody::of([8; 32]);
    assert!(crate::world::open_under(&world.store, &world.clock, &custody).await.is_err());
}

#[tokio::test]
async fn a_refused_call_is_found_by_the_device_that_it_named() {
    let world = World::new().await;
    let named = crate::world::name("klinik", "pump-9");
    let refusal = Error::new(ErrorCode::DeviceUnknown, "there is no such device");
    for caller in [&world.station, &world.admin] {
        world.engine.record_refusal(caller, Method::Check, Some(&named), &refusal).await.unwrap();
    }
    world.engine.record_refusal(&world.station, Method::Check, None, &refusal).await.unwrap();
    let (tenant, device) = (Some(world.tenant()), Some(named.device));
    let (found, _) = world
        .engine
        .list_audit(&world.admin, AuditFilter { tenant, device, ..AuditFilter::default() }, 1, 1000)
        .await
        .unwrap();
    let said: Vec<_> = found.iter().map(|(_, entry)| crate::world::facts(entry)).collect();
    assert_eq!(said, ["device=klinik/pump-9, message=there is no such device"; 2]);
    let (_, entry) = &found[0];
    assert_eq!(entry.target.to_string(), Method::Check.path());
    assert_eq!(entry.software, env!("CARGO_PKG_VERSION"));
}
