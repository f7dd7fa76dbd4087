//! `wardein-device logs run` and `logs status`.

use super::{bytes, load, parse};
use crate::commands::{print, stopped};
use crate::prover::session;
use std::path::Path;
use wardein_device::{Error, Files, LogAgent, LogStatus};
use wardein_logs::LogsConfig;

/// Works until a signal, or until all that there is has been delivered.
pub(super) async fn run(path: &Path, config: &Path, once: bool) -> Result<(), Error> {
    // Heard from here on, so that a signal at the start is not the end of the process in mid-write.
    let stop = stopped()?;
    let files = Files::open(path)?;
    let (config, filter) = load(&files, config)?;
    let open = async || session(path, "sealing logs").await;
    let mut agent = LogAgent::start(&config, filter, &files, open).await?;
    tracing::info!(%filter, sources = config.sources.len(), audiences = config.audiences.len(), "the filter is in force");
    if once {
        return agent.once().await;
    }
    agent.run(stop).await?;
    tracing::info!("ended by a signal");
    Ok(())
}

/// Says what was read, what left and what waits.
pub(super) fn status(config: &Path, as_json: bool) -> Result<(), Error> {
    let config = parse(config, &bytes(config, LogsConfig::MAX_LEN)?)?;
    let status = LogStatus::read(&config)?;
    print(as_json, &status, || status.to_string());
    Ok(())
}
