//! `wardein operator invite`: a token by which who gets it has a key certified that is made there.

use crate::bundle::RootDigest;
use crate::connection::{ConnectArgs, Session};
use crate::{Confirm, Failure, Output, time};
use clap::Args;
use serde::Serialize;
use wardein_client::{number, time as wire, v1};
use wardein_crypto::{SecretBytes, hex};

#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// What it may do
    #[arg(long, value_parser = ["admin", "tenant-admin", "station", "platform", "auditor", "release-manager", "site", "service-coordinator", "technician", "helpdesk", "backup"], required_unless_present = "revoke")]
    role: Option<String>,
    /// Its tenant; not for an admin, a release manager or backup, and not for an auditor of everything
    #[arg(long)]
    tenant: Option<String>,
    /// Its name: 1 to 64 of A-Z, a-z, 0-9 and '.', '_', '-'
    #[arg(long, required_unless_present = "revoke")]
    name: Option<String>,
    /// For how long its certificate is valid, from when it is fetched, such as 30d; at most 366d
    #[arg(long, value_name = "TIME", value_parser = time::seconds, required_unless_present = "revoke")]
    validity: Option<u64>,
    /// For a station: how many devices it may enroll
    #[arg(long, value_name = "N", required_if_eq("role", "station"))]
    quota: Option<u64>,
    /// For how long the token is good, such as 30m; at most 7d
    #[arg(long, value_name = "TIME", value_parser = time::seconds, default_value = "1h")]
    expires: u64,
    /// Instead, take the invitation of this id back, which nobody has redeemed
    #[arg(
        long,
        value_name = "ID",
        requires = "reason",
        conflicts_with_all = ["role", "tenant", "name", "validity", "quota"]
    )]
    revoke: Option<String>,
    /// Why it is taken back, for the audit log
    #[arg(long, value_name = "TEXT", requires = "revoke")]
    reason: Option<String>,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Serialize)]
struct Invited<'a> {
    id: &'a str,
    token: &'a str,
    expires_at: u64,
    endpoint: &'a str,
    root_sha256: String,
}

pub(super) async fn run(args: InviteArgs, out: Output) -> Result<(), Failure> {
    match &args.revoke {
        Some(id) => revoke(&args, id, out).await,
        None => invite(args.connect.open().await?, &args, out).await,
    }
}

async fn invite(session: Session, args: &InviteArgs, out: Output) -> Result<(), Failure> {
    let operator = session.operator();
    // Asked before there is a token, which is shown once.
    let bundle = operator.get_trust_bundle(v1::GetTrustBundleRequest::default()).await?;
    let root = RootDigest::of_first(&bundle.pem)?;
    let endpoint = if bundle.endpoint.is_empty() { &session.endpoint } else { &bundle.endpoint };
    let (role, name) = (args.role.clone().unwrap_or_default(), args.name.clone().unwrap_or_default());
    let request = v1::CreateInvitationRequest {
        role: number::<v1::Role>(&role),
        tenant: super::issue::tenant_of(&role, args.tenant.clone(), &session).await?,
        name: name.clone(),
        validity: args.validity.and_then(wire::span),
        quota: args.quota.unwrap_or_default(),
        lifetime: wire::span(args.expires),
    };
    let made = operator.create_invitation(request).await?;
    let (token, expires_at) = (written(&made.token), wire::seconds(made.expires_at));
    let words = format!(
        "Invitation {id} for {role} {name}, until {until}. Its token is shown this once, and is a secret:\n\
         \n\
         {token}\n\
         \n\
         Hand it over. Where the identity is to be, with the token in a file that its owner alone may read:\n\
         \x20 wardein operator fetch --endpoint {endpoint} \\\n\
         \x20   --infrastructure {root} \\\n\
         \x20   --token-file FILE --out DIR",
        id = made.id,
        until = time::at(expires_at),
    );
    let root_sha256 = root.to_string();
    out.say(&words, &Invited { id: &made.id, token: &token, expires_at, endpoint, root_sha256 })
}

async fn revoke(args: &InviteArgs, id: &str, out: Output) -> Result<(), Failure> {
    args.confirm.ask(&format!("take back the invitation {id}"))?;
    let reason = args.reason.clone().unwrap_or_default();
    let request = v1::RevokeInvitationRequest { id: id.to_owned(), reason };
    args.connect.open().await?.operator().revoke_invitation(request).await?;
    out.say(&format!("took back the invitation {id}"), &serde_json::json!({ "revoked": id }))
}

/// A token as text, with a mark by which people, and programs that look for secrets, know it.
fn written(token: &[u8]) -> String {
    MARK.to_owned() + &hex::encode(token)
}

/// The token in the text of a file.
pub(super) fn read(text: &[u8]) -> Option<SecretBytes> {
    let text = std::str::from_utf8(text).ok()?.trim();
    hex::decode(text.strip_prefix(MARK)?).map(SecretBytes::from_vec)
}

const MARK: &str = "wardein-invitation-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = [7; 40];
        let text = written(&token);
        assert_eq!(text.len(), MARK.len() + 80);
        for text in [text.clone(), format!("\n {text}\r\n")] {
            assert_eq!(read(text.as_bytes()).unwrap().expose(), token);
        }
        for bad in [
            "",
            "wardein-invitation",
            &text[3..],
            &text.to_uppercase(),
            &format!("{text}0"),
            &format!("{text} x"),
        ] {
            assert!(read(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
