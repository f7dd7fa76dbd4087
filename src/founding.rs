//! An authority's directory in the making: whole or not at all.
//!
//! Everything is made in a directory of its own. For a directory that is not there yet, that is one beside it, which takes its name as
//! the last step. One that is there (a mount point, what systemd or a container gives, what a link leads to) keeps its place, its
//! owner and its mount: there it is `.founding` inside, whose files move up once they are complete, `wardein.toml`, without which
//! nothing serves, behind all others.
//!
//! What a crash leaves bears our marker. The next founding starts over; where the files were moving already, it moves the rest.

use crate::home::{FOUNDING, MARKER};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use wardein_cli::Failure;
use wardein_cli::config::Config;
use wardein_cli::files::{PUBLIC, make_private_directory, sync_directory, write_new};
use wardein_durable::directory_of;

/// A founding at work. Its directory is locked, so that two never work on one. One that is not finished is cleared away.
pub(crate) struct Founding {
    directory: PathBuf,
    staging: PathBuf,
    /// Whether the directory is there, and the files move into it.
    is_inside: bool,
    _lock: File,
    is_done: bool,
}

impl Founding {
    /// Begins in `directory`, which must not be there, or be empty but for what a file system has by itself.
    pub(crate) fn begin(directory: &Path) -> Result<Self, Failure> {
        let name = directory.file_name().ok_or_else(|| usage("--dir: name a directory to make"))?;
        let (is_inside, staging) = match directory.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut beside = name.to_owned();
                beside.push(FOUNDING);
                (false, directory.with_file_name(beside))
            }
            Err(error) => return Err(Failure::file("look at", directory, error)),
            // Reading the directory says what is wrong with a file, or a link to nothing.
            Ok(_) => (true, directory.join(FOUNDING)),
        };
        if is_inside {
            refuse_unless_free(directory)?;
            finish_moving(&staging, directory)?;
            make_private(directory)?;
        }
        clear(&staging)?;
        make_private_directory(&staging)?;
        let lock = locked(&staging)?;
        write_new(&staging.join(MARKER), b"1\n", PUBLIC)?;
        Ok(Self { directory: directory.to_owned(), staging, is_inside, _lock: lock, is_done: false })
    }

    /// Where all is to be made.
    pub(crate) fn staging(&self) -> &Path {
        &self.staging
    }

    /// Gives the directory its name, or its files, durably.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if self.is_inside {
            write_new(&self.staging.join(COMPLETE), b"1\n", PUBLIC)?;
            // From here on it is brought to its end, by this run or the next.
            self.is_done = true;
            return move_up(&self.staging, &self.directory)
                .map_err(|error| Failure::file("move files out of", &self.staging, error));
        }
        sync_directory(&self.staging)?;
        // rename(2) replaces an empty directory and nothing else.
        fs::rename(&self.staging, &self.directory)
            .map_err(|error| Failure::file("give its name to", &self.staging, error))?;
        self.is_done = true;
        sync_directory(directory_of(&self.directory))
    }
}

impl Drop for Founding {
    fn drop(&mut self) {
        if !self.is_done {
            // Files that cannot be removed now are cleared by the next founding, like those that a crash left.
            drop(remove(&self.staging));
        }
    }
}

/// The directory, which is there, must be empty, but for what an unfinished founding left and the file system has by itself.
fn refuse_unless_free(directory: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::file("read", directory, error);
    let unfinished = directory.join(FOUNDING);
    if unfinished.join(COMPLETE).exists() {
        return Ok(());
    }
    if directory.join(MARKER).exists() {
        // A crash at the very end leaves it, empty.
        drop(fs::remove_dir(unfinished));
        return Err(is_founded(directory));
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != FOUNDING && name != LOST_AND_FOUND {
            let words = format!(
                "{} is not empty: it has {}; name another directory",
                directory.display(),
                name.display()
            );
            return Err(Failure::Failed(words));
        }
    }
    Ok(())
}

/// Where an earlier founding was cut short while its files moved, the rest follows them: it is an authority then.
fn finish_moving(staging: &Path, directory: &Path) -> Result<(), Failure> {
    if !staging.join(COMPLETE).exists() {
        return Ok(());
    }
    let _lock = locked(staging)?;
    move_up(staging, directory).map_err(|error| Failure::file("move files out of", staging, error))?;
    Err(is_founded(directory))
}

/// Moves everything to where it belongs: `wardein.toml`, without which nothing opens the directory, when all else is there for good.
fn move_up(staging: &Path, directory: &Path) -> io::Result<()> {
    let sync = |path: &Path| File::open(path)?.sync_all();
    let last = OsStr::new(Config::FILE);
    for entry in fs::read_dir(staging)? {
        let name = entry?.file_name();
        if name != last && name != COMPLETE {
            fs::rename(staging.join(&name), directory.join(&name))?;
        }
    }
    sync(directory)?;
    match fs::rename(staging.join(last), directory.join(last)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => sync(directory)?,
    }
    fs::remove_file(staging.join(COMPLETE))?;
    fs::remove_dir(staging)?;
    sync(directory)
}

/// A directory that others may enter is closed to them, if it is ours to close.
fn make_private(directory: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::file("look at", directory, error);
    let mode = fs::metadata(directory).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(|error| {
        let directory = directory.display();
        Failure::Failed(format!(
            "{directory} is open to others (mode {mode:o}), and closing it failed: {error}; have its owner run \
             chmod 700 {directory}, or name a directory to make inside it"
        ))
    })
}

/// Removes the files that an unfinished founding left, and nothing else.
fn clear(staging: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::file("remove what an unfinished founding left in", staging, error);
    if !staging.try_exists().map_err(failed)? {
        return Ok(());
    }
    let _lock = locked(staging)?;
    if staging.join(MARKER).try_exists().map_err(failed)? {
        return remove(staging).map_err(failed);
    }
    // Without a marker it is ours only if nothing else is in it: a crash came before the marker had its name.
    let unfinished = wardein_durable::remove_unfinished(&staging.join(MARKER));
    match unfinished.and_then(|()| fs::remove_dir(staging)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::file("make way for", staging, error))
        }
        _ => Ok(()),
    }
}

/// Removes one of our directories. The marker goes last, so that a crash in the middle leaves a directory that the next founding
/// recognizes as ours.
fn remove(staging: &Path) -> io::Result<()> {
    for entry in fs::read_dir(staging)? {
        let entry = entry?;
        match entry.file_name() == MARKER {
            true => {}
            false if entry.file_type()?.is_dir() => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    File::open(staging)?.sync_all()?;
    fs::remove_file(staging.join(MARKER))?;
    fs::remove_dir(staging)
}

/// The lock of `staging`, which is there.
fn locked(staging: &Path) -> Result<File, Failure> {
    let lock = File::open(staging).map_err(|error| Failure::file("open", staging, error))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => at_work(staging),
        TryLockError::Error(error) => Failure::file("lock", staging, error),
    })?;
    // Another founding may have taken it for a crash's before it was locked, and made its own.
    let is_ours = |found: fs::Metadata| lock.metadata().is_ok_and(|ours| ours.ino() == found.ino());
    match fs::metadata(staging).is_ok_and(is_ours) {
        true => Ok(lock),
        false => Err(at_work(staging)),
    }
}

fn at_work(staging: &Path) -> Failure {
    let staging = staging.display();
    Failure::Failed(format!(
        "another `wardein init` or `wardein restore` is running in {staging}; wait until it has ended"
    ))
}

fn is_founded(directory: &Path) -> Failure {
    Failure::Failed(format!(
        "{0} is an authority already, and is never founded again; start it: wardein serve --config {0}/{1}",
        directory.display(),
        Config::FILE
    ))
}

/// The request cannot be followed.
pub(crate) fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::Usage(error.to_string())
}

/// In the directory of a founding whose files move: there is nothing left to make.
const COMPLETE: &str = "complete";

/// What is in the root of each new ext4.
const LOST_AND_FOUND: &str = "lost+found";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use wardein_cli::files::PRIVATE;

    fn refused(directory: &Path) -> String {
        Founding::begin(directory).err().unwrap().to_string()
    }

    #[test]
    fn what_a_crash_left_is_cleared_and_what_is_not_ours_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let there = parent.path().join("there");
        fs::create_dir_all(there.join(LOST_AND_FOUND)).unwrap();
        for directory in [parent.path().join("authority"), there] {
            let mut crashed = Founding::begin(&directory).unwrap();
            write_new(&crashed.staging.join("half"), b"made", PRIVATE).unwrap();
            assert!(refused(&directory).contains("is running in"));
            crashed.is_done = true;
            drop(crashed);
            let founding = Founding::begin(&directory).unwrap();
            assert!(!founding.staging.join("half").exists());
            founding.finish().unwrap();
            assert!(directory.join(MARKER).exists() && !directory.join("half").exists());
            assert!(refused(&directory).contains("is an authority already"));
        }

        let other = parent.path().join("other");
        let begun = parent.path().join("other.founding");
        fs::create_dir(&begun).unwrap();
        fs::write(begun.join(format!("{MARKER}.0123456789abcdef.tmp")), "").unwrap();
        Founding::begin(&other).unwrap().finish().unwrap();

        let foreign = parent.path().join("foreign.founding");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("thesis"), "").unwrap();
        assert!(Founding::begin(&parent.path().join("foreign")).is_err());
        assert!(foreign.join("thesis").exists());
        assert!(refused(&foreign).contains("is not empty: it has thesis"));
    }

    #[test]
    fn files_move_into_a_directory_that_is_there_and_a_crash_on_the_way_is_caught_up() {
        let parent = tempfile::tempdir().unwrap();
        for moved in 0..4 {
            let directory = parent.path().join(format!("there-{moved}"));
            fs::create_dir_all(directory.join(LOST_AND_FOUND)).unwrap();
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
            let inode = fs::metadata(&directory).unwrap().ino();
            let mut founding = Founding::begin(&directory).unwrap();
            let names = [MARKER, "store.sled", Config::FILE];
            fs::create_dir(founding.staging.join(names[1])).unwrap();
            fs::write(founding.staging.join(names[1]).join("db"), "rows").unwrap();
            fs::write(founding.staging.join(names[2]), "").unwrap();
            fs::write(founding.staging.join(COMPLETE), "").unwrap();
            for name in &names[..moved] {
                fs::rename(founding.staging.join(name), directory.join(name)).unwrap();
            }
            founding.is_done = true;
            assert!(refused(&directory).contains("is running in"), "{moved}");
            drop(founding);
            assert!(refused(&directory).contains("is an authority already"), "{moved}");
            let whole = names.iter().all(|name| directory.join(name).exists());
            assert!(whole && directory.join("store.sled/db").exists(), "{moved}");
            assert!(!directory.join(FOUNDING).exists(), "{moved}");
            fs::create_dir(directory.join(FOUNDING)).unwrap();
            assert!(refused(&directory).contains("is an authority already"), "{moved}");
            assert!(!directory.join(FOUNDING).exists(), "{moved}");
            let metadata = fs::metadata(&directory).unwrap();
            assert_eq!((metadata.ino(), metadata.permissions().mode() & 0o777), (inode, 0o700), "{moved}");
        }
    }

    #[test]
    fn a_link_leads_to_the_directory_and_one_to_nothing_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let (real, link) = (parent.path().join("real"), parent.path().join("link"));
        symlink(&real, &link).unwrap();
        assert!(refused(&link).contains("cannot read"), "{}", refused(&link));
        fs::create_dir(&real).unwrap();
        Founding::begin(&link).unwrap().finish().unwrap();
        assert!(link.is_symlink() && real.join(MARKER).exists());
        fs::write(parent.path().join("file"), "").unwrap();
        assert!(Founding::begin(&parent.path().join("file")).is_err());
    }
}
