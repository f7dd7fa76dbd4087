//! Delivery to a directory, such as a share or a stick. It is there already: one that is not mounted is not made.

use super::{Content, Parcel, Target, Undelivered};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A directory that takes batches.
pub struct DirectoryTarget(PathBuf);

impl DirectoryTarget {
    /// The directory at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl Target for DirectoryTarget {
    async fn deliver(&mut self, parcel: &Parcel) -> Result<(), Undelivered> {
        // The statement first: a reader who finds a batch finds what vouches for it.
        put(&self.0.join(parcel.name.statement()), &parcel.statement)?;
        put(&self.0.join(parcel.name.sealed()), &parcel.sealed)
    }
}

/// Writes a file that is whole and durable under its name, or finds it there.
fn put(path: &Path, content: &Content) -> Result<(), Undelivered> {
    let failed = |error: io::Error| Undelivered::Again(format!("cannot write {}: {error}", path.display()));
    // What a delivery left that was cut short.
    wardein_durable::remove_unfinished(path).map_err(failed)?;
    // In memory as a whole, and for one audience alone: nothing else is done until it is written.
    let bytes = content.bytes().map_err(failed)?;
    match wardein_durable::create(path, &bytes, 0o644) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match is_same(path, content) {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(Undelivered::Refused(format!("{} is there already, and is another file", path.display())))
            }
            Err(error) => Err(failed(error)),
        },
        done => done.map_err(failed),
    }
}

fn is_same(path: &Path, content: &Content) -> io::Result<bool> {
    let there = Content::of(File::open(path)?, content.length())?;
    Ok(there.is_some_and(|there| there.sha256() == content.sha256()))
}
