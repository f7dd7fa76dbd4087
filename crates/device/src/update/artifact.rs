//! An artifact: downloaded from where an earlier try stopped, and judged while it comes (TUF §5.7).

use super::catalog::Listed;
use super::error::UpdateError;
use super::files::UpdateFiles;
use super::source::{Coming, Source};
use crate::error::Error;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use wardein_tuf::TargetCheck;

/// The artifact of `listed`, whole and as it was signed. `told` hears how many bytes there are.
pub(super) async fn download(
    files: &UpdateFiles,
    source: &Source,
    place: &str,
    listed: &Listed,
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<PathBuf, Error> {
    let digest = &listed.file.sha256;
    let whole = files.artifact_path(digest);
    if is_signed(&whole, listed)? {
        return Ok(whole);
    }
    files.remove_other_artifacts(Some(digest))?;
    let part = files.part_path(digest);
    let mut file = open_part(&part)?;
    make_room(&file, &part, listed.file.length)?;
    let (check, at) = resume(&mut file, &part, listed)?;
    let is_resumed = at > 0;
    let is_distrust =
        |ended: &Result<(), Error>| matches!(ended, Err(Error::Update(error)) if error.is_distrust());
    let mut ended = fetch(&mut file, &part, (source, place), listed, (check, at), told).await;
    if is_resumed && is_distrust(&ended) {
        // What was there before a power cut may be other bytes than were written.
        truncate(&file, &part)?;
        let check = TargetCheck::new(&listed.path, &listed.file);
        ended = fetch(&mut file, &part, (source, place), listed, (check, 0), told).await;
    }
    if is_distrust(&ended) {
        // Nothing of it is worth keeping.
        remove(&part)?;
    }
    ended?;
    file.sync_all().map_err(Error::file("write", &part))?;
    std::fs::rename(&part, &whole).map_err(Error::file("write", &whole))?;
    wardein_durable::sync_directory(wardein_durable::directory_of(&whole))
        .map_err(Error::file("write", &whole))?;
    Ok(whole)
}

/// Whether the file at `path` is the artifact of `listed`, all of it read. One that is not is removed.
fn is_signed(path: &Path, listed: &Listed) -> Result<bool, Error> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::file("open", path)(error)),
        Ok(file) => drop(file),
    }
    match verify(path, listed, &mut |_| ()) {
        Ok(()) => Ok(true),
        Err(Error::Update(error)) if error.is_distrust() => remove(path).map(|()| false),
        Err(error) => Err(error),
    }
}

/// Judges the file at `path` as the artifact of `listed`; `each` gets every piece of it.
pub(super) fn verify(path: &Path, listed: &Listed, each: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
    let mut file = File::open(path).map_err(Error::file("open", path))?;
    let mut check = TargetCheck::new(&listed.path, &listed.file);
    read_all(&mut file, path, &mut check, each)?;
    Ok(check.finish().map_err(UpdateError::from)?)
}

/// The check of a part that is there, and how many bytes it has.
fn resume(file: &mut File, part: &Path, listed: &Listed) -> Result<(TargetCheck, u64), Error> {
    let mut check = TargetCheck::new(&listed.path, &listed.file);
    match read_all(file, part, &mut check, &mut |_| ()) {
        Ok(length) => Ok((check, length)),
        Err(Error::Update(error)) if error.is_distrust() => {
            truncate(file, part)?;
            Ok((TargetCheck::new(&listed.path, &listed.file), 0))
        }
        Err(error) => Err(error),
    }
}

fn read_all(
    file: &mut File,
    path: &Path,
    check: &mut TargetCheck,
    each: &mut dyn FnMut(&[u8]),
) -> Result<u64, Error> {
    let (mut buffer, mut length) = (vec![0; 256 << 10], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(count) => {
                let piece = buffer.split_at(count).0;
                check.update(piece).map_err(UpdateError::from)?;
                each(piece);
                length += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::file("read", path)(error)),
        }
    }
}

/// Appends what is missing, and judges the whole.
async fn fetch(
    file: &mut File,
    part: &Path,
    (source, place): (&Source, &str),
    listed: &Listed,
    (mut check, mut at): (TargetCheck, u64),
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<(), Error> {
    if at == listed.file.length {
        return Ok(check.finish().map_err(UpdateError::from)?);
    }
    let (from, mut coming) = find(source, place, listed, at).await?;
    if from != at {
        // A server that has no parts of files begins again.
        truncate(file, part)?;
        check = TargetCheck::new(&listed.path, &listed.file);
        at = from;
    }
    let (mut piece, mut unsynced) = (Vec::new(), 0);
    loop {
        coming.next(&mut piece).await?;
        if piece.is_empty() {
            return Ok(check.finish().map_err(UpdateError::from)?);
        }
        check.update(&piece).map_err(UpdateError::from)?;
        file.write_all(&piece).map_err(|error| written(error, part, listed.file.length - at))?;
        at += piece.len() as u64;
        unsynced += piece.len();
        if unsynced >= SYNC {
            file.sync_data().map_err(Error::file("write", part))?;
            unsynced = 0;
        }
        told(at);
    }
}

/// Under the name that a repository with consistent snapshots has for it (TUF §6.2), or under its own.
async fn find(source: &Source, place: &str, listed: &Listed, at: u64) -> Result<(u64, Coming), Error> {
    for name in [listed.path.consistent(&listed.file.sha256), listed.path.to_string()] {
        if let Some(found) = source.open(&name, at).await? {
            return Ok(found);
        }
    }
    Err(UpdateError::NoArtifact { path: listed.path.to_string(), place: place.to_owned() }.into())
}

fn open_part(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options.open(path).map_err(Error::file("open", path))
}

/// Takes the room for all of it ahead, so that a disk that is full is known before an hour of downloading. A file system that cannot is found
/// out while it is written.
pub(super) fn make_room(file: &File, path: &Path, needed: u64) -> Result<(), Error> {
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, needed.max(1)) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(written(error.into(), path, needed)),
    }
}

pub(super) fn written(error: std::io::Error, path: &Path, needed: u64) -> Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            UpdateError::NoRoom { needed, path: wardein_durable::directory_of(path).to_owned() }.into()
        }
        _ => Error::file("write", path)(error),
    }
}

fn truncate(file: &File, path: &Path) -> Result<(), Error> {
    file.set_len(0).map_err(Error::file("write", path))
}

fn remove(path: &Path) -> Result<(), Error> {
    std::fs::remove_file(path).map_err(Error::file("remove", path))
}

/// Bytes after which what was downloaded is made durable: a power cut costs no more than that.
const SYNC: usize = 8 << 20;
