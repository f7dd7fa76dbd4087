//! The binary `wardein-workorders`: arguments, the log, the runtime, the rounds.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::sleep;
use wardein_workorders::{Config, Desk, Error, Listener};

enum Deed {
    Serve,
    /// One round, for a timer or a trial.
    Once,
    /// Judge the configuration.
    Check,
}

fn main() -> ExitCode {
    let Some((path, deed)) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    match run(path, &deed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wardein-workorders: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn arguments(arguments: impl Iterator<Item = String>) -> Option<(PathBuf, Deed)> {
    let arguments: Vec<_> = arguments.collect();
    let deed = match arguments.get(2).map(String::as_str) {
        None => Deed::Serve,
        Some("--once") => Deed::Once,
        Some("--check") => Deed::Check,
        Some(_) => return None,
    };
    match &arguments[..] {
        [option, path, ..] if option == "--config" && arguments.len() <= 3 => {
            Some((PathBuf::from(path), deed))
        }
        _ => None,
    }
}

fn run(path: PathBuf, deed: &Deed) -> Result<(), Error> {
    let config = Config::read(&path)?;
    if matches!(deed, Deed::Check) {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|fault| Error::File { deed: "start the runtime for", path, fault })?;
    runtime.block_on(async {
        match deed {
            Deed::Once => Desk::open(config).await?.round().await,
            _ => serve(config).await,
        }
    })
}

async fn serve(config: Config) -> Result<(), Error> {
    let poll = Duration::from_secs(config.poll);
    let (desk, taken) = (Arc::new(Desk::open(config).await?), Arc::new(Notify::new()));
    if let Some(listener) = Listener::bind(&desk, &taken).await? {
        tracing::info!(address = ?listener.address(), "taking orders");
        drop(tokio::spawn(listener.serve()));
    }
    let mut ended = signal(SignalKind::terminate()).map_err(|fault| Error::File {
        deed: "hear of signals for",
        path: PathBuf::from("/proc/self"),
        fault,
    })?;
    let mut failures = 0_u32;
    loop {
        // Between two steps a stop is as a crash: what was begun is on disk.
        let round = tokio::select! {
            round = desk.round() => round,
            _ = ended.recv() => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let pause = match round {
            Ok(()) => {
                failures = 0;
                poll
            }
            Err(error) => {
                tracing::warn!(%error, "a round failed; trying again");
                failures = failures.saturating_add(1);
                backoff(failures, poll)
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            // While a side is not reached, an order that comes does not have it asked all the time.
            () = taken.notified(), if failures == 0 => {}
            _ = ended.recv() => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// How long to wait after `failures` failures in a row: from 5 seconds, doubled up to ten minutes or the time between rounds.
fn backoff(failures: u32, poll: Duration) -> Duration {
    let bound = Duration::from_secs(600).max(poll);
    Duration::from_secs(5).saturating_mul(1 << failures.saturating_sub(1).min(16)).min(bound)
}

const USAGE: &str = "Usage: wardein-workorders --config FILE [--once | --check]

Work orders of Salesforce, or of another system, become visits of technicians, and the visits' protocols go back to the orders.

  --once    do one round, and end
  --check   judge the configuration, and end

Exits with 0 when it was stopped, 1 after a fault, 2 where an argument or the configuration is wrong.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_up_to_its_bound() {
        let waits = |poll| {
            [1, 2, 8, 9, u32::MAX].map(|failures| backoff(failures, Duration::from_secs(poll)).as_secs())
        };
        assert_eq!(waits(60), [5, 10, 600, 600, 600]);
        assert_eq!(waits(3_600), [5, 10, 640, 1_280, 3_600]);
    }

    #[test]
    fn arguments_are_a_file_and_one_deed() {
        let parse = |text: &str| arguments(text.split_whitespace().map(str::to_owned)).map(|(path, _)| path);
        assert_eq!(parse("--config a"), Some("a".into()));
        assert!(parse("--config a --once").is_some() && parse("--config a --check").is_some());
        for bad in ["", "a", "--config", "--config a b", "--config a --once --check", "--help"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
