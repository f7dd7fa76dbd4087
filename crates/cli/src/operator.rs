//! `wardein operator`.

mod issue;

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Confirm, Failure, Output, Record, pages, time};
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

impl Operator {
    /// A count of devices; nothing where it is no station.
    fn of_station(&self, count: u64) -> String {
        if self.role == "station" { count.to_string() } else { String::new() }
    }
}

impl Record for Operator {
    const COLUMNS: &'static [Column<Self>] = &[
        ("role", |operator| operator.role.clone()),
        ("tenant", |operator| operator.tenant.clone()),
        ("name", |operator| operator.name.clone()),
        ("serial", |operator| operator.serial.clone()),
        ("valid until", |operator| time::at(operator.not_after)),
        ("revoked", |operator| time::at(operator.revoked_at)),
        ("enrolled", |operator| operator.of_station(operator.used)),
        ("of", |operator| operator.of_station(operator.quota)),
    ];
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
