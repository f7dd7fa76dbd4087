//! `wardein trust release-key` and `wardein trust open`. What comes is written to a file that its owner alone can read, which is made
//! first: a key that is spent and cannot be kept would be lost.

use super::{idempotency_key, message, until_answered};
use crate::connection::ConnectArgs;
use crate::files::Reserved;
use crate::{Column, Failure, Output, Record};
use clap::Args;
use serde::Serialize;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use wardein_client::{v1, word};
use wardein_crypto::SecretBytes;
use wardein_files::SealedFile;

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

/// The `ddkg1` stanza of an age file's header; what comes behind the header is not looked at.
fn stanza(path: &Path) -> Result<v1::FileStanza, Failure> {
    let file = File::open(path).map_err(|error| Failure::file("read", path, error))?;
    let found = SealedFile::read(BufReader::new(file)).and_then(|file| file.stanza());
    found
        .map(|stanza| v1::FileStanza { arguments: stanza.arguments(), body: stanza.body().to_vec() })
        .map_err(|why| Failure::Failed(format!("{}: {why}", path.display())))
}

/// What the authority takes.
const MAX_SEALED: usize = 9 * 1024;
