//! Room on the spool's disk for its state. Why: an agent that was ended on a full disk could not be started there again, for it
//! writes what became of the last sealing before it delivers what would make room. So a file takes that room beforehand, and is
//! removed when it is needed. Nothing is sealed while it is missing.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Sees to it that there is room; whether there is. It is not durable: what counts are the blocks that it takes.
pub(super) fn keep(directory: &Path) -> bool {
    let path = directory.join(NAME);
    if fs::symlink_metadata(&path).is_ok_and(|facts| facts.len() == LENGTH as u64) {
        return true;
    }
    // What is shorter was cut short by the disk, or by a crash.
    drop(fs::remove_file(&path));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let is_made = made.and_then(|mut file| file.write_all(&vec![0xff; LENGTH])).is_ok();
    if !is_made {
        drop(fs::remove_file(&path));
    }
    is_made
}

/// Gives the room away; whether there was any.
pub(super) fn release(directory: &Path) -> bool {
    fs::remove_file(directory.join(NAME)).is_ok()
}

const NAME: &str = "ballast";

/// More than a state has with many sources, and its predecessor beside it.
const LENGTH: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_given_away_once_and_kept_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        assert!(keep(directory.path()) && keep(directory.path()));
        assert_eq!(fs::read(&path).unwrap().len(), LENGTH);
        assert!(release(directory.path()) && !release(directory.path()));
        // One that a full disk has cut short is none.
        fs::write(&path, b"short").unwrap();
        assert!(keep(directory.path()));
        assert_eq!(fs::read(&path).unwrap().len(), LENGTH);
        assert!(!keep(&directory.path().join("away")));
    }
}
