//! How rows and audit entries lie in one tree of sled's.
//!
//! A key is a byte for its space and the port's key; a value is its version, its whole length and its first piece. Further pieces
//! lie in a space of their own under the whole key and the piece's number. sled keeps each value of up to [`PIECE`] bytes in its
//! log; larger ones would go to files that it never syncs. The head, and the entries of the feed and of the audit log's index, are
//! short and lie as they are.

use std::ops::Bound;
use std::path::Path;

use ::sled::{Batch, Db, IVec, Tree};
use wardein_port::{Head, Row, StoreError, Table};

use crate::moving::{MARKED, Mark};
use crate::open::OpenError;
use crate::range::Range;

/// The space of a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Space {
    /// A table's rows.
    Rows(Table),
    /// Audit entries, by number.
    Audit,
    /// The feed, by revision and the number of the row in its commit.
    Feed,
    /// The index of the audit log, by key and place.
    Index,
}

impl Space {
    const fn byte(self) -> u8 {
        match self {
            Self::Rows(table) => table as u8,
            Self::Audit => AUDIT,
            Self::Feed => FEED,
            Self::Index => INDEX,
        }
    }

    pub(super) fn key(self, key: &[u8]) -> Vec<u8> {
        [&[self.byte()], key].concat()
    }

    /// The least key behind all of it.
    pub(super) fn end(self) -> Vec<u8> {
        vec![self.byte() + 1]
    }
}

/// The last revision, and the one up to which the feed is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Revisions {
    pub(super) last: u64,
    pub(super) truncated: u64,
}

/// The tree in `db`, which is ours and of a format that is known, or new. One of the first format is upgraded.
pub(super) fn prepare(path: &Path, db: &Db) -> Result<Tree, OpenError> {
    let failed = |error: ::sled::Error| OpenError::failed(path, error);
    let foreign = |found: &str| OpenError::Foreign { path: path.to_owned(), found: found.into() };
    let tree = db.open_tree(TREE).map_err(failed)?;
    let Some(mark) = tree.get([MARK]).map_err(failed)? else {
        // A crash after sled made its files and before the mark was written leaves both trees empty.
        if !tree.is_empty() || !db.is_empty() || db.tree_names().len() > 2 {
            return Err(foreign("a sled store without our mark"));
        }
        begin(&tree, Revisions::default()).map_err(failed)?;
        return Ok(tree);
    };
    let format = mark.strip_prefix(NAME).and_then(|format| format.try_into().ok()).map(u32::from_be_bytes);
    match format {
        Some(FORMAT) => Ok(tree),
        Some(2) => {
            // The second had no index of the audit log, which the engine fills.
            tree.insert([MARK], [NAME, &FORMAT.to_be_bytes()].concat()).map_err(failed)?;
            Ok(tree)
        }
        Some(1) => {
            // The first format counted each row's versions by itself, and had no feed: revisions begin behind all versions that
            // exist, and the feed behind that.
            let last = last_version(&tree).map_err(|error| OpenError::failed(path, error))?;
            begin(&tree, Revisions { last, truncated: last }).map_err(failed)?;
            Ok(tree)
        }
        Some(MARKED_FORMAT) => match marked(&tree) {
            Ok(mark) => Err(mark.refusal(path)),
            Err(error) => Err(OpenError::Damaged { path: path.to_owned(), what: error.0 }),
        },
        Some(found) if found > FORMAT => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT })
        }
        Some(_) | None => Err(foreign("a sled store with another's mark")),
    }
}

/// Marks a store, which does not open from then on.
pub(super) fn put_mark(batch: &mut Batch, mark: &Mark) {
    batch.insert(&MOVING, mark.encode());
    batch.insert(&[MARK], [NAME, &MARKED_FORMAT.to_be_bytes()].concat());
}

/// Takes the mark away.
pub(super) fn unmark(batch: &mut Batch) {
    batch.remove(&MOVING);
    batch.insert(&[MARK], [NAME, &FORMAT.to_be_bytes()].concat());
}

/// The tree of a store that has a mark, if it has one.
pub(super) fn tree_with_mark(path: &Path, db: &Db) -> Result<Option<(Tree, Mark)>, OpenError> {
    let failed = |error: ::sled::Error| OpenError::failed(path, error);
    let tree = db.open_tree(TREE).map_err(failed)?;
    if tree.get(MOVING).map_err(failed)?.is_none() {
        return Ok(None);
    }
    let mark = marked(&tree).map_err(|error| OpenError::Damaged { path: path.to_owned(), what: error.0 })?;
    Ok(Some((tree, mark)))
}

fn marked(tree: &Tree) -> Result<Mark, StoreError> {
    let stored = tree.get(MOVING).map_err(told)?.ok_or_else(|| StoreError(DAMAGED.into()))?;
    Mark::decode(&stored)
}

/// How many rows there are, in whichever table.
pub(super) fn count_rows(tree: &Tree) -> Result<u64, StoreError> {
    tree.range([MARK + 1]..[AUDIT]).keys().try_fold(0, |count, key| key.map(|_| count + 1).map_err(told))
}

/// Marks a tree as of our format, and sets where its revisions begin; both or neither are there after a crash.
fn begin(tree: &Tree, revisions: Revisions) -> ::sled::Result<()> {
    let mut batch = Batch::default();
    put_revisions(&mut batch, revisions);
    batch.insert(&[MARK], [NAME, &FORMAT.to_be_bytes()].concat());
    tree.apply_batch(batch)
}

/// How far the store is, and the feed.
pub(super) fn known(tree: &Tree) -> Result<(Head, Revisions), StoreError> {
    let stored = tree.get(HEAD).map_err(told)?;
    let revisions = stored.as_deref().and_then(|stored| {
        let (last, truncated) = stored.split_first_chunk()?;
        let truncated = u64::from_be_bytes(truncated.try_into().ok()?);
        Some(Revisions { last: u64::from_be_bytes(*last), truncated })
    });
    let revisions = revisions.ok_or_else(|| StoreError("its head is damaged".into()))?;
    let last_audit = last_audit(tree).map_err(told)?;
    Ok((Head { revision: revisions.last, last_audit }, revisions))
}

/// Puts the last revision, and the one up to which the feed is truncated.
pub(super) fn put_revisions(batch: &mut Batch, revisions: Revisions) {
    batch.insert(&HEAD, [revisions.last.to_be_bytes(), revisions.truncated.to_be_bytes()].concat());
}

/// The number of the last audit entry, 0 if there is none.
fn last_audit(tree: &Tree) -> ::sled::Result<u64> {
    let last = tree.scan_prefix([AUDIT]).keys().next_back().transpose()?;
    let number = last.as_deref().and_then(|key| key.get(1..)).and_then(|number| number.try_into().ok());
    Ok(number.map_or(0, u64::from_be_bytes))
}

/// The highest version of a row, 0 if there is none.
fn last_version(tree: &Tree) -> Result<u64, StoreError> {
    tree.range([MARK + 1]..[AUDIT]).try_fold(0, |last, found| {
        let (_, head) = found.map_err(told)?;
        parse(&head).map(|(version, _, _)| version.max(last))
    })
}

/// The row at `key`.
pub(super) fn get(tree: &Tree, space: Space, key: &[u8]) -> Result<Option<Row>, StoreError> {
    let key = space.key(key);
    match tree.get(&key).map_err(told)? {
        Some(head) => Ok(Some(whole(tree, &key, &head)?)),
        None => Ok(None),
    }
}

/// The version and the whole length of the row at `key`, a whole one.
pub(super) fn head(tree: &Tree, key: &[u8]) -> Result<Option<(u64, usize)>, StoreError> {
    match tree.get(key).map_err(told)? {
        Some(head) => parse(&head).map(|(version, length, _)| Some((version, length))),
        None => Ok(None),
    }
}

/// The rows of a range, at most `limit`.
pub(super) fn scan(
    tree: &Tree,
    space: Space,
    range: &Range,
    limit: usize,
) -> impl Iterator<Item = Result<(Vec<u8>, Row), StoreError>> {
    let low = Bound::Included(space.key(&range.low));
    let high = Bound::Excluded(match &range.high {
        Some(high) => space.key(high),
        None => space.end(),
    });
    tree.range((low, high)).take(limit).map(move |found| {
        let (key, head) = found.map_err(told)?;
        let row = whole(tree, &key, &head)?;
        Ok((key.get(1..).unwrap_or_default().to_vec(), row))
    })
}

/// Puts a value under a whole key, in place of one of the length `before`.
pub(super) fn put(batch: &mut Batch, key: &[u8], version: u64, value: &[u8], before: usize) {
    let (first, rest) = value.split_at(value.len().min(PIECE));
    // The length fits: the port bounds it.
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    batch.insert(key, [&version.to_be_bytes()[..], &length.to_be_bytes(), first].concat());
    for (n, piece) in (1..).zip(rest.chunks(PIECE)) {
        batch.insert(piece_key(key, n), piece);
    }
    for n in pieces(value.len())..pieces(before) {
        batch.remove(piece_key(key, n));
    }
}

/// Removes a value of the length `before`.
pub(super) fn remove(batch: &mut Batch, key: &[u8], before: usize) {
    batch.remove(key);
    for n in 1..pieces(before) {
        batch.remove(piece_key(key, n));
    }
}

/// Reads everything; every value has all its pieces, no piece is without a value, no audit entry is missing, and no version is
/// beyond the last revision.
pub(super) fn verify(tree: &Tree, known: Head) -> Result<(), StoreError> {
    let (mut entries, mut expected, mut found) = (0, 0, 0_usize);
    for item in tree {
        let (key, value) = item.map_err(told)?;
        match key.first() {
            Some(&PIECES) => found += 1,
            Some(&(MARK | FEED | INDEX)) | None => {}
            Some(space) => {
                entries += u64::from(*space == AUDIT);
                let row = whole(tree, &key, &value)?;
                expected += pieces(row.value.len()).saturating_sub(1) as usize;
            }
        }
    }
    if expected != found {
        return Err(StoreError(format!("{found} pieces of large values, and there should be {expected}")));
    }
    if entries != known.last_audit {
        return Err(StoreError(crate::sqlite::AUDIT_GAP.into()));
    }
    if last_version(tree)? > known.revision {
        return Err(StoreError(crate::sqlite::VERSION_BEYOND.into()));
    }
    Ok(())
}

fn whole(tree: &Tree, key: &[u8], head: &IVec) -> Result<Row, StoreError> {
    let (version, length, first) = parse(head)?;
    let mut value = Vec::with_capacity(length);
    value.extend_from_slice(first);
    for n in 1..pieces(length) {
        let piece = tree.get(piece_key(key, n)).map_err(told)?;
        value.extend_from_slice(&piece.ok_or_else(|| StoreError(DAMAGED.into()))?);
    }
    if value.len() != length {
        return Err(StoreError(DAMAGED.into()));
    }
    Ok(Row { version, value })
}

fn parse(head: &[u8]) -> Result<(u64, usize, &[u8]), StoreError> {
    let parts = head.split_first_chunk().and_then(|(version, rest)| {
        let (length, first) = rest.split_first_chunk()?;
        Some((u64::from_be_bytes(*version), u32::from_be_bytes(*length) as usize, first))
    });
    parts.ok_or_else(|| StoreError(DAMAGED.into()))
}

/// How many pieces a value has; the first lies with its head.
fn pieces(length: usize) -> u32 {
    u32::try_from(length.div_ceil(PIECE)).unwrap_or(u32::MAX)
}

/// No two pieces have one key: of equal keys the last four bytes are the number, and the rest is the whole key.
fn piece_key(key: &[u8], n: u32) -> Vec<u8> {
    [&[PIECES], key, &n.to_be_bytes()].concat()
}

pub(super) fn told(error: ::sled::Error) -> StoreError {
    StoreError(error.to_string())
}

const TREE: &str = "wardein";

// Spaces beside the tables' numbers. Stored: never used for anything else.
const MARK: u8 = 0;
const HEAD: [u8; 2] = [MARK, 1];
const MOVING: [u8; 2] = [MARK, 2];
const AUDIT: u8 = 0xe0;
const PIECES: u8 = 0xe8;
const INDEX: u8 = 0xee;
const FEED: u8 = 0xf4;

const NAME: &[u8] = b"wardein";

/// The format of the tree. A release reads all formats up to its own.
const FORMAT: u32 = 3;

/// The format of a store with a mark.
const MARKED_FORMAT: u32 = MARKED + FORMAT;

/// The most bytes of a value in one piece: with its head it stays within the 4 KB that were measured to be safe.
const PIECE: usize = 4000;

const DAMAGED: &str = "a value is damaged: a piece of it is missing";
