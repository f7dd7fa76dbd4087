//! The write-ahead log, written a second time before it is built upon.
//!
//! Where a sync failed, Linux takes the pages for written that it could not write, and every later sync succeeds without them
//! (fsync(2), "EIO"). Who opens the log then reads from memory what is not on the disk, builds on it, and loses all of it with the
//! power. Written again, and synced, it is what it looks like, or that fails too. A process that died may have had such a
//! failure, so this is done at each opening; the log of one that ended in order is empty.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Writes the log of the store at `path` over itself, and syncs it. Its bytes stay the same, so that readers may read meanwhile.
pub(super) fn write_again(path: &Path) -> io::Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let file = match File::options().read(true).write(true).open(&log) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; PIECE];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut bytes, at)?;
        if read == 0 {
            break;
        }
        file.write_all_at(&bytes[..read], at)?;
        at += read as u64;
    }
    if at > 0 {
        file.sync_all()?;
    }
    Ok(())
}

const PIECE: usize = 1 << 20;
