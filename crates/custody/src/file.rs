//! Files for the owner alone: written whole or not at all.

use crate::CustodyError;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use wardein_crypto::SecretBytes;
use wardein_durable::directory_of;

/// Writes a new file, never over another.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> Result<(), CustodyError> {
    wardein_durable::create(path, content, MODE).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CustodyError::Exists(path.to_owned()),
        _ => CustodyError::io("cannot write", path)(error),
    })
}

/// Writes a file over another, in one step, while nobody else does ([`lock`]).
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), CustodyError> {
    remove_unfinished(path)?;
    wardein_durable::replace(path, content, MODE).map_err(CustodyError::io("cannot write", path))
}

/// Waits until nobody else rewrites the file, and keeps others from it for as long as the value lives. The lock is on the directory:
/// the file itself is replaced.
pub(crate) fn lock(path: &Path) -> Result<File, CustodyError> {
    let locked = File::open(directory_of(path)).and_then(|directory| {
        directory.lock()?;
        Ok(directory)
    });
    locked.map_err(CustodyError::io("cannot lock the directory of", path))
}

/// Removes what writings of `path` left that were cut short; each holds a secret, and nothing is under any of them.
pub(crate) fn remove_unfinished(path: &Path) -> Result<(), CustodyError> {
    let removed = wardein_durable::remove_unfinished(path);
    removed.map_err(CustodyError::io("cannot look for unfinished copies of", path))
}

/// At most `max` bytes of a file, in memory that is wiped; `None` if it is longer.
pub(crate) fn read_bounded(reader: &mut impl Read, max: usize) -> io::Result<Option<SecretBytes>> {
    let mut is_longer = false;
    let bytes = SecretBytes::try_filled(max, |room| {
        let mut filled = 0;
        while filled < room.len() {
            match reader.read(&mut room[filled..]) {
                Ok(0) => return Ok(filled),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        is_longer = reader.read(&mut [0])? != 0;
        Ok::<_, io::Error>(filled)
    })?;
    Ok((!is_longer).then_some(bytes))
}

const MODE: u32 = 0o600;
