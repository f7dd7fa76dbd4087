//! Bearer tokens: an identity's, no longer and for no more than it.

use crate::world::{World, caller, facts, order};
use wardein_crypto::hex;
use wardein_domain::{Event, Principal, Role};
use wardein_engine::{Caller, Error, ErrorCode, MadeBearerToken, Page};

const DAY: u64 = 86_400;

async fn issued(world: &World, role: Role, name: &str) -> Principal {
    world.engine.issue_operator(&world.admin, order(role, Some("klinik"), name)).await.unwrap().1.principal
}

async fn make(world: &World, by: &Caller, of: &Principal) -> Result<MadeBearerToken, Error> {
    world.engine.create_bearer_token(by, of.serial, DAY).await
}

/// The one answer for every token that is not good.
async fn is_invalid(world: &World, token: &[u8]) -> bool {
    let refused = world.engine.bearer(token).await.unwrap_err();
    let unknown = world.engine.bearer(&[7; 40]).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::BearerTokenInvalid);
    refused == unknown
}

async fn listed(world: &World, by: &Caller) -> Vec<String> {
    let page = Page { size: 100, after: None };
    let found = world.engine.list_bearer_tokens(by, None, page).await.unwrap();
    found.items.iter().map(|token| hex::encode(&token.id)).collect()
}

#[tokio::test]
async fn a_token_is_its_identitys_until_it_is_over() {
    let mut world = World::new().await;
    let iot = issued(&world, Role::Platform, "broker").await;
    let before = world.engine.now();
    let made = make(&world, &world.admin, &iot).await.unwrap();
    assert_eq!(made.on_record.expires_at, before + DAY);
    assert_eq!(
        (made.on_record.serial, made.on_record.operator.as_str()),
        (iot.serial, "platform/klinik/broker")
    );
    let token = made.token.expose();
    assert_eq!(world.engine.bearer(token).await.unwrap(), (iot.clone(), made.on_record.id));
    // Each byte counts, of the id and of the secret, and so does the length.
    for at in [0, 7, 8, 39] {
        let mut changed = token.to_vec();
        changed[at] ^= 1;
        assert!(is_invalid(&world, &changed).await, "byte {at}");
    }
    for length in [0, 8, 39, 41] {
        assert!(is_invalid(&world, &[token, &[0]].concat()[..length]).await, "{length}");
    }
    for (_, row) in world.rows().await {
        assert!(!row.value.windows(32).any(|part| part == &token[8..]), "the secret is stored");
    }
    let entry = &world.entries(Event::BearerTokenCreated).await[0];
    let (id, expires) = (hex::encode(&made.on_record.id), made.on_record.expires_at);
    assert_eq!(
        facts(entry),
        format!("operator=platform/klinik/broker, bearer-token={id}, expires={expires}")
    );
    assert_eq!(entry.tenant, Some(world.tenant()));

    world.restart().await;
    assert_eq!(world.engine.bearer(token).await.unwrap().0, iot);
    world.clock.pass(DAY);
    assert_eq!(world.engine.bearer(token).await.unwrap().0, iot);
    assert_eq!(listed(&world, &world.admin).await, [id]);
    world.clock.pass(1);
    assert!(is_invalid(&world, token).await);
    assert!(listed(&world, &world.admin).await.is_empty());
}

#[tokio::test]
async fn a_token_ends_with_its_identity() {
    let world = World::new().await;
    let iot = issued(&world, Role::Platform, "broker").await;
    // As long as the certificate at most.
    let made = world.engine.create_bearer_token(&world.admin, iot.serial, 366 * DAY).await.unwrap();
    let page = Page { size: 100, after: None };
    let operators =
        world.engine.list_operators(&world.admin, Some(world.tenant()), page).await.unwrap().items;
    let of_it = operators.iter().find(|operator| operator.principal == iot).unwrap();
    assert_eq!(made.on_record.expires_at, of_it.not_after);

    world.engine.revoke_operator(&world.admin, iot.serial, "lost".parse().unwrap(), false).await.unwrap();
    let (principal, _) = world.engine.bearer(made.token.expose()).await.unwrap();
    let refused = world.engine.authenticate(&principal).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::OperatorRevoked);
    assert!(listed(&world, &world.admin).await.is_empty());
    assert_eq!(make(&world, &world.admin, &iot).await.err().unwrap().code, ErrorCode::Malformed);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_good_no_more_and_others_are() {
    let mut world = World::new().await;
    let iot = issued(&world, Role::Platform, "broker").await;
    let (one, two) =
        (make(&world, &world.admin, &iot).await.unwrap(), make(&world, &world.admin, &iot).await.unwrap());
    let revoke = async |world: &World, by: &Caller, id| {
        world.engine.revoke_bearer_token(by, iot.serial, id, "leaked".parse().unwrap()).await
    };
    revoke(&world, &world.admin, one.on_record.id).await.unwrap();
    assert!(is_invalid(&world, one.token.expose()).await);
    world.restart().await;
    assert!(is_invalid(&world, one.token.expose()).await);
    world.engine.bearer(two.token.expose()).await.unwrap();
    let again = revoke(&world, &world.admin, one.on_record.id).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::BearerTokenUnknown);
    let entry = &world.entries(Event::BearerTokenRevoked).await[0];
    let id = hex::encode(&one.on_record.id);
    assert_eq!(facts(entry), format!("operator=platform/klinik/broker, bearer-token={id}, reason=leaked"));
}

#[tokio::test]
async fn only_platforms_have_tokens_and_so_many() {
    let world = World::new().await;
    let iot = issued(&world, Role::Platform, "broker").await;
    for role in [Role::TenantAdmin, Role::Auditor] {
        let other = issued(&world, role, "other").await;
        let refused = make(&world, &world.admin, &other).await.err().unwrap();
        assert_eq!((refused.code, refused.message.contains("not a platform")), (ErrorCode::Malformed, true));
    }
    let refused = make(&world, &world.admin, &world.admin.principal).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::Malformed);
    for lifetime in [0, 59, 366 * DAY + 1, u64::MAX] {
        let refused =
            world.engine.create_bearer_token(&world.admin, iot.serial, lifetime).await.err().unwrap();
        assert_eq!(refused.code, ErrorCode::Malformed, "{lifetime}");
    }
    for _ in 0..8 {
        make(&world, &world.admin, &iot).await.unwrap();
    }
    assert_eq!(make(&world, &world.admin, &iot).await.err().unwrap().code, ErrorCode::BearerTokenQuota);
    world.clock.pass(DAY + 1);
    make(&world, &world.admin, &iot).await.expect("those that are over do not count");
    assert_eq!(listed(&world, &world.admin).await.len(), 1);
}

#[tokio::test]
async fn a_tenants_administrator_sees_its_own() {
    let world = World::new().await;
    world.engine.create_tenant(&world.admin, "labor".parse().unwrap()).await.unwrap();
    let other =
        world.engine.issue_operator(&world.admin, order(Role::TenantAdmin, Some("labor"), "bea")).await;
    let (own, other) =
        (caller(issued(&world, Role::TenantAdmin, "anna").await), caller(other.unwrap().1.principal));
    let iot = issued(&world, Role::Platform, "broker").await;
    let made = make(&world, &own, &iot).await.unwrap();
    assert_eq!(made.on_record.by.name, "tenant-admin/klinik/anna");
    assert_eq!(make(&world, &other, &iot).await.err().unwrap().code, ErrorCode::OperatorUnknown);
    let id = made.on_record.id;
    let refused =
        world.engine.revoke_bearer_token(&other, iot.serial, id, "x".parse().unwrap()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::OperatorUnknown);
    assert_eq!((listed(&world, &own).await.len(), listed(&world, &other).await.len()), (1, 0));
    let page = Page { size: 100, after: None };
    let refused = world.engine.list_bearer_tokens(&other, Some(world.tenant()), page).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TenantUnknown);
    world.engine.bearer(made.token.expose()).await.unwrap();
}

/// A stolen identity that is revoked with all that it made leaves no token behind.
#[tokio::test]
async fn tokens_go_with_who_made_them_where_that_is_asked_for() {
    let world = World::new().await;
    let own = caller(issued(&world, Role::TenantAdmin, "anna").await);
    let iot = issued(&world, Role::Platform, "broker").await;
    let (hers, ours) =
        (make(&world, &own, &iot).await.unwrap(), make(&world, &world.admin, &iot).await.unwrap());
    let revoke = async |with_issued| {
        let reason = "stolen".parse().unwrap();
        world.engine.revoke_operator(&world.admin, own.principal.serial, reason, with_issued).await.unwrap()
    };
    assert_eq!(revoke(false).await, 1);
    world.engine.bearer(hers.token.expose()).await.unwrap();
    assert_eq!(revoke(true).await, 0, "revoked before");
    assert!(is_invalid(&world, hers.token.expose()).await);
    world.engine.bearer(ours.token.expose()).await.unwrap();
}

/// It may have been revoked after the backup.
#[tokio::test]
async fn a_token_of_before_a_restore_is_good_no_more() {
    let (world, custody) = World::with_custody().await;
    let iot = issued(&world, Role::Platform, "broker").await;
    let made = make(&world, &world.admin, &iot).await.unwrap();
    let backup = world.backup().await;
    world.clock.pass(60);
    let after = world.restored(&backup, &custody).await;
    assert!(is_invalid(&after, made.token.expose()).await);
    assert!(listed(&after, &after.admin).await.is_empty());
    let since = make(&after, &after.admin, &iot).await.unwrap();
    assert_eq!(after.engine.bearer(since.token.expose()).await.unwrap().0, iot);
}
