//! `wardein update add`, `list`, `show`, `release`, `pause`, `resume` and `recall`.

use crate::connection::{ConnectArgs, Session};
use crate::progress::progress;
use crate::update::artifact::{Artifact, not_added, sealed, without};
use crate::update::rollout::Rollout;
use crate::{Column, Confirm, Failure, Output, Record, time};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use wardein_client::{number, time as wire, v1, word};
use wardein_crypto::{Sha256, hex};

/// `wardein update add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The artifact, of which length and digest are computed. It is sent nowhere
    file: PathBuf,
    /// Seal the artifact into this file, which is then what devices find at --path. The authority keeps the key, and gives it to
    /// the devices that are offered the release
    #[arg(long, value_name = "OUT")]
    sealed: Option<PathBuf>,
    /// The repository
    #[arg(long, value_name = "NAME")]
    repository: String,
    /// The product line
    #[arg(long, value_name = "NAME")]
    line: String,
    /// Its number, above those of all other releases of its models
    #[arg(long = "version", value_name = "N")]
    number: u64,
    /// Its version for people, such as 2.10.3
    #[arg(long, value_name = "TEXT")]
    label: String,
    /// A model that may run it; several times for several
    #[arg(long = "model", value_name = "NAME", required = true)]
    models: Vec<String>,
    /// Where devices find it, below wherever the maker keeps artifacts: one of the line's paths
    #[arg(long, value_name = "PATH")]
    path: String,
    /// The least version that may be installed after it
    #[arg(long, value_name = "N", default_value_t = 0)]
    floor: u64,
    /// The highest floor from which devices may go back to it; the same command again with another one signs that
    #[arg(long, value_name = "N")]
    downgrade_from: Option<u64>,
    /// What it changes
    #[arg(long, value_name = "TEXT", default_value = "")]
    notes: String,
    /// An attribute that a device which runs it announces; several times for several
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// A PCR that such a device quotes; several times for several
    #[arg(long = "pcr", value_name = "BANK:NUMBER=HEX")]
    pcrs: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein update list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    of: OfArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein update show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The release's number
    number: u64,
    #[command(flatten)]
    of: OfArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What becomes of a release.
#[derive(Debug, Args)]
pub(crate) struct DeedArgs {
    /// The release's number
    number: u64,
    #[command(flatten)]
    of: OfArgs,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(super) struct OfArgs {
    /// The repository
    #[arg(long, value_name = "NAME")]
    pub(super) repository: String,
    /// The product line
    #[arg(long, value_name = "NAME")]
    pub(super) line: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Release {
    repository: String,
    line: String,
    version: u64,
    label: String,
    models: Vec<String>,
    path: String,
    length: u64,
    sha256: String,
    floor: u64,
    notes: String,
    attributes: BTreeMap<String, String>,
    pcrs: BTreeMap<String, String>,
    downgrade_from: u64,
    /// The file in a sealed artifact; empty and 0 where it is not sealed.
    plaintext_sha256: String,
    plaintext_length: u64,
    rollout: Rollout,
    receipts: Receipts,
    state: String,
    since: u64,
    added_by: String,
}

/// Of how many devices what is known of a release.
#[derive(Debug, Serialize)]
struct Receipts {
    running: u64,
    differing: u64,
    rolled_back: u64,
}

impl From<v1::Release> for Release {
    fn from(from: v1::Release) -> Self {
        let pcr = |pcr: v1::ReleasePcr| {
            (format!("{}:{}", word::<v1::PcrBank>(pcr.bank), pcr.number), hex::encode(&pcr.value))
        };
        let plaintext = from.plaintext.unwrap_or_default();
        Self {
            plaintext_sha256: hex::encode(&plaintext.sha256),
            plaintext_length: plaintext.length,
            repository: from.repository,
            line: from.line,
            version: from.version,
            label: from.label,
            models: from.models,
            path: from.path,
            length: from.length,
            sha256: hex::encode(&from.sha256),
            floor: from.floor,
            notes: from.notes,
            attributes: from.attributes.into_iter().map(|one| (one.name, one.value)).collect(),
            pcrs: from.pcrs.into_iter().map(pcr).collect(),
            downgrade_from: from.downgrade_from,
            rollout: from.rollout.unwrap_or_default().into(),
            receipts: from.receipts.unwrap_or_default().into(),
            state: word::<v1::ReleaseState>(from.state),
            since: wire::seconds(from.since),
            added_by: from.added_by,
        }
    }
}

impl From<v1::ReleaseReceipts> for Receipts {
    fn from(from: v1::ReleaseReceipts) -> Self {
        let v1::ReleaseReceipts { running, differing, rolled_back } = from;
        Self { running, differing, rolled_back }
    }
}

fn pairs(of: &BTreeMap<String, String>) -> String {
    of.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

impl Record for Release {
    const COLUMNS: &'static [Column<Self>] = &[
        ("version", |release| release.version.to_string()),
        ("label", |release| release.label.clone()),
        ("state", |release| release.state.clone()),
        ("since", |release| time::at(release.since)),
        ("models", |release| release.models.join(", ")),
        ("path", |release| release.path.clone()),
        ("length", |release| release.length.to_string()),
        ("sha256", |release| release.sha256.clone()),
        ("plaintext sha256", |release| release.plaintext_sha256.clone()),
        ("floor", |release| release.floor.to_string()),
        ("notes", |release| release.notes.clone()),
        ("attributes", |release| pairs(&release.attributes)),
        ("PCRs", |release| pairs(&release.pcrs)),
        ("downgrade from", |release| match release.downgrade_from {
            0 => String::new(),
            from => from.to_string(),
        }),
        ("offered to", |release| release.rollout.to_string()),
        ("runs on", |release| release.receipts.running.to_string()),
        ("differs on", |release| release.receipts.differing.to_string()),
        ("rolled back on", |release| release.receipts.rolled_back.to_string()),
        ("added by", |release| release.added_by.clone()),
    ];
}

/// A release's line in a table.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Listed(Release);

impl Record for Listed {
    const COLUMNS: &'static [Column<Self>] = &[
        ("version", |listed| listed.0.version.to_string()),
        ("label", |listed| listed.0.label.clone()),
        ("state", |listed| listed.0.state.clone()),
        ("since", |listed| time::at(listed.0.since)),
        ("models", |listed| listed.0.models.join(", ")),
        ("offered to", |listed| listed.0.rollout.to_string()),
        ("runs on", |listed| listed.0.receipts.running.to_string()),
        ("rolled back on", |listed| listed.0.receipts.rolled_back.to_string()),
        ("path", |listed| listed.0.path.clone()),
        ("length", |listed| listed.0.length.to_string()),
    ];
}

pub(super) async fn add(args: AddArgs, out: Output) -> Result<(), Failure> {
    let attributes = args.attributes.iter().map(|text| attribute(text)).collect::<Result<_, _>>()?;
    let pcrs = args.pcrs.iter().map(|text| pcr(text)).collect::<Result<_, _>>()?;
    let Artifact { length, sha256, opening } = match &args.sealed {
        None => measured(&args.file)?,
        Some(out) => sealed(&args.file, out)?,
    };
    let session = match (args.connect.open().await, &args.sealed) {
        (Ok(session), _) => session,
        (Err(failure), None) => return Err(failure),
        // Nobody was sent its key.
        (Err(failure), Some(out)) => return Err(without(out, failure)),
    };
    let (plaintext, artifact_key) =
        opening.map_or((None, Vec::new()), |(plaintext, key)| (Some(plaintext), key.expose().to_vec()));
    let release = v1::Release {
        repository: args.repository,
        line: args.line,
        version: args.number,
        label: args.label,
        models: args.models,
        path: args.path,
        length,
        sha256: sha256.0.to_vec(),
        floor: args.floor,
        notes: args.notes,
        attributes,
        pcrs,
        downgrade_from: args.downgrade_from.unwrap_or_default(),
        plaintext,
        ..v1::Release::default()
    };
    let request = v1::AddReleaseRequest { release: Some(release), artifact_key };
    let answer = match (session.operator().add_release(request).await, &args.sealed) {
        (Ok(answer), _) => answer,
        (Err(refusal), None) => return Err(refusal.into()),
        (Err(refusal), Some(out)) => {
            let is_refused = refusal.is_final();
            return Err(not_added(out, refusal.into(), is_refused));
        }
    };
    out.one(&Release::from(answer.release.unwrap_or_default()))
}

/// Length and digest of an artifact, read once.
fn measured(path: &Path) -> Result<Artifact, Failure> {
    let fails = |error| Failure::file("read the artifact", path, error);
    let mut file = File::open(path).map_err(fails)?;
    let total = file.metadata().map_err(fails)?.len();
    let bar = progress("{bytes} of {total_bytes} {wide_bar} {bytes_per_sec}", Some(total));
    let (mut hash, mut length) = (Sha256::new(), 0_u64);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(fails)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        length += read as u64;
        bar.inc(read as u64);
    }
    bar.finish_and_clear();
    Ok(Artifact { length, sha256: hash.finish(), opening: None })
}

fn attribute(text: &str) -> Result<v1::ReleaseAttribute, Failure> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Failure::Usage(format!("--attribute {text} is not NAME=VALUE")))?;
    Ok(v1::ReleaseAttribute { name: name.to_owned(), value: value.to_owned() })
}

fn pcr(text: &str) -> Result<v1::ReleasePcr, Failure> {
    let wrong = || Failure::Usage(format!("--pcr {text} is not BANK:NUMBER=HEX, such as sha256:7=00…"));
    let (place, value) = text.split_once('=').ok_or_else(wrong)?;
    let (bank, place) = place.split_once(':').ok_or_else(wrong)?;
    let place = place.parse().map_err(|_| wrong())?;
    let value = hex::decode_any_case(value).ok_or_else(wrong)?;
    if !matches!(bank, "sha256" | "sha384") {
        return Err(wrong());
    }
    Ok(v1::ReleasePcr { bank: number::<v1::PcrBank>(bank), number: place, value })
}

async fn releases(session: &Session, of: OfArgs) -> Result<Vec<Release>, Failure> {
    let request = v1::ListReleasesRequest { repository: of.repository, line: of.line };
    let answer = session.operator().list_releases(request).await?;
    Ok(answer.releases.into_iter().map(Release::from).collect())
}

pub(super) async fn list(args: ListArgs, out: Output) -> Result<(), Failure> {
    let found = releases(&args.connect.open().await?, args.of).await?;
    let listed: Vec<_> = found.into_iter().map(Listed).collect();
    out.list("releases", &listed)
}

pub(super) async fn show(args: ShowArgs, out: Output) -> Result<(), Failure> {
    let found = releases(&args.connect.open().await?, args.of).await?;
    let found = found.into_iter().find(|release| release.version == args.number);
    out.one(&found.ok_or_else(|| Failure::failed(format!("there is no release {}", args.number)))?)
}

pub(super) async fn deed(
    args: DeedArgs,
    deed: v1::ReleaseDeed,
    verb: &str,
    out: Output,
) -> Result<(), Failure> {
    let DeedArgs { number: version, of, reason, confirm, connect } = args;
    confirm.ask(&format!("{verb} release {version} of {}/{}", of.repository, of.line))?;
    let session = connect.open().await?;
    let request = v1::SetReleaseStateRequest {
        repository: of.repository,
        line: of.line,
        version,
        deed: deed.into(),
        reason,
    };
    let answer = session.operator().set_release_state(request).await?;
    out.one(&Release::from(answer.release.unwrap_or_default()))
}
