//! `wardein service policy`.

use super::scope;
use crate::connection::ConnectArgs;
use crate::{Column, Failure, Output, Record, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::{time as wire, v1};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show the service policy of a tenant
    Show(PolicyShowArgs),
    /// Set the service policy of a tenant. Visits that were invited before stay as they are
    Set(PolicySetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PolicyShowArgs {
    /// The tenant; without it the caller's own
    #[arg(long)]
    pub(super) tenant: Option<String>,
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PolicySetArgs {
    /// The scopes that visits may have, with commas
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',', required = true)]
    scopes: Vec<String>,
    /// How long a visit may be: 1h to 30d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = time::seconds)]
    longest: u64,
    /// Have a person at a device release visits of that device alone, too (`wardein-device service release`). Without it nobody at
    /// a device does
    #[arg(long)]
    release_at_device: bool,
    #[command(flatten)]
    show: PolicyShowArgs,
}

#[derive(Debug, Serialize)]
struct Policy {
    scopes: Vec<String>,
    longest_visit: u64,
    release_at_device: bool,
}

impl Record for Policy {
    const COLUMNS: &'static [Column<Self>] = &[
        ("scopes", |policy| policy.scopes.join(",")),
        ("longest visit", |policy| time::span(policy.longest_visit)),
        ("release at device", |policy| if policy.release_at_device { "yes" } else { "no" }.to_owned()),
    ];
}

impl From<Option<v1::ServicePolicy>> for Policy {
    fn from(policy: Option<v1::ServicePolicy>) -> Self {
        let v1::ServicePolicy { scopes, longest_visit, release_at_device } = policy.unwrap_or_default();
        Self { scopes, longest_visit: wire::span_seconds(longest_visit), release_at_device }
    }
}

impl PolicyCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Show(args) => show_policy(args, out).await,
            Self::Set(args) => set_policy(args, out).await,
        }
    }
}

async fn show_policy(args: PolicyShowArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let request = v1::GetServicePolicyRequest { tenant: scope(&session, args.tenant) };
    out.one(&Policy::from(session.operator().get_service_policy(request).await?.policy))
}

async fn set_policy(args: PolicySetArgs, out: Output) -> Result<(), Failure> {
    let PolicySetArgs { scopes, longest, release_at_device, show } = args;
    let PolicyShowArgs { tenant, connect } = show;
    let session = connect.open().await?;
    let request = v1::PutServicePolicyRequest {
        tenant: scope(&session, tenant),
        policy: Some(v1::ServicePolicy { scopes, longest_visit: wire::span(longest), release_at_device }),
    };
    out.one(&Policy::from(session.operator().put_service_policy(request).await?.policy))
}
