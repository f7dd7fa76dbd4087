//! A revision as watchers keep it: with the incarnation of the authority that it is a revision of.

use crate::kernel::Error;
use crate::rows::AuthorityRow;
use wardein_crypto::Sha256;
use wardein_domain::ErrorCode;

/// Which life of an authority this is: restoring it from a backup begins another, in which revisions begin again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incarnation([u8; 8]);

impl Incarnation {
    pub(crate) fn of(row: &AuthorityRow) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"wardein incarnation\0");
        hash.update(&row.founded_at.get().to_be_bytes());
        hash.update(&row.restored_at.get().to_be_bytes());
        hash.update(row.trust_domain.as_str().as_bytes());
        let digest = hash.finish().0;
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(first)
    }

    /// The bytes of one of its revisions.
    pub(crate) fn wire(self, revision: u64) -> Vec<u8> {
        [&[FORMAT][..], &self.0, &revision.to_be_bytes()].concat()
    }

    /// The revision that these bytes name.
    pub(crate) fn parse(self, bytes: &[u8]) -> Result<u64, Error> {
        let malformed = || Error::wrong("revision", "is not one that this authority gave");
        let Some((&FORMAT, rest)) = bytes.split_first() else { return Err(malformed()) };
        let (incarnation, revision) = rest.split_first_chunk::<8>().ok_or_else(malformed)?;
        let revision = u64::from_be_bytes(revision.try_into().map_err(|_| malformed())?);
        if *incarnation != self.0 {
            let message = "the revision is of another authority, or of this one before it was restored; watch from a snapshot";
            return Err(Error::new(ErrorCode::RevisionForeign, message));
        }
        Ok(revision)
    }
}

/// The form of the bytes.
const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_comes_back_and_nothing_else_is_one() {
        let (ours, theirs) = (Incarnation([1; 8]), Incarnation([2; 8]));
        let bytes = ours.wire(7);
        assert_eq!(ours.parse(&bytes).unwrap(), 7);
        assert_eq!(theirs.parse(&bytes).unwrap_err().code, ErrorCode::RevisionForeign);
        let longer = [&bytes[..], &[0]].concat();
        let mut other = bytes.clone();
        other[0] = 2;
        for malformed in [&[][..], &bytes[..16], &longer, &other] {
            assert_eq!(ours.parse(malformed).unwrap_err().code, ErrorCode::Malformed);
        }
    }
}
