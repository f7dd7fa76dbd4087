//! Logging, to standard error, where systemd and containers collect it.

use tracing_subscriber::EnvFilter;
use wardein_cli::Failure;
use wardein_cli::config::{LogFormat, LogSection};

/// Starts logging for the life of the process.
pub(crate) fn start(log: &LogSection) -> Result<(), Failure> {
    let filter =
        EnvFilter::try_new(&log.level).map_err(|error| Failure::Failed(format!("log.level: {error}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(Failure::failed)
}
