//! How a store comes into being: whole, or not at all.
//!
//! sled writes its configuration in pieces and never syncs it: a power cut leaves half of it, with which nothing opens any more. So
//! a store is made beside its place, synced file by file, and only then put there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::{layout, open_database};
use crate::open::{OpenError, Options};
use crate::place;

/// Makes an empty store at `path` if there is nothing. The caller holds its lock.
pub(super) fn at(path: &Path, options: &Options) -> Result<(), OpenError> {
    // An empty directory is what an administrator made for it.
    let is_there = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(OpenError::failed(path, error)),
    };
    if is_there {
        return Ok(());
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".creating");
    let unfinished = Path::new(&unfinished);
    let failed = |error: io::Error| OpenError::failed(unfinished, error);
    match fs::remove_dir_all(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => fs::DirBuilder::new().mode(0o700).create(unfinished).map_err(failed)?,
    }
    let db = open_database(unfinished, options)?;
    drop(layout::prepare(unfinished, &db)?);
    drop(db);
    sync_all(unfinished).map_err(failed)?;
    // rename(2) replaces an empty directory.
    fs::rename(unfinished, path).map_err(|error| OpenError::failed(path, error))?;
    place::sync_parent(path)
}

fn sync_all(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { sync_all(&path)? } else { File::open(path)?.sync_all()? }
    }
    place::sync_directory(directory)
}
