//! `ApprovalService`.

use crate::edge::context::Context;
use crate::grpc::convert::{page, parse, parse_optional, span_optional, wrong};
use crate::grpc::words::{Answered, Asked};
use crate::grpc::{Api, reply};
use tonic::{Request, Response, Status, async_trait};
use wardein_crypto::hex;
use wardein_domain::{ApprovalPolicy, Seconds, TenantId};
use wardein_engine::{Error, Etag, Issuer, Page, Proposal, ProposalId, ProposalState};
use wardein_proto::{time, v1};

#[async_trait]
impl v1::approval_service_server::ApprovalService for Api {
    async fn get_approval_policy(
        &self,
        request: Request<v1::GetApprovalPolicyRequest>,
    ) -> Result<Response<v1::GetApprovalPolicyResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let tenant = parse_optional("tenant", &request.get_ref().tenant)?;
            let view = self.shared.engine.get_approval_policy(context.caller()?, tenant).await?;
            let (set_at, set_by) = view.set.unzip();
            Ok(v1::GetApprovalPolicyResponse {
                policy: Some(policy(&view.policy)),
                etag: view.etag.to_string(),
                guarded: view.guarded.into_iter().map(Answered::wire).collect(),
                set_at: set_at.and_then(time::at),
                set_by: set_by.map(|by| by.name).unwrap_or_default(),
                approvers: u32::try_from(view.approvers).unwrap_or(u32::MAX),
            })
        };
        reply(get.await)
    }

    async fn put_approval_policy(
        &self,
        request: Request<v1::PutApprovalPolicyRequest>,
    ) -> Result<Response<v1::PutApprovalPolicyResponse>, Status> {
        let put = async {
            let context = Context::of(&request)?;
            let (tenant, asked, etag) = given(request.get_ref())?;
            let view = self.shared.engine.put_approval_policy(context.caller()?, tenant, asked, etag).await?;
            Ok(v1::PutApprovalPolicyResponse {
                policy: Some(policy(&view.policy)),
                etag: view.etag.to_string(),
            })
        };
        reply(put.await)
    }

    async fn list_proposals(
        &self,
        request: Request<v1::ListProposalsRequest>,
    ) -> Result<Response<v1::ListProposalsResponse>, Status> {
        let list = async {
            let context = Context::of(&request)?;
            let mut asked = request.into_inner();
            let (list, page) = page(&mut asked)?;
            let tenant = parse_optional("tenant", &asked.tenant)?;
            // Each may have a hundred.
            let page = Page { size: page.size.min(MAX_TENANTS), ..page };
            let found =
                self.scan(&context, |engine, caller| async move {
                    engine.list_proposals(&caller, tenant, page).await
                })
                .await?;
            Ok(v1::ListProposalsResponse {
                proposals: found.items.into_iter().map(proposal).collect(),
                next_page_token: list.token(found.next),
            })
        };
        reply(list.await)
    }

    async fn get_proposal(
        &self,
        request: Request<v1::GetProposalRequest>,
    ) -> Result<Response<v1::GetProposalResponse>, Status> {
        let get = async {
            let context = Context::of(&request)?;
            let id = id(&request.get_ref().id)?;
            let found = self.shared.engine.get_proposal(context.caller()?, id).await?;
            Ok(v1::GetProposalResponse { proposal: Some(proposal(found)) })
        };
        reply(get.await)
    }

    async fn approve_proposal(
        &self,
        request: Request<v1::ApproveProposalRequest>,
    ) -> Result<Response<v1::ApproveProposalResponse>, Status> {
        let approve = async {
            let context = Context::of(&request)?;
            let v1::ApproveProposalRequest { id: of, digest } = request.get_ref();
            let id = id(of)?;
            let digest = digest.as_slice().try_into().map_err(|_| wrong("digest", "is not 32 bytes"))?;
            let approved = self.shared.engine.approve_proposal(context.caller()?, id, digest).await?;
            Ok(v1::ApproveProposalResponse { proposal: Some(proposal(approved)) })
        };
        reply(approve.await)
    }

    async fn reject_proposal(
        &self,
        request: Request<v1::RejectProposalRequest>,
    ) -> Result<Response<v1::RejectProposalResponse>, Status> {
        let reject = async {
            let context = Context::of(&request)?;
            let asked = request.get_ref();
            let (id, reason) = (id(&asked.id)?, parse("reason", &asked.reason)?);
            let rejected = self.shared.engine.reject_proposal(context.caller()?, id, reason).await?;
            Ok(v1::RejectProposalResponse { proposal: Some(proposal(rejected)) })
        };
        reply(reject.await)
    }
}

type Given = (Option<TenantId>, ApprovalPolicy, Option<Etag>);

fn given(request: &v1::PutApprovalPolicyRequest) -> Result<Given, Error> {
    let tenant = parse_optional("tenant", &request.tenant)?;
    let asked = request.policy.as_ref().ok_or_else(|| wrong("policy", "is missing"))?;
    if asked.deeds.len() > MAX_DEEDS {
        let message = format_args!("are {}; it takes at most {MAX_DEEDS}", asked.deeds.len());
        return Err(wrong("policy.deeds", message));
    }
    let deeds = asked.deeds.iter().map(|deed| Asked::asked("policy.deeds", *deed));
    let deeds = deeds.collect::<Result<Vec<_>, _>>()?;
    let field = "policy.proposal_lifetime";
    let lifetime = span_optional(field, asked.proposal_lifetime.as_ref())?;
    let lifetime = lifetime.map_or(ApprovalPolicy::LIFETIME, Seconds::new);
    let policy = ApprovalPolicy::new(deeds, lifetime).map_err(|error| wrong(field, error))?;
    Ok((tenant, policy, parse_optional("etag", &request.etag)?))
}

fn policy(policy: &ApprovalPolicy) -> v1::ApprovalPolicy {
    v1::ApprovalPolicy {
        deeds: policy.deeds().map(Answered::wire).collect(),
        proposal_lifetime: time::span(policy.lifetime().get()),
    }
}

fn proposal(proposal: Proposal) -> v1::Proposal {
    let (state, decided, reason) = match proposal.state {
        ProposalState::Open => (v1::ProposalState::Open, None, None),
        ProposalState::Approved { by, at } => (v1::ProposalState::Approved, Some((by, at)), None),
        ProposalState::Rejected { by, at, reason } => {
            (v1::ProposalState::Rejected, Some((by, at)), Some(reason))
        }
        ProposalState::CarriedOut { approved_by, at } => {
            (v1::ProposalState::CarriedOut, Some((approved_by, at)), None)
        }
        ProposalState::Expired => (v1::ProposalState::Expired, None, None),
    };
    let (by, at): (Option<Issuer>, Option<u64>) = decided.unzip();
    let (decided_by, serial) = by.map(|by| (by.name, by.serial.to_string())).unwrap_or_default();
    v1::Proposal {
        id: hex::encode(&proposal.id),
        deed: proposal.deed.wire(),
        tenant: proposal.tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
        asked: proposal.asked.into_iter().map(|(name, value)| v1::AskedField { name, value }).collect(),
        digest: proposal.digest.to_vec(),
        proposed_by: proposal.by.name,
        proposed_by_serial: proposal.by.serial.to_string(),
        proposed_at: time::at(proposal.made_at),
        expires_at: time::at(proposal.expires_at),
        state: state.into(),
        decided_by,
        decided_by_serial: serial,
        decided_at: at.and_then(time::at),
        reason: reason.map(|reason| reason.to_string()).unwrap_or_default(),
    }
}

fn id(text: &str) -> Result<ProposalId, Error> {
    hex::decode_array(text).ok_or_else(|| wrong("id", "is not 16 lower-case hex digits"))
}

/// More are the same several times.
const MAX_DEEDS: usize = 64;

/// The most tenants that one page looks at.
const MAX_TENANTS: usize = 100;
