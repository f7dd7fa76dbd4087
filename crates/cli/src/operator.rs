//! `wardein operator`.

mod issue;

use crate::connection::{ConnectArgs, Session};
use crate::{Confirm, Failure, Output, Record, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::v1;

#[derive(Debug, Subcommand)]
pub(crate) enum OperatorCommand {
    /// Issue an identity. Its key is made here and never sent; the directory that is made can be carried to where it is used
    Issue(issue::IssueArgs),
    /// List operators
    List(ListArgs),
    /// Revoke an operator: it is refused from now on
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those of one tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The serial of its certificate, as `operator list` shows it
    serial: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Operator {
    role: String,
    tenant: String,
    name: String,
    serial: String,
    not_before: u64,
    not_after: u64,
    revoked_at: u64,
    quota: u64,
    used: u64,
}

impl From<v1::Operator> for Operator {
    fn from(operator: v1::Operator) -> Self {
        let v1::Operator { role, tenant, name, serial, not_before, not_after, revoked_at, quota, used } =
            operator;
        Self { role, tenant, name, serial, not_before, not_after, revoked_at, quota, used }
    }
}

impl Record for Operator {
    const HEADS: &'static [&'static str] =
        &["role", "tenant", "name", "serial", "valid until", "revoked", "enrolled", "of"];

    fn cells(&self) -> Vec<String> {
        let of_station = |count: u64| if self.role == "station" { count.to_string() } else { String::new() };
        vec![
            self.role.clone(),
            self.tenant.clone(),
            self.name.clone(),
            self.serial.clone(),
            time::at(self.not_after),
            time::at(self.revoked_at),
            of_station(self.used),
            of_station(self.quota),
        ]
    }
}

impl OperatorCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Issue(args) => issue::run(args, out).await,
            Self::List(args) => list(args.connect.open().await?, args.tenant, out).await,
            Self::Revoke(args) => revoke(args, out).await,
        }
    }
}

async fn list(session: Session, tenant: Option<String>, out: Output) -> Result<(), Failure> {
    let operator = session.operator();
    let tenant = tenant.or(session.tenant).unwrap_or_default();
    let operators = pages::all(async |page_size, page_token| {
        let request = v1::ListOperatorsRequest { tenant: tenant.clone(), page_size, page_token };
        let page = operator.list_operators(request).await?;
        Ok((page.operators, page.next_page_token))
    });
    let operators: Vec<_> = operators.await?.into_iter().map(Operator::from).collect();
    out.list("operators", &operators)
}

async fn revoke(args: RevokeArgs, out: Output) -> Result<(), Failure> {
    let RevokeArgs { serial, reason, confirm, connect } = args;
    confirm.ask(&format!("revoke the operator with serial {serial}"))?;
    let session = connect.open().await?;
    let request = v1::RevokeOperatorRequest { serial: serial.clone(), reason };
    session.operator().revoke_operator(request).await?;
    out.say(&format!("revoked operator {serial}"), &serde_json::json!({ "revoked": serial }))
}
