//! `wardein update line`.

use super::repository::Repository;
use super::{File, KeysArgs};
use crate::connection::ConnectArgs;
use crate::{Column, Confirm, Failure, Output, Record, time};
use clap::{Args, Subcommand};
use serde::Serialize;
use wardein_client::v1;

#[derive(Debug, Subcommand)]
pub(crate) enum LineCommand {
    /// Make a product line, or give one that is there other release managers
    Create(CreateArgs),
    /// List the product lines
    List(ListArgs),
    /// Have other keys sign a line. It is served as the former keys signed it until enough of the next ones have, and of those that sign the
    /// top-level targets
    RotateKeys(RotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The repository
    repository: String,
    /// Its name: 1 to 32 of a-z, 0-9 and '-'
    name: String,
    /// Which paths its releases may have, such as `pumps/*`; several times for several. `*` and `?` match no slash
    #[arg(long = "path", value_name = "PATTERN", required = true)]
    paths: Vec<String>,
    /// The name of a release manager who sees it (role `release-manager`); several times for several
    #[arg(long = "manager", value_name = "NAME")]
    managers: Vec<String>,
    #[command(flatten)]
    keys: KeysArgs,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The repository; all that you may see without it
    repository: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The repository
    repository: String,
    /// The line
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

#[derive(Debug, Serialize)]
struct Line {
    repository: String,
    name: String,
    paths: Vec<String>,
    managers: Vec<String>,
    #[serde(flatten)]
    file: File,
}

impl From<v1::ProductLine> for Line {
    fn from(line: v1::ProductLine) -> Self {
        let v1::ProductLine { repository, name, paths, managers, file } = line;
        Self { repository, name, paths, managers, file: File::from(file.unwrap_or_default()) }
    }
}

impl Record for Line {
    const COLUMNS: &'static [Column<Self>] = &[
        ("repository", |line| line.repository.clone()),
        ("line", |line| line.name.clone()),
        ("paths", |line| line.paths.join(", ")),
        ("managers", |line| line.managers.join(", ")),
        ("version", |line| line.file.version.to_string()),
        ("expires", |line| time::at(line.file.expires)),
        ("signed by", |line| line.file.signers()),
        ("waits", |line| line.file.waiting()),
    ];
}

impl LineCommand {
    pub(super) async fn run(self, out: Output) -> Result<(), Failure> {
        match self {
            Self::Create(CreateArgs { repository, name, paths, managers, keys, connect }) => {
                let keys = Some(keys.read()?);
                let session = connect.open().await?;
                let request = v1::CreateProductLineRequest { repository, name, paths, keys, managers };
                let answer = session.operator().create_product_line(request).await?;
                out.one(&Line::from(answer.line.unwrap_or_default()))
            }
            Self::RotateKeys(RotateArgs { repository, name: line, keys, reason, confirm, connect }) => {
                confirm.ask(&format!("have other keys sign the line {line} of {repository}"))?;
                let keys = Some(keys.read()?);
                let session = connect.open().await?;
                let request = v1::RotateUpdateRootRequest { repository, keys, reason, line };
                let answer = session.operator().rotate_update_root(request).await?;
                out.one(&Repository::from(answer.repository.unwrap_or_default()))
            }
            Self::List(ListArgs { repository, connect }) => {
                let session = connect.open().await?;
                let request = v1::ListProductLinesRequest { repository: repository.unwrap_or_default() };
                let answer = session.operator().list_product_lines(request).await?;
                let lines: Vec<_> = answer.lines.into_iter().map(Line::from).collect();
                out.list("lines", &lines)
            }
        }
    }
}
