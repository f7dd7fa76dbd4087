//! What the service needs of the system for as long as it runs: open files, memory that goes back, and no death by a signal that
//! asks for something else.

use nix::sys::prctl::set_thp_disable;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use wardein_cli::Failure;

/// Raises the soft limit of open files to `needed`, or refuses: a service that runs out of them answers nobody, its probes
/// included.
pub(crate) fn raise_open_files(needed: u64) -> Result<(), Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(maximum) = maximum.filter(|maximum| *maximum < needed) {
        return Err(Failure::Failed(format!(
            "limits.connections needs {needed} open files, and the system allows {maximum}: raise that (LimitNOFILE={needed} in \
             the unit, `ulimit -Hn`), or lower limits.connections by {}",
            needed - maximum
        )));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).map_err(|error| {
        Failure::Failed(format!("the limit of open files cannot be raised to {needed}: {error}"))
    })
}

/// The most open files that this process may ask for; none if there is no bound.
pub(crate) fn most_open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Has memory given and taken by the page: in huge pages, what a flood touched stays with the process when the flood is over.
pub(crate) fn use_small_pages() {
    if let Err(error) = set_thp_disable(true) {
        tracing::warn!(%error, "the system keeps its huge pages; memory may stay with the process after a flood");
    }
}

/// Has the process outlive the signals by which other services are told to read their files again, and which end a process that
/// does not mind them. Call it in a runtime; the handlers stay when that ends.
pub(crate) fn outlive_signals() -> io::Result<()> {
    OTHER_SIGNALS.into_iter().try_for_each(|kind| signal(kind()).map(drop))
}

/// Done when the system (SIGTERM) or a person (SIGINT) asks for the end. At each SIGHUP it calls `reopen`.
pub(crate) async fn stop_signal(reopen: impl Fn()) {
    let signals = || -> io::Result<_> {
        let [hangup, first, second] = OTHER_SIGNALS;
        let ends = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok((ends, [signal(hangup())?, signal(first())?, signal(second())?]))
    };
    // Without signals the service would only end by force; it is better not to begin.
    let Ok(((mut terminate, mut interrupt), [mut hangup, mut first, mut second])) = signals() else {
        return tracing::error!("cannot listen for signals; stopping");
    };
    loop {
        let name = tokio::select! {
            _ = terminate.recv() => return tracing::info!("SIGTERM"),
            _ = interrupt.recv() => return tracing::info!("SIGINT"),
            _ = hangup.recv() => {
                reopen();
                tracing::info!(
                    "SIGHUP: files of audit sinks are opened and their certificates read again; restart it after a change of wardein.toml"
                );
                continue;
            }
            _ = first.recv() => "SIGUSR1",
            _ = second.recv() => "SIGUSR2",
        };
        tracing::info!(
            "{name} is ignored: nothing is read again while it serves; restart it after a change of wardein.toml"
        );
    }
}

const OTHER_SIGNALS: [fn() -> SignalKind; 3] =
    [SignalKind::hangup, SignalKind::user_defined1, SignalKind::user_defined2];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_beyond_the_hard_limit_is_refused_with_both_remedies() {
        let Some(most) = most_open_files() else { return };
        let Err(Failure::Failed(message)) = raise_open_files(most + 7) else { panic!("raised") };
        for words in [format!("LimitNOFILE={}", most + 7), "lower limits.connections by 7".to_owned()] {
            assert!(message.contains(&words), "{message}");
        }
        raise_open_files(most).unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, Some(most));
    }
}
