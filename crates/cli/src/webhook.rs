//! `wardein webhook`.

use crate::connection::{ConnectArgs, Session};
use crate::files::{self, Reserved};
use crate::{Column, Confirm, Failure, Output, Record, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::{time as wire, v1};
use wardein_crypto::SecretBytes;
use wardein_ddkg::message::to_text;

#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Set a webhook: the authority posts there which verdicts change. One that is there goes on from where it is
    Put(PutArgs),
    /// List a tenant's webhooks, and how their deliveries stand
    List(ListArgs),
    /// Remove a webhook
    Remove(RemoveArgs),
    /// Post a message that says nothing, and say what came of it
    Test(TestArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// Its name within the tenant: 1 to 32 of a-z, 0-9 and '-'
    name: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Where to post
    #[arg(long, value_name = "https://HOST[:PORT]/PATH")]
    url: String,
    /// The CAs that the receiver's certificate must lead to, in PEM. No others are believed
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The file to make for the secret that messages are authenticated with, which its owner alone may read; none is left where the
    /// webhook keeps the secret that it has
    #[arg(long, value_name = "FILE")]
    secret_out: PathBuf,
    /// Make another secret, and another key that signs
    #[arg(long)]
    renew_secret: bool,
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
    /// Its name
    name: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Its name
    name: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Webhook {
    tenant: String,
    name: String,
    url: String,
    set_at: u64,
    set_by: String,
    taken_at: u64,
    failing_since: u64,
    failure: String,
    /// As Standard Webhooks writes it.
    public_key: String,
}

impl From<v1::Webhook> for Webhook {
    fn from(webhook: v1::Webhook) -> Self {
        Self {
            tenant: webhook.tenant,
            name: webhook.name,
            url: webhook.url,
            set_at: wire::seconds(webhook.set_at),
            set_by: webhook.set_by,
            taken_at: wire::seconds(webhook.taken_at),
            failing_since: wire::seconds(webhook.failing_since),
            failure: webhook.failure,
            public_key: format!("whpk_{}", to_text(&webhook.public_key)),
        }
    }
}

impl Record for Webhook {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |webhook| webhook.tenant.clone()),
        ("name", |webhook| webhook.name.clone()),
        ("url", |webhook| webhook.url.clone()),
        ("set", |webhook| time::at(webhook.set_at)),
        ("by", |webhook| webhook.set_by.clone()),
        ("last taken", |webhook| time::at(webhook.taken_at)),
        ("failing since", |webhook| time::at(webhook.failing_since)),
        ("failure", |webhook| webhook.failure.clone()),
        ("signed by", |webhook| webhook.public_key.clone()),
    ];
}

impl WebhookCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Put(args) => put(args, out).await,
            Self::List(args) => list(args.connect.open().await?, args.tenant, out).await,
            Self::Remove(args) => remove(args, out).await,
            Self::Test(args) => test(args, out).await,
        }
    }
}

async fn put(args: PutArgs, out: Output) -> Result<(), Failure> {
    let PutArgs { name, tenant, url, ca, secret_out, renew_secret, connect } = args;
    let ca_pem = files::read(&ca)?;
    let session = connect.open().await?;
    // Before there is a secret: one that cannot be written is nobody's.
    let file = Reserved::new(&secret_out)?;
    let tenant = session.tenant(tenant).await?;
    let request = v1::PutWebhookRequest { tenant, name, url, ca_pem, renew_secret };
    let answer = session.operator().put_webhook(request).await?;
    if !answer.secret.is_empty() {
        let text = SecretBytes::from_vec(format!("whsec_{}\n", to_text(&answer.secret)).into_bytes());
        file.fill(&text)?;
    }
    out.one(&Webhook::from(answer.webhook.unwrap_or_default()))
}

async fn list(session: Session, tenant: Option<String>, out: Output) -> Result<(), Failure> {
    let tenant = tenant.or_else(|| session.tenant.clone()).unwrap_or_default();
    let answer = session.operator().list_webhooks(v1::ListWebhooksRequest { tenant }).await?;
    let webhooks: Vec<_> = answer.webhooks.into_iter().map(Webhook::from).collect();
    out.list("webhooks", &webhooks)
}

async fn remove(args: RemoveArgs, out: Output) -> Result<(), Failure> {
    let RemoveArgs { name, tenant, reason, confirm, connect } = args;
    confirm.ask(&format!("remove the webhook {name}"))?;
    let session = connect.open().await?;
    let request =
        v1::RemoveWebhookRequest { tenant: session.tenant(tenant).await?, name: name.clone(), reason };
    session.operator().remove_webhook(request).await?;
    out.say(&format!("removed the webhook {name}"), &serde_json::json!({ "removed": name }))
}

async fn test(args: TestArgs, out: Output) -> Result<(), Failure> {
    let TestArgs { name, tenant, connect } = args;
    let session = connect.open().await?;
    let request = v1::TestWebhookRequest { tenant: session.tenant(tenant).await?, name: name.clone() };
    let answer = session.operator().test_webhook(request).await?;
    if !answer.is_taken {
        return Err(Failure::Failed(format!("the webhook {name} did not take it: {}", answer.said)));
    }
    out.say(&format!("the webhook {name} took it"), &serde_json::json!({ "taken": name }))
}
