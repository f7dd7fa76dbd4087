//! `wardein file`: files that devices sealed, for platforms and readers; where they come from, for everybody.

mod digest;
mod many;
mod targets;

use crate::connection::ConnectArgs;
use crate::progress::progress;
use crate::trust::{idempotency_key, until_answered};
use crate::{Column, Failure, Output, Record, files};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use many::By;
use serde::Serialize;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use wardein_client::v1::release_key_request::Key;
use wardein_client::{v1, word};
use wardein_crypto::{Secret, SecretBytes};
use wardein_ddkg::message::FileStanza;
use wardein_files::plugin::PluginIdentity;
use wardein_files::{Checked, FileError, Opening, ReaderKey, SealedFile, check};
use wardein_pki::pem;

#[derive(Debug, Subcommand)]
pub(crate) enum FileCommand {
    /// Open sealed files, as a platform with the right `file`, or with a reader's key
    ///
    /// The authority releases a file's key once, or again where the profile archives it, and its audit log says why. The file
    /// itself stays here. A reader's key needs no authority.
    ///
    /// The keys of several files are released by one request for up to 1,000 of them, with one entry in the audit log: how many,
    /// and a digest of the list, which is printed. A file that is not opened leaves the others alone.
    Open(Box<OpenArgs>),
    /// Print an identity for age and rage, which open sealed files with it through age-plugin-wardein
    ///
    /// `rage -d -i IDENTITY` and `age -d -i IDENTITY` then have keys released as the platform, each once or as the profile archives
    /// them. It holds no secret, but the place of the platform's key.
    Identity(IdentityArgs),
    /// Tell what can be seen of a sealed file without a key. Nothing vouches for it
    Inspect(InspectArgs),
    /// Print the digest under which the audit log has the release of these files' keys by one request
    ///
    /// It is the SHA-256 over the names of their keys in byte order, each followed by a line feed. As with `inspect`, nothing
    /// vouches for the names; the statements beside the files do.
    Digest(digest::DigestArgs),
    /// Verify files by the statements beside them, offline, and tell whether one is missing between them or in another's place
    ///
    /// Beside each FILE is FILE.sig. The certificate must lead to one of the roots and have been valid when the file was sealed.
    /// Exits with 5 where a file is missing before the last one, or in another's place. What is missing behind the last one cannot
    /// be seen.
    Verify(VerifyArgs),
}

/// `wardein file open`.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// The sealed files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the one file goes; it must not be there yet, and its owner alone may read it
    #[arg(long, value_name = "FILE", required_unless_present = "out_dir", conflicts_with = "out_dir")]
    out: Option<PathBuf>,
    /// The directory that the files go into, each under its name without `.age`, as with --out
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Why, for the audit log: the authority is asked for the key
    #[arg(long, value_name = "TEXT", required_unless_present = "reader_key")]
    reason: Option<String>,
    /// A reader's key, as age-keygen writes it, in a file that its owner alone may read: nobody is asked
    #[arg(long, value_name = "FILE", conflicts_with = "reason")]
    reader_key: Option<PathBuf>,
    /// Verify the statement beside the file first, by these roots (PEM, `root-ca.pem`): no key is spent on a file that was changed
    #[arg(long, value_name = "FILE")]
    verify_by: Option<PathBuf>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein file identity`.
#[derive(Debug, Args)]
pub(crate) struct IdentityArgs {
    /// The directory of the platform's identity
    #[arg(long, value_name = "DIR")]
    identity: PathBuf,
    /// Why files are opened with it, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The sealed file
    file: PathBuf,
}

/// `wardein file verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The sealed files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The roots to trust, in PEM: `root-ca.pem` of the authority's directory
    #[arg(long, value_name = "FILE")]
    roots: PathBuf,
}

#[derive(Debug, Serialize)]
struct Opened {
    path: PathBuf,
    bytes: u64,
    tenant: String,
    device_id: String,
    state: String,
    key_name: String,
}

impl Record for Opened {
    const COLUMNS: &'static [Column<Self>] = &[
        ("written to", |opened| opened.path.display().to_string()),
        ("bytes", |opened| opened.bytes.to_string()),
        ("tenant", |opened| opened.tenant.clone()),
        ("device", |opened| opened.device_id.clone()),
        ("its state now", |opened| opened.state.clone()),
        ("key", |opened| opened.key_name.clone()),
    ];
}

impl FileCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Open(args) => args.run(out).await,
            Self::Identity(IdentityArgs { identity, reason }) => {
                let directory =
                    identity.canonicalize().map_err(|error| Failure::file("find", &identity, error))?;
                let text = PluginIdentity { directory, reason }.text().map_err(Failure::failed)?;
                out.say(&text, &serde_json::json!({ "identity": text }))
            }
            Self::Inspect(InspectArgs { file }) => {
                let seen = read(&file)?.inspect().map_err(|why| of(&file, why))?;
                out.say(&seen.to_string(), &seen)
            }
            Self::Digest(args) => args.run(out),
            Self::Verify(args) => args.run(out),
        }
    }
}

impl OpenArgs {
    async fn run(self, out: Output) -> Result<(), Failure> {
        let Self { files, out: path, out_dir, reason, reader_key, verify_by, connect } = self;
        let single = match (files.as_slice(), path, &out_dir) {
            ([file], Some(path), _) => Some((file.clone(), path)),
            (_, None, Some(_)) => None,
            _ => return Err(Failure::Usage("--out is for one file; give --out-dir".to_owned())),
        };
        if let Some(roots) = verify_by {
            verify(&files, &roots)?;
        }
        let reader_key = reader_key.as_deref().map(read_reader_key).transpose()?;
        let reason = reason.unwrap_or_default();
        match (single, out_dir) {
            (Some((file, path)), _) => open_one(file, path, reader_key, &connect, reason, out).await,
            (None, Some(directory)) => {
                let as_platform = || By::Platform(Box::new(connect), reason);
                let by = reader_key.map_or_else(as_platform, By::Reader);
                many::open(files, &directory, by, out).await
            }
            (None, None) => Err(Failure::Usage("give --out or --out-dir".to_owned())),
        }
    }
}

async fn open_one(
    file: PathBuf,
    path: PathBuf,
    reader_key: Option<ReaderKey>,
    connect: &ConnectArgs,
    reason: String,
    out: Output,
) -> Result<(), Failure> {
    let sealed = read(&file)?;
    let bar = bar(&file);
    let mut shown = |at| bar.set_position(at);
    let begin = || files::begin(&path, files::PRIVATE);
    if let Some(key) = reader_key {
        let opened = begin()?.fill(sealed, &Opening::Reader(&key), &mut shown);
        bar.finish_and_clear();
        let bytes = opened.map_err(|why| of(&file, why))?;
        return say(out, path, bytes, v1::SealedBy::default(), false);
    }
    let stanza = sealed.stanza().map_err(|why| of(&file, why))?;
    // Before the key is spent.
    let target = begin()?;
    let (key, by) = release(connect, &stanza, reason).await?;
    let opened = target.fill(sealed, &Opening::FileKey(&key), &mut shown);
    bar.finish_and_clear();
    let bytes = opened.map_err(|why| of(&file, why))?;
    say(out, path, bytes, by, true)
}

fn read_reader_key(path: &Path) -> Result<ReaderKey, Failure> {
    let key = files::read_private(path)?;
    let text = std::str::from_utf8(key.expose()).map_err(|_| Failure::failed(FileError::ReaderKey))?;
    ReaderKey::parse(text).map_err(Failure::failed)
}

impl VerifyArgs {
    fn run(self, out: Output) -> Result<(), Failure> {
        let checked = verify(&self.files, &self.roots)?;
        out.say(&checked.to_string(), &checked)?;
        if checked.is_complete() {
            return Ok(());
        }
        Err(Failure::NotWhole("files are missing, or in each other's place".to_owned()))
    }
}

fn verify(files: &[PathBuf], roots: &Path) -> Result<Checked, Failure> {
    let wrong = |error| Failure::file("take for roots", roots, error);
    let roots = pem::decode_certificates(&files::read(roots)?).map_err(wrong)?;
    let roots: Vec<&[u8]> = roots.iter().map(Vec::as_slice).collect();
    let bar = progress("{bytes} at {bytes_per_sec}", None);
    let checked = check(files, &roots, &mut |at| bar.set_position(at));
    bar.finish_and_clear();
    checked.map_err(|(file, why)| of(&file, why))
}

/// Has the key of a file released to the platform.
pub(crate) async fn release(
    connect: &ConnectArgs,
    stanza: &FileStanza,
    reason: String,
) -> Result<(Secret<16>, v1::SealedBy), Failure> {
    let session = connect.open().await?;
    let stanza = v1::FileStanza { arguments: stanza.arguments(), body: stanza.body().to_vec() };
    let request =
        v1::ReleaseKeyRequest { key: Some(Key::File(stanza)), reason, idempotency_key: idempotency_key()? };
    let platform = session.platform();
    let answer = until_answered(async || Ok(platform.release_key(request.clone()).await?)).await?;
    let key = SecretBytes::from_vec(answer.key.into());
    let key =
        key.expose().try_into().map_err(|_| Failure::failed("the authority's answer is not a file key"))?;
    Ok((Secret::copied_from(key), answer.sealed_by.unwrap_or_default()))
}

fn say(out: Output, path: PathBuf, bytes: u64, by: v1::SealedBy, is_known: bool) -> Result<(), Failure> {
    let v1::SealedBy { tenant, device_id, state, key_name } = by;
    let state = if is_known { word::<v1::DeviceState>(state) } else { String::new() };
    out.one(&Opened { path, bytes, tenant, device_id, state, key_name })
}

fn read(path: &Path) -> Result<SealedFile<BufReader<File>>, Failure> {
    let file = File::open(path).map_err(|error| Failure::file("read", path, error))?;
    SealedFile::read(BufReader::new(file)).map_err(|why| of(path, why))
}

fn stanza(file: &Path) -> Result<FileStanza, Failure> {
    read(file)?.stanza().map_err(|why| of(file, why))
}

fn of(path: &Path, why: FileError) -> Failure {
    let words = format!("{}: {why}", path.display());
    if why.is_distrust() { Failure::NotWhole(words) } else { Failure::Failed(words) }
}

fn bar(file: &Path) -> ProgressBar {
    let length = file.metadata().map(|metadata| metadata.len()).ok();
    progress("{bytes} of {total_bytes} at {bytes_per_sec}", length)
}
