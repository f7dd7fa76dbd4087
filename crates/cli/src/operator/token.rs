//! `wardein operator token`: bearer tokens, for programs of a platform that can show no client certificate.

use crate::connection::{ConnectArgs, Session};
use crate::files::Reserved;
use crate::{Column, Confirm, Failure, Output, Record, pages, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::{time as wire, v1};
use wardein_crypto::{SecretBytes, hex};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, into a file: it is written this once
    Create(CreateArgs),
    /// List the tokens that are good
    List(ListArgs),
    /// Revoke a token: it is refused from now on
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The serial of the platform's certificate, as `operator list` shows it
    serial: String,
    /// For how long it is good, such as 90d; at most as long as the certificate
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    lifetime: u64,
    /// The file to make, which its owner alone may read
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those of one tenant's platforms
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// The serial of the certificate that it is bound to
    serial: String,
    /// Its id, as `operator token list` shows it
    id: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Token {
    id: String,
    serial: String,
    operator: String,
    created_at: u64,
    expires_at: u64,
    created_by: String,
    created_by_serial: String,
}

impl From<v1::BearerToken> for Token {
    fn from(token: v1::BearerToken) -> Self {
        Self {
            id: token.id,
            serial: token.serial,
            operator: token.operator,
            created_at: wire::seconds(token.created_at),
            expires_at: wire::seconds(token.expires_at),
            created_by: token.created_by,
            created_by_serial: token.created_by_serial,
        }
    }
}

impl Record for Token {
    const COLUMNS: &'static [Column<Self>] = &[
        ("id", |token| token.id.clone()),
        ("of", |token| token.operator.clone()),
        ("serial", |token| token.serial.clone()),
        ("made", |token| time::at(token.created_at)),
        ("good until", |token| time::at(token.expires_at)),
        ("made by", |token| token.created_by.clone()),
    ];
}

impl TokenCommand {
    pub(super) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Create(args) => create(args, out).await,
            Self::List(args) => list(args.connect.open().await?, args.tenant, out).await,
            Self::Revoke(args) => revoke(args, out).await,
        }
    }
}

async fn create(args: CreateArgs, out: Output) -> Result<(), Failure> {
    let CreateArgs { serial, lifetime, out: path, connect } = args;
    let session = connect.open().await?;
    // Before there is a token: one that cannot be written is nobody's.
    let file = Reserved::new(&path)?;
    let request = v1::CreateBearerTokenRequest { serial, lifetime: wire::span(lifetime) };
    let made = session.operator().create_bearer_token(request).await?;
    file.fill(&written(&made.token))?;
    let token = Token::from(made.bearer_token.unwrap_or_default());
    let words = format!(
        "made bearer token {id} of {operator}, good until {until}; it is in {path}, and nowhere else",
        id = token.id,
        operator = token.operator,
        until = time::at(token.expires_at),
        path = path.display(),
    );
    out.say(&words, &token)
}

async fn list(session: Session, tenant: Option<String>, out: Output) -> Result<(), Failure> {
    let operator = session.operator();
    let tenant = tenant.or(session.tenant).unwrap_or_default();
    let tokens = pages::all(async |page_size, page_token| {
        let request = v1::ListBearerTokensRequest { tenant: tenant.clone(), page_size, page_token };
        let page = operator.list_bearer_tokens(request).await?;
        Ok((page.bearer_tokens, page.next_page_token))
    });
    let tokens: Vec<_> = tokens.await?.into_iter().map(Token::from).collect();
    out.list("bearer_tokens", &tokens)
}

async fn revoke(args: RevokeArgs, out: Output) -> Result<(), Failure> {
    let RevokeArgs { serial, id, reason, confirm, connect } = args;
    confirm.ask(&format!("revoke the bearer token {id}"))?;
    let request = v1::RevokeBearerTokenRequest { serial, id: id.clone(), reason };
    connect.open().await?.operator().revoke_bearer_token(request).await?;
    out.say(&format!("revoked the bearer token {id}"), &serde_json::json!({ "revoked": id }))
}

/// A token as text, with a mark by which people, and programs that look for secrets, know it.
fn written(token: &[u8]) -> SecretBytes {
    let mut text = SecretBytes::with_capacity(MARK.len() + 2 * token.len() + 1);
    text.extend(MARK.as_bytes());
    for byte in token {
        text.extend(hex::encode(&[*byte]).as_bytes());
    }
    text.extend(b"\n");
    text
}

const MARK: &str = "wardein-bearer-";
