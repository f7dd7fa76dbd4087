//! Files with secrets, which their owner alone can read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use wardein_crypto::SecretBytes;

/// Why a file with a secret is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPrivate {
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Others can read it.
    #[error("is open to others (mode {0:o}); run: chmod 600 on it")]
    Open(u32),
    /// It is too long to be what it should be.
    #[error("has more than {0} bytes")]
    TooLong(usize),
}

/// All that a file has, which is at most `max` bytes.
pub(crate) fn read(path: &Path, max: usize) -> Result<SecretBytes, NotPrivate> {
    use std::os::unix::fs::PermissionsExt;
    let file = File::open(path)?;
    let facts = file.metadata()?;
    if !wardein_durable::is_private(&facts) {
        return Err(NotPrivate::Open(facts.permissions().mode() & 0o777));
    }
    let mut file = file.take(max as u64 + 1);
    let bytes = SecretBytes::try_filled(max + 1, |buffer| {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok::<_, io::Error>(filled)
    })?;
    if bytes.expose().len() > max {
        return Err(NotPrivate::TooLong(max));
    }
    Ok(bytes)
}
