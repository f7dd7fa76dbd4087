//! Key files: 32 random bytes for starts without a human, for the owner's eyes alone.

use crate::{CustodyError, file};
use rustix::process::geteuid;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use wardein_crypto::{Entropy, Secret};

/// Bytes in a key file.
pub(crate) const LEN: usize = 32;

const ROOT: u32 = 0;

/// The key in the file; one is made where there is none. A file that is there is used and never written over: a founding that was
/// cut short may have left it, or what provides this machine with secrets put it there. Another authority may be under it as well.
pub(crate) fn read_or_create(path: &Path, entropy: &mut impl Entropy) -> Result<Secret<LEN>, CustodyError> {
    file::remove_unfinished(path)?;
    if path.symlink_metadata().is_ok() {
        let (key, owner) = read_owned(path)?;
        // A key that somebody else chose protects nothing from them. From root nothing is protected anyway, and what provides a container or
        // a unit with secrets is root.
        let is_ours = owner == geteuid().as_raw() || owner == ROOT;
        return if is_ours { Ok(key) } else { Err(CustodyError::Owner(path.to_owned())) };
    }
    let key = entropy.secret()?;
    file::write_new(path, key.expose())?;
    Ok(key)
}

/// Reads a key file that only its owner can read, or that root gave to a group of the service.
pub(crate) fn read(path: &Path) -> Result<Secret<LEN>, CustodyError> {
    Ok(read_owned(path)?.0)
}

/// The key, and the user whose file it is.
fn read_owned(path: &Path) -> Result<(Secret<LEN>, u32), CustodyError> {
    let cannot_read = |error| CustodyError::io("cannot read", path)(error);
    let mut opened = File::open(path).map_err(cannot_read)?;
    // The opened file is asked, not the name: between two looks at a name it can become another file's.
    let facts = opened.metadata().map_err(cannot_read)?;
    if !facts.is_file() {
        return Err(CustodyError::KeyFile(path.to_owned()));
    }
    if !wardein_durable::is_private(&facts) {
        let mode = facts.mode() & 0o7777;
        return Err(CustodyError::Permissions { path: path.to_owned(), mode });
    }
    let bytes = file::read_bounded(&mut opened, LEN).map_err(cannot_read)?;
    let bytes = bytes.as_ref().and_then(|bytes| bytes.expose().try_into().ok());
    let key = bytes.map(Secret::copied_from).ok_or_else(|| CustodyError::KeyFile(path.to_owned()))?;
    Ok((key, facts.uid()))
}
