//! Files that are whole, durable and of their mode from the first moment, or not there.
//!
//! What: a file is written beside its place under a temporary name, synced, and takes its name in one step; then the directory is
//! synced. Why one crate: what survives a power cut is decided here, and tried here at each step. No link is followed: neither one in
//! the file's place nor one under the temporary name.

use rustix::process::geteuid;
use std::fs::{self, File, Metadata, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Writes a file that must not be there yet: what has its name already is never written over ([`ErrorKind::AlreadyExists`]). Any number
/// of processes may try at one time; one succeeds.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // It keeps this writer apart from others. It need not be secret: nothing that is there is written to.
    let unique = RandomState::new().build_hasher().finish();
    let temporary = beside(path, &format!(".{unique:016x}.tmp"));
    let created = write(&temporary, bytes, mode, &mut |_| Ok(())).and_then(|()| give_name(&temporary, path));
    clear_unless(created, &temporary)
}

/// Puts a file in the place of another, or where there is none. The caller sees to it that nobody else does so at the same time.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = beside(path, ".new");
    clear_unless(replace_by(path, &temporary, bytes, mode, &mut |_| Ok(())), &temporary)
}

/// Begins a file that is written piece by piece, beside `path` under the temporary name that comes back with it; what a crash left there is
/// removed. Once it is complete and synced, [`give_name`] gives it its own. The caller sees to it that nobody else does so at the same time.
pub fn begin(path: &Path, mode: u32) -> io::Result<(File, PathBuf)> {
    let temporary = temporary(path);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // `create_new` follows no link.
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    Ok((file, temporary))
}

/// The temporary name of [`begin`].
pub fn temporary(path: &Path) -> PathBuf {
    beside(path, ".part")
}

/// Gives a file that is complete and synced its name, which nothing may have yet, in the place of its temporary one.
pub fn give_name(temporary: &Path, path: &Path) -> io::Result<()> {
    // link(2) refuses an existing name, where rename(2) would replace it.
    match fs::hard_link(temporary, path) {
        // The file systems of USB sticks have no links. There the name is taken first, and after a crash the file may be empty.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            File::create_new(path)?;
            fs::rename(temporary, path)?;
        }
        Err(error) => return Err(error),
        Ok(()) => fs::remove_file(temporary)?,
    }
    sync_directory(directory_of(path))
}

/// Whether a secret in a file of these facts is safe there: others than its owner can neither read nor write it. A file of root's may also
/// be readable by a group, for a process that is not root: this is how Kubernetes (`fsGroup`) and systemd (an ACL, whose mask is the group's
/// mode) give secrets to a service. PostgreSQL judges its server's key in the same way.
pub fn is_private(facts: &Metadata) -> bool {
    is_private_to(geteuid().as_raw(), facts.uid(), facts.mode())
}

fn is_private_to(reader: u32, owner: u32, mode: u32) -> bool {
    const ROOT: u32 = 0;
    let open_to_others = mode & 0o077;
    open_to_others == 0 || (open_to_others == 0o040 && owner == ROOT && reader != ROOT)
}

/// Removes what calls of [`create`] for `path` left that were cut short. One that is running in the meantime finds its file gone,
/// and fails.
pub fn remove_unfinished(path: &Path) -> io::Result<()> {
    let prefix = [path.file_name().unwrap_or_default().as_bytes(), b"."].concat();
    let is_temporary = |name: &[u8]| {
        let middle = name.strip_prefix(&prefix[..]).and_then(|rest| rest.strip_suffix(b".tmp"));
        middle.is_some_and(|middle| middle.len() == 16 && middle.iter().all(u8::is_ascii_hexdigit))
    };
    for entry in fs::read_dir(directory_of(path))? {
        let entry = entry?;
        if is_temporary(entry.file_name().as_bytes()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The directory that the last name of `path` is in.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How far a file has come; a test stops it at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It exists under its temporary name, empty.
    Created,
    /// Half of it is written.
    Half,
    /// All of it is written.
    Written,
    /// Its bytes are durable.
    Synced,
    /// It has its name; the directory is not durable yet.
    Renamed,
}

type GoOn<'a> = &'a mut dyn FnMut(Step) -> io::Result<()>;

fn replace_by(path: &Path, temporary: &Path, bytes: &[u8], mode: u32, go_on: GoOn<'_>) -> io::Result<()> {
    // What a crash left may have another mode or be cut short.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write(temporary, bytes, mode, go_on)?;
    fs::rename(temporary, path)?;
    go_on(Step::Renamed)?;
    sync_directory(directory_of(path))
}

fn write(temporary: &Path, bytes: &[u8], mode: u32, go_on: GoOn<'_>) -> io::Result<()> {
    // `create_new` follows no link.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
    go_on(Step::Created)?;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    go_on(Step::Half)?;
    file.write_all(second)?;
    go_on(Step::Written)?;
    file.sync_all()?;
    go_on(Step::Synced)
}

fn clear_unless(written: io::Result<()>, temporary: &Path) -> io::Result<()> {
    if written.is_err() {
        // It is of no use; where it cannot be removed, it is in nobody's way.
        drop(fs::remove_file(temporary));
    }
    written
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    directory_of(path).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use tempfile::TempDir;

    fn names(directory: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_or_the_new_file_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (path, temporary) = (directory.path().join("state"), directory.path().join("state.new"));
        let steps = [Step::Created, Step::Half, Step::Written, Step::Synced, Step::Renamed];
        for (round, crash) in (0u8..).zip(steps) {
            let (old, new) = ([round; 100], [round + 100; 100]);
            replace(&path, &old, 0o600).unwrap();
            let stopped = replace_by(&path, &temporary, &new, 0o600, &mut |step| {
                if step == crash { Err(io::Error::other("power cut")) } else { Ok(()) }
            });
            assert!(stopped.is_err());
            let expected = if crash == Step::Renamed { new } else { old };
            assert_eq!(fs::read(&path).unwrap(), expected, "{crash:?}");
            // What the crash left does not hinder the next attempt.
            replace(&path, &new, 0o600).unwrap();
            assert_eq!(fs::read(&path).unwrap(), new);
            assert_eq!(names(&directory), ["state"]);
        }
    }

    #[test]
    fn what_is_written_in_pieces_follows_no_link_and_takes_no_name_that_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let (path, part) = (directory.path().join("log.age"), directory.path().join("log.age.part"));
        let precious = directory.path().join("precious");
        fs::write(&precious, b"precious").unwrap();
        symlink(&precious, &part).unwrap();
        let (mut file, temporary) = begin(&path, 0o600).unwrap();
        assert_eq!(temporary, super::temporary(&path));
        file.write_all(b"sealed").unwrap();
        assert_eq!(
            (fs::read(&precious).unwrap(), &temporary, mode(&part)),
            (b"precious".to_vec(), &part, 0o600)
        );
        file.sync_all().unwrap();
        give_name(&temporary, &path).unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(&directory).len()), (b"sealed".to_vec(), 2));
        let (_, temporary) = begin(&path, 0o600).unwrap();
        assert_eq!(give_name(&temporary, &path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"sealed");
    }

    #[test]
    fn a_crash_at_any_step_leaves_no_new_file_and_a_failure_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (path, temporary) = (directory.path().join("key"), directory.path().join("key.0.tmp"));
        for crash in [Step::Created, Step::Half, Step::Written, Step::Synced] {
            let stopped = write(&temporary, &[7; 100], 0o600, &mut |step| {
                if step == crash { Err(io::Error::other("power cut")) } else { Ok(()) }
            });
            assert!(clear_unless(stopped, &temporary).is_err());
            assert!(names(&directory).is_empty(), "{crash:?}");
        }
        // What cannot take its name leaves nothing either, and what was in its place is as it was.
        fs::create_dir(&path).unwrap();
        assert!(create(&path, b"secret", 0o600).is_err());
        assert!(replace(&path, b"secret", 0o600).is_err());
        assert_eq!(names(&directory), ["key"]);
        assert!(path.is_dir());
        assert!(create(Path::new("/nonexistent/key"), b"secret", 0o600).is_err());
    }

    #[test]
    fn nothing_is_written_over_by_what_is_new() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        create(&path, b"first", 0o600).unwrap();
        let refused = create(&path, b"second", 0o600).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(&directory), ["key"]);

        // Of many at one time, one succeeds, whole.
        let path = &directory.path().join("raced");
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8u8).map(|n| scope.spawn(move || create(path, &[n; 1000], 0o600).is_ok())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|ok| *ok).count()
        });
        let bytes = fs::read(path).unwrap();
        assert_eq!((made, bytes.len()), (1, 1000));
        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
        assert_eq!(names(&directory), ["key", "raced"]);
    }

    #[test]
    fn the_mode_holds_even_where_a_wider_file_was() {
        let directory = tempfile::tempdir().unwrap();
        let wide = |name: &str| {
            let path = directory.path().join(name);
            fs::write(&path, b"left").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        };
        let path = directory.path().join("device.key");
        wide("device.key");
        wide("device.key.new");
        replace(&path, b"secret", 0o600).unwrap();
        assert_eq!(mode(&path), 0o600);
        let (private, public) = (directory.path().join("private"), directory.path().join("public"));
        create(&private, b"secret", 0o600).unwrap();
        create(&public, b"said", 0o644).unwrap();
        assert_eq!((mode(&private), mode(&public) & 0o700), (0o600, 0o600));
    }

    #[test]
    fn a_secret_is_its_owners_or_given_by_root_to_a_group_of_the_service() {
        const SERVICE: u32 = 65_532;
        for owner in [0, SERVICE] {
            for mode in [0o100_600, 0o100_400] {
                assert!(is_private_to(SERVICE, owner, mode) && is_private_to(0, owner, mode));
            }
            for mode in [0o604, 0o620, 0o660, 0o610, 0o644, 0o444, 0o602, 0o601] {
                assert!(!is_private_to(SERVICE, owner, mode), "{owner} {mode:o}");
            }
        }
        for mode in [0o440, 0o640] {
            assert!(is_private_to(SERVICE, 0, mode));
            // Not what the service itself left open, what another user gave it, or what root has for itself.
            assert!(!is_private_to(SERVICE, SERVICE, mode) && !is_private_to(SERVICE, 1_000, mode));
            assert!(!is_private_to(0, 0, mode));
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        create(&path, b"secret", 0o600).unwrap();
        assert!(is_private(&path.metadata().unwrap()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        assert!(!is_private(&path.metadata().unwrap()));
    }

    #[test]
    fn no_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, victim) = (directory.path().join("key"), directory.path().join("victim"));
        fs::write(&victim, b"theirs").unwrap();
        symlink(&victim, &path).unwrap();
        symlink(&victim, directory.path().join("key.new")).unwrap();
        let refused = create(&path, b"secret", 0o600).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        replace(&path, b"secret", 0o600).unwrap();
        assert_eq!(
            (fs::read(&victim).unwrap(), fs::read(&path).unwrap()),
            (b"theirs".into(), b"secret".into())
        );
        assert!(!path.symlink_metadata().unwrap().is_symlink());

        // One that leads nowhere is in the way as well.
        let dangling = directory.path().join("dangling");
        symlink(directory.path().join("elsewhere"), &dangling).unwrap();
        assert!(create(&dangling, b"secret", 0o600).is_err());
        assert!(!directory.path().join("elsewhere").exists());
    }

    #[test]
    fn what_was_cut_short_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let others = ["root.key", "root.key.0123.tmp", "root.key.mine.tmp", "root.keys.0123456789abcdef.tmp"];
        for name in others.into_iter().chain(["root.key.0123456789abcdef.tmp"]) {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        remove_unfinished(&directory.path().join("root.key")).unwrap();
        assert_eq!(names(&directory), others);
    }
}
