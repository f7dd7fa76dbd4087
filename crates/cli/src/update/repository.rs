//! `wardein update repository` and `export`.

use super::{File, KeysArgs};
use crate::connection::{ConnectArgs, Session};
use crate::{Column, Confirm, Failure, Output, Record, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fs;
use std::path::PathBuf;
use wardein_client::{time as wire, v1};

#[derive(Debug, Subcommand)]
pub(crate) enum RepositoryCommand {
    /// Make a repository. With offline keys it is served once enough of them have signed (`wardein update sign`)
    Create(CreateArgs),
    /// List the repositories
    List(ListArgs),
    /// Show who signs which file of a repository, until when it is trusted, and what waits for signatures
    Show(ShowArgs),
    /// Have other keys sign root and the top-level targets from then on. The former and the next ones must sign that
    RotateRoot(RotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Its name: 1 to 32 of a-z, 0-9 and '-'
    name: String,
    #[command(flatten)]
    keys: KeysArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    keys: KeysArgs,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `wardein update export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The repository
    name: String,
    /// The directory to write the files into; those that are there already are replaced
    directory: PathBuf,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Serialize)]
pub(super) struct Repository {
    name: String,
    made_at: u64,
    made_by: String,
    lines: Vec<String>,
    files: Vec<File>,
}

impl From<v1::UpdateRepository> for Repository {
    fn from(from: v1::UpdateRepository) -> Self {
        Self {
            name: from.name,
            made_at: wire::seconds(from.made_at),
            made_by: from.made_by,
            lines: from.lines,
            files: from.files.into_iter().map(File::from).collect(),
        }
    }
}

impl Repository {
    fn waiting(&self) -> String {
        let waiting = self.files.iter().filter(|file| file.draft_version > 0);
        waiting.map(|file| file.file.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl Record for Repository {
    const COLUMNS: &'static [Column<Self>] = &[
        ("name", |repository| repository.name.clone()),
        ("made", |repository| time::at(repository.made_at)),
        ("by", |repository| repository.made_by.clone()),
        ("lines", |repository| repository.lines.join(", ")),
        ("waits for signatures", Repository::waiting),
    ];
}

impl RepositoryCommand {
    pub(super) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Create(CreateArgs { name, keys, connect }) => {
                let keys = Some(keys.read()?);
                let session = connect.open().await?;
                let request = v1::CreateUpdateRepositoryRequest { name, keys };
                let answer = session.operator().create_update_repository(request).await?;
                out.one(&Repository::from(answer.repository.unwrap_or_default()))
            }
            Self::List(ListArgs { connect }) => {
                let found = repositories(&connect.open().await?).await?;
                out.list("repositories", &found)
            }
            Self::Show(ShowArgs { name, connect }) => {
                let found = repositories(&connect.open().await?).await?;
                let found = found.into_iter().find(|repository| repository.name == name);
                let found = found.ok_or_else(|| Failure::failed(format!("there is no repository {name}")))?;
                if out.is_json() { out.json(&found) } else { out.list("files", &found.files) }
            }
            Self::RotateRoot(RotateArgs { name, keys, reason, confirm, connect }) => {
                confirm.ask(&format!("have other keys sign the root of {name}"))?;
                let keys = Some(keys.read()?);
                let session = connect.open().await?;
                let request =
                    v1::RotateUpdateRootRequest { repository: name, keys, reason, line: String::new() };
                let answer = session.operator().rotate_update_root(request).await?;
                out.one(&Repository::from(answer.repository.unwrap_or_default()))
            }
        }
    }
}

async fn repositories(session: &Session) -> Result<Vec<Repository>, Failure> {
    let answer = session.operator().list_update_repositories(v1::ListUpdateRepositoriesRequest {}).await?;
    Ok(answer.repositories.into_iter().map(Repository::from).collect())
}

pub(super) async fn export(args: ExportArgs, out: Output) -> Result<(), Failure> {
    let ExportArgs { name: repository, directory, connect } = args;
    let session = connect.open().await?;
    let asked = |file: String| v1::GetUpdateMetadataRequest { repository: repository.clone(), file };
    let names = session.operator().get_update_metadata(asked(String::new())).await?.names;
    fs::create_dir_all(&directory).map_err(|error| Failure::file("make the directory", &directory, error))?;
    // The timestamp comes last: with it, a reader finds everything else.
    let (last, first): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| name == "timestamp.json");
    let mut written = 0;
    for file in first.into_iter().chain(last) {
        if file.contains(['/', '\\']) || file.starts_with('.') {
            return Err(Failure::failed(format!("the authority names a file {file:?}")));
        }
        let content = session.operator().get_update_metadata(asked(file.clone())).await?.content;
        let path = directory.join(&file);
        wardein_durable::replace(&path, &content, 0o644)
            .map_err(|error| Failure::file("write", &path, error))?;
        written += 1;
    }
    let said = format!("wrote {written} files of {repository} into {}", directory.display());
    out.say(&said, &serde_json::json!({ "files": written, "directory": directory }))
}
