//! What a store says of itself that is not to be opened: it is being filled from another one, or was moved into one.
//!
//! It stands beside a format that no release knows, so that a release which knows nothing of this opens neither.

use std::path::Path;

use wardein_crypto::Digest;
use wardein_port::{Head, StoreError};

use super::part::{Extent, Part};
use crate::open::OpenError;

/// The mark of a store that is not to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Another store is being moved into it.
    Filling(Filling),
    /// It was moved.
    Moved {
        /// Of which contents.
        id: Digest,
        /// Where to, for people.
        to: String,
    },
}

/// How far a store is that another one is being moved into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filling {
    /// Of which contents: the digest of the authority's own rows and of how far they were. It is another one after any commit.
    pub(crate) id: Digest,
    /// Where from, for people.
    pub(crate) from: String,
    /// How far the other one is.
    pub(crate) extent: Extent,
    /// The number of the part that is being moved.
    pub(crate) part: u16,
    /// The key of its last entry that is there, in the order of the other store.
    pub(crate) after: Option<Vec<u8>>,
    /// Whether all of it is there, and was compared.
    pub(crate) is_whole: bool,
}

impl Filling {
    pub(crate) fn begin(id: Digest, from: String, extent: Extent) -> Self {
        let part = Part::all().next().map_or(0, Part::number);
        Self { id, from, extent, part, after: None, is_whole: false }
    }
}

impl Mark {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Moved { id, to } => [&[MOVED], &id.0[..], to.as_bytes()].concat(),
            Self::Filling(Filling { id, from, extent, part, after, is_whole }) => {
                let after = after.as_deref().unwrap_or_default();
                let length = u32::try_from(after.len()).unwrap_or(u32::MAX);
                [
                    &[FILLING, u8::from(*is_whole)],
                    &id.0[..],
                    &extent.head.revision.to_be_bytes(),
                    &extent.head.last_audit.to_be_bytes(),
                    &extent.truncated.to_be_bytes(),
                    &part.to_be_bytes(),
                    &length.to_be_bytes(),
                    after,
                    from.as_bytes(),
                ]
                .concat()
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        Self::parse(bytes).ok_or_else(|| StoreError("what it says of its move is damaged".into()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let words = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let (kind, rest) = bytes.split_first()?;
        match *kind {
            MOVED => {
                let (id, to) = rest.split_first_chunk()?;
                Some(Self::Moved { id: Digest(*id), to: words(to)? })
            }
            FILLING => {
                let (is_whole, rest) = rest.split_first()?;
                let (id, rest) = rest.split_first_chunk()?;
                let (revision, rest) = rest.split_first_chunk()?;
                let (last_audit, rest) = rest.split_first_chunk()?;
                let (truncated, rest) = rest.split_first_chunk()?;
                let (part, rest) = rest.split_first_chunk()?;
                let (length, rest) = rest.split_first_chunk()?;
                let (after, from) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
                let head = Head {
                    revision: u64::from_be_bytes(*revision),
                    last_audit: u64::from_be_bytes(*last_audit),
                };
                Some(Self::Filling(Filling {
                    id: Digest(*id),
                    from: words(from)?,
                    extent: Extent { head, truncated: u64::from_be_bytes(*truncated) },
                    part: u16::from_be_bytes(*part),
                    // No entry has an empty key.
                    after: (!after.is_empty()).then(|| after.to_vec()),
                    is_whole: *is_whole == 1,
                }))
            }
            _ => None,
        }
    }

    /// Why a store at `path` with this mark is not opened.
    pub(crate) fn refusal(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Filling(Filling { from, .. }) => OpenError::Filling { path, from },
            Self::Moved { to, .. } => OpenError::Moved { path, to },
        }
    }
}

/// Added to the format of a store that has a mark.
pub(crate) const MARKED: u32 = 1_000_000;

// Stored: never used for anything else.
const FILLING: u8 = 1;
const MOVED: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back_and_damaged_ones_are_not() {
        let extent = Extent { head: Head { revision: 1, last_audit: 2 }, truncated: 3 };
        let begun = Filling::begin(Digest([7; 32]), "sqlite".into(), extent);
        let further = Filling { part: 0x102, after: Some(vec![1, 2]), is_whole: true, ..begun.clone() };
        let moved = Mark::Moved { id: Digest([8; 32]), to: "postgresql".into() };
        for mark in [Mark::Filling(begun), Mark::Filling(further), moved] {
            let bytes = mark.encode();
            assert_eq!(Mark::decode(&bytes), Ok(mark));
            for short in 0..33 {
                assert!(Mark::decode(&bytes[..short]).is_err(), "{short}");
            }
        }
    }
}
