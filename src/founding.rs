//! An authority's directory in the making: whole or not at all.
//!
//! Everything is made in a directory beside the requested one, and takes its name as the last step. A directory that a crash
//! leaves behind bears our marker, and the next founding starts over.

use crate::home::MARKER;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wardein_cli::Failure;
use wardein_cli::config::Config;
use wardein_cli::files::{PUBLIC, make_private_directory, sync_directory, write_new};
use wardein_durable::directory_of;

/// A founding at work. Its marker is locked, so that two never work on one directory. One that is not finished is cleared away.
pub(crate) struct Founding {
    directory: PathBuf,
    beside: PathBuf,
    _marker: File,
    is_done: bool,
}

impl Founding {
    /// Makes the directory beside `directory`, which must not be there, or be empty.
    pub(crate) fn begin(directory: &Path) -> Result<Self, Failure> {
        let name = directory.file_name().ok_or_else(|| usage("--dir: name a directory to make"))?;
        refuse_unless_free(directory)?;
        let mut beside = name.to_owned();
        beside.push(".founding");
        let beside = directory.with_file_name(beside);
        clear(&beside)?;
        make_private_directory(&beside)?;
        let path = beside.join(MARKER);
        write_new(&path, b"1\n", PUBLIC)?;
        let marker = File::open(&path).map_err(|error| Failure::file("open", &path, error))?;
        lock(&marker, &beside)?;
        // Another founding may have taken the marker for a crash's before it was locked, and made its own.
        let is_ours = |found: fs::Metadata| marker.metadata().is_ok_and(|ours| ours.ino() == found.ino());
        if !fs::metadata(&path).is_ok_and(is_ours) {
            return Err(at_work(&beside));
        }
        Ok(Self { directory: directory.to_owned(), beside, _marker: marker, is_done: false })
    }

    /// Where all is to be made.
    pub(crate) fn beside(&self) -> &Path {
        &self.beside
    }

    /// Gives the directory its name, durably.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        sync_directory(&self.beside)?;
        // rename(2) replaces an empty directory and nothing else.
        fs::rename(&self.beside, &self.directory)
            .map_err(|error| Failure::file("give its name to", &self.beside, error))?;
        self.is_done = true;
        sync_directory(directory_of(&self.directory))
    }
}

impl Drop for Founding {
    fn drop(&mut self) {
        if !self.is_done {
            // Files that cannot be removed now are cleared by the next founding, like those that a crash left.
            drop(remove(&self.beside));
        }
    }
}

/// The directory must not be there, or be empty.
fn refuse_unless_free(directory: &Path) -> Result<(), Failure> {
    let mut entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::file("read", directory, error)),
        Ok(entries) => entries,
    };
    if directory.join(MARKER).exists() {
        let words = format!(
            "{0} is an authority already, and is never founded again; start it: wardein serve --config {0}/{1}",
            directory.display(),
            Config::FILE
        );
        return Err(Failure::Failed(words));
    }
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            Err(Failure::Failed(format!("{} is not empty; name another directory", directory.display())))
        }
    }
}

/// Removes the files that an unfinished founding left, and nothing else.
fn clear(beside: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::file("remove what an unfinished founding left in", beside, error);
    match File::open(beside.join(MARKER)) {
        Ok(marker) => {
            lock(&marker, beside)?;
            remove(beside).map_err(failed)
        }
        // Without a marker it is ours only if nothing else is in it: a crash came before the marker had its name.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let unfinished = wardein_durable::remove_unfinished(&beside.join(MARKER));
            match unfinished.and_then(|()| fs::remove_dir(beside)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(Failure::file("make way for", beside, error))
                }
                _ => Ok(()),
            }
        }
        Err(error) => Err(Failure::file("look into", beside, error)),
    }
}

/// Removes one of our directories. The marker goes last, so that a crash in the middle leaves a directory that the next founding
/// recognizes as ours.
fn remove(beside: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(beside)? {
        let entry = entry?;
        match entry.file_name() == MARKER {
            true => {}
            false if entry.file_type()?.is_dir() => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    File::open(beside)?.sync_all()?;
    fs::remove_file(beside.join(MARKER))?;
    fs::remove_dir(beside)
}

fn lock(marker: &File, beside: &Path) -> Result<(), Failure> {
    marker.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => at_work(beside),
        TryLockError::Error(error) => Failure::file("lock", beside, error),
    })
}

fn at_work(beside: &Path) -> Failure {
    let beside = beside.display();
    Failure::Failed(format!(
        "another `wardein init` or `wardein restore` is running in {beside}; wait until it has ended"
    ))
}

/// The request cannot be followed.
pub(crate) fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::Usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_cli::files::PRIVATE;

    #[test]
    fn what_a_crash_left_is_cleared_and_what_is_not_ours_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("authority");
        let crashed = Founding::begin(&directory).unwrap();
        write_new(&crashed.beside.join("half"), b"made", PRIVATE).unwrap();
        assert!(Founding::begin(&directory).err().unwrap().to_string().contains("is running in"));
        let mut crashed = crashed;
        crashed.is_done = true;
        drop(crashed);
        Founding::begin(&directory).unwrap().finish().unwrap();
        assert!(directory.join(MARKER).exists() && !directory.join("half").exists());
        assert!(Founding::begin(&directory).err().unwrap().to_string().contains("is an authority already"));

        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();
        let begun = parent.path().join("other.founding");
        fs::create_dir(&begun).unwrap();
        fs::write(begun.join(format!("{MARKER}.0123456789abcdef.tmp")), "").unwrap();
        Founding::begin(&other).unwrap().finish().unwrap();

        let foreign = parent.path().join("foreign.founding");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("thesis"), "").unwrap();
        assert!(Founding::begin(&parent.path().join("foreign")).is_err());
        assert!(foreign.join("thesis").exists());
        assert!(Founding::begin(&foreign).err().unwrap().to_string().contains("is not empty"));
    }
}
