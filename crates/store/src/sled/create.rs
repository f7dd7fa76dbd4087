//! How a store comes into being: whole, or not at all.
//!
//! sled writes its configuration in pieces and never syncs it: a power cut leaves half of it, with which nothing opens any more. So
//! a store is made beside its place, synced file by file, and only then put there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use ::sled::Batch;

use super::{layout, open_database};
use crate::moving::Mark;
use crate::open::{OpenError, Options};
use crate::place;

/// Makes an empty store at `path` if there is nothing; one with a mark does not open. The caller holds its lock.
pub(super) fn at(path: &Path, options: &Options, mark: Option<&Mark>) -> Result<(), OpenError> {
    if is_there(path)? {
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
    let tree = layout::prepare(unfinished, &db)?;
    if let Some(mark) = mark {
        let mut batch = Batch::default();
        layout::put_mark(&mut batch, mark);
        tree.apply_batch(batch).map_err(|error| OpenError::failed(unfinished, error))?;
    }
    drop(tree);
    drop(db);
    sync_all(unfinished).map_err(failed)?;
    // rename(2) replaces an empty directory.
    fs::rename(unfinished, path).map_err(|error| OpenError::failed(path, error))?;
    place::sync_parent(path)
}

/// Whether anything is there. An empty directory is what an administrator made for it.
pub(super) fn is_there(path: &Path) -> Result<bool, OpenError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(OpenError::failed(path, error)),
    }
}

fn sync_all(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { sync_all(&path)? } else { File::open(path)?.sync_all()? }
    }
    place::sync_directory(directory)
}
