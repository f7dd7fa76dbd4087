//! Invitations: a token is good once, for whom it was made, and while who made it may have made it.

use crate::world::{CRASH_POINTS, World, caller, csr, facts, open, order};
use std::sync::Arc;
use wardein_crypto::{KeyAlgorithm, SecretBytes};
use wardein_domain::{Call, Event, Outcome, Role};
use wardein_engine::{
    CaKeySource, CaKeys, Caller, Engine, Error, ErrorCode, Invitation, InvitationOrder, Operator,
};
use wardein_pki::pem;
use wardein_port::{Store, Table};
use wardein_testkit::Elsewhere;

const DAY: u64 = 86_400;

fn platform(name: &str) -> InvitationOrder {
    let (role, tenant, name) = (Role::Platform, Some("klinik".parse().unwrap()), name.parse().unwrap());
    InvitationOrder { role, tenant, name, validity: 30 * DAY, quota: 0, lifetime: 3_600 }
}

async fn invite(world: &World, by: &Caller, name: &str) -> Invitation {
    world.engine.invite_operator(by, platform(name)).await.unwrap()
}

async fn redeem(engine: &Engine, token: &SecretBytes, csr: &[u8]) -> Result<(String, Operator), Error> {
    engine.redeem_invitation(&Call::new("redeemed"), token.expose(), csr).await
}

/// The one answer for every token that is not good.
async fn is_invalid(engine: &Engine, token: &SecretBytes, csr: &[u8]) -> bool {
    let refused = redeem(engine, token, csr).await.unwrap_err();
    let unknown = engine.redeem_invitation(&Call::new("x"), &[7; 40], csr).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::InvitationInvalid);
    refused == unknown
}

fn changed(token: &SecretBytes, at: usize) -> SecretBytes {
    let mut bytes = token.expose().to_vec();
    bytes[at] ^= 1;
    SecretBytes::from_vec(bytes)
}

async fn sweep(world: &World) {
    let mut sweep = world.engine.begin_sweep(None, None).await.unwrap();
    while !world.engine.sweep_some(&mut sweep, 100).await.unwrap().is_done {}
}

#[tokio::test]
async fn a_token_makes_the_operator_that_it_was_made_for_once() {
    let world = World::new().await;
    let invitation = invite(&world, &world.admin, "billing").await;
    let (first, request) = (csr(), csr());
    let (certificate, operator) = redeem(&world.engine, &invitation.token, &first).await.unwrap();
    assert_eq!(operator.principal.to_string(), "platform/klinik/billing");
    assert_eq!(operator.not_after, world.engine.now() + 30 * DAY);
    assert_eq!(operator.issued_by.as_ref().unwrap().serial, world.admin.principal.serial);
    world.engine.authenticate(&operator.principal).await.unwrap();

    // With the same key, it is the one that did not hear the answer.
    let again = redeem(&world.engine, &invitation.token, &first).await.unwrap();
    assert_eq!(again, (certificate, operator.clone()));
    // Somebody else is on record, once.
    for _ in 0..3 {
        assert!(is_invalid(&world.engine, &invitation.token, &request).await);
    }
    let entries = world.entries(Event::InvitationRedeemed).await;
    let refused: Vec<_> = entries.iter().filter(|entry| entry.outcome != Outcome::Done).collect();
    assert_eq!((entries.len(), refused.len()), (2, 1));
    let id = wardein_crypto::hex::encode(&invitation.id);
    assert_eq!(facts(refused[0]), format!("invitation={id}, operator=platform/klinik/billing"));
    assert_eq!(refused[0].outcome, Outcome::refused(ErrorCode::InvitationInvalid));
    let done = facts(&entries[0]);
    assert!(
        done.starts_with("operator=platform/klinik/billing, ") && done.ends_with(&format!("invitation={id}")),
        "{done}"
    );
    assert_eq!(
        (entries[0].actor.to_string(), entries[0].request_id.as_str()),
        ("admin/admin".into(), "redeemed")
    );
    let invited = &world.entries(Event::OperatorInvited).await[0];
    let expires = invitation.expires_at;
    assert_eq!(
        facts(invited),
        format!("invitation={id}, operator=platform/klinik/billing, expires={expires}, quota=0")
    );
    assert_eq!(invited.tenant, Some(world.tenant()));
}

#[tokio::test]
async fn what_is_stored_is_no_token() {
    let world = World::new().await;
    let Invitation { token, .. } = invite(&world, &world.admin, "billing").await;
    let secret = &token.expose()[8..];
    for (_, row) in world.rows().await {
        assert!(!row.value.windows(secret.len()).any(|part| part == secret));
    }
    let other = invite(&world, &world.admin, "billing-2").await.token;
    assert_ne!(other.expose()[8..], *secret);
}

#[tokio::test]
async fn every_token_that_is_not_good_has_one_answer_and_changes_nothing() {
    let mut world = World::new().await;
    let token = invite(&world, &world.admin, "billing").await.token;
    let before = world.rows().await;
    let engine = &world.engine;
    // Each byte counts, of the id and of the secret.
    for at in [0, 7, 8, 39] {
        assert!(is_invalid(engine, &changed(&token, at), &csr()).await, "byte {at}");
    }
    for length in [0, 8, 39, 41] {
        let bytes = [token.expose(), &[0]].concat();
        assert!(
            is_invalid(engine, &SecretBytes::from_vec(bytes[..length].to_vec()), &csr()).await,
            "{length}"
        );
    }
    // Without a token nobody has anything parsed; with one, the refusal says what is wrong, and nothing is used up.
    assert!(is_invalid(engine, &changed(&token, 8), b"no request").await);
    let refused = redeem(engine, &token, b"no request").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::CsrMalformed);
    assert!(world.rows().await == before);

    // Over.
    world.clock.pass(3_601);
    assert!(is_invalid(engine, &token, &csr()).await);
    // Not begun, by a clock that was set back.
    let ahead = invite(&world, &world.admin, "ahead").await.token;
    world.clock.set(crate::world::START + 1_800);
    world.accept_clock().await.unwrap();
    assert!(is_invalid(&world.engine, &ahead, &csr()).await);
    // Taken back; twice is fine.
    let taken = invite(&world, &world.admin, "taken").await;
    for _ in 0..2 {
        let reason = "lost".parse().unwrap();
        world.engine.revoke_invitation(&world.admin, taken.id, reason).await.unwrap();
    }
    assert!(is_invalid(&world.engine, &taken.token, &csr()).await);
    assert_eq!(world.entries(Event::InvitationRevoked).await.len(), 1);
    // After a restart all is the same.
    world.restart().await;
    assert!(is_invalid(&world.engine, &taken.token, &csr()).await);
    assert_eq!(world.entries(Event::InvitationRedeemed).await.len(), 0);
}

#[tokio::test]
async fn an_invitation_is_worth_no_more_than_who_made_it() {
    let world = World::new().await;
    let issue = async |days: u64, name: &str| {
        let order = wardein_engine::OperatorOrder {
            validity: days * DAY,
            ..order(Role::TenantAdmin, Some("klinik"), name)
        };
        caller(world.engine.issue_operator(&world.admin, order).await.unwrap().1.principal)
    };
    let (anna, bob) = (issue(10, "anna").await, issue(10, "bob").await);
    let token = invite(&world, &anna, "billing").await.token;
    // It ends with who invited.
    let (_, operator) = redeem(&world.engine, &token, &csr()).await.unwrap();
    assert_eq!(operator.not_after, world.engine.now() + 10 * DAY);
    // Who was revoked, or is over, invites nobody any more.
    let token = invite(&world, &bob, "scada").await.token;
    let reason = "left".parse().unwrap();
    world.engine.revoke_operator(&world.admin, bob.principal.serial, reason, false).await.unwrap();
    assert!(is_invalid(&world.engine, &token, &csr()).await);
    let long = InvitationOrder { lifetime: 7 * DAY, ..platform("late") };
    world.clock.pass(9 * DAY);
    let token = world.engine.invite_operator(&anna, long).await.unwrap().token;
    world.clock.pass(2 * DAY);
    assert!(is_invalid(&world.engine, &token, &csr()).await);
}

/// A revocation that comes at the same time, from another node, is not overtaken.
#[tokio::test]
async fn an_inviter_that_is_revoked_meanwhile_certifies_nobody() {
    let world = World::new().await;
    let anna = order(Role::TenantAdmin, Some("klinik"), "anna");
    let anna = caller(world.engine.issue_operator(&world.admin, anna).await.unwrap().1.principal);
    let token = invite(&world, &anna, "billing").await.token;
    let other = open(&world.store, &world.clock).await;
    let request = csr();
    world.store.hold();
    let (revoked, redeemed, ()) = tokio::join!(
        world.engine.revoke_operator(&world.admin, anna.principal.serial, "left".parse().unwrap(), false),
        redeem(&other, &token, &request),
        async { world.store.release() },
    );
    assert_eq!(revoked, Ok(1));
    assert_eq!(redeemed.unwrap_err().code, ErrorCode::InvitationInvalid);
}

#[tokio::test]
async fn who_may_not_issue_may_not_invite() {
    let world = World::new().await;
    let anna = order(Role::TenantAdmin, Some("klinik"), "anna");
    let anna = caller(world.engine.issue_operator(&world.admin, anna).await.unwrap().1.principal);
    let refused =
        async |by: &Caller, order| world.engine.invite_operator(by, order).await.err().unwrap().code;
    let admin = InvitationOrder { role: Role::Admin, tenant: None, ..platform("boss") };
    assert_eq!(refused(&anna, admin.clone()).await, ErrorCode::RoleInsufficient);
    world.engine.create_tenant(&world.admin, "other".parse().unwrap()).await.unwrap();
    let foreign = InvitationOrder { tenant: Some("other".parse().unwrap()), ..platform("spy") };
    assert_eq!(refused(&anna, foreign.clone()).await, ErrorCode::TenantUnknown);
    assert_eq!(refused(&world.admin, platform("iot")).await, ErrorCode::OperatorExists);
    for wrong in [
        InvitationOrder { lifetime: 59, ..platform("x") },
        InvitationOrder { lifetime: 7 * DAY + 1, ..platform("x") },
        InvitationOrder { validity: 59, ..platform("x") },
        InvitationOrder { validity: 367 * DAY, ..platform("x") },
        InvitationOrder { quota: 1, ..platform("x") },
    ] {
        assert_eq!(refused(&world.admin, wrong).await, ErrorCode::Malformed);
    }
    world.engine.invite_operator(&world.admin, admin).await.unwrap();

    // Nor take back another tenant's, or what was redeemed.
    let foreign = world.engine.invite_operator(&world.admin, foreign).await.unwrap();
    let revoke = async |by: &Caller, id| {
        world.engine.revoke_invitation(by, id, "lost".parse().unwrap()).await.err().map(|error| error.code)
    };
    assert_eq!(revoke(&anna, foreign.id).await, Some(ErrorCode::InvitationUnknown));
    assert_eq!(revoke(&anna, [7; 8]).await, Some(ErrorCode::InvitationUnknown));
    let used = invite(&world, &anna, "billing").await;
    redeem(&world.engine, &used.token, &csr()).await.unwrap();
    assert_eq!(revoke(&anna, used.id).await, Some(ErrorCode::InvitationRedeemed));
    assert_eq!(revoke(&world.admin, foreign.id).await, None);
}

/// Two that come at once, at one node or at two: one is certified, and one name is one operator.
#[tokio::test]
async fn of_two_that_come_at_once_one_is_certified() {
    for is_elsewhere in [false, true] {
        let world = World::new().await;
        let other = open(&world.store, &world.clock).await;
        let there = if is_elsewhere { &other } else { &world.engine };
        let token = invite(&world, &world.admin, "billing").await.token;
        let (one, two) = (csr(), csr());
        world.store.hold();
        let (one, two, ()) =
            tokio::join!(redeem(&world.engine, &token, &one), redeem(there, &token, &two), async {
                world.store.release()
            },);
        assert_ne!(one.is_ok(), two.is_ok());
        assert_eq!(one.err().or(two.err()).unwrap().code, ErrorCode::InvitationInvalid);
        // Two invitations for one name are good for one of them.
        let (one, two) =
            (invite(&world, &world.admin, "twin").await, invite(&world, &world.admin, "twin").await);
        redeem(&world.engine, &one.token, &csr()).await.unwrap();
        let refused = redeem(&world.engine, &two.token, &csr()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::OperatorExists);
    }
}

/// Whenever it dies, the same key gets the certificate, one operator is on record, and nobody else gets anything.
#[tokio::test]
async fn a_crash_loses_no_token_and_certifies_nobody_twice() {
    for point in CRASH_POINTS {
        let mut world = World::new().await;
        let token = invite(&world, &world.admin, "billing").await.token;
        let request = csr();
        world.store.crash_at(0, point);
        assert!(redeem(&world.engine, &token, &request).await.is_err());
        world.restart().await;
        let (_, operator) = redeem(&world.engine, &token, &request).await.unwrap();
        world.engine.authenticate(&operator.principal).await.unwrap();
        assert!(is_invalid(&world.engine, &token, &csr()).await, "{point:?}");
        let issued = world.store.scan(Table::Operator, b"", None, 100).await.unwrap().len();
        assert_eq!(issued, 4, "with administrator, station and platform");
    }
}

#[tokio::test]
async fn where_the_ca_is_elsewhere_the_answer_is_heard_again_too() {
    let signer = Elsewhere::new(KeyAlgorithm::P256);
    let source = || CaKeySource::Elsewhere(signer.clone());
    let keys = CaKeys { issuing: source(), infrastructure: source(), ..CaKeys::default() };
    let world = World::founded(keys, vec![signer.clone() as Arc<_>]).await;
    let token = invite(&world, &world.admin, "billing").await.token;
    let request = csr();
    let (certificate, operator) = redeem(&world.engine, &token, &request).await.unwrap();
    assert_eq!(pem::decode_certificates(&certificate).unwrap().len(), 2);
    let signed = signer.given().len();
    assert_eq!(redeem(&world.engine, &token, &request).await.unwrap(), (certificate, operator));
    assert_eq!(signer.given().len(), signed, "nothing is signed twice");
}

#[tokio::test]
async fn what_is_over_is_forgotten_a_day_later() {
    let world = World::new().await;
    let used = invite(&world, &world.admin, "billing").await.token;
    let request = csr();
    redeem(&world.engine, &used, &request).await.unwrap();
    invite(&world, &world.admin, "never").await;
    let left = async || world.store.scan(Table::Invitation, b"", None, 100).await.unwrap().len();
    world.clock.pass(3_600 + DAY);
    // Its clock is believed.
    world.engine.look_at_clock().await.unwrap();
    sweep(&world).await;
    assert_eq!(left().await, 2);
    redeem(&world.engine, &used, &request).await.unwrap();
    world.clock.pass(1);
    sweep(&world).await;
    assert_eq!(left().await, 0);
    assert!(is_invalid(&world.engine, &used, &request).await);
}

/// It may have been redeemed after the backup.
#[tokio::test]
async fn a_token_of_before_a_restore_is_good_no_more() {
    let (world, custody) = World::with_custody().await;
    let token = invite(&world, &world.admin, "billing").await.token;
    let backup = world.backup().await;
    redeem(&world.engine, &token, &csr()).await.unwrap();
    world.clock.pass(60);
    let after = world.restored(&backup, &custody).await;
    assert!(is_invalid(&after.engine, &token, &csr()).await);
    assert_eq!(after.engine.list_invitations(&after.admin, Some(after.tenant())).await.unwrap(), []);
    let made_since = invite(&after, &after.admin, "billing").await.token;
    redeem(&after.engine, &made_since, &csr()).await.unwrap();
}

#[tokio::test]
async fn what_is_open_is_listed_until_it_ends() {
    let mut world = World::new().await;
    let admin = &world.admin;
    let listed = async |world: &World, by: &Caller, tenant: Option<&str>| {
        let tenant = tenant.map(|tenant| tenant.parse().unwrap());
        let open = world.engine.list_invitations(by, tenant).await;
        open.map(|open| open.into_iter().map(|one| one.name.to_string()).collect::<Vec<_>>())
    };
    let none = Vec::<String>::new();
    assert_eq!(listed(&world, admin, Some("klinik")).await.unwrap(), none);
    let used = invite(&world, admin, "used").await;
    let taken = invite(&world, admin, "taken").await;
    let open = invite(&world, admin, "open").await;
    let of_all = InvitationOrder { role: Role::Auditor, tenant: None, ..platform("of-all") };
    world.engine.invite_operator(admin, of_all).await.unwrap();
    assert_eq!(listed(&world, admin, Some("klinik")).await.unwrap(), ["used", "taken", "open"]);
    assert_eq!(listed(&world, admin, None).await.unwrap(), ["of-all"]);

    redeem(&world.engine, &used.token, &csr()).await.unwrap();
    world.engine.revoke_invitation(admin, taken.id, "lost".parse().unwrap()).await.unwrap();
    assert_eq!(listed(&world, admin, Some("klinik")).await.unwrap(), ["open"]);
    let all = world.engine.list_invitations(admin, Some(world.tenant())).await.unwrap();
    let (one, now) = (&all[0], world.engine.now());
    assert_eq!((one.id, one.role, one.quota, one.validity), (open.id, Role::Platform, 0, 30 * DAY));
    assert_eq!((one.made_at, one.expires_at), (now, open.expires_at));
    assert_eq!((one.by.serial, one.by.name.as_str()), (admin.principal.serial, "admin/admin"));

    // A tenant's administrator sees those of its tenant alone, and no others.
    let own = order(Role::TenantAdmin, Some("klinik"), "anna");
    let own = caller(world.engine.issue_operator(admin, own).await.unwrap().1.principal);
    assert_eq!(listed(&world, &own, None).await.unwrap(), ["open"]);
    world.engine.create_tenant(admin, "praxis".parse().unwrap()).await.unwrap();
    let foreign = order(Role::TenantAdmin, Some("praxis"), "berta");
    let foreign = caller(world.engine.issue_operator(admin, foreign).await.unwrap().1.principal);
    assert_eq!(listed(&world, &foreign, None).await.unwrap(), none);
    let refused = listed(&world, &foreign, Some("klinik")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TenantUnknown);

    world.restart().await;
    world.clock.pass(3_600);
    assert_eq!(listed(&world, &own, None).await.unwrap(), ["open"]);
    world.clock.pass(1);
    assert_eq!(listed(&world, &own, None).await.unwrap(), none);
}

#[tokio::test]
async fn a_tenant_has_so_many_open_invitations_and_those_that_ended_do_not_count() {
    const MOST: usize = 100;
    let world = World::new().await;
    let admin = &world.admin;
    let another = async |name: String| world.engine.invite_operator(admin, platform(&name)).await;
    let mut made = Vec::new();
    for number in 0..MOST {
        made.push(another(format!("iot-{number}")).await.unwrap());
    }
    let full = async |name: &str| {
        let refused = another(name.to_owned()).await.err().unwrap();
        assert_eq!(refused.code, ErrorCode::InvitationQuota);
    };
    full("more").await;
    // The bound is the tenant's own.
    let of_all = InvitationOrder { role: Role::Auditor, tenant: None, ..platform("of-all") };
    world.engine.invite_operator(admin, of_all).await.unwrap();
    // One that is taken back, or redeemed, leaves its place.
    world.engine.revoke_invitation(admin, made[0].id, "lost".parse().unwrap()).await.unwrap();
    another("one".to_owned()).await.unwrap();
    full("more").await;
    redeem(&world.engine, &made[1].token, &csr()).await.unwrap();
    another("two".to_owned()).await.unwrap();
    full("more").await;
    // So does one that is over.
    world.clock.pass(3_601);
    another("more".to_owned()).await.unwrap();
    let open = world.engine.list_invitations(admin, Some(world.tenant())).await.unwrap();
    assert_eq!(open.len(), 1);
}

/// Of two at a time for the last place, one gets it.
#[tokio::test]
async fn the_last_place_of_an_invitation_is_given_once() {
    let world = World::new().await;
    for number in 0..99 {
        invite(&world, &world.admin, &format!("iot-{number}")).await;
    }
    let other = open(&world.store, &world.clock).await;
    world.store.hold();
    let (one, two, ()) = tokio::join!(
        world.engine.invite_operator(&world.admin, platform("one")),
        other.invite_operator(&world.admin, platform("two")),
        async { world.store.release() },
    );
    let refused: Vec<_> = [one.err(), two.err()].into_iter().flatten().map(|error| error.code).collect();
    assert_eq!(refused, [ErrorCode::InvitationQuota]);
}
