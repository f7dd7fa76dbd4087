//! `ApprovalService`, and what a guarded deed is answered.

use super::world::{ETAG_MISMATCH, Expected, NO_TENANT, World, malformed, order};
use crate::common::issue_as;
use tonic::Code;
use tonic_types::StatusExt;
use wardein_client::{Connection, time, v1};
use wardein_domain::{Method, Role};

const NO_PROPOSAL: Expected = (Code::NotFound, "proposal-unknown", "no proposal");
const CLOSED: Expected = (Code::FailedPrecondition, "proposal-closed", "rejected");

fn denied(method: &'static str) -> Expected {
    (Code::PermissionDenied, "role-denied", method)
}

fn guarding(tenant: &str, deeds: &[v1::GuardedDeed]) -> v1::PutApprovalPolicyRequest {
    let deeds = deeds.iter().map(|deed| i32::from(*deed)).collect();
    let policy = Some(v1::ApprovalPolicy { deeds, proposal_lifetime: None });
    v1::PutApprovalPolicyRequest { tenant: tenant.into(), policy, etag: String::new() }
}

fn trust(lifetime: u64) -> v1::PutTrustPolicyRequest {
    let policy = v1::TrustPolicy { tenant: "t".into(), lifetime: time::span(lifetime), ..Default::default() };
    v1::PutTrustPolicyRequest { policy: Some(policy) }
}

/// Guards the trust policies of `t`, for whose proposals there is another person.
async fn guarded(world: &World) -> Connection {
    let second = issue_as(&world.admin, order(Role::TenantAdmin, "t", "two", 0)).await;
    let second = world.served.connect(Some(second)).await.unwrap();
    let put = guarding("t", &[v1::GuardedDeed::PutTrustPolicy]);
    world.tenant_admin.approvals().put_approval_policy(put).await.unwrap();
    // An operator of the same second counts as one that was issued since.
    world.served.clock.pass(1);
    second
}

/// Proposes a trust policy by setting it, and finds the proposal named in the refusal.
async fn propose(world: &World, lifetime: u64) -> v1::Proposal {
    let refused = world.tenant_admin.trust_policies().put_trust_policy(trust(lifetime)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "APPROVAL_REQUIRED");
    get(&world.tenant_admin, &info.metadata["proposal"]).await
}

async fn get(by: &Connection, id: &str) -> v1::Proposal {
    let asked = v1::GetProposalRequest { id: id.into() };
    by.approvals().get_proposal(asked).await.unwrap().into_inner().proposal.unwrap()
}

#[tokio::test]
async fn a_call_is_proposed_approved_and_made_again() {
    let world = World::new().await;
    let second = guarded(&world).await;
    let proposal = propose(&world, 60).await;
    assert_eq!(proposal.state, i32::from(v1::ProposalState::Open));
    let asked: Vec<_> =
        proposal.asked.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
    assert_eq!(asked, [("profile", "(the tenant)"), ("offline", "none"), ("lifetime", "60s")]);
    assert_eq!((proposal.tenant.as_str(), proposal.proposed_by.as_str()), ("t", "tenant-admin/t/one"));
    let listed = second.approvals().list_proposals(v1::ListProposalsRequest::default()).await.unwrap();
    let listed = listed.into_inner().proposals;
    assert!(listed.len() == 1 && listed[0].id == proposal.id && listed[0].asked.is_empty());
    let foreign =
        world.foreign.approvals().list_proposals(v1::ListProposalsRequest::default()).await.unwrap();
    assert_eq!(foreign.into_inner().proposals, []);
    let approve = v1::ApproveProposalRequest { id: proposal.id.clone(), digest: proposal.digest.clone() };
    second.approvals().approve_proposal(approve).await.unwrap();
    let approved = get(&second, &proposal.id).await;
    assert_eq!(approved.state, i32::from(v1::ProposalState::Approved));
    assert_eq!(approved.decided_by, "tenant-admin/t/two");
    world.tenant_admin.trust_policies().put_trust_policy(trust(60)).await.unwrap();
    assert_eq!(get(&second, &proposal.id).await.state, i32::from(v1::ProposalState::CarriedOut));
    let view = v1::GetApprovalPolicyRequest { tenant: "t".into() };
    let view = world.auditor.approvals().get_approval_policy(view).await.unwrap().into_inner();
    // Two of the tenant, and the authority's administrator.
    assert_eq!((view.approvers, view.guarded.len(), view.set_by.as_str()), (3, 3, "tenant-admin/t/one"));
}

#[tokio::test]
async fn get_approval_policy() {
    let world = World::new().await;
    let of = |tenant: &str| v1::GetApprovalPolicyRequest { tenant: tenant.into() };
    let rows = [
        ("no tenant's name", &world.admin, of("T"), malformed("tenant")),
        ("no such tenant", &world.admin, of("nowhere"), NO_TENANT),
        ("another's tenant", &world.foreign, of("t"), NO_TENANT),
        ("a platform", &world.platform, of("t"), denied("GetApprovalPolicy")),
    ];
    world.refuses(Method::GetApprovalPolicy, rows).await;
}

#[tokio::test]
async fn put_approval_policy() {
    let world = World::new().await;
    let admin = &world.admin;
    let good = guarding("t", &[v1::GuardedDeed::RevokeDevice]);
    let with =
        |policy: v1::ApprovalPolicy| v1::PutApprovalPolicyRequest { policy: Some(policy), ..good.clone() };
    let deeds = |deeds: Vec<i32>| with(v1::ApprovalPolicy { deeds, proposal_lifetime: None });
    let living =
        |seconds| with(v1::ApprovalPolicy { deeds: Vec::new(), proposal_lifetime: time::span(seconds) });
    let missing = (Code::FailedPrecondition, "approvers-missing", "another administrator");
    let lifetime = malformed("policy.proposal_lifetime");
    let rows = [
        ("nothing", admin, v1::PutApprovalPolicyRequest::default(), malformed("policy")),
        ("no tenant's name", admin, guarding("T", &[]), malformed("tenant")),
        ("no such tenant", admin, guarding("nowhere", &[]), NO_TENANT),
        ("another's tenant", &world.foreign, good.clone(), NO_TENANT),
        ("no deed", admin, deeds(vec![0]), malformed("policy.deeds")),
        ("no such deed", admin, deeds(vec![77]), malformed("policy.deeds")),
        ("too many", admin, deeds(vec![2; 65]), malformed("policy.deeds")),
        ("a deed of no tenant", admin, deeds(vec![7]), malformed("policy.deeds")),
        ("too short a life", admin, living(3_599), lifetime),
        ("too long a life", admin, living(30 * 86_400 + 1), lifetime),
        (
            "no etag",
            admin,
            v1::PutApprovalPolicyRequest { etag: "x".into(), ..good.clone() },
            malformed("etag"),
        ),
        (
            "of another version",
            admin,
            v1::PutApprovalPolicyRequest { etag: "00".repeat(8), ..good.clone() },
            ETAG_MISMATCH,
        ),
        ("one administrator", admin, guarding("", &[v1::GuardedDeed::DistrustCa]), missing),
        ("an auditor", &world.auditor, good.clone(), denied("PutApprovalPolicy")),
        ("a station", &world.station, good.clone(), denied("PutApprovalPolicy")),
    ];
    world.refuses(Method::PutApprovalPolicy, rows).await;
}

#[tokio::test]
async fn list_proposals() {
    let world = World::new().await;
    let of = |tenant: &str| v1::ListProposalsRequest { tenant: tenant.into(), ..Default::default() };
    let rows = [
        ("no tenant's name", &world.admin, of("T"), malformed("tenant")),
        ("no such tenant", &world.admin, of("nowhere"), NO_TENANT),
        ("another's tenant", &world.foreign, of("t"), NO_TENANT),
        (
            "a token of another list",
            &world.admin,
            v1::ListProposalsRequest { page_token: vec![7; 9], ..of("t") },
            malformed("page_token"),
        ),
        ("a platform", &world.platform, of("t"), denied("ListProposals")),
    ];
    world.refuses(Method::ListProposals, rows).await;
}

#[tokio::test]
async fn get_proposal() {
    let world = World::new().await;
    guarded(&world).await;
    let proposal = propose(&world, 60).await;
    let of = |id: &str| v1::GetProposalRequest { id: id.into() };
    let rows = [
        ("nothing", &world.admin, of(""), malformed("id")),
        ("not hex", &world.admin, of(&"x".repeat(16)), malformed("id")),
        ("none", &world.admin, of(&"0".repeat(16)), NO_PROPOSAL),
        ("another tenant's", &world.foreign, of(&proposal.id), NO_PROPOSAL),
        ("a station", &world.station, of(&proposal.id), denied("GetProposal")),
    ];
    world.refuses(Method::GetProposal, rows).await;
}

#[tokio::test]
async fn approve_proposal() {
    let world = World::new().await;
    let second = guarded(&world).await;
    let (proposal, rejected) = (propose(&world, 60).await, propose(&world, 61).await);
    let reject = v1::RejectProposalRequest { id: rejected.id.clone(), reason: "no".into() };
    second.approvals().reject_proposal(reject).await.unwrap();
    let of = |proposal: &v1::Proposal| v1::ApproveProposalRequest {
        id: proposal.id.clone(),
        digest: proposal.digest.clone(),
    };
    let good = of(&proposal);
    let with = |id: &str, digest: Vec<u8>| v1::ApproveProposalRequest { id: id.into(), digest };
    let own = (Code::PermissionDenied, "approver-not-independent", "another person");
    let rows = [
        ("nothing", &second, v1::ApproveProposalRequest::default(), malformed("id")),
        ("no id", &second, with("1", proposal.digest.clone()), malformed("id")),
        ("no digest", &second, with(&proposal.id, Vec::new()), malformed("digest")),
        ("33 bytes", &second, with(&proposal.id, vec![0; 33]), malformed("digest")),
        ("that of another", &second, with(&proposal.id, rejected.digest.clone()), malformed("digest")),
        ("none", &second, with(&"0".repeat(16), proposal.digest.clone()), NO_PROPOSAL),
        ("another tenant's", &world.foreign, good.clone(), NO_PROPOSAL),
        ("one's own", &world.tenant_admin, good.clone(), own),
        ("rejected", &second, of(&rejected), CLOSED),
        ("an auditor", &world.auditor, good.clone(), denied("ApproveProposal")),
    ];
    world.refuses(Method::ApproveProposal, rows).await;
}

#[tokio::test]
async fn reject_proposal() {
    let world = World::new().await;
    let second = guarded(&world).await;
    let proposal = propose(&world, 60).await;
    let of = |id: &str, reason: &str| v1::RejectProposalRequest { id: id.into(), reason: reason.into() };
    let long = "x".repeat(257);
    let rows = [
        ("nothing", &second, v1::RejectProposalRequest::default(), malformed("id")),
        ("no reason", &second, of(&proposal.id, ""), malformed("reason")),
        ("too much of it", &second, of(&proposal.id, &long), malformed("reason")),
        ("none", &second, of(&"0".repeat(16), "no"), NO_PROPOSAL),
        ("another tenant's", &world.foreign, of(&proposal.id, "no"), NO_PROPOSAL),
        ("an auditor", &world.auditor, of(&proposal.id, "no"), denied("RejectProposal")),
    ];
    world.refuses(Method::RejectProposal, rows).await;
    let done = propose(&world, 60).await;
    let approve = v1::ApproveProposalRequest { id: done.id.clone(), digest: done.digest.clone() };
    second.approvals().approve_proposal(approve).await.unwrap();
    world.tenant_admin.trust_policies().put_trust_policy(trust(60)).await.unwrap();
    let carried_out = (Code::FailedPrecondition, "proposal-closed", "carried out");
    world.refuses(Method::RejectProposal, [("carried out", &second, of(&done.id, "no"), carried_out)]).await;
}
