//! Files that are opened for reading and nothing else: no link is followed, and no device or pipe is opened.

use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A regular file, open for reading.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    device: u64,
    /// Its inode.
    pub(super) inode: u64,
}

/// Why there is no regular file to read.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// Nothing has the name.
    Missing,
    /// It is a link, a directory, a device, a pipe or a socket.
    Other,
    /// The operating system refuses.
    Unreadable,
}

impl Opened {
    /// Opens the regular file of that name. Directories above it may be links: they are the administrator's, not the logging
    /// program's.
    pub(super) fn open(path: &Path) -> Result<Self, NotOpened> {
        // A device may do something when it is opened, so it is not even tried.
        let facts = path.symlink_metadata()?;
        if !facts.is_file() {
            return Err(NotOpened::Other);
        }
        // What was put there in the meantime is not followed (O_NOFOLLOW), and a pipe is not waited for (O_NONBLOCK).
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(NotOpened::Other);
        }
        Ok(Self { file, device: facts.dev(), inode: facts.ino() })
    }

    /// Whether both are one file.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Its length now.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// At most `length` bytes from `start`; fewer at its end.
    pub(super) fn bytes(&self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| ErrorKind::OutOfMemory)?];
        let filled = self.fill(start, &mut bytes)?;
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Fills `buffer` from `start`, and tells how much of it; less at the file's end.
    pub(super) fn fill(&self, start: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, start + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Missing,
            // What O_NOFOLLOW answers to a link.
            _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Self::Other,
            _ => Self::Unreadable,
        }
    }
}
