//! Readers of files: each holds a key of their own, which neither the device nor the authority has.

use crate::error::FileError;
use age::x25519;
use std::fmt;
use std::str::FromStr;

/// The public key of a reader (X25519), as `age-keygen` writes it: `age1...`.
#[derive(Clone, PartialEq, Eq)]
pub struct Reader(pub(crate) x25519::Recipient);

impl Reader {
    /// The most bytes of its text.
    pub const MAX_LEN: usize = 62;
}

impl FromStr for Reader {
    type Err = FileError;

    fn from_str(text: &str) -> Result<Self, FileError> {
        if text.len() > Self::MAX_LEN {
            return Err(FileError::Reader);
        }
        let reader = text.parse().map(Self).map_err(|_| FileError::Reader)?;
        // Bech32 has upper case, too; a reader has one text.
        if reader.to_string() == text { Ok(reader) } else { Err(FileError::Reader) }
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A reader's private key (X25519), as `age-keygen` writes it.
pub struct ReaderKey(pub(crate) x25519::Identity);

impl ReaderKey {
    /// The key in an identity file: the one line that is neither empty nor a comment.
    pub fn parse(file: &str) -> Result<Self, FileError> {
        let mut lines = file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        match (lines.next(), lines.next()) {
            (Some(line), None) => line.parse().map(Self).map_err(|_| FileError::ReaderKey),
            _ => Err(FileError::ReaderKey),
        }
    }

    /// The public half.
    pub fn reader(&self) -> Reader {
        Reader(self.0.to_public())
    }
}
