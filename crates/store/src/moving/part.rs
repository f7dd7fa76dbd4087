//! What a store holds, as it is moved: parts of entries, each a key, a number and a value, whichever store they are in.

use wardein_crypto::{Digest, Sha256};
use wardein_port::{Head, StoreError, Table};

/// A part of what a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The rows of a table: by key, the number is the version.
    Rows(Table),
    /// The audit log: by number.
    Audit,
    /// The index of the audit log: by the length of the key, that key and the place; the number is that of the first entry.
    Index,
    /// The feed: by revision and the number in the commit; the number is the time, and the value the table and the key of the row.
    Feed,
}

impl Part {
    /// All of them, in the order in which they are moved.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let mut tables = Table::ALL;
        tables.sort_unstable_by_key(|table| *table as u16);
        tables.into_iter().map(Self::Rows).chain([Self::Audit, Self::Index, Self::Feed])
    }

    /// Its number in a mark. They rise in the order of [`Part::all`].
    pub(crate) const fn number(self) -> u16 {
        match self {
            Self::Rows(table) => table as u16,
            Self::Audit => 0x100,
            Self::Index => 0x101,
            Self::Feed => 0x102,
        }
    }

    /// Its name for people and scripts.
    pub fn name(self) -> String {
        match self {
            Self::Rows(table) => format!("{table:?}"),
            Self::Audit => "audit".to_owned(),
            Self::Index => "audit-index".to_owned(),
            Self::Feed => "feed".to_owned(),
        }
    }
}

/// An entry of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) key: Vec<u8>,
    pub(crate) number: u64,
    pub(crate) value: Vec<u8>,
}

impl Item {
    /// An audit entry.
    pub(crate) fn of_audit((seq, entry): (u64, Vec<u8>)) -> Self {
        Self { key: seq.to_be_bytes().to_vec(), number: 0, value: entry }
    }

    /// A row of the index.
    pub(crate) fn of_index(key: &[u8], n: u64, first: u64, more: Vec<u8>) -> Self {
        // The length fits: the port bounds it.
        let length = u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes();
        Self { key: [&length[..], key, &n.to_be_bytes()].concat(), number: first, value: more }
    }

    /// An entry of the feed.
    pub(crate) fn of_feed(revision: u64, n: u32, (table, key): (u8, &[u8]), at_ms: u64) -> Self {
        let name = [&revision.to_be_bytes()[..], &n.to_be_bytes()].concat();
        Self { key: name, number: at_ms, value: [&[table], key].concat() }
    }
}

/// The number of an audit entry, from its key; 0 before the first.
pub(crate) fn audit_number(key: Option<&[u8]>) -> Result<u64, StoreError> {
    let Some(key) = key else { return Ok(0) };
    key.try_into().map(u64::from_be_bytes).map_err(|_| damaged())
}

/// The key and the place of a row of the index, from its key; those before the first.
pub(crate) fn index_place(key: Option<&[u8]>) -> Result<(&[u8], u64), StoreError> {
    let Some(key) = key else { return Ok((&[], 0)) };
    let parts = || {
        let (_, rest) = key.split_first_chunk::<2>()?;
        rest.split_last_chunk().map(|(key, n)| (key, u64::from_be_bytes(*n)))
    };
    parts().ok_or_else(damaged)
}

/// The revision and the number of an entry of the feed, from its key; those before the first.
pub(crate) fn feed_place(key: Option<&[u8]>) -> Result<(u64, u32), StoreError> {
    let Some(key) = key else { return Ok((0, 0)) };
    let parts = || {
        let (revision, n) = key.split_first_chunk()?;
        Some((u64::from_be_bytes(*revision), u32::from_be_bytes(n.try_into().ok()?)))
    };
    parts().ok_or_else(damaged)
}

/// The table and the key that an entry of the feed names.
pub(crate) fn feed_name(value: &[u8]) -> Result<(u8, &[u8]), StoreError> {
    value.split_first().map(|(table, key)| (*table, key)).ok_or_else(damaged)
}

fn damaged() -> StoreError {
    StoreError("an entry has a key of another form".into())
}

/// How far a store is, all of which is kept where it is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    pub(crate) head: Head,
    /// The revision up to which the feed is truncated.
    pub(crate) truncated: u64,
}

/// What a part comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Which part.
    pub part: Part,
    /// How many entries it has.
    pub entries: u64,
    /// The sum, modulo 2^256, of SHA-256 over each entry: the same in whichever order they come, which is another one for the index in
    /// another store.
    pub digest: Digest,
}

impl Tally {
    pub(crate) fn of(part: Part) -> Self {
        Self { part, entries: 0, digest: Digest([0; 32]) }
    }

    pub(crate) fn add(&mut self, item: &Item) {
        let mut hash = Sha256::new();
        hash.update(&(item.key.len() as u64).to_be_bytes());
        hash.update(&item.key);
        hash.update(&item.number.to_be_bytes());
        hash.update(&item.value);
        let mut carry = 0;
        for (sum, byte) in self.digest.0.iter_mut().zip(hash.finish().0).rev() {
            let both = u16::from(*sum) + u16::from(byte) + carry;
            (*sum, carry) = (both as u8, both >> 8);
        }
        self.entries += 1;
    }
}

/// Entries that are read at a time: of the longest values some 64 MB.
pub(crate) const PAGE: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_all_parts_are_read_back() {
        let index = Item::of_index(b"device", 7, 9, vec![1]);
        assert_eq!(index_place(Some(&index.key)).unwrap(), (&b"device"[..], 7));
        let feed = Item::of_feed(3, 1, (5, b"key"), 8);
        assert_eq!(feed_place(Some(&feed.key)).unwrap(), (3, 1));
        assert_eq!(feed_name(&feed.value).unwrap(), (5, &b"key"[..]));
        assert_eq!(audit_number(Some(&Item::of_audit((4, vec![])).key)).unwrap(), 4);
        for short in [&b""[..], b"1234567"] {
            assert!(index_place(Some(short)).is_err() && audit_number(Some(short)).is_err());
            assert!(feed_place(Some(short)).is_err());
        }
        assert!(feed_name(b"").is_err());
    }

    #[test]
    fn a_digest_hears_of_every_field_and_of_no_order() {
        let item = |key: u8, number, value: u8| Item { key: vec![key], number, value: vec![value] };
        let sum = |items: &[Item]| {
            let mut tally = Tally::of(Part::Audit);
            items.iter().for_each(|item| tally.add(item));
            (tally.entries, tally.digest.0)
        };
        let (one, two) = (item(1, 2, 3), item(4, 5, 6));
        assert_eq!(sum(&[one.clone(), two.clone()]), sum(&[two.clone(), one.clone()]));
        for other in [item(9, 2, 3), item(1, 9, 3), item(1, 2, 9)] {
            assert_ne!(sum(&[other, two.clone()]).1, sum(&[one.clone(), two.clone()]).1);
        }
        assert_ne!(sum(&[one.clone(), one.clone()]).1, sum(&[one]).1);
    }

    #[test]
    fn parts_have_rising_numbers() {
        let numbers: Vec<u16> = Part::all().map(Part::number).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    }
}
