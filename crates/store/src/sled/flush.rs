//! sled's flush, which may never return: where a write failed in one of sled's threads, the one that flushes can wait for a wake-up
//! that came before it (sled 0.34.7, `make_stable_inner`). So it is waited for, and not for ever.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use ::sled::Tree;

/// Hands what sled has in memory to the system. An error is final for the handle: a flush that never returns leaves its thread, which
/// keeps sled open until the process ends.
pub(super) fn flush(tree: &Tree) -> Result<(), String> {
    let tree = tree.clone();
    within(PATIENCE, move || {
        let flushed = tree.flush();
        // Before the store may be opened again.
        drop(tree);
        flushed.map(drop).map_err(|error| error.to_string())
    })
}

/// What `work` came to on a thread of its own, if it did so within `patience`.
fn within(
    patience: Duration,
    work: impl FnOnce() -> Result<(), String> + Send + 'static,
) -> Result<(), String> {
    let (done, outcome) = sync_channel(1);
    std::thread::Builder::new()
        .name("store-flush".into())
        .spawn(move || drop(done.send(work())))
        .map_err(|error| error.to_string())?;
    outcome.recv_timeout(patience).unwrap_or_else(|error| {
        Err(match error {
            RecvTimeoutError::Timeout => format!("sled's flush did not end within {} s", patience.as_secs()),
            RecvTimeoutError::Disconnected => "sled's flush panicked".to_owned(),
        })
    })
}

/// A disk that takes longer for a group of changes is as good as gone: its callers have given up.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_that_never_ends_is_given_up() {
        let (_held, never) = sync_channel::<()>(0);
        let given_up = within(Duration::from_millis(10), move || never.recv().map_err(|_| "it ended".into()));
        assert_eq!(given_up.unwrap_err(), "sled's flush did not end within 0 s");
        assert_eq!(within(PATIENCE, || Err("the disk is gone".into())).unwrap_err(), "the disk is gone");
        assert_eq!(within(PATIENCE, || panic!("of the test")).unwrap_err(), "sled's flush panicked");
        within(PATIENCE, || Ok(())).unwrap();
    }
}
