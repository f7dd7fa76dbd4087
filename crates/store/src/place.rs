//! Where a store lies: its lock, its directory, its free space.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::open::OpenError;

/// That no other process has the store open, for as long as it lives.
///
/// It is a file of its own beside the store: a lock on SQLite's file would be lost with SQLite's, as closing any descriptor
/// of a file drops all POSIX locks that the process has on it (fcntl_locking(2)).
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Locks the store at `path`.
    pub(crate) fn acquire(path: &Path) -> Result<Self, OpenError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(PathBuf::from(name))
            .map_err(|error| OpenError::failed(path, format_args!("its lock cannot be made: {error}")))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(OpenError::failed(path, error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not left to the closing of the file: a process that is being started elsewhere in this one holds a copy of its
        // descriptor until it executes, and with that the lock (flock(2)).
        let _ = self.0.unlock();
    }
}

/// Makes the entries of the directory that `path` is in durable: a new file whose name is lost is lost.
pub(crate) fn sync_parent(path: &Path) -> Result<(), OpenError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_directory(parent).map_err(|error| OpenError::failed(path, error))
}

/// Makes the entries of `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The free space that must be left.
#[derive(Debug, Clone)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(crate) fn new(path: &Path, bytes: u64) -> Self {
        Self { path: path.to_owned(), bytes }
    }

    /// Refuses, with a remedy, if less than the reserve is free.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.bytes == 0 {
            return Ok(());
        }
        let stat = rustix::fs::statvfs(&self.path)
            .map_err(|error| format!("{}: free space is unknown: {error}", self.path.display()))?;
        // The space that this process may use, which is less than the free space if it is not root (statvfs(3)).
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free >= self.bytes {
            return Ok(());
        }
        Err(format!(
            "{}: {} KiB are free on its file system, and {} KiB are kept in reserve; free some space",
            self.path.display(),
            free / 1024,
            self.bytes / 1024
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_holder_whoever_has_copies_of_its_file() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("store");
        let lock = Lock::acquire(&path).unwrap();
        let _copy = lock.0.try_clone().unwrap();
        assert!(matches!(Lock::acquire(&path), Err(OpenError::Locked(_))));
        drop(lock);
        Lock::acquire(&path).unwrap();
    }

    #[test]
    fn the_reserve_is_told_with_what_is_free() {
        let here = tempfile::tempdir().unwrap();
        assert_eq!(Reserve::new(here.path(), 1).check(), Ok(()));
        let told = Reserve::new(here.path(), u64::MAX).check().unwrap_err();
        assert!(told.contains("are free") && told.contains("free some space"), "{told}");
        assert!(Reserve::new(&here.path().join("none"), 1).check().is_err());
    }
}
