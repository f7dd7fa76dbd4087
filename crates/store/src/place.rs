//! Where a store lies: its lock, its directory, its free space.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

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
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(beside(path, LOCK))
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
    sync_directory(directory_of(path)).map_err(|error| OpenError::failed(path, error))
}

/// Makes the entries of `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The free space that is kept for what must be written on a full disk: an authority's start and end, and what takes a device out of
/// trust.
///
/// Others may fill the disk to its last byte. A part of the reserve is therefore a file, the spare, which gives way while such a change
/// is written, or the store is opened, and takes back what is left of it.
#[derive(Debug, Clone)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    /// Whether the spare is whole, or is not to be had.
    has_spare: bool,
}

impl Reserve {
    pub(crate) fn new(path: &Path, bytes: u64) -> Self {
        Self { path: path.to_owned(), bytes, has_spare: bytes == 0 }
    }

    /// Removes the spare if less than that is free.
    pub(crate) fn make_room(&mut self) {
        if self.bytes != 0 && self.free().is_ok_and(|free| free < SPARE) {
            self.give_way();
        }
    }

    fn give_way(&mut self) {
        // Without it, or where it cannot be removed, what needs the room says what is wrong. It is emptied first: a process that
        // is being started holds a copy of a descriptor until it executes, and with that the space of a removed file (unlink(2)).
        let spare = self.spare();
        let _ = OpenOptions::new().write(true).open(&spare).and_then(|file| file.set_len(0));
        let _ = std::fs::remove_file(spare);
        self.has_spare = false;
    }

    /// Takes back what is free of the spare, if it gave way.
    pub(crate) fn take_back(&self) {
        if self.check().is_err() && !self.spare().exists() {
            let left = self.free().map_or(0, |free| free.min(SPARE));
            // The next start then has what is free by then.
            let _ = self.keep_spare(left);
        }
    }

    pub(crate) fn has_spare(&self) -> bool {
        self.has_spare
    }

    /// Refuses, with a remedy, if less than the reserve is free. If there is room for the spare, it is made.
    pub(crate) fn check_and_keep(&mut self) -> Result<(), String> {
        self.check()?;
        if !self.has_spare && self.free().is_ok_and(|free| free >= self.bytes.saturating_add(SPARE)) {
            // A file system that allocates nothing ahead has none.
            let _ = self.keep_spare(SPARE);
            self.has_spare = true;
        }
        Ok(())
    }

    /// The same for those who ask and write nothing: whether the file system can be written to is tried as well.
    pub(crate) fn writable(&self) -> Result<(), String> {
        // The lock's file, on whose descriptors nothing rests.
        OpenOptions::new()
            .write(true)
            .open(beside(&self.path, LOCK))
            .map_err(|error| format!("the store's directory cannot be written to: {error}"))?;
        self.check()
    }

    fn check(&self) -> Result<(), String> {
        if self.bytes == 0 {
            return Ok(());
        }
        let free = self.free().map_err(|error| format!("the store's free space is unknown: {error}"))?;
        if free >= self.bytes {
            return Ok(());
        }
        Err(format!(
            "{} KiB are free on the store's file system, and {} KiB are kept in reserve; free some space",
            free / 1024,
            self.bytes / 1024
        ))
    }

    /// The space that this process may use, which is less than the free space if it is not root (statvfs(3)).
    fn free(&self) -> std::io::Result<u64> {
        let stat = rustix::fs::statvfs(directory_of(&self.path))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn keep_spare(&self, bytes: u64) -> std::io::Result<()> {
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.spare())?;
        let kept = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes);
        if kept.is_err() {
            let _ = std::fs::remove_file(self.spare());
        }
        Ok(kept?)
    }

    fn spare(&self) -> PathBuf {
        beside(&self.path, ".spare")
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

const LOCK: &str = ".lock";

/// Bytes of the spare: some forty starts.
const SPARE: u64 = 4 * 1024 * 1024;

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
        let path = here.path().join("store");
        assert_eq!(Reserve::new(&path, 1).check(), Ok(()));
        let told = Reserve::new(&path, u64::MAX).check().unwrap_err();
        assert!(told.contains("are free") && told.contains("free some space"), "{told}");
        assert!(Reserve::new(&here.path().join("none/store"), 1).check().is_err());
        // No file can be written where none is.
        assert!(Reserve::new(&path, 1).writable().unwrap_err().contains("cannot be written to"));
        let _lock = Lock::acquire(&path).unwrap();
        assert_eq!(Reserve::new(&path, 1).writable(), Ok(()));
    }

    #[test]
    fn a_spare_is_kept_where_there_is_room_beside_the_reserve() {
        use std::os::unix::fs::MetadataExt;
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("store");
        let spare = here.path().join("store.spare");
        for bytes in [0, u64::MAX - SPARE] {
            let _ = Reserve::new(&path, bytes).check_and_keep();
            assert!(!spare.exists(), "{bytes}");
        }
        Reserve::new(&path, 1).check_and_keep().unwrap();
        assert!(std::fs::metadata(&spare).unwrap().blocks() * 512 >= SPARE);
        // There is room without it.
        Reserve::new(&path, 1).make_room();
        assert!(spare.exists());
        // It gives its room although another descriptor of it is open.
        let copy = File::open(&spare).unwrap();
        let mut reserve = Reserve::new(&path, 1);
        reserve.give_way();
        assert!(!spare.exists() && copy.metadata().unwrap().blocks() == 0);
        // It is taken back where it gave way, on a disk that is short.
        Reserve::new(&path, 1).take_back();
        assert!(!spare.exists());
        Reserve::new(&path, u64::MAX).take_back();
        assert!(std::fs::metadata(&spare).unwrap().blocks() * 512 >= SPARE);
    }
}
