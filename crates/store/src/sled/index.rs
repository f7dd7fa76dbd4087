//! The index of the audit log in the tree. A row's key is the length of the port's key, that key, and the place of the row's first
//! entry; its value is the number of that entry, and the differences to the others.

use ::sled::{Batch, IVec, Tree};
use wardein_port::{Entries, StoreError};

use super::layout::{self, Space};
use crate::postings::{Filing, Posting, Tails};

/// At most `limit` of the entries of `key`, from the `from`th on.
pub(super) fn read(tree: &Tree, key: &[u8], from: u64, limit: usize) -> Result<Entries, StoreError> {
    let from = from.max(1);
    let prefix = prefix(key);
    // The row that has the `from`th entry, or the first one behind it.
    let at =
        tree.range(place(&prefix, 0)..=place(&prefix, from)).next_back().transpose().map_err(layout::told)?;
    let begin = at.map_or_else(|| place(&prefix, 0), |(key, _)| key.to_vec());
    let mut entries = Vec::new();
    for found in tree.range(begin..=place(&prefix, u64::MAX)) {
        if entries.len() >= limit {
            break;
        }
        let posting = posting(&found.map_err(layout::told)?)?;
        let numbers = posting.numbers().ok_or_else(damaged)?;
        let wanted = (posting.n..).zip(numbers).filter(|(n, _)| *n >= from).take(limit - entries.len());
        for (n, number) in wanted {
            let entry = layout::get(tree, Space::Audit, &number.to_be_bytes())?.ok_or_else(damaged)?;
            entries.push((n, entry.value));
        }
    }
    Ok(entries)
}

/// Adds the entries of a group.
pub(super) fn add(
    tree: &Tree,
    batch: &mut Batch,
    filing: Filing<'_>,
    tails: &mut Tails,
) -> Result<(), StoreError> {
    let last = |key: &[u8]| {
        let found = tree.scan_prefix(prefix(key)).next_back().transpose().map_err(layout::told)?;
        found.map(|found| posting(&found)).transpose()
    };
    for (key, Posting { n, first, more }) in filing.rows(tails, last, damaged)? {
        batch.insert(place(&prefix(key), n), [&first.to_be_bytes()[..], &more].concat());
    }
    Ok(())
}

fn prefix(key: &[u8]) -> Vec<u8> {
    // The length fits: the port bounds it.
    let length = u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes();
    Space::Index.key(&[&length, key].concat())
}

fn place(prefix: &[u8], n: u64) -> Vec<u8> {
    [prefix, &n.to_be_bytes()].concat()
}

fn posting((key, value): &(IVec, IVec)) -> Result<Posting, StoreError> {
    let n = key.last_chunk().ok_or_else(damaged)?;
    let (first, more) = value.split_first_chunk().ok_or_else(damaged)?;
    Ok(Posting { n: u64::from_be_bytes(*n), first: u64::from_be_bytes(*first), more: more.to_vec() })
}

fn damaged() -> StoreError {
    StoreError("the index of the audit log is damaged".into())
}
