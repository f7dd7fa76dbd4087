//! Logging, to standard error, where systemd and containers collect it.
//!
//! Lines go through a bounded queue to a thread of their own: a reader that stalls (journald under load, a terminal with Ctrl-S)
//! holds up that thread and no call. Lines for which there is no room are dropped and counted.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use wardein_cli::Failure;
use wardein_cli::config::{LogFormat, LogSection};

/// Logging at work. Dropping it writes the lines that wait, as far as they are read.
pub(crate) struct Logging {
    guard: Option<WorkerGuard>,
    dropped: ErrorCounter,
}

/// Starts logging for the life of the process.
pub(crate) fn start(log: &LogSection) -> Result<Logging, Failure> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", log.level));
    let filter = filter.map_err(|error| Failure::Failed(format!("log.level: {error}")))?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING)
        .thread_name("log-writer")
        .finish(std::io::stderr());
    let dropped = writer.error_counter();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(Failure::failed)?;
    Ok(Logging { guard: Some(guard), dropped })
}

impl Logging {
    /// Counts dropped lines into `count`, and says how many they were once lines come through again.
    pub(crate) fn watch(&self, count: impl Fn(u64) + Send + 'static) -> Result<(), Failure> {
        let dropped = self.dropped.clone();
        let watch = move || {
            let (mut counted, mut said) = (0, 0);
            loop {
                thread::sleep(LOOK);
                let now = dropped.dropped_lines();
                count((now - counted) as u64);
                // While lines are dropped, this one would be too.
                if now == counted && now > said {
                    let lines = now - said;
                    tracing::warn!(lines, "log lines were dropped: standard error was not read fast enough");
                    // Itself dropped, it is said again, with its own loss.
                    if dropped.dropped_lines() == now {
                        said = now;
                    }
                }
                counted = now;
            }
        };
        thread::Builder::new().name("log-watch".into()).spawn(watch).map(drop).map_err(Failure::failed)
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else { return };
        let (done, waited) = mpsc::channel();
        // Elsewhere: where nobody reads standard error, the guard complains on it and never returns.
        let flush = move || {
            drop(guard);
            // Nobody waits any more.
            let _ = done.send(());
        };
        if thread::Builder::new().name("log-end".into()).spawn(flush).is_ok() {
            // The end of the process does not depend on it.
            let _ = waited.recv_timeout(PATIENCE);
        }
    }
}

/// Libraries that warn of what a peer does to its own connection, as often as it does it. Directives of `log.level` that name them
/// come later, and count.
const QUIET: &str = "h2=error,hyper=error,rustls=error,tonic=error,tower=error";

/// The most lines that wait, some 200 bytes each.
const WAITING: usize = 8_192;

/// How often dropped lines are counted.
const LOOK: Duration = Duration::from_secs(1);

/// How long the end of the process waits for its last lines.
const PATIENCE: Duration = Duration::from_secs(2);
