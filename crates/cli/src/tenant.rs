//! `wardein tenant`.

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Failure, Output, Record, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::{time as wire, v1};

#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Create a tenant, with the profile `default`
    Create(CreateArgs),
    /// List tenants
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// 1 to 63 of a-z, 0-9 and '-'
    tenant: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Tenant {
    tenant: String,
    created_at: u64,
}

impl From<v1::Tenant> for Tenant {
    fn from(v1::Tenant { tenant, created_at }: v1::Tenant) -> Self {
        Self { tenant, created_at: wire::seconds(created_at) }
    }
}

impl Record for Tenant {
    const COLUMNS: &'static [Column<Self>] =
        &[("tenant", |tenant| tenant.tenant.clone()), ("created", |tenant| time::at(tenant.created_at))];
}

impl TenantCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Create(args) => create(args.connect.open().await?, args.tenant, out).await,
            Self::List(args) => list(args.connect.open().await?, out).await,
        }
    }
}

async fn create(session: Session, tenant: String, out: Output) -> Result<(), Failure> {
    let request = v1::CreateTenantRequest { tenant };
    let answer = session.operator().create_tenant(request).await?;
    out.one(&Tenant::from(answer.tenant.unwrap_or_default()))
}

async fn list(session: Session, out: Output) -> Result<(), Failure> {
    let operator = session.operator();
    let tenants = pages::all(async |page_size, page_token| {
        let request = v1::ListTenantsRequest { page_size, page_token };
        let page = operator.list_tenants(request).await?;
        Ok((page.tenants, page.next_page_token))
    });
    let tenants: Vec<_> = tenants.await?.into_iter().map(Tenant::from).collect();
    out.list("tenants", &tenants)
}
