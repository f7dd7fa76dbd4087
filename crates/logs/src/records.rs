//! The records of a batch, in memory until it is sealed.

use std::io::{self, Read};

/// Records as the lines that they become, in pieces of one size. Why pieces: nothing is moved when it grows, and memory that is
/// free again fits the next batch; a string for each record takes twice as much.
#[derive(Debug, Default)]
pub struct Records {
    pieces: Vec<Vec<u8>>,
    count: u64,
}

impl Records {
    /// Adds a record at the end.
    pub fn push(&mut self, record: &str) {
        let length = record.len() + 1;
        let has_room = self.pieces.last().is_some_and(|piece| piece.capacity() - piece.len() >= length);
        if !has_room {
            self.pieces.push(Vec::with_capacity(length.max(PIECE)));
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.extend_from_slice(record.as_bytes());
            piece.push(b'\n');
        }
        self.count += 1;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The bytes of all lines.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// The lines, without their ends. They are more than records where one of these has a newline.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let whole = self.pieces.iter().map(|piece| piece.strip_suffix(b"\n").unwrap_or(piece));
        whole.flat_map(|piece| piece.split(|byte| *byte == b'\n'))
    }

    /// All lines, from the first.
    pub(crate) fn reader(&self) -> impl Read {
        Lines { pieces: self.pieces.iter(), current: &[] }
    }
}

impl<R: AsRef<str>> FromIterator<R> for Records {
    fn from_iter<I: IntoIterator<Item = R>>(records: I) -> Self {
        let mut all = Self::default();
        records.into_iter().for_each(|record| all.push(record.as_ref()));
        all
    }
}

struct Lines<'a> {
    pieces: std::slice::Iter<'a, Vec<u8>>,
    current: &'a [u8],
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let Some(piece) = self.pieces.next() else { return Ok(0) };
            self.current = piece;
        }
        self.current.read(buffer)
    }
}

/// Less than what the C library maps by itself, and gives back piece by piece.
const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_records_wherever_a_piece_ends() {
        let records =
            ["a".repeat(PIECE - 2), "b".to_owned(), String::new(), "c".repeat(2 * PIECE), "d".to_owned()];
        let all: Records = records.iter().collect();
        assert_eq!(all.count(), 5);
        assert_eq!(all.lines().collect::<Vec<_>>(), records.each_ref().map(|record| record.as_bytes()));
        let mut text = String::new();
        all.reader().read_to_string(&mut text).unwrap();
        assert_eq!(text, records.map(|record| record + "\n").concat());
        assert_eq!((all.bytes(), all.pieces.len()), (text.len(), 4));
        let held: usize = all.pieces.iter().map(Vec::capacity).sum();
        assert!(held <= text.len() + 4 * PIECE);
    }
}
