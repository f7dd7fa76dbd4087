//! `wardein trust verify-token`.

use super::{idempotency_key, message, until_answered, verdict};
use crate::connection::ConnectArgs;
use crate::{Column, Failure, Output, Record, time};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::{time as wire, v1};
use wardein_crypto::hex;

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A file with the token in base64; standard input where none is given. It is a credential, and so no argument
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The nonce that the device was given for this login, in hex
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Clone, Default)]
struct Nonce(Vec<u8>);

#[derive(Debug, Serialize)]
struct Login {
    verdict: String,
    user_name: String,
    organization: String,
    groups: Vec<String>,
    tenant: String,
    device_id: String,
    issued_at: u64,
    decided_at: u64,
    keep_until: u64,
}

impl Record for Login {
    const COLUMNS: &'static [Column<Self>] = &[
        ("verdict", |login| login.verdict.clone()),
        ("user name", |login| login.user_name.clone()),
        ("organization", |login| login.organization.clone()),
        ("groups", |login| login.groups.join(" ")),
        ("tenant", |login| login.tenant.clone()),
        ("device", |login| login.device_id.clone()),
        ("token made", |login| time::at(login.issued_at)),
        ("decided", |login| time::at(login.decided_at)),
        ("keep until", |login| time::at(login.keep_until)),
    ];
}

impl VerifyArgs {
    pub(super) async fn run(self, out: Output) -> Result<(), Failure> {
        let token = message(self.token_file.as_deref(), MAX_TOKEN)?;
        let session = self.connect.open().await?;
        let Nonce(platform_nonce) = self.nonce.unwrap_or_default();
        let request = v1::VerifyTokenRequest { token, platform_nonce, idempotency_key: idempotency_key()? };
        let platform = session.platform();
        let answer = until_answered(async || Ok(platform.verify_token(request.clone()).await?)).await?;
        let given = answer.trust.unwrap_or_default();
        out.one(&Login {
            verdict: verdict(given.verdict),
            user_name: answer.user_name,
            organization: answer.organization,
            groups: answer.groups,
            tenant: given.tenant,
            device_id: given.device_id,
            issued_at: wire::seconds(answer.issued_at),
            decided_at: wire::seconds(given.decided_at),
            keep_until: wire::seconds(given.keep_until),
        })
    }
}

fn nonce(text: &str) -> Result<Nonce, &'static str> {
    hex::decode_any_case(text).map(Nonce).ok_or("is no hex")
}

/// What the authority takes.
const MAX_TOKEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_hex() {
        assert_eq!(nonce("00fFa0").unwrap().0, [0, 0xff, 0xa0]);
        assert!(nonce("").unwrap().0.is_empty());
        assert!(nonce("0").is_err() && nonce("0g").is_err() && nonce("ä").is_err());
    }
}
