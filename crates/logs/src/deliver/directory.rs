//! Delivery to a directory, such as a share or a stick. It is there already: one that is not mounted is not made.

use super::{Parcel, Target, Undelivered};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
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
fn put(path: &Path, bytes: &[u8]) -> Result<(), Undelivered> {
    let failed = |error: io::Error| Undelivered::Again(format!("cannot write {}: {error}", path.display()));
    // What a delivery left that was cut short.
    wardein_durable::remove_unfinished(path).map_err(failed)?;
    match wardein_durable::create(path, bytes, 0o644) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match is_same(path, bytes) {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(Undelivered::Refused(format!("{} is there already, and is another file", path.display())))
            }
            Err(error) => Err(failed(error)),
        },
        done => done.map_err(failed),
    }
}

fn is_same(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let mut there = Vec::new();
    File::open(path)?.take(bytes.len() as u64 + 1).read_to_end(&mut there)?;
    Ok(there == bytes)
}
