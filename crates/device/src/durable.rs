//! Replacing a file so that a crash at any moment leaves the old one or the new one, whole.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How far a replacement has come; a test stops it at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The new file exists beside the old one, empty.
    Created,
    /// Half of it is written.
    Half,
    /// All of it is written.
    Written,
    /// Its bytes are durable.
    Synced,
    /// It has taken the old one's place; the directory is not durable yet.
    Renamed,
}

/// Puts `bytes` in the place of `directory/name`, readable by `mode` from its first moment. It returns when they are durable.
pub(crate) fn replace(directory: &Path, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace_with(directory, name, bytes, mode, |_| Ok(()))
}

/// The same, asking `go_on` between the steps.
pub(crate) fn replace_with(
    directory: &Path,
    name: &str,
    bytes: &[u8],
    mode: u32,
    mut go_on: impl FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    let beside = directory.join(format!("{name}.new"));
    // What an earlier crash left may have another mode or be cut short: it is removed, and `create_new` follows no link.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    go_on(Step::Created)?;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    go_on(Step::Half)?;
    file.write_all(second)?;
    go_on(Step::Written)?;
    file.sync_all()?;
    go_on(Step::Synced)?;
    rename(&beside, directory.join(name))?;
    go_on(Step::Renamed)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{metadata, read, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_crash_at_any_step_leaves_the_old_or_the_new_file_whole() {
        let directory = tempfile::tempdir().unwrap();
        let steps = [Step::Created, Step::Half, Step::Written, Step::Synced, Step::Renamed];
        for (round, crash) in (0u8..).zip(steps) {
            let (old, new) = ([round; 100], [round + 100; 100]);
            replace(directory.path(), "state", &old, 0o600).unwrap();
            let stopped = replace_with(directory.path(), "state", &new, 0o600, |step| {
                if step == crash { Err(io::Error::other("power cut")) } else { Ok(()) }
            });
            assert!(stopped.is_err());
            let expected = if crash == Step::Renamed { new } else { old };
            assert_eq!(read(directory.path().join("state")).unwrap(), expected, "{crash:?}");
            // What the crash left does not hinder the next attempt.
            replace(directory.path(), "state", &new, 0o600).unwrap();
            assert_eq!(read(directory.path().join("state")).unwrap(), new);
        }
    }

    #[test]
    fn the_mode_holds_even_where_a_wider_file_was_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let beside = directory.path().join("device.key.new");
        write(&beside, b"left").unwrap();
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o666)).unwrap();
        replace(directory.path(), "device.key", b"secret", 0o600).unwrap();
        let mode = metadata(directory.path().join("device.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
