//! How far each source was read: what a restart goes on from.
//!
//! A file is known again by its inode and by two marks: a digest of its first bytes, and one of the bytes before the place where
//! reading ended. The inode alone does not do, since file systems give it to another file soon; names alone do not, since rotation
//! changes them; and a length that has grown does not, since a file can be cut and filled again between two looks.

use super::opened::Opened;
use crate::name::SourceName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use wardein_crypto::{Digest, hex};

/// How far each source was read. Sources that the configuration no longer has, or that are read elsewhere now, are forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Positions(pub(super) BTreeMap<SourceName, SourcePosition>);

/// How far the files of one source were read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourcePosition {
    /// The file or the directory, as the configuration names it. At another one, reading begins at the start.
    pub(super) path: String,
    /// Files that were rotated and are not read to their end, oldest first; of a directory, all that are followed.
    pub(super) files: Vec<FilePosition>,
    /// The file that has the name now.
    pub(super) current: Option<FilePosition>,
    /// Rotated files beside it that need no reading.
    pub(super) known: Vec<Identity>,
}

/// How far a file was read.
// `deny_unknown_fields` does not go with `flatten`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FilePosition {
    /// Its name, of a file of a directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    /// Which it is.
    #[serde(flatten)]
    pub(super) identity: Identity,
    /// The byte that is read next.
    pub(super) offset: u64,
    /// The length when it was last looked at.
    pub(super) seen: u64,
    /// The bytes before `offset`.
    pub(super) tail: Mark,
    /// Whether `offset` is inside of a line that is too long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_skipping: bool,
}

/// Which file it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Its inode when it was last seen.
    pub(super) inode: u64,
    /// Its first bytes.
    pub(super) head: Mark,
}

/// A digest of a few bytes in a file, which tells whether they are still there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Mark {
    length: u16,
    digest: [u8; 8],
}

impl Mark {
    /// The most bytes that a mark is of.
    const MAX: u64 = 256;

    fn of(bytes: &[u8]) -> Self {
        // The mark of a file of which nothing was read yet.
        if bytes.is_empty() {
            return Self::default();
        }
        let mut digest = [0; 8];
        digest.copy_from_slice(&Digest::of(bytes).0[..8]);
        // `bytes` are at most MAX.
        Self { length: u16::try_from(bytes.len()).unwrap_or(u16::MAX), digest }
    }

    /// Of the bytes before `end`.
    fn before(file: &Opened, end: u64) -> io::Result<Self> {
        let length = end.min(Self::MAX);
        Ok(Self::of(&file.bytes(end - length, length)?))
    }

    /// Whether it is of no bytes, and so says nothing.
    fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the bytes from `start` are still those.
    fn is_at(&self, file: &Opened, start: u64) -> io::Result<bool> {
        Ok(Self::of(&file.bytes(start, u64::from(self.length))?) == *self)
    }
}

impl Identity {
    /// Of a file as it is now.
    pub(super) fn of(file: &Opened) -> io::Result<Self> {
        Ok(Self { inode: file.inode, head: Mark::of(&file.bytes(0, Mark::MAX)?) })
    }

    /// Whether the file begins as this one did.
    pub(super) fn begins(&self, file: &Opened) -> io::Result<bool> {
        self.head.is_at(file, 0)
    }

    /// Whether this says anything of the contents.
    pub(super) fn has_content(&self) -> bool {
        !self.head.is_empty()
    }

    /// Whether this says so little of the contents that another file may begin alike by chance.
    pub(super) fn is_weak(&self) -> bool {
        u64::from(self.head.length) < Mark::MAX
    }

    /// Whether the file is this one: of its inode, and beginning as it did. One that was empty is only known while it is.
    pub(super) fn is(&self, file: &Opened) -> io::Result<bool> {
        let is_certain = !self.head.is_empty() || file.length()? == 0;
        Ok(self.inode == file.inode && is_certain && self.begins(file)?)
    }
}

/// Whether `file` is a copy of `whole` as that is now, or as it was before it grew.
pub(super) fn is_copy(file: &Opened, whole: &Opened) -> io::Result<bool> {
    let identity = Identity::of(file)?;
    Ok(identity.has_content() && file.length()? <= whole.length()? && identity.begins(whole)?)
}

/// How a file begins, to be compared with many others.
pub(super) struct Beginning {
    bytes: Vec<u8>,
    /// Marks that were made of it.
    marks: BTreeMap<u16, Mark>,
}

impl Beginning {
    pub(super) fn of(file: &Opened) -> io::Result<Self> {
        Ok(Self { bytes: file.bytes(0, Mark::MAX)?, marks: BTreeMap::new() })
    }

    /// Whether a file that begins as `other` may have this one as a copy; where not, neither has to be looked at again.
    pub(super) fn may_be_of(&mut self, other: &Identity) -> bool {
        let length = other.head.length;
        // Of a shorter file, the other's mark says nothing.
        let Some(bytes) = self.bytes.get(..usize::from(length)) else { return true };
        *self.marks.entry(length).or_insert_with(|| Mark::of(bytes)) == other.head
    }
}

impl FilePosition {
    /// The start of a file.
    pub(super) fn start(file: &Opened) -> io::Result<Self> {
        Ok(Self { identity: Identity::of(file)?, seen: file.length()?, ..Self::default() })
    }

    /// Whether the file still has what was read of it, whatever its inode.
    pub(super) fn goes_on_in(&self, file: &Opened) -> io::Result<bool> {
        let tail = self.offset - u64::from(self.tail.length).min(self.offset);
        Ok(file.length()? >= self.offset && self.identity.begins(file)? && self.tail.is_at(file, tail)?)
    }

    /// Notes how far the file was read, and what is there. To be called while [`Self::goes_on_in`] holds.
    pub(super) fn note(&mut self, file: &Opened) -> io::Result<()> {
        self.seen = self.seen.max(file.length()?).max(self.offset);
        self.identity = Identity::of(file)?;
        self.tail = Mark::before(file, self.offset)?;
        Ok(())
    }

    /// The bytes that were seen and not read.
    pub(super) fn unread(&self) -> u64 {
        self.seen.saturating_sub(self.offset)
    }
}

impl From<Mark> for String {
    fn from(mark: Mark) -> Self {
        format!("{}:{}", mark.length, hex::encode(&mark.digest))
    }
}

impl TryFrom<String> for Mark {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let parsed = || {
            let (length, digest) = text.split_once(':')?;
            let length = length.parse().ok().filter(|length| u64::from(*length) <= Self::MAX)?;
            Some(Self { length, digest: hex::decode_array(digest)? })
        };
        parsed().ok_or("a mark is a length and eight bytes in hex")
    }
}
