//! `wardein update`: makers' repositories of updates, their product lines, and what is released in them.

mod artifact;
mod line;
mod release;
mod repository;
mod rollout;
mod sign;
mod site;

use crate::{Column, Failure, Output, Record, files, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use wardein_client::{time as wire, v1};

#[derive(Debug, Subcommand)]
pub(crate) enum UpdateCommand {
    /// Makers' repositories: TUF 1.0 metadata, by which devices judge what they install
    #[command(subcommand)]
    Repository(repository::RepositoryCommand),
    /// The product lines of a repository, each with keys and release managers of its own
    #[command(subcommand)]
    Line(line::LineCommand),
    /// Propose a release: its digest and length are computed here, and the artifact stays where it is
    #[command(disable_version_flag = true)]
    Add(release::AddArgs),
    /// List the releases of a product line
    List(release::ListArgs),
    /// Show a release, and what a device shows that runs it
    Show(release::ShowArgs),
    /// Have what was proposed offered to devices
    Release(release::DeedArgs),
    /// Say to which devices a release is offered: of which tenants and profiles, and how many of them
    Rollout(rollout::RolloutArgs),
    /// Offer a release to nobody for the time being
    Pause(release::DeedArgs),
    /// Offer a paused release again
    Resume(release::DeedArgs),
    /// Take a release out of the metadata, for good
    Recall(release::DeedArgs),
    /// Consent, for a tenant, to a release or to all of a product line: its devices may be offered it
    Consent(site::DecideArgs),
    /// Refuse, for a tenant, a release or all of a product line
    Refuse(site::DecideArgs),
    /// Take back what a tenant decided on a release or on all of a product line
    Withdraw(site::DecideArgs),
    /// Show what a tenant has decided on updates of its devices, and when they are offered
    Rules(site::RulesArgs),
    /// Set when a tenant's devices are offered releases, and whether those need its consent
    Window(site::WindowArgs),
    /// Sign what waits with a key that is offline: root, the top-level targets, or a product line
    Sign(sign::SignArgs),
    /// Write the metadata of a repository into a directory
    Export(repository::ExportArgs),
}

impl UpdateCommand {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        use v1::ReleaseDeed;
        match self {
            Self::Repository(command) => command.run(out).await,
            Self::Line(command) => command.run(out).await,
            Self::Add(args) => release::add(args, out).await,
            Self::List(args) => release::list(args, out).await,
            Self::Show(args) => release::show(args, out).await,
            Self::Release(args) => release::deed(args, ReleaseDeed::Release, "release", out).await,
            Self::Rollout(args) => rollout::run(args, out).await,
            Self::Pause(args) => release::deed(args, ReleaseDeed::Pause, "pause", out).await,
            Self::Resume(args) => release::deed(args, ReleaseDeed::Resume, "resume", out).await,
            Self::Recall(args) => release::deed(args, ReleaseDeed::Recall, "recall", out).await,
            Self::Consent(args) => site::decide(args, v1::UpdateDecision::Consent, "consent to", out).await,
            Self::Refuse(args) => site::decide(args, v1::UpdateDecision::Refuse, "refuse", out).await,
            Self::Withdraw(args) => {
                site::decide(args, v1::UpdateDecision::Withdraw, "take back what was decided on", out).await
            }
            Self::Rules(args) => site::rules(args, out).await,
            Self::Window(args) => site::window(args, out).await,
            Self::Sign(args) => sign::run(args, out).await,
            Self::Export(args) => repository::export(args, out).await,
        }
    }
}

/// Who signs.
#[derive(Debug, Args)]
struct KeysArgs {
    /// The public half of a key that is kept offline, on P-256 in PEM (`openssl pkey -pubout`); several times for several. Without it the
    /// authority keeps the key
    #[arg(long, value_name = "FILE")]
    offline_key: Vec<PathBuf>,
    /// How many of the offline keys must sign
    #[arg(
        long,
        value_name = "N",
        requires = "offline_key",
        default_value_if("offline_key", clap::builder::ArgPredicate::IsPresent, "1")
    )]
    threshold: Option<u32>,
}

impl KeysArgs {
    fn read(&self) -> Result<v1::UpdateKeys, Failure> {
        let offline_pem = self.offline_key.iter().map(|path| files::read(path)).collect::<Result<_, _>>()?;
        Ok(v1::UpdateKeys { offline_pem, threshold: self.threshold.unwrap_or_default() })
    }
}

/// A file of metadata.
#[derive(Debug, Serialize)]
struct File {
    file: String,
    version: u64,
    expires: u64,
    threshold: u32,
    keys: Vec<Key>,
    draft_version: u64,
    missing_signatures: u64,
}

#[derive(Debug, Serialize)]
struct Key {
    id: String,
    in_custody: bool,
}

impl From<v1::UpdateFile> for File {
    fn from(file: v1::UpdateFile) -> Self {
        let key = |key: v1::UpdateKey| Key { id: key.id, in_custody: key.in_custody };
        Self {
            file: file.name,
            version: file.version,
            expires: wire::seconds(file.expires),
            threshold: file.threshold,
            keys: file.keys.into_iter().map(key).collect(),
            draft_version: file.draft_version,
            missing_signatures: file.missing_signatures,
        }
    }
}

impl File {
    fn signers(&self) -> String {
        let of = |in_custody: bool| self.keys.iter().filter(|key| key.in_custody == in_custody).count();
        match (of(true), of(false)) {
            (_, 0) => "custody".to_owned(),
            (_, offline) => format!("{} of {offline} offline", self.threshold),
        }
    }

    fn waiting(&self) -> String {
        match self.draft_version {
            0 => String::new(),
            version => format!("version {version}, {} signatures missing", self.missing_signatures),
        }
    }
}

impl Record for File {
    const COLUMNS: &'static [Column<Self>] = &[
        ("file", |file| file.file.clone()),
        ("version", |file| file.version.to_string()),
        ("expires", |file| time::at(file.expires)),
        ("signed by", File::signers),
        ("waits", File::waiting),
    ];
}
