//! Files for the owner alone: written whole or not at all, never over another.

use crate::CustodyError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use wardein_crypto::SecretBytes;

/// Writes a new file of mode 0600. Either all of it is there, durably, when this returns, or none of it under this name. `unique` keeps the
/// temporary name apart from another process's.
pub(crate) fn write_new(path: &Path, content: &[u8], unique: [u8; 8]) -> Result<(), CustodyError> {
    let temporary = temporary_name(path, unique);
    let written = write_and_link(path, &temporary, content);
    // After a success it is a second name of the file; after an error it is of no use.
    let removed = fs::remove_file(&temporary);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(CustodyError::Exists(path.to_owned()))
        }
        Err(error) => Err(CustodyError::io("cannot write", path)(error)),
        Ok(()) => removed
            .and_then(|()| sync_directory(path))
            .map_err(CustodyError::io("cannot finish writing", path)),
    }
}

/// Writes a file of mode 0600 over another, in one step: a crash leaves the one or the other, whole.
pub(crate) fn replace(path: &Path, content: &[u8], unique: [u8; 8]) -> Result<(), CustodyError> {
    remove_unfinished(path)?;
    let temporary = temporary_name(path, unique);
    let written = write(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // It is of no use, and where it cannot be removed the next write removes it.
        drop(fs::remove_file(&temporary));
    }
    written.and_then(|()| sync_directory(path)).map_err(CustodyError::io("cannot write", path))
}

/// Waits until nobody else rewrites the file, and keeps others from it for as long as the value lives. The lock is on the directory:
/// the file itself is replaced.
pub(crate) fn lock(path: &Path) -> Result<File, CustodyError> {
    let locked = File::open(directory(path)).and_then(|directory| {
        directory.lock()?;
        Ok(directory)
    });
    locked.map_err(CustodyError::io("cannot lock the directory of", path))
}

/// Removes the temporary files that writings of `path` left which were cut short; each holds a secret, and nothing is under any of
/// them. One that is at work meanwhile finds its file gone, and says so.
pub(crate) fn remove_unfinished(path: &Path) -> Result<(), CustodyError> {
    let prefix = [path.file_name().unwrap_or_default().as_bytes(), b"."].concat();
    let is_temporary = |name: &[u8]| {
        let middle = name.strip_prefix(&prefix[..]).and_then(|rest| rest.strip_suffix(b".tmp"));
        middle.is_some_and(|middle| middle.len() == 16 && middle.iter().all(u8::is_ascii_hexdigit))
    };
    let failed = |error| CustodyError::io("cannot look for unfinished copies of", path)(error);
    for entry in fs::read_dir(directory(path)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if is_temporary(entry.file_name().as_bytes()) {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
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

fn write_and_link(path: &Path, temporary: &Path, content: &[u8]) -> io::Result<()> {
    write(temporary, content)?;
    // link(2) refuses an existing name, where rename(2) would replace it: the file appears whole, and never over another.
    fs::hard_link(temporary, path)?;
    sync_directory(path)
}

fn write(temporary: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory(path))?.sync_all()
}

fn temporary_name(path: &Path, unique: [u8; 8]) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.tmp", u64::from_be_bytes(unique)));
    directory(path).join(name)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
