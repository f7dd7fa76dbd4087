//! Two-person approval: bound to what was proposed, by another person, in time, and good once.

use crate::offers::numbered;
use crate::updates;
use crate::world::{World, caller, facts, order};
use std::collections::BTreeSet;
use wardein_domain::{
    ApprovalPolicy, DeviceState, Event, GuardedDeed, Role, Seconds, TrustCondition, TrustLimit, TrustPolicy,
    TrustRule,
};
use wardein_engine::{
    Caller, Detail, Engine, Error, ErrorCode, InvitationOrder, KeyPolicy, OperatorOrder, Page, PcrPolicy,
    Proposal, ProposalId, ProposalState, ReleaseDeed, ReleaseOrder, ReleaseState, Rollout, UpdateKeys,
};
use wardein_port::{Store, Table};

const HOUR: u64 = 3_600;
const PAGE: Page = Page { size: 100, after: None };

async fn issue(world: &World, by: &Caller, role: Role, tenant: Option<&str>, name: &str) -> Caller {
    let (_, operator) = world.engine.issue_operator(by, order(role, tenant, name)).await.unwrap();
    caller(operator.principal)
}

fn policy(deeds: &[GuardedDeed]) -> ApprovalPolicy {
    ApprovalPolicy::new(deeds.iter().copied(), ApprovalPolicy::LIFETIME).unwrap()
}

/// Two administrators, and a policy of the authority.
async fn guarded(deeds: &[GuardedDeed]) -> (World, Caller, Caller) {
    let world = World::new().await;
    let berta = issue(&world, &world.admin, Role::Admin, None, "berta").await;
    world.engine.put_approval_policy(&world.admin, None, policy(deeds), None).await.unwrap();
    // An operator of the same second counts as one that was issued since.
    world.clock.pass(1);
    let admin = world.admin.clone();
    (world, admin, berta)
}

async fn set(engine: &Engine, by: &Caller, id: &str, state: DeviceState, why: &str) -> Result<(), Error> {
    let name = crate::world::name("klinik", id);
    engine.set_device_state(by, name, state, why.parse().unwrap()).await.map(|_| ())
}

async fn revoke(world: &World, by: &Caller) -> Result<(), Error> {
    set(&world.engine, by, "pump", DeviceState::Revoked, "stolen").await
}

fn proposed(refused: Result<impl Sized, Error>) -> ProposalId {
    let Err(error) = refused else { panic!("it was done") };
    assert_eq!(error.code, ErrorCode::ApprovalRequired, "{error}");
    let Some(Detail::Proposal(id)) = error.detail else { panic!("{error}") };
    id
}

fn code<T>(refused: Result<T, Error>) -> ErrorCode {
    match refused {
        Ok(_) => panic!("it was done"),
        Err(error) => error.code,
    }
}

async fn approve(world: &World, by: &Caller, id: ProposalId) -> Result<Proposal, Error> {
    let digest = world.engine.get_proposal(by, id).await?.digest;
    world.engine.approve_proposal(by, id, digest).await
}

async fn reject(world: &World, by: &Caller, id: ProposalId) -> Result<Proposal, Error> {
    world.engine.reject_proposal(by, id, "no".parse().unwrap()).await
}

async fn state_of(world: &World, id: ProposalId) -> ProposalState {
    world.engine.get_proposal(&world.admin, id).await.unwrap().state
}

async fn device_state(world: &World, id: &str) -> DeviceState {
    let name = crate::world::name("klinik", id);
    world.engine.get_device(&world.admin, name).await.unwrap().state
}

#[tokio::test]
async fn a_guarded_deed_is_done_once_another_person_approved_exactly_it() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    for device in ["pump", "other"] {
        world.proven(device).await;
    }
    let id = proposed(revoke(&world, &admin).await);
    // The same call again is the same proposal.
    assert_eq!(proposed(revoke(&world, &admin).await), id);
    assert_eq!(device_state(&world, "pump").await, DeviceState::Active);
    let shown = world.engine.get_proposal(&berta, id).await.unwrap();
    let asked: Vec<_> = shown.asked.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(asked, ["device_id=pump", "state=revoked", "reason=stolen"]);
    assert_eq!((shown.deed, shown.tenant), (GuardedDeed::RevokeDevice, Some(world.tenant())));
    approve(&world, &berta, id).await.unwrap();
    // Who differs in anything proposes something else.
    let others = [
        proposed(set(&world.engine, &admin, "other", DeviceState::Revoked, "stolen").await),
        proposed(set(&world.engine, &admin, "pump", DeviceState::Retired, "stolen").await),
        proposed(set(&world.engine, &admin, "pump", DeviceState::Revoked, "stolen ").await),
        // What another person proposed is not one's own.
        proposed(revoke(&world, &berta).await),
    ];
    for (at, other) in others.iter().enumerate() {
        assert!(*other != id && !others[at + 1..].contains(other));
    }
    revoke(&world, &admin).await.unwrap();
    assert_eq!(device_state(&world, "pump").await, DeviceState::Revoked);
    assert!(matches!(state_of(&world, id).await, ProposalState::CarriedOut { .. }));
    // Asking for what is there already changes nothing, and needs nobody.
    revoke(&world, &admin).await.unwrap();
    let done = &world.entries(Event::ProposalCarriedOut).await[0];
    let text = facts(done);
    assert!(text.contains("guarded-deed=revoke-device, proposer=admin/admin, "), "{text}");
    assert!(text.ends_with("approver=admin/berta"), "{text}");
    assert_eq!(done.tenant, Some(world.tenant()));
    let made = facts(&world.entries(Event::ProposalMade).await[0]);
    assert!(made.contains("asked=device_id=pump, asked=state=revoked, asked=reason=stolen"), "{made}");
    // What ends nothing needs nobody.
    set(&world.engine, &admin, "other", DeviceState::Suspended, "x").await.unwrap();
}

#[tokio::test]
async fn an_approval_is_good_once() {
    let (world, admin, berta) = guarded(&[GuardedDeed::PutTrustPolicy]).await;
    let tenant = world.tenant();
    let one = || {
        let rule = TrustRule { when: TrustCondition::KeyShared, limit: TrustLimit::NotTrusted };
        TrustPolicy::new(vec![rule], None).unwrap()
    };
    let put = async |policy| world.engine.put_trust_policy(&admin, &tenant, None, policy, None).await;
    let id = proposed(put(Some(one())).await);
    approve(&world, &berta, id).await.unwrap();
    put(Some(one())).await.unwrap();
    let back = proposed(put(None).await);
    approve(&world, &berta, back).await.unwrap();
    put(None).await.unwrap();
    // The approval of the first time is spent.
    let again = proposed(put(Some(one())).await);
    assert!(again != id);
    assert_eq!(code(approve(&world, &berta, id).await), ErrorCode::ProposalClosed);
}

#[tokio::test]
async fn nobody_approves_what_the_same_person_proposed() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    world.proven("pump").await;
    let id = proposed(revoke(&world, &admin).await);
    assert_eq!(code(approve(&world, &admin, id).await), ErrorCode::ApproverNotIndependent);
    // Under another certificate, and in another role.
    let renewed = world.engine.renew_operator(&admin, &crate::world::csr(), 0).await.unwrap().1;
    let renewed = caller(renewed.principal);
    assert_eq!(code(approve(&world, &renewed, id).await), ErrorCode::ApproverNotIndependent);
    let mut stand_in = order(Role::TenantAdmin, Some("klinik"), "ADMIN");
    let issue = proposed(world.engine.issue_operator(&berta, stand_in.clone()).await);
    approve(&world, &admin, issue).await.unwrap();
    let (_, same) = world.engine.issue_operator(&berta, stand_in.clone()).await.unwrap();
    assert_eq!(code(approve(&world, &caller(same.principal), id).await), ErrorCode::ApproverNotIndependent);
    // Whom that person had made since, and whom that one made; the renewed certificate carries out what the former proposed.
    stand_in = order(Role::TenantAdmin, Some("klinik"), "carla");
    let issue = proposed(world.engine.issue_operator(&admin, stand_in.clone()).await);
    approve(&world, &berta, issue).await.unwrap();
    let (_, carla) = world.engine.issue_operator(&renewed, stand_in).await.unwrap();
    let carla = caller(carla.principal);
    assert_eq!(code(approve(&world, &carla, id).await), ErrorCode::ApproverNotIndependent);
    let next = order(Role::TenantAdmin, Some("klinik"), "dora");
    let issue = proposed(world.engine.issue_operator(&carla, next.clone()).await);
    approve(&world, &berta, issue).await.unwrap();
    let (_, dora) = world.engine.issue_operator(&carla, next).await.unwrap();
    assert_eq!(code(approve(&world, &caller(dora.principal), id).await), ErrorCode::ApproverNotIndependent);
    // It was issued before what is proposed now.
    world.clock.pass(1);
    let later = proposed(set(&world.engine, &admin, "pump", DeviceState::Retired, "old").await);
    approve(&world, &carla, later).await.unwrap();
}

#[tokio::test]
async fn only_who_could_call_it_there_decides() {
    let (world, admin, _) = guarded(&[GuardedDeed::RevokeDevice]).await;
    world.proven("pump").await;
    let id = proposed(revoke(&world, &admin).await);
    world.engine.create_tenant(&admin, "other".parse().unwrap()).await.unwrap();
    let order_of = |role, tenant, name| order(role, Some(tenant), name);
    let auditor =
        world.engine.issue_operator(&admin, order_of(Role::Auditor, "klinik", "eva")).await.unwrap();
    let auditor = caller(auditor.1.principal);
    let digest = world.engine.get_proposal(&auditor, id).await.unwrap().digest;
    let by = async |who: &Caller| world.engine.approve_proposal(who, id, digest).await;
    assert_eq!(code(by(&auditor).await), ErrorCode::RoleInsufficient);
    assert_eq!(code(reject(&world, &auditor, id).await), ErrorCode::RoleInsufficient);
    assert_eq!(code(by(&world.station).await), ErrorCode::RoleInsufficient);
    let mut foreign = world.station.clone();
    foreign.principal.tenant = Some("other".parse().unwrap());
    assert_eq!(code(by(&foreign).await), ErrorCode::ProposalUnknown);
    assert_eq!(code(world.engine.get_proposal(&foreign, id).await), ErrorCode::ProposalUnknown);
}

#[tokio::test]
async fn what_is_approved_is_what_was_looked_at() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    world.proven("pump").await;
    let id = proposed(revoke(&world, &admin).await);
    let mut digest = world.engine.get_proposal(&berta, id).await.unwrap().digest;
    digest[31] ^= 1;
    assert_eq!(code(world.engine.approve_proposal(&berta, id, digest).await), ErrorCode::Malformed);
    assert_eq!(state_of(&world, id).await, ProposalState::Open);
}

#[tokio::test]
async fn a_proposal_ends_with_its_time_approved_or_not() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    world.proven("pump").await;
    let id = proposed(revoke(&world, &admin).await);
    world.clock.pass(72 * HOUR + 1);
    assert_eq!(state_of(&world, id).await, ProposalState::Expired);
    assert_eq!(code(approve(&world, &berta, id).await), ErrorCode::ProposalClosed);
    assert_eq!(code(reject(&world, &berta, id).await), ErrorCode::ProposalClosed);
    let next = proposed(revoke(&world, &admin).await);
    assert!(next != id);
    let entries = world.entries(Event::ProposalExpired).await;
    assert!(entries.len() == 1 && facts(&entries[0]).contains(&wardein_crypto::hex::encode(&id)));
    approve(&world, &berta, next).await.unwrap();
    world.clock.pass(72 * HOUR);
    // To the last second.
    let last = world.clock.clone();
    last.pass(1);
    assert!(proposed(revoke(&world, &admin).await) != next);
    assert_eq!(device_state(&world, "pump").await, DeviceState::Active);
}

#[tokio::test]
async fn the_sweep_says_what_is_over_and_forgets_it_later() {
    let (world, admin, _) = guarded(&[GuardedDeed::RevokeDevice]).await;
    world.proven("pump").await;
    let id = proposed(revoke(&world, &admin).await);
    assert_eq!(world.engine.count_proposals().await.unwrap(), 1);
    let sweep = async || {
        let mut sweep = world.engine.begin_sweep(None, None).await.unwrap();
        while !world.engine.sweep_some(&mut sweep, 100).await.unwrap().is_done {}
    };
    world.clock.pass(4 * 86_400);
    assert_eq!(world.engine.count_proposals().await.unwrap(), 0);
    sweep().await;
    sweep().await;
    assert_eq!(world.entries(Event::ProposalExpired).await.len(), 1);
    assert_eq!(state_of(&world, id).await, ProposalState::Expired);
    world.clock.pass(30 * 86_400);
    sweep().await;
    assert_eq!(code(world.engine.get_proposal(&admin, id).await), ErrorCode::ProposalUnknown);
    for table in [Table::Proposal, Table::OpenProposals] {
        assert!(world.store.scan(table, b"", None, 1).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_was_rejected_is_not_carried_out_nor_approved() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    world.proven("pump").await;
    // Before it is approved, after that, and by who proposed it.
    for (approved, by) in [(false, &berta), (true, &berta), (true, &admin)] {
        let id = proposed(revoke(&world, &admin).await);
        if approved {
            approve(&world, &berta, id).await.unwrap();
        }
        reject(&world, by, id).await.unwrap();
        assert_eq!(reject(&world, by, id).await.unwrap().state, state_of(&world, id).await);
        assert_eq!(code(approve(&world, &berta, id).await), ErrorCode::ProposalClosed);
        assert!(proposed(revoke(&world, &admin).await) != id);
        let open = proposed(revoke(&world, &admin).await);
        reject(&world, &admin, open).await.unwrap();
    }
    assert_eq!(world.entries(Event::ProposalRejected).await.len(), 6);
    assert_eq!(device_state(&world, "pump").await, DeviceState::Active);
}

#[tokio::test]
async fn an_approval_by_who_was_revoked_since_is_none() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    world.proven("pump").await;
    let id = proposed(revoke(&world, &admin).await);
    approve(&world, &berta, id).await.unwrap();
    let serial = berta.principal.serial;
    world.engine.revoke_operator(&admin, serial, "left".parse().unwrap(), false).await.unwrap();
    assert_eq!(proposed(revoke(&world, &admin).await), id);
    assert_eq!(state_of(&world, id).await, ProposalState::Open);
    assert_eq!(world.entries(Event::ApprovalLapsed).await.len(), 1);
    assert_eq!(proposed(revoke(&world, &admin).await), id);
    assert_eq!(device_state(&world, "pump").await, DeviceState::Active);
}

#[tokio::test]
async fn what_somebody_proposed_who_was_revoked_since_is_not_approved() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    world.proven("pump").await;
    let id = proposed(revoke(&world, &berta).await);
    let serial = berta.principal.serial;
    world.engine.revoke_operator(&admin, serial, "left".parse().unwrap(), false).await.unwrap();
    assert_eq!(code(approve(&world, &admin, id).await), ErrorCode::ProposalClosed);
}

#[tokio::test]
async fn of_two_that_approve_reject_or_carry_out_at_a_time_one_is_first() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    let carla = order(Role::TenantAdmin, Some("klinik"), "carla");
    let issue = proposed(world.engine.issue_operator(&admin, carla.clone()).await);
    approve(&world, &berta, issue).await.unwrap();
    let carla = caller(world.engine.issue_operator(&admin, carla).await.unwrap().1.principal);
    world.clock.pass(1);
    for round in 0..8 {
        let device = format!("pump-{round}");
        world.proven(&device).await;
        let call = || set(&world.engine, &admin, &device, DeviceState::Revoked, "stolen");
        // The same call twice at a time makes one proposal.
        let (one, other) = tokio::join!(call(), call());
        let id = proposed(one);
        assert_eq!(proposed(other), id);
        let (one, other) = tokio::join!(approve(&world, &berta, id), approve(&world, &carla, id));
        assert_eq!(one.unwrap().state, other.unwrap().state);
        let (done, rejected) = tokio::join!(call(), reject(&world, &carla, id));
        match device_state(&world, &device).await {
            DeviceState::Revoked => {
                done.unwrap();
                assert_eq!(code(rejected), ErrorCode::ProposalClosed);
            }
            _ => {
                rejected.unwrap();
                let anew = proposed(done);
                reject(&world, &admin, anew).await.unwrap();
            }
        }
    }
    let id = proposed(revoke_new(&world, &admin).await);
    let (approved, rejected) = tokio::join!(approve(&world, &berta, id), reject(&world, &carla, id));
    rejected.unwrap();
    assert!(approved.is_ok() || code(approved) == ErrorCode::ProposalClosed);
    assert!(matches!(state_of(&world, id).await, ProposalState::Rejected { .. }));
}

async fn revoke_new(world: &World, by: &Caller) -> Result<(), Error> {
    world.proven("pump").await;
    revoke(world, by).await
}

#[tokio::test]
async fn an_administrator_is_issued_or_invited_by_two() {
    let (world, admin, berta) = guarded(&[GuardedDeed::ShredDevice]).await;
    let engine = &world.engine;
    let carla = order(Role::Admin, None, "carla");
    let id = proposed(engine.issue_operator(&admin, carla.clone()).await);
    let asked = engine.get_proposal(&berta, id).await.unwrap().asked;
    assert_eq!(
        asked.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["how", "role", "name", "key_sha256", "validity"]
    );
    approve(&world, &berta, id).await.unwrap();
    // Another key is another proposal.
    let swapped = OperatorOrder { csr: crate::world::csr(), ..carla.clone() };
    assert!(proposed(engine.issue_operator(&admin, swapped).await) != id);
    let (certificate, _) = engine.issue_operator(&admin, carla.clone()).await.unwrap();
    // Who did not hear the answer gets it again, and nothing more.
    assert_eq!(engine.issue_operator(&admin, carla).await.unwrap().0, certificate);
    let invite = || InvitationOrder {
        role: Role::TenantAdmin,
        tenant: Some(world.tenant()),
        name: "dora".parse().unwrap(),
        validity: 86_400,
        quota: 0,
        lifetime: HOUR,
    };
    let id = proposed(engine.invite_operator(&admin, invite()).await);
    approve(&world, &berta, id).await.unwrap();
    engine.invite_operator(&admin, invite()).await.unwrap();
    assert!(
        proposed(engine.invite_operator(&admin, InvitationOrder { lifetime: 2 * HOUR, ..invite() }).await)
            != id
    );
    // Nobody else needs two.
    for role in [Role::Station, Role::Platform, Role::Auditor] {
        engine.issue_operator(&admin, order(role, Some("klinik"), "new")).await.unwrap();
    }
    engine.renew_operator(&berta, &crate::world::csr(), 0).await.unwrap();
}

#[tokio::test]
async fn policies_of_keys_and_registers_and_the_key_of_verdicts_are_guarded() {
    let deeds = [GuardedDeed::PutKeyPolicy, GuardedDeed::PutPcrPolicy, GuardedDeed::ReplaceVerdictKey];
    let (world, admin, berta) = guarded(&deeds).await;
    let (engine, tenant) = (&world.engine, world.tenant());
    let keys = async || {
        let policy = KeyPolicy { first_use: true, ..KeyPolicy::default() };
        engine.put_key_policy(&admin, tenant.clone(), policy, None).await
    };
    let id = proposed(keys().await);
    approve(&world, &berta, id).await.unwrap();
    keys().await.unwrap();
    let profile = "default".parse().unwrap();
    let registers =
        async || engine.put_pcr_policy(&admin, &tenant, &profile, Some(PcrPolicy::Any), None).await;
    let id = proposed(registers().await);
    approve(&world, &berta, id).await.unwrap();
    registers().await.unwrap();
    engine.keep_verdict_keys().await.unwrap();
    let replace = async || engine.replace_verdict_key(&admin, "leaked".parse().unwrap(), false).await;
    let id = proposed(replace().await);
    approve(&world, &berta, id).await.unwrap();
    let first = replace().await.unwrap();
    // It is about the key that signed then, and not the next one.
    assert!(proposed(replace().await) != id);
    assert!(engine.verdict_jwks().contains(&first));
}

#[tokio::test]
async fn a_ca_is_distrusted_by_two() {
    let (world, admin, berta) = guarded(&[GuardedDeed::DistrustCa]).await;
    let engine = &world.engine;
    let ca = engine.list_cas(&admin, None, &PAGE).unwrap().items[0].id;
    let distrust = async || engine.distrust_ca(&admin, ca, "leaked".parse().unwrap()).await;
    let id = proposed(distrust().await);
    assert_eq!(world.entries(Event::CaDistrusted).await.len(), 0);
    approve(&world, &berta, id).await.unwrap();
    distrust().await.unwrap();
    assert_eq!(world.entries(Event::CaDistrusted).await.len(), 1);
}

#[tokio::test]
async fn a_policy_needs_two_who_may_decide_and_is_loosened_by_two() {
    let world = World::new().await;
    let (engine, admin) = (&world.engine, &world.admin);
    let put = async |by: &Caller, tenant: Option<&str>, policy| {
        let tenant = tenant.map(|tenant| tenant.parse().unwrap());
        engine.put_approval_policy(by, tenant, policy, None).await
    };
    let revoke = || policy(&[GuardedDeed::RevokeDevice]);
    assert_eq!(code(put(admin, None, revoke()).await), ErrorCode::ApproversMissing);
    // The same person twice is one.
    issue(&world, admin, Role::TenantAdmin, Some("klinik"), "admin").await;
    assert_eq!(code(put(admin, Some("klinik"), revoke()).await), ErrorCode::ApproversMissing);
    let carla = issue(&world, admin, Role::TenantAdmin, Some("klinik"), "carla").await;
    // In the tenant there are two; in the authority there is one.
    put(&carla, Some("klinik"), revoke()).await.unwrap();
    assert_eq!(code(put(admin, None, revoke()).await), ErrorCode::ApproversMissing);
    let of_authority = policy(&[GuardedDeed::DistrustCa]);
    assert_eq!(code(put(&carla, Some("klinik"), of_authority).await), ErrorCode::Malformed);
    let id = proposed(put(&carla, Some("klinik"), ApprovalPolicy::default()).await);
    let longer = ApprovalPolicy::new(revoke().deeds(), Seconds::new(30 * 86_400)).unwrap();
    proposed(put(&carla, Some("klinik"), longer).await);
    // Stricter needs nobody.
    put(&carla, Some("klinik"), policy(&[GuardedDeed::RevokeDevice, GuardedDeed::PutTrustPolicy]))
        .await
        .unwrap();
    approve(&world, admin, id).await.unwrap();
    let view = put(&carla, Some("klinik"), ApprovalPolicy::default()).await.unwrap();
    assert!(view.guarded.is_empty());
    world.proven("pump").await;
    self::revoke(&world, &carla).await.unwrap();
    let entries = world.entries(Event::ApprovalPolicyPut).await;
    let text = facts(entries.last().unwrap());
    assert!(
        text.contains("guarded-deeds: issue-administrator,revoke-device,") && text.contains(" → none"),
        "{text}"
    );
}

#[tokio::test]
async fn a_policy_of_the_authority_holds_in_each_tenant_and_the_shorter_life_counts() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    let engine = &world.engine;
    let hour = ApprovalPolicy::new([GuardedDeed::RevokeDevice], Seconds::new(HOUR)).unwrap();
    engine.put_approval_policy(&berta, Some(world.tenant()), hour, None).await.unwrap();
    world.proven("pump").await;
    let id = proposed(revoke(&world, &admin).await);
    let found = engine.get_proposal(&berta, id).await.unwrap();
    assert_eq!(found.expires_at - found.made_at, HOUR);
    let listed = engine.list_proposals(&berta, None, PAGE.clone()).await.unwrap().items;
    assert!(listed.len() == 1 && listed[0].id == id && listed[0].asked.is_empty());
    // With the tenant's policy gone, that of the authority guards it all the same.
    let none = async || {
        engine.put_approval_policy(&admin, Some(world.tenant()), ApprovalPolicy::default(), None).await
    };
    let loosen = proposed(none().await);
    approve(&world, &berta, loosen).await.unwrap();
    none().await.unwrap();
    assert_eq!(proposed(revoke(&world, &admin).await), id);
}

#[tokio::test]
async fn one_person_leaves_so_many_open_and_no_more() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    world.proven("pump").await;
    let call = async |by: &Caller, at: u32| {
        set(&world.engine, by, "pump", DeviceState::Revoked, &format!("{at}")).await
    };
    let first = proposed(call(&admin, 0).await);
    for at in 1..16 {
        proposed(call(&admin, at).await);
    }
    assert_eq!(code(call(&admin, 16).await), ErrorCode::ProposalQuota);
    // What waits goes on, others are not held up, and who takes one back has a place.
    assert_eq!(proposed(call(&admin, 0).await), first);
    proposed(call(&berta, 16).await);
    reject(&world, &admin, first).await.unwrap();
    proposed(call(&admin, 16).await);
}

#[tokio::test]
async fn memory_decides_nothing_about_an_approval() {
    let (world, admin, berta) = guarded(&[GuardedDeed::RevokeDevice]).await;
    world.proven("pump").await;
    let id = proposed(revoke(&world, &admin).await);
    // Another engine over the same rows, as after a restart.
    let other = world.reopened(Vec::new()).await.unwrap();
    let digest = other.get_proposal(&berta, id).await.unwrap().digest;
    other.approve_proposal(&berta, id, digest).await.unwrap();
    set(&other, &admin, "pump", DeviceState::Revoked, "stolen").await.unwrap();
    assert_eq!(other.count_proposals().await.unwrap(), 0);
}

/// What keeps devices back needs nobody; what lets them install does.
#[tokio::test]
async fn a_release_is_released_by_two_people_and_held_back_by_one() {
    let world = World::new().await;
    updates::found(&world).await;
    let berta = issue(&world, &world.admin, Role::Admin, None, "berta").await;
    let eva = issue(&world, &world.admin, Role::ReleaseManager, None, "eva").await;
    let deeds = [GuardedDeed::ReleaseUpdate, GuardedDeed::RotateUpdateRoot, GuardedDeed::PutEndorsementKeys];
    world.engine.put_approval_policy(&world.admin, None, policy(&deeds), None).await.unwrap();
    world.clock.pass(1);
    let (engine, admin) = (&world.engine, &world.admin);
    engine.add_release(&eva, numbered(2)).await.unwrap();
    let line = async || engine.list_product_lines(admin, None).await.unwrap()[0].file.clone();
    let before = line().await;
    let id = proposed(updates::set(&world, &eva, 2, ReleaseDeed::Release).await);
    assert_eq!(line().await, before, "nothing is signed or drafted");
    let shown = engine.get_proposal(&berta, id).await.unwrap();
    let asked: Vec<_> = shown.asked.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let digest = wardein_crypto::hex::encode(&wardein_crypto::Digest::of(b"firmware").0);
    for field in ["version=2", &format!("sha256={digest}"), "models=pump-3", "rollout=100 %", "reason=test"] {
        assert!(asked.iter().any(|asked| asked == field), "{field}: {asked:?}");
    }
    assert_eq!(code(approve(&world, &eva, id).await), ErrorCode::RoleInsufficient);
    approve(&world, &berta, id).await.unwrap();
    // Who is to get it is part of what was approved.
    let (name, of) = ("maker".parse().unwrap(), "pumps".parse().unwrap());
    let rollout = |percent| Rollout { percent, ..Rollout::everyone() };
    let roll = async |percent| {
        let reason = "x".parse().unwrap();
        engine.set_release_rollout(&eva, (&name, &of, 2), rollout(percent), reason).await.unwrap()
    };
    roll(5).await;
    let other = proposed(updates::set(&world, &eva, 2, ReleaseDeed::Release).await);
    assert_ne!(other, id);
    roll(100).await;
    let released = updates::set(&world, &eva, 2, ReleaseDeed::Release).await.unwrap();
    assert_eq!(released.state, ReleaseState::Released);
    assert!(line().await.version > before.version);
    // What is so already, and what holds back, needs nobody.
    updates::set(&world, &eva, 2, ReleaseDeed::Release).await.unwrap();
    updates::set(&world, &eva, 2, ReleaseDeed::Pause).await.unwrap();
    let resumed = proposed(updates::set(&world, &eva, 2, ReleaseDeed::Resume).await);
    approve(&world, &berta, resumed).await.unwrap();
    updates::set(&world, &eva, 2, ReleaseDeed::Resume).await.unwrap();
    let signed = ReleaseOrder { downgrade_from: Some(3), ..numbered(2) };
    let lowered = proposed(engine.add_release(&eva, signed.clone()).await);
    approve(&world, &berta, lowered).await.unwrap();
    assert_eq!(engine.add_release(&eva, signed).await.unwrap().order.downgrade_from, Some(3));
    updates::set(&world, &eva, 2, ReleaseDeed::Recall).await.unwrap();
    // Nor does one make the person who proposes, give the repository other keys, or list other TPMs.
    let manager = order(Role::ReleaseManager, None, "ida");
    proposed(engine.issue_operator(admin, manager).await);
    let rotated = engine.rotate_update_root(admin, name, UpdateKeys::InCustody, "x".parse().unwrap()).await;
    proposed(rotated);
    let tenant = world.tenant();
    let keys = BTreeSet::from([wardein_attest::EkDigest(wardein_crypto::Digest::of(b"tpm"))]);
    let listed = proposed(engine.add_endorsement_keys(admin, &tenant, &keys).await);
    approve(&world, &berta, listed).await.unwrap();
    assert_eq!(engine.add_endorsement_keys(admin, &tenant, &keys).await.unwrap(), 1);
    proposed(engine.remove_endorsement_keys(admin, &tenant, &keys).await);
}
