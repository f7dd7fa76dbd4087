//! `wardein grant`.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Confirm, Failure, Output, Record, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::{number, time as wire, v1, word};

#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Grant a platform a right; granting it again replaces the names
    Add(AddArgs),
    /// List a tenant's grants
    List(ListArgs),
    /// Take a right back: the platform is refused from now on
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
struct GrantArgs {
    /// The platform's operator name. Another identity under that name has the grant too
    platform: String,
    /// token: verify logins; open: have small payloads opened; data: have payload keys; file: have file keys
    #[arg(value_parser = ["token", "open", "data", "file"])]
    right: String,
    /// For devices of that profile alone; otherwise for all devices of the tenant
    #[arg(long)]
    profile: Option<String>,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    grant: GrantArgs,
    /// With `token`: as whom the platform knows a device, with {device}, {tenant} and {profile} for its own. Without it, the
    /// device's id: give one with a prefix where the platform has users beside devices
    #[arg(long, value_name = "TEMPLATE")]
    user_name: Option<String>,
    /// With `token`: the organization in which the platform puts a device, with the same places
    #[arg(long, value_name = "TEMPLATE")]
    organization: Option<String>,
    /// With `token`: a group in which the platform puts a device, with the same places and without commas; up to 16 times
    #[arg(long = "group", value_name = "TEMPLATE")]
    groups: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    grant: GrantArgs,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Grant {
    tenant: String,
    platform: String,
    right: String,
    profile: String,
    user_name: String,
    organization: String,
    groups: Vec<String>,
    granted_at: u64,
    granted_by: String,
}

impl From<v1::Grant> for Grant {
    fn from(grant: v1::Grant) -> Self {
        let v1::Grant {
            tenant,
            platform,
            right,
            profile,
            user_name,
            granted_at,
            granted_by,
            organization,
            groups,
        } = grant;
        let (right, granted_at) = (word::<v1::Right>(right), wire::seconds(granted_at));
        Self { tenant, platform, right, profile, user_name, organization, groups, granted_at, granted_by }
    }
}

impl Record for Grant {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |grant| grant.tenant.clone()),
        ("platform", |grant| grant.platform.clone()),
        ("right", |grant| grant.right.clone()),
        ("profile", |grant| or(&grant.profile, "any")),
        ("user name", |grant| match grant.right.as_str() {
            "token" => or(&grant.user_name, "{device}"),
            _ => String::new(),
        }),
        ("organization", |grant| grant.organization.clone()),
        ("groups", |grant| grant.groups.join(", ")),
        ("granted", |grant| time::at(grant.granted_at)),
        ("by", |grant| grant.granted_by.clone()),
    ];
}

fn or(text: &str, other: &str) -> String {
    if text.is_empty() { other.to_owned() } else { text.to_owned() }
}

impl GrantCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Add(args) => add(args, out).await,
            Self::List(args) => list(args.connect.open().await?, args.tenant, out).await,
            Self::Remove(args) => remove(args, out).await,
        }
    }
}

async fn add(args: AddArgs, out: Output) -> Result<(), Failure> {
    let AddArgs {
        grant: GrantArgs { platform, right, profile, tenant },
        user_name,
        organization,
        groups,
        connect,
    } = args;
    let session = connect.open().await?;
    let grant = v1::Grant {
        tenant: session.tenant(tenant).await?,
        platform,
        right: number::<v1::Right>(&right),
        profile: profile.unwrap_or_default(),
        user_name: user_name.unwrap_or_default(),
        organization: organization.unwrap_or_default(),
        groups,
        ..Default::default()
    };
    let request = v1::AddGrantRequest { grant: Some(grant) };
    let answer = session.operator().add_grant(request).await?;
    out.one(&Grant::from(answer.grant.unwrap_or_default()))
}

async fn list(session: Session, tenant: Option<String>, out: Output) -> Result<(), Failure> {
    let tenant = session.tenant(tenant).await?;
    let operator = session.operator();
    let grants = pages::all(async |page_size, page_token| {
        let request = v1::ListGrantsRequest { tenant: tenant.clone(), page_size, page_token };
        let page = operator.list_grants(request).await?;
        Ok((page.grants, page.next_page_token))
    });
    let grants: Vec<_> = grants.await?.into_iter().map(Grant::from).collect();
    out.list("grants", &grants)
}

async fn remove(args: RemoveArgs, out: Output) -> Result<(), Failure> {
    let RemoveArgs { grant: GrantArgs { platform, right, profile, tenant }, reason, confirm, connect } = args;
    let devices = profile.as_ref().map_or("all devices".to_owned(), |profile| format!("profile {profile}"));
    confirm.ask(&format!("take {right} of {devices} from {platform}"))?;
    let session = connect.open().await?;
    let request = v1::RemoveGrantRequest {
        tenant: session.tenant(tenant).await?,
        platform: platform.clone(),
        right: number::<v1::Right>(&right),
        profile: profile.unwrap_or_default(),
        reason,
    };
    session.operator().remove_grant(request).await?;
    let document = serde_json::json!({ "removed": right, "platform": platform });
    out.say(&format!("{platform} has {right} of {devices} no more"), &document)
}
