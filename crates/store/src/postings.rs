//! The index of the audit log: under each key the numbers of its entries, in order.
//!
//! A group's entries of one key are one row, whichever changes they came with: of the key and its count so far, the first number and
//! the differences to the others, a byte or two each. So a busy tenant's index costs a row a group, and not one an entry.

use std::collections::HashMap;

use wardein_port::{Change, Indexed, Numbered};

/// A row of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posting {
    /// The place of its first entry among those of the key, from 1 on.
    pub(crate) n: u64,
    /// The number of its first entry in the log.
    pub(crate) first: u64,
    /// The differences of the others, each to the one before, in LEB128 (DWARF 5 §7.6).
    pub(crate) more: Vec<u8>,
}

/// Where the index of a key ends: how many entries it has, and the number of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tail {
    count: u64,
    last: u64,
}

/// The ends of the keys that were written last.
#[derive(Debug, Default)]
pub(crate) struct Tails(HashMap<Vec<u8>, Tail>);

/// The entries of a group, by key.
#[derive(Debug, Default)]
pub(crate) struct Filing<'g>(HashMap<&'g [u8], Vec<u64>>);

impl Posting {
    fn of(n: u64, numbers: &[u64]) -> Option<Self> {
        let (first, rest) = numbers.split_first()?;
        let mut more = Vec::with_capacity(2 * rest.len());
        let mut before = *first;
        for number in rest {
            let mut difference = number - before;
            while difference > 0x7f {
                more.push(difference as u8 | 0x80);
                difference >>= 7;
            }
            more.push(difference as u8);
            before = *number;
        }
        Some(Self { n, first: *first, more })
    }

    /// The numbers of its entries; `None` where it is damaged.
    pub(crate) fn numbers(&self) -> Option<Vec<u64>> {
        let mut numbers = vec![self.first];
        let (mut number, mut difference, mut shift) = (self.first, 0_u64, 0);
        for byte in &self.more {
            difference |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                number = number.checked_add(difference)?;
                numbers.push(number);
                (difference, shift) = (0, 0);
            }
        }
        (shift == 0).then_some(numbers)
    }

    fn tail(&self) -> Option<Tail> {
        let numbers = self.numbers()?;
        Some(Tail { count: self.n - 1 + numbers.len() as u64, last: *numbers.last()? })
    }
}

impl<'g> Filing<'g> {
    /// Adds the entries of a change; `before` is the number of the last entry before them.
    pub(crate) fn add(&mut self, change: &'g Change, before: u64) {
        for Indexed { key, entry } in &change.index {
            let number = match entry {
                Numbered::Here(at) => before + 1 + *at as u64,
                Numbered::Stored(number) => *number,
            };
            self.0.entry(key).or_default().push(number);
        }
    }

    /// The rows of the group. `stored` gives the last row of a key, or the fault that it is damaged. Numbers that a key has already
    /// are left out: a migration may be run again.
    pub(crate) fn rows<E>(
        self,
        tails: &mut Tails,
        mut stored: impl FnMut(&[u8]) -> Result<Option<Posting>, E>,
        damaged: impl Fn() -> E,
    ) -> Result<Vec<(&'g [u8], Posting)>, E> {
        let mut rows = Vec::with_capacity(self.0.len());
        for (key, mut numbers) in self.0 {
            let tail = match tails.0.get(key) {
                Some(tail) => *tail,
                None => match stored(key)? {
                    Some(last) => last.tail().ok_or_else(&damaged)?,
                    None => Tail::default(),
                },
            };
            numbers.retain(|number| *number > tail.last);
            let mut count = tail.count;
            for chunk in numbers.chunks(CHUNK) {
                rows.extend(Posting::of(count + 1, chunk).map(|posting| (key, posting)));
                count += chunk.len() as u64;
            }
            tails.put(key, Tail { count, last: numbers.last().copied().unwrap_or(tail.last) });
        }
        Ok(rows)
    }
}

impl Tails {
    /// The keys of a group whose ends are not known, each once.
    pub(crate) fn unknown<'g>(&self, group: &'g [Change]) -> Vec<&'g [u8]> {
        let keys = group.iter().flat_map(|change| &change.index).map(|indexed| &indexed.key[..]);
        let mut unknown: Vec<_> = keys.filter(|key| !self.0.contains_key(*key)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }

    /// Forgets them: the group that they count did not come to be.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn put(&mut self, key: &[u8], tail: Tail) {
        match self.0.get_mut(key) {
            Some(known) => *known = tail,
            None => {
                if self.0.len() >= KEPT {
                    self.0.clear();
                }
                self.0.insert(key.to_vec(), tail);
            }
        }
    }
}

/// The most entries of one row, so that it stays short.
const CHUNK: usize = 256;

/// The most keys whose ends are kept.
const KEPT: usize = 32_768;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for numbers in [vec![1], vec![7, 8, 200, 328, 100_000, u64::from(u32::MAX), u64::MAX]] {
            let posting = Posting::of(3, &numbers).unwrap();
            assert_eq!(posting.numbers().unwrap(), numbers);
            assert_eq!(
                posting.tail(),
                Some(Tail { count: 2 + numbers.len() as u64, last: *numbers.last().unwrap() })
            );
        }
        assert_eq!(Posting::of(1, &[5, 6, 7, 300]).unwrap().more, [1, 1, 0xa5, 2], "a byte or two each");
        assert_eq!(Posting::of(1, &[]), None);
    }

    #[test]
    fn damage_is_a_fault() {
        for more in [vec![0x80], vec![0xff; 11], [vec![0xff; 9], vec![1]].concat()] {
            assert_eq!(Posting { n: 1, first: 9, more }.numbers(), None);
        }
    }

    fn index(key: &[u8], entry: Numbered) -> Indexed {
        Indexed { key: key.to_vec(), entry }
    }

    #[test]
    fn a_group_is_a_row_a_key_and_nothing_is_filed_twice() {
        let (mut tails, mut filing) = (Tails::default(), Filing::default());
        let change = |keys: &[&[u8]]| Change {
            index: keys.iter().enumerate().map(|(at, key)| index(key, Numbered::Here(at))).collect(),
            ..Change::default()
        };
        let changes = [change(&[b"a", b"b"]), change(&[b"a"])];
        filing.add(&changes[0], 0);
        filing.add(&changes[1], 2);
        let stored = |key: &[u8]| match key {
            b"b" => Ok::<_, ()>(Posting::of(4, &[1])),
            _ => Ok(None),
        };
        let mut rows = filing.rows(&mut tails, stored, || ()).unwrap();
        rows.sort_by_key(|(key, _)| *key);
        let expected: [(&[u8], _); 2] =
            [(b"a", Posting::of(1, &[1, 3]).unwrap()), (b"b", Posting::of(5, &[2]).unwrap())];
        assert_eq!(rows, expected);

        // Its end is remembered: nothing is read.
        let again = Change {
            index: [2, 3, 4].map(|number| index(b"a", Numbered::Stored(number))).to_vec(),
            ..Change::default()
        };
        let mut filing = Filing::default();
        filing.add(&again, 4);
        let rows = filing.rows(&mut tails, |_| Err(()), || ()).unwrap();
        assert_eq!(rows, [(&b"a"[..], Posting::of(3, &[4]).unwrap())]);
    }

    #[test]
    fn rows_stay_short_and_the_memory_of_ends_is_bounded() {
        let change = Change {
            index: (1..=600).map(|number| index(b"a", Numbered::Stored(number))).collect(),
            ..Change::default()
        };
        let (mut tails, mut filing) = (Tails::default(), Filing::default());
        filing.add(&change, 0);
        let rows = filing.rows(&mut tails, |_| Ok::<_, ()>(None), || ()).unwrap();
        assert_eq!(rows.iter().map(|(_, row)| row.n).collect::<Vec<_>>(), [1, 257, 513]);
        for key in 0..2 * KEPT as u64 {
            tails.put(&key.to_be_bytes(), Tail::default());
        }
        assert!(tails.0.len() <= KEPT);
    }
}
