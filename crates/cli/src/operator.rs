//! `wardein operator`.

mod by_fingerprint;
mod by_name;
mod fetch;
mod install;
mod invitations;
mod invite;
mod issue;
mod key;
mod list;
mod recover;
mod renew;
mod request;
mod sign;
mod token;

pub(crate) use issue::{Trial, issue_for_trial};
pub use recover::RecoverArgs;

use crate::{Failure, Output};
use clap::Subcommand;
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
    /// List operators, by tenant, role and name
    ///
    /// The state is valid, renewed (the operator has a certificate that ends later), expired or revoked.
    ///
    /// Example: wardein operator list --expiring 30d
    List(list::ListArgs),
    /// Bearer tokens, with which programs of a platform call that can show no client certificate
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Revoke an operator: it is refused from now on
    ///
    /// By a name, all certificates are revoked that are valid under it, a renewed one and the former; by a serial, that one. By a fingerprint,
    /// as the audit log has it, the operator is found that called with that certificate, and all its certificates are revoked.
    ///
    /// Example: wardein operator revoke station/klinik-nord/line-1 --reason 'station stolen' --with-issued
    Revoke(by_name::RevokeArgs),
    /// Make an administrator where none is left. The service must be stopped
    ///
    /// For when every administrator has expired, or none is trusted. It takes what `wardein serve` takes to start, and is on record in
    /// the audit log as done by the owner of the machine.
    Recover(RecoverArgs),
}

/// An operator, as the authority has it.
#[derive(Debug, Clone, Serialize)]
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
            Self::List(args) => list::run(args, out).await,
            Self::Token(command) => command.run(out).await,
            Self::Revoke(args) => by_name::revoke(args, out).await,
            // The binary does it: it takes the inside of an authority.
            Self::Recover(_) => {
                Err(Failure::Usage("recover works on a directory, not over a connection".to_owned()))
            }
        }
    }
}
