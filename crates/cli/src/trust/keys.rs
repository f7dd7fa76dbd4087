//! `wardein trust release-key` and `wardein trust open`. What comes is written to a file that its owner alone can read, which is made
//! first: a key that is spent and cannot be kept would be lost.

use super::{idempotency_key, message, until_answered};
use crate::connection::ConnectArgs;
use crate::files::Reserved;
use crate::{Column, Failure, Output, Record};
use clap::Args;
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use wardein_client::{v1, word};
use wardein_crypto::SecretBytes;
use wardein_ddkg::message::from_text;

#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    sealed: SealedArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SealedArgs {
    /// The name of a payload's key: ddkg1:TENANT/DEVICE/G.data.E.N
    #[arg(long, value_name = "NAME")]
    key_name: Option<String>,
    /// An age file, or its header, with a `ddkg1` stanza: its file key is asked for
    #[arg(long, value_name = "FILE")]
    age_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// A file with the sealed payload in base64; standard input where none is given
    #[arg(long, value_name = "FILE")]
    sealed: Option<PathBuf>,
    /// What the device bound to it beside
    #[arg(long, value_name = "TEXT", default_value = "")]
    additional_data: String,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The file to write, as raw bytes; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Unsealed {
    tenant: String,
    device_id: String,
    state: String,
    key_name: String,
    file: PathBuf,
}

impl Record for Unsealed {
    const COLUMNS: &'static [Column<Self>] = &[
        ("tenant", |unsealed| unsealed.tenant.clone()),
        ("device", |unsealed| unsealed.device_id.clone()),
        ("its state now", |unsealed| unsealed.state.clone()),
        ("key", |unsealed| unsealed.key_name.clone()),
        ("written to", |unsealed| unsealed.file.display().to_string()),
    ];
}

impl ReleaseArgs {
    pub(super) async fn run(self, out: Output) -> Result<(), Failure> {
        use v1::release_key_request::Key;
        let CommonArgs { reason, out: path, connect } = self.common;
        let key = match (self.sealed.key_name, self.sealed.age_file) {
            (Some(name), _) => Key::KeyName(name),
            (None, Some(file)) => Key::File(stanza(&file)?),
            (None, None) => return Err(Failure::Usage("give --key-name or --age-file".to_owned())),
        };
        let reserved = Reserved::new(&path)?;
        let session = connect.open().await?;
        let request = v1::ReleaseKeyRequest { key: Some(key), reason, idempotency_key: idempotency_key()? };
        let platform = session.platform();
        let answer = until_answered(async || Ok(platform.release_key(request.clone()).await?)).await?;
        reserved.fill(&SecretBytes::from_vec(answer.key.into()))?;
        show(answer.sealed_by, path, out)
    }
}

impl OpenArgs {
    pub(super) async fn run(self, out: Output) -> Result<(), Failure> {
        let CommonArgs { reason, out: path, connect } = self.common;
        let sealed = message(self.sealed.as_deref(), MAX_SEALED)?;
        let reserved = Reserved::new(&path)?;
        let session = connect.open().await?;
        let request = v1::OpenRequest {
            sealed,
            additional_data: self.additional_data.into_bytes(),
            reason,
            idempotency_key: idempotency_key()?,
        };
        let platform = session.platform();
        let answer = until_answered(async || Ok(platform.open(request.clone()).await?)).await?;
        reserved.fill(&SecretBytes::from_vec(answer.plaintext.into()))?;
        show(answer.sealed_by, path, out)
    }
}

fn show(sealed_by: Option<v1::SealedBy>, file: PathBuf, out: Output) -> Result<(), Failure> {
    let v1::SealedBy { tenant, device_id, state, key_name } = sealed_by.unwrap_or_default();
    let state = word::<v1::DeviceState>(state);
    out.one(&Unsealed { tenant, device_id, state, key_name, file })
}

/// The first `ddkg1` stanza of an age file's header (C2SP age, "Header"); what comes behind the header is not looked at.
fn stanza(path: &Path) -> Result<v1::FileStanza, Failure> {
    let mut header = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_HEADER).read_to_end(&mut header))
        .map_err(|error| Failure::file("read", path, error))?;
    parse_stanza(&String::from_utf8_lossy(&header))
        .map_err(|why| Failure::Failed(format!("{}: {why}", path.display())))
}

fn parse_stanza(header: &str) -> Result<v1::FileStanza, String> {
    let mut lines = header.lines().take_while(|line| !line.starts_with("---"));
    while let Some(line) = lines.next() {
        let Some(arguments) = line.strip_prefix("-> ").filter(|it| it.starts_with("ddkg1 ")) else {
            continue;
        };
        // 32 bytes are one line of base64, which age does not pad.
        let body = format!("{}=", lines.next().unwrap_or_default());
        let body = from_text(&body, 32).map_err(|error| format!("the body of the ddkg1 stanza: {error}"))?;
        return Ok(v1::FileStanza { arguments: arguments.to_owned(), body });
    }
    Err("its header has no ddkg1 stanza".to_owned())
}

/// What the authority takes.
const MAX_SEALED: usize = 9 * 1024;
const MAX_HEADER: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stanza_of_an_age_file_is_found_among_others() {
        let body = "A".repeat(43);
        let header = format!(
            "age-encryption.org/v1\n-> X25519 abc\n{body}\n-> ddkg1 ddkg1:t/d/1.file.0.0\n{body}\n--- mac\n-> ddkg1 x\n"
        );
        let found = parse_stanza(&header).unwrap();
        assert_eq!((found.arguments.as_str(), found.body), ("ddkg1 ddkg1:t/d/1.file.0.0", vec![0; 32]));
        for bad in ["", "-> X25519 a\nAA\n", "--- mac\n-> ddkg1 n\n", "-> ddkg1 n\nAA\n", "-> ddkg1 n"] {
            assert!(parse_stanza(bad).is_err(), "{bad:?}");
        }
    }
}
