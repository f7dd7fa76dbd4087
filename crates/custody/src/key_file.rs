//! Key files: 32 random bytes for starts without a human, for the owner's eyes alone.

use crate::{CustodyError, file};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use wardein_crypto::{Entropy, Secret};

/// Bytes in a key file.
pub(crate) const LEN: usize = 32;

/// Makes a key file that is not there yet.
pub(crate) fn create(path: &Path, entropy: &mut impl Entropy) -> Result<Secret<LEN>, CustodyError> {
    let key = entropy.secret()?;
    file::write_new(path, key.expose(), entropy.array()?)?;
    Ok(key)
}

/// Reads a key file that only its owner can read.
pub(crate) fn read(path: &Path) -> Result<Secret<LEN>, CustodyError> {
    let cannot_read = |error| CustodyError::io("cannot read", path)(error);
    let mut opened = File::open(path).map_err(cannot_read)?;
    // The opened file is asked, not the name: between two looks at a name it can become another file's.
    let facts = opened.metadata().map_err(cannot_read)?;
    if !facts.is_file() {
        return Err(CustodyError::KeyFile(path.to_owned()));
    }
    let mode = facts.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(CustodyError::Permissions { path: path.to_owned(), mode });
    }
    let bytes = file::read_bounded(&mut opened, LEN).map_err(cannot_read)?;
    let bytes = bytes.as_ref().and_then(|bytes| bytes.expose().try_into().ok());
    bytes.map(Secret::copied_from).ok_or_else(|| CustodyError::KeyFile(path.to_owned()))
}
