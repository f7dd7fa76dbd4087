//! Lines to entries: where an entry ends, and what is skipped because it is too long.
//!
//! It works on a window of the file and keeps nothing between calls: the offset up to which entries were taken is all there is to
//! remember, so that a restart goes on from it and takes no line twice.

use super::encoding::{Decoded, Encoding};
use regex::Regex;

/// How the bytes of a source are taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Joiner {
    /// How they become text.
    pub(super) encoding: Encoding,
    /// What the first line of an entry looks like; without it, each line is one.
    pub(super) start: Option<Regex>,
    /// The most bytes of an entry.
    pub(super) max: usize,
}

/// What may come behind a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// More of the file, which can be read at once.
    More,
    /// Nothing yet; the file may grow.
    Growing,
    /// Nothing for a while: whole lines at the end are an entry, half a line is not.
    Idle,
    /// Nothing any more: what is left is the last line.
    Nothing,
}

/// What is at the start of a window.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An entry of so many bytes.
    Entry { length: usize, text: String, is_replaced: bool },
    /// So many bytes of a line that is too long.
    Skip {
        length: usize,
        /// Whether the line begins with them.
        is_first: bool,
        /// Whether the line goes on behind them.
        goes_on: bool,
    },
    /// It takes more bytes, or time.
    Wait,
}

impl Joiner {
    /// How many bytes a window must have, so that each step can be made.
    pub(crate) fn window(&self) -> usize {
        2 * self.max + WINDOW
    }

    /// What is at the start of `bytes`.
    pub(crate) fn step(&self, bytes: &[u8], is_skipping: bool, behind: Behind) -> Step {
        if bytes.is_empty() {
            return Step::Wait;
        }
        let line = self.encoding.line_end(bytes);
        let is_long = line.unwrap_or(bytes.len()) > self.max;
        if is_skipping || is_long {
            return self.skip(bytes, line, !is_skipping, behind);
        }
        let Some(first) = line else {
            let is_last = behind == Behind::Nothing;
            return if is_last { self.entry(bytes, self.encoding.decode(bytes)) } else { Step::Wait };
        };
        let decoded = self.encoding.decode(&bytes[..first]);
        match &self.start {
            None => self.entry(&bytes[..first], decoded),
            Some(start) => self.joined(bytes, first, decoded, start, behind),
        }
    }

    /// An entry that begins with a line of `end` bytes, and has all lines behind it that do not begin another.
    fn joined(
        &self,
        bytes: &[u8],
        mut end: usize,
        mut so_far: Decoded,
        start: &Regex,
        behind: Behind,
    ) -> Step {
        loop {
            let rest = &bytes[end..];
            let line = match (self.encoding.line_end(rest), behind) {
                (Some(line), _) => line,
                (None, Behind::Nothing) if rest.is_empty() => break,
                (None, Behind::Nothing) => rest.len(),
                // Half a line is not waited for: when it is whole, it begins an entry.
                (None, Behind::Idle) => break,
                (None, _) if end + rest.len() > self.max => break,
                (None, Behind::Growing | Behind::More) => return Step::Wait,
            };
            // What does not fit begins an entry of its own, so that it is bounded and nothing is lost.
            if end + line > self.max {
                break;
            }
            let next = self.encoding.decode(&rest[..line]);
            if start.is_match(&next.text) {
                break;
            }
            so_far.text.push('\n');
            so_far.text.push_str(&next.text);
            so_far.is_replaced |= next.is_replaced;
            end += line;
        }
        self.entry(&bytes[..end], so_far)
    }

    fn entry(&self, bytes: &[u8], Decoded { text, is_replaced }: Decoded) -> Step {
        Step::Entry { length: bytes.len(), text, is_replaced }
    }

    fn skip(&self, bytes: &[u8], line: Option<usize>, is_first: bool, behind: Behind) -> Step {
        // Whole units, so that the end of the line is found where it is; the last half of one belongs to what is over.
        let all = if behind == Behind::Nothing {
            bytes.len()
        } else {
            bytes.len() - bytes.len() % self.encoding.unit()
        };
        match line.unwrap_or(all) {
            0 => Step::Wait,
            length => Step::Skip { length, is_first, goes_on: line.is_none() },
        }
    }
}

/// What a window has beyond two entries.
const WINDOW: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn joiner(start: Option<&str>, max: usize) -> Joiner {
        Joiner { encoding: Encoding::Utf8, start: start.map(|start| Regex::new(start).unwrap()), max }
    }

    /// The entries of `text`, of whose windows each has at most `window` bytes, and the bytes that were skipped.
    fn entries(joiner: &Joiner, text: &[u8], window: usize, last: Behind) -> (Vec<String>, usize, usize) {
        let (mut entries, mut skipped, mut offset, mut is_skipping) = (Vec::new(), 0, 0, false);
        loop {
            let end = text.len().min(offset + window);
            let behind = if end < text.len() { Behind::More } else { last };
            match joiner.step(&text[offset..end], is_skipping, behind) {
                Step::Entry { length, text, .. } => {
                    entries.push(text);
                    offset += length;
                }
                Step::Skip { length, is_first, goes_on } => {
                    assert_eq!(is_first, !is_skipping);
                    skipped += length;
                    offset += length;
                    is_skipping = goes_on;
                }
                Step::Wait => return (entries, skipped, offset),
            }
        }
    }

    #[test]
    fn a_last_line_without_an_end_waits_for_it_unless_nothing_comes() {
        for behind in [Behind::Growing, Behind::Idle] {
            let (entries, _, offset) = entries(&joiner(None, 100), b"one\n\ntwo", 500, behind);
            assert_eq!((entries, offset), (vec!["one".to_owned(), String::new()], 5));
        }
        assert_eq!(entries(&joiner(None, 100), b"one\ntwo", 500, Behind::Nothing).0, ["one", "two"]);
    }

    #[test]
    fn lines_join_until_one_begins_another() {
        let text = b"lost\n1 a\n  b\n\n2 c\n  d\n";
        let joiner = joiner(Some("^[0-9]"), 100);
        assert_eq!(entries(&joiner, text, 500, Behind::Growing).0, ["lost", "1 a\n  b\n"]);
        for behind in [Behind::Idle, Behind::Nothing] {
            assert_eq!(entries(&joiner, text, 500, behind).0, ["lost", "1 a\n  b\n", "2 c\n  d"]);
        }
        // Half a line at the end waits, without holding up what is before it.
        let (joined, _, offset) = entries(&joiner, b"1 a\n  b\n  c", 500, Behind::Idle);
        assert_eq!((joined, offset), (vec!["1 a\n  b".to_owned()], 8));
    }

    #[test]
    fn an_entry_that_grows_too_long_is_cut_at_a_line_and_nothing_is_lost() {
        let text: String =
            (0..50).map(|n| if n == 0 { "1 start\n".into() } else { format!("  line {n}\n") }).collect();
        let (joined, skipped, offset) =
            entries(&joiner(Some("^1"), 64), text.as_bytes(), 192, Behind::Nothing);
        assert_eq!((skipped, offset), (0, text.len()));
        assert!(joined.iter().all(|entry| entry.len() <= 64));
        assert_eq!(joined.join("\n") + "\n", text);
    }

    #[test]
    fn a_line_at_the_limit_is_taken_and_a_longer_one_skipped() {
        for start in [None, Some("^[a-z]")] {
            let joiner = joiner(start, 64);
            let fits = format!("a\n{}\nb\n", "x".repeat(63));
            assert_eq!(entries(&joiner, fits.as_bytes(), 192, Behind::Nothing).0.len(), 3);
            for length in [64, 65, 200, 1_000] {
                let text = format!("a\n{}\nb\n", "x".repeat(length));
                let (joined, skipped, offset) = entries(&joiner, text.as_bytes(), 192, Behind::Nothing);
                assert_eq!(joined, ["a", "b"], "{length}");
                assert_eq!((skipped, offset), (length + 1, text.len()));
            }
        }
    }

    #[test]
    fn units_of_two_bytes_are_never_cut_while_a_line_is_skipped() {
        let joiner = Joiner { encoding: Encoding::Utf16Le, start: None, max: 64 };
        let text: Vec<u8> =
            format!("{}\nok\n", "x".repeat(500)).encode_utf16().flat_map(u16::to_le_bytes).collect();
        for window in [129, 130, 131, 192] {
            assert_eq!(entries(&joiner, &text, window, Behind::Growing).0, ["ok"], "{window}");
        }
    }
}
