//! Grants: added, listed, taken back; and who has them.

use crate::world::{World, caller, facts, grant, order};
use wardein_domain::{Event, LoginNames, ProfileFields, Reason, Right, Role};
use wardein_engine::ProfilePut;
use wardein_engine::{ErrorKind, GrantOrder, Page};

fn reason() -> Reason {
    "moved".parse().unwrap()
}

const ALL: Page = Page { size: 1000, after: None };

#[tokio::test]
async fn a_grant_is_on_record_until_it_is_taken_back() {
    let mut world = World::new().await;
    let engine = &world.engine;
    let named = LoginNames { user_name: "pump-{device}".parse().ok(), ..LoginNames::default() };
    let grouped = LoginNames {
        organization: "{tenant}".parse().ok(),
        groups: vec!["pumps".parse().unwrap(), "{profile}".parse().unwrap()],
        ..named.clone()
    };
    for names in [LoginNames::default(), named.clone(), named, grouped.clone()] {
        let granted = engine.add_grant(&world.admin, grant(Right::Token, None), names.clone()).await.unwrap();
        assert_eq!((granted.names, granted.granted_by.as_str()), (names, "admin/admin"));
    }
    let added: Vec<_> = world.entries(Event::GrantAdded).await.iter().map(facts).collect();
    let expected = [
        "right=token, profile=all, user-name=none",
        "right=token, profile=all, user-name: none → pump-{device}",
        "right=token, profile=all, organization: none → {tenant}, groups: none → pumps,{profile}",
    ];
    assert_eq!(added, expected, "the very same again changes nothing");
    world.grant(Right::Data).await;
    world.restart().await;
    let engine = &world.engine;
    let listed = engine.list_grants(&world.admin, world.tenant(), ALL).await.unwrap().items;
    let listed: Vec<_> = listed.into_iter().map(|grant| (grant.order.right, grant.names)).collect();
    assert_eq!(listed, [(Right::Data, LoginNames::default()), (Right::Token, grouped)]);

    engine.remove_grant(&world.admin, grant(Right::Token, None), reason()).await.unwrap();
    let again = engine.remove_grant(&world.admin, grant(Right::Token, None), reason()).await.unwrap_err();
    assert_eq!((again.kind(), again.code.as_str()), (ErrorKind::NotFound, "grant-unknown"));
    assert_eq!(engine.list_grants(&world.admin, world.tenant(), ALL).await.unwrap().items.len(), 1);
    let removed = world.entries(Event::GrantRemoved).await;
    assert_eq!((removed.len(), removed[0].target.to_string()), (1, "platform/klinik/iot".to_owned()));
    assert_eq!(facts(&removed[0]), "right=token, profile=all, reason=moved");
}

#[tokio::test]
async fn what_cannot_be_granted_is_refused_by_name() {
    let world = World::new().await;
    let before = world.rows().await;
    let unheard = GrantOrder { platform: "unheard".parse().unwrap(), ..grant(Right::Token, None) };
    let station = GrantOrder { platform: "line-1".parse().unwrap(), ..grant(Right::Token, None) };
    let foreign = GrantOrder { tenant: "nowhere".parse().unwrap(), ..grant(Right::Token, None) };
    let (none, one) = (LoginNames::default, || "{device}".parse().ok());
    for (order, names, code) in [
        (unheard, none(), "operator-unknown"),
        (station, none(), "operator-unknown"),
        (foreign.clone(), none(), "tenant-unknown"),
        (grant(Right::Token, Some("unheard")), none(), "profile-unknown"),
        (grant(Right::Data, None), LoginNames { user_name: one(), ..none() }, "malformed"),
        (grant(Right::Data, None), LoginNames { organization: one(), ..none() }, "malformed"),
        (grant(Right::Data, None), LoginNames { groups: vec!["g".parse().unwrap()], ..none() }, "malformed"),
    ] {
        let refused = world.engine.add_grant(&world.admin, order, names).await.unwrap_err();
        assert_eq!(refused.code.as_str(), code, "{refused}");
    }
    assert_eq!(
        world.engine.list_grants(&world.admin, foreign.tenant.clone(), ALL).await.unwrap_err().code.as_str(),
        "tenant-unknown"
    );
    let refused = world.engine.remove_grant(&world.admin, foreign, reason()).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "tenant-unknown");
    assert!(world.rows().await == before);
}

#[tokio::test]
async fn a_tenants_administrator_grants_within_its_tenant() {
    let world = World::new().await;
    world.engine.create_tenant(&world.admin, "other".parse().unwrap()).await.unwrap();
    let issued =
        world.engine.issue_operator(&world.admin, order(Role::TenantAdmin, Some("other"), "anna")).await;
    let anna = caller(issued.unwrap().1.principal);
    let refused = [
        world.engine.add_grant(&anna, grant(Right::Token, None), LoginNames::default()).await.err(),
        world.engine.list_grants(&anna, world.tenant(), ALL).await.err(),
        world.engine.remove_grant(&anna, grant(Right::Token, None), reason()).await.err(),
    ];
    for refused in refused {
        assert_eq!(refused.unwrap().code.as_str(), "tenant-unknown");
    }
}

#[tokio::test]
async fn pages_follow_each_other() {
    let world = World::new().await;
    let profile = "pumps".parse().unwrap();
    world
        .engine
        .put_profile(&world.admin, world.tenant(), profile, ProfilePut::whole(ProfileFields::default()))
        .await
        .unwrap();
    for right in Right::ALL {
        world.grant(right).await;
        world
            .engine
            .add_grant(&world.admin, grant(right, Some("pumps")), LoginNames::default())
            .await
            .unwrap();
    }
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = Page { size: 3, after };
        let page = world.engine.list_grants(&world.admin, world.tenant(), page).await.unwrap();
        all.extend(page.items.into_iter().map(|grant| (grant.order.right.as_str(), grant.order.profile)));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(all.len(), 8);
    assert!(all.is_sorted());
}
