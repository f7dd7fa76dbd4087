//! The lock on a state directory: one process at a time uses the keys, and others wait for it, though not for ever.

use crate::error::Error;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a process waits for another to leave the directory: longer than the authority is given for one answer.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The lock. It is let go by name, not by closing the file: a child that is being forked at that moment has a copy of the file, and
/// would hold the lock until it is another program.
pub(crate) struct Lock(File);

impl Lock {
    /// The lock on `directory`; `None` where another has it.
    pub(crate) fn take(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(LOCK);
        // By its name each time: after a factory reset it is another file.
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self(lock))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::file("lock", path)(error)),
        }
    }

    /// The same, waiting up to [`PATIENCE`] for another to let it go.
    pub(crate) async fn wait(directory: &Path) -> Result<Self, Error> {
        let begun = Instant::now();
        loop {
            match Self::take(directory)? {
                Some(lock) => return Ok(lock),
                None if begun.elapsed() >= PATIENCE => return Err(Error::Locked(directory.into())),
                None => sleep(BETWEEN_TRIES).await,
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Where this fails, closing the file lets it go.
        drop(self.0.unlock());
    }
}

const LOCK: &str = "lock";
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
