//! `wardein operator`.

mod fetch;
mod install;
mod invitations;
mod invite;
mod issue;
mod key;
mod recover;
mod renew;
mod request;
mod sign;
mod token;

pub use recover::RecoverArgs;

use crate::connection::{ConnectArgs, Session};
use crate::{Column, Confirm, Failure, Output, Record, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::{time as wire, v1, word};

#[derive(Debug, Subcommand)]
pub(crate) enum OperatorCommand {
    /// Issue an identity. Its key is made here and never sent; the directory that is made can be carried to where it is used
    ///
    /// Where the answer is lost, the key stays in DIR, and the same command again within a day gets the same certificate.
    Issue(issue::IssueArgs),
    /// Make a key that stays where it is made, and a request for who may sign it
    Request(request::RequestArgs),
    /// Sign a request: certify a key that is elsewhere, and write what belongs beside it into one file
    Sign(sign::SignArgs),
    /// Install what was signed, beside the key
    Install(install::InstallArgs),
    /// Invite: print a token by which somebody who has no identity yet gets one, once
    Invite(invite::InviteArgs),
    /// List the invitations that are open
    Invitations(invitations::InvitationsArgs),
    /// Fetch an identity for such a token; its key is made here and never sent
    ///
    /// A token is good once. Where the answer is lost, the key stays in DIR, and the same command again gets the same certificate.
    Fetch(fetch::FetchArgs),
    /// Renew one's own identity: another key and certificate, beside the present ones until those end
    ///
    /// Where the answer is lost, the key stays in DIR, and the same command again within a day gets the same certificate.
    Renew(renew::RenewArgs),
    /// List operators
    List(ListArgs),
    /// Bearer tokens, with which programs of a platform call that can show no client certificate
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Revoke an operator: it is refused from now on
    Revoke(RevokeArgs),
    /// Make an administrator where none is left. The service must be stopped
    ///
    /// For when every administrator has expired, or none is trusted. It takes what `wardein serve` takes to start, and is on record in
    /// the audit log as done by the owner of the machine.
    Recover(RecoverArgs),
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
    /// Also revoke what it issued, what that issued, and so on, and the bearer tokens that they made
    #[arg(long)]
    with_issued: bool,
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
    issued_by: String,
    issued_by_serial: String,
}

impl From<v1::Operator> for Operator {
    fn from(operator: v1::Operator) -> Self {
        Self {
            role: word::<v1::Role>(operator.role),
            tenant: operator.tenant,
            name: operator.name,
            serial: operator.serial,
            not_before: wire::seconds(operator.not_before),
            not_after: wire::seconds(operator.not_after),
            revoked_at: wire::seconds(operator.revoked_at),
            quota: operator.quota,
            used: operator.used,
            issued_by: operator.issued_by,
            issued_by_serial: operator.issued_by_serial,
        }
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
        ("issued by", |operator| operator.issued_by.clone()),
    ];
}

impl OperatorCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Issue(args) => issue::run(args, out).await,
            Self::Request(args) => request::run(args, out),
            Self::Sign(args) => sign::run(args, out).await,
            Self::Install(args) => install::run(args, out),
            Self::Invite(args) => invite::run(args, out).await,
            Self::Invitations(args) => invitations::run(args, out).await,
            Self::Fetch(args) => fetch::run(args, out).await,
            Self::Renew(args) => renew::run(args, out).await,
            Self::List(args) => list(args.connect.open().await?, args.tenant, out).await,
            Self::Token(command) => command.run(out).await,
            Self::Revoke(args) => revoke(args, out).await,
            // The binary does it: it takes the inside of an authority.
            Self::Recover(_) => {
                Err(Failure::Usage("recover works on a directory, not over a connection".to_owned()))
            }
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
    let RevokeArgs { serial, reason, with_issued, confirm, connect } = args;
    let also = if with_issued { " and everything that it issued" } else { "" };
    confirm.ask(&format!("revoke the operator with serial {serial}{also}"))?;
    let session = connect.open().await?;
    let request = v1::RevokeOperatorRequest { serial: serial.clone(), reason, with_issued };
    let count = session.operator().revoke_operator(request).await?.revoked;
    let words = match (with_issued, count) {
        (false, _) => format!("revoked operator {serial}"),
        (true, count) => format!("revoked {count} operators: {serial} and what it issued"),
    };
    out.say(&words, &serde_json::json!({ "revoked": serial, "count": count }))
}
