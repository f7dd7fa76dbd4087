//! The commands of the log agent.

mod run;
mod test;

use crate::args::Json;
use crate::commands::read;
use clap::Subcommand;
use std::path::{Path, PathBuf};
use wardein_device::{Error, Files};
use wardein_logs::approval::{ApprovalError, Approvers, MAX_SIGNATURE};
use wardein_logs::batch::FilterVersion;
use wardein_logs::{LogsConfig, SourceName};

/// What leaves of the device's logs, and for whom, is in logs.toml, in the state directory where `--config` is not given. Nothing
/// leaves unless the hospital has signed it: `ssh-keygen -Y sign -n wardein-logs -f KEY logs.toml` makes `logs.toml.sig`, and the
/// key is a line of `logs-approver.pub` in the state directory.
#[derive(Debug, Subcommand)]
pub(crate) enum Logs {
    /// Show of a file, entry by entry, what would leave, to whom, as what, and what would not and why. Nothing leaves, and
    /// logs.toml need not be approved. What looks like patient data is pointed out; that nothing is proves nothing.
    Test {
        /// The file.
        file: PathBuf,
        /// The source whose rules are tried; the one that reads the file, or the only one, where it is not given.
        #[arg(long, value_name = "NAME")]
        source: Option<SourceName>,
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        output: Json,
    },
    /// Read the sources, seal what leaves, and deliver it, until SIGTERM.
    Run {
        #[command(flatten)]
        config: ConfigArgs,
        /// Take in and deliver what there is, then end.
        #[arg(long)]
        once: bool,
    },
    /// Tell what was read, what left, what waits and what is missing; asks nobody.
    Status {
        #[command(flatten)]
        config: ConfigArgs,
        #[command(flatten)]
        output: Json,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// The configuration; logs.toml in the state directory where it is not given.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) async fn logs(path: &Path, order: Logs) -> Result<(), Error> {
    match order {
        Logs::Test { file, source, config, output } => {
            test::test(path, &config.path(path), &file, source.as_ref(), output.json)
        }
        Logs::Run { config, once } => run::run(path, &config.path(path), once).await,
        Logs::Status { config, output } => run::status(&config.path(path), output.json),
    }
}

impl ConfigArgs {
    fn path(&self, directory: &Path) -> PathBuf {
        self.config.clone().unwrap_or_else(|| directory.join(CONFIG))
    }
}

/// The configuration, which an approver has signed, and its version.
fn load(files: &Files, path: &Path) -> Result<(LogsConfig, FilterVersion), Error> {
    let text = bytes(path, LogsConfig::MAX_LEN)?;
    let version = approved(files.path(), path, &text)?;
    Ok((parse(path, &text)?, version))
}

/// The version of a configuration that an approver has signed.
fn approved(directory: &Path, path: &Path, text: &[u8]) -> Result<FilterVersion, Error> {
    let of = |path: &Path| {
        let path = path.to_owned();
        move |why: ApprovalError| Error::NotApproved { path, why }
    };
    let approvers = directory.join(APPROVERS);
    let lines = bytes(&approvers, MAX_APPROVERS)?;
    let keys = Approvers::parse(&String::from_utf8_lossy(&lines)).map_err(of(&approvers))?;
    let mut signature = path.as_os_str().to_owned();
    signature.push(".sig");
    let signature = bytes(Path::new(&signature), MAX_SIGNATURE)?;
    keys.verify(text, &String::from_utf8_lossy(&signature)).map_err(of(path))
}

fn parse(path: &Path, text: &[u8]) -> Result<LogsConfig, Error> {
    let of = |why: String| Error::LogsConfig { path: path.into(), why };
    let text = std::str::from_utf8(text).map_err(|error| of(error.to_string()))?;
    LogsConfig::parse(text).map_err(|error| of(error.to_string()))
}

fn bytes(path: &Path, max: usize) -> Result<Vec<u8>, Error> {
    read(path, max).map(|bytes| bytes.expose().to_vec())
}

const CONFIG: &str = "logs.toml";
const APPROVERS: &str = "logs-approver.pub";
const MAX_APPROVERS: usize = 16 << 10;
