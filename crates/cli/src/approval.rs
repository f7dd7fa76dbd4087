//! `wardein approval`.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Confirm, Failure, Output, Record, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::BTreeMap;
use wardein_client::{number, time as wire, v1, word};
use wardein_crypto::hex;

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalCommand {
    /// List the proposals that wait for another person, or for who made them
    List(ListArgs),
    /// Show a proposal with all that it asks
    Show(ShowArgs),
    /// Approve a proposal of another person. It is shown first; who made it then makes the same call again
    Approve(ApproveArgs),
    /// Reject a proposal, also one that is approved and not carried out; or take back one's own
    Reject(RejectArgs),
    /// Which deeds need a second person
    #[command(subcommand)]
    Policy(PolicyCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show which deeds need a second person
    Show(PolicyShowArgs),
    /// Set which deeds need a second person. Guarding less than before needs one itself
    ///
    /// What the authority's policy guards is guarded in each tenant too. Wherever anything is guarded, so are `issue-administrator` and
    /// `loosen-approvals`; with `revoke-device` comes `shred-device`. Two persons must be there who may decide it. If one is lost later, and the
    /// other cannot go on alone, `wardein operator recover` makes an administrator on the authority's machine.
    Set(PolicySetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those of that tenant alone
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The proposal's id
    id: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The proposal's id
    id: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RejectArgs {
    /// The proposal's id
    id: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyShowArgs {
    /// The tenant; without it the caller's own, or the authority itself
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein approval policy set`.
#[derive(Debug, Args)]
pub(crate) struct PolicySetArgs {
    /// What needs a second person, with commas; or `none`
    #[arg(long, value_name = "DEED,…", value_delimiter = ',', required = true, value_parser = ["none", "issue-administrator", "revoke-device", "shred-device", "put-trust-policy", "put-key-policy", "put-pcr-policy", "distrust-ca", "replace-verdict-key", "invite-technician", "show-emergency-code", "release-update", "rotate-update-root", "put-endorsement-keys"])]
    require: Vec<String>,
    /// For how long a proposal can be approved and carried out: 1h to 30d
    #[arg(long, value_name = "TIME", default_value = "72h", value_parser = time::seconds)]
    proposal_lifetime: u64,
    /// The tenant; without it the caller's own, or the authority itself
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Proposal {
    id: String,
    deed: String,
    tenant: String,
    state: String,
    /// Several values where a name comes several times.
    asked: BTreeMap<String, Vec<String>>,
    digest: String,
    proposed_by: String,
    proposed_by_serial: String,
    proposed_at: u64,
    expires_at: u64,
    decided_by: String,
    decided_at: u64,
    reason: String,
    /// In their order, for people.
    #[serde(skip)]
    fields: Vec<(String, String)>,
}

impl From<v1::Proposal> for Proposal {
    fn from(proposal: v1::Proposal) -> Self {
        let fields: Vec<_> =
            proposal.asked.into_iter().map(|v1::AskedField { name, value }| (name, value)).collect();
        let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &fields {
            asked.entry(name.clone()).or_default().push(value.clone());
        }
        Self {
            id: proposal.id,
            deed: word::<v1::GuardedDeed>(proposal.deed),
            tenant: proposal.tenant,
            state: word::<v1::ProposalState>(proposal.state),
            asked,
            digest: hex::encode(&proposal.digest),
            proposed_by: proposal.proposed_by,
            proposed_by_serial: proposal.proposed_by_serial,
            proposed_at: wire::seconds(proposal.proposed_at),
            expires_at: wire::seconds(proposal.expires_at),
            decided_by: proposal.decided_by,
            decided_at: wire::seconds(proposal.decided_at),
            reason: proposal.reason,
            fields,
        }
    }
}

impl Record for Proposal {
    const COLUMNS: &'static [Column<Self>] = &[
        ("id", |proposal| proposal.id.clone()),
        ("deed", |proposal| proposal.deed.clone()),
        ("tenant", |proposal| proposal.tenant.clone()),
        ("state", |proposal| proposal.state.clone()),
        ("proposed by", |proposal| proposal.proposed_by.clone()),
        ("expires", |proposal| time::at(proposal.expires_at)),
        ("decided by", |proposal| proposal.decided_by.clone()),
    ];
}

impl Proposal {
    /// All of it, a line each.
    fn words(&self) -> String {
        let scope = if self.tenant.is_empty() { "the authority" } else { &self.tenant };
        let mut lines = vec![
            format!("proposal {} ({}): {} in {scope}", self.id, self.state, self.deed),
            format!("  proposed by {} at {}", self.proposed_by, time::at(self.proposed_at)),
            format!("  expires at {}", time::at(self.expires_at)),
        ];
        if !self.decided_by.is_empty() {
            lines.push(format!("  decided by {} at {}", self.decided_by, time::at(self.decided_at)));
        }
        if !self.reason.is_empty() {
            lines.push(format!("  reason: {}", self.reason));
        }
        lines.extend(self.fields.iter().map(|(name, value)| format!("  {name} = {value}")));
        lines.push(format!("  digest {}", self.digest));
        lines.join("\n")
    }
}

#[derive(Debug, Serialize)]
struct Policy {
    require: Vec<String>,
    proposal_lifetime: u64,
    guarded: Vec<String>,
    set_at: u64,
    set_by: String,
    approvers: u32,
}

impl Record for Policy {
    const COLUMNS: &'static [Column<Self>] = &[
        ("require", |policy| listed(&policy.require)),
        ("proposal lifetime", |policy| format!("{} s", policy.proposal_lifetime)),
        ("guarded here", |policy| listed(&policy.guarded)),
        ("set", |policy| time::at(policy.set_at)),
        ("by", |policy| policy.set_by.clone()),
        ("who may decide", |policy| policy.approvers.to_string()),
    ];
}

fn listed(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(",") }
}

impl ApprovalCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::List(args) => list(args.connect.open().await?, args.tenant, out).await,
            Self::Show(args) => show(&args.connect.open().await?, args.id, out).await,
            Self::Approve(args) => approve(args, out).await,
            Self::Reject(args) => reject(args, out).await,
            Self::Policy(PolicyCommand::Show(args)) => {
                let session = args.connect.open().await?;
                show_policy(&session, args.tenant, out).await
            }
            Self::Policy(PolicyCommand::Set(args)) => set_policy(args, out).await,
        }
    }
}

async fn list(session: Session, tenant: Option<String>, out: Output) -> Result<(), Failure> {
    let tenant = tenant.or_else(|| session.tenant.clone()).unwrap_or_default();
    let proposals = pages::all(async |page_size, page_token| {
        let request = v1::ListProposalsRequest { tenant: tenant.clone(), page_size, page_token };
        let answer = session.operator().list_proposals(request).await?;
        Ok((answer.proposals, answer.next_page_token))
    });
    let proposals: Vec<_> = proposals.await?.into_iter().map(Proposal::from).collect();
    out.list("proposals", &proposals)
}

async fn show(session: &Session, id: String, out: Output) -> Result<(), Failure> {
    let proposal = found(session, id).await?;
    out.say(&proposal.words(), &proposal)
}

async fn approve(args: ApproveArgs, out: Output) -> Result<(), Failure> {
    let ApproveArgs { id, confirm, connect } = args;
    let session = connect.open().await?;
    let shown = found(&session, id.clone()).await?;
    // What is printed is what is approved: the digest of just that goes with the approval.
    if !out.is_json() {
        eprintln!("{}", shown.words());
    }
    confirm.ask(&format!("approve this {} of {}", shown.deed, shown.proposed_by))?;
    let digest =
        hex::decode_any_case(&shown.digest).ok_or_else(|| Failure::failed("the digest is damaged"))?;
    let answer =
        session.operator().approve_proposal(v1::ApproveProposalRequest { id: id.clone(), digest }).await?;
    let approved = Proposal::from(answer.proposal.unwrap_or_default());
    let words = format!(
        "approved proposal {id}; {} carries it out by making the same call again",
        approved.proposed_by
    );
    out.say(&words, &approved)
}

async fn reject(args: RejectArgs, out: Output) -> Result<(), Failure> {
    let RejectArgs { id, reason, connect } = args;
    let session = connect.open().await?;
    let request = v1::RejectProposalRequest { id: id.clone(), reason };
    let answer = session.operator().reject_proposal(request).await?;
    out.say(&format!("rejected proposal {id}"), &Proposal::from(answer.proposal.unwrap_or_default()))
}

async fn found(session: &Session, id: String) -> Result<Proposal, Failure> {
    let answer = session.operator().get_proposal(v1::GetProposalRequest { id }).await?;
    Ok(Proposal::from(answer.proposal.unwrap_or_default()))
}

async fn show_policy(session: &Session, tenant: Option<String>, out: Output) -> Result<(), Failure> {
    let tenant = tenant.or_else(|| session.tenant.clone()).unwrap_or_default();
    let view = session.operator().get_approval_policy(v1::GetApprovalPolicyRequest { tenant }).await?;
    let words = |deeds: Vec<i32>| deeds.into_iter().map(word::<v1::GuardedDeed>).collect();
    let v1::ApprovalPolicy { deeds, proposal_lifetime } = view.policy.unwrap_or_default();
    out.one(&Policy {
        require: words(deeds),
        proposal_lifetime: wire::span_seconds(proposal_lifetime),
        guarded: words(view.guarded),
        set_at: wire::seconds(view.set_at),
        set_by: view.set_by,
        approvers: view.approvers,
    })
}

async fn set_policy(args: PolicySetArgs, out: Output) -> Result<(), Failure> {
    let PolicySetArgs { require, proposal_lifetime, tenant, connect } = args;
    let is_none = require.iter().any(|deed| deed == "none");
    if is_none && require.len() > 1 {
        return Err(Failure::Usage("--require takes `none` alone".to_owned()));
    }
    let deeds = require.iter().filter(|_| !is_none).map(|deed| number::<v1::GuardedDeed>(deed)).collect();
    let session = connect.open().await?;
    let request = v1::PutApprovalPolicyRequest {
        tenant: tenant.clone().or_else(|| session.tenant.clone()).unwrap_or_default(),
        policy: Some(v1::ApprovalPolicy { deeds, proposal_lifetime: wire::span(proposal_lifetime) }),
        etag: String::new(),
    };
    session.operator().put_approval_policy(request).await?;
    show_policy(&session, tenant, out).await
}
