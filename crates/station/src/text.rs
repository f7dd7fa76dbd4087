//! Text from outside, made harmless for what shows it.

use std::iter::Peekable;
use std::str::Chars;

/// One line of text for a terminal or a file: at most [`MAX_CHARS`] characters, and none that controls a terminal or turns the
/// direction of writing.
pub(crate) fn plain(text: &str) -> String {
    text.chars().take(MAX_CHARS).map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A cell of CSV that no spreadsheet calculates. A `'` is before each `=`, `+`, `-`, `@`, tab and carriage return at its begin,
/// and behind a comma or a semicolon, which parts cells where the spreadsheet's language wants that. [`meant`] takes it away.
pub(crate) fn uncalculated(cell: &str) -> String {
    rewritten(cell, |quotes, out| out.extend(std::iter::repeat_n(QUOTE, quotes + 1)))
}

/// What a cell was before [`uncalculated`].
pub(crate) fn meant(cell: &str) -> String {
    rewritten(cell, |quotes, out| out.extend(std::iter::repeat_n(QUOTE, quotes.saturating_sub(1))))
}

/// The cell, with `quotes` for each run of quotes, of any length, between the begin of a cell and the sign of a formula.
fn rewritten(cell: &str, quotes: impl Fn(usize, &mut String)) -> String {
    let (mut out, mut chars, mut begins) = (String::with_capacity(cell.len()), cell.chars().peekable(), true);
    while chars.peek().is_some() {
        if begins {
            let run = take_quotes(&mut chars);
            match chars.peek() {
                Some(c) if FORMULA.contains(c) => quotes(run, &mut out),
                _ => out.extend(std::iter::repeat_n(QUOTE, run)),
            }
        }
        let Some(c) = chars.next() else { break };
        out.push(c);
        begins = PARTS.contains(&c);
    }
    out
}

fn take_quotes(chars: &mut Peekable<Chars<'_>>) -> usize {
    std::iter::from_fn(|| chars.next_if_eq(&QUOTE)).count()
}

fn steers(c: char) -> bool {
    // Unicode TR 36 §3.2, and the separators of lines and paragraphs.
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Spreadsheets take a cell that begins so for a formula (OWASP, "CSV Injection").
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
const PARTS: [char; 2] = [',', ';'];
const QUOTE: char = '\'';
const MAX_CHARS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_each_is_what_it_was() {
        for (cell, written) in [
            ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
            ("+A999123450", "'+A999123450"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("x;=1,+2", "x;'=1,'+2"),
            ("'=1", "''=1"),
            ("''", "''"),
            ("a=b-c", "a=b-c"),
            ("", ""),
        ] {
            assert_eq!(uncalculated(cell), written);
            assert_eq!(meant(written), cell);
        }
    }

    #[test]
    fn text_controls_no_terminal_and_is_short() {
        let odd = "\u{1b}]0;x\u{7}\u{9b}31m a\nb \u{202e}c \u{2067}d";
        assert!(!plain(odd).contains(steers));
        assert!(plain(odd).ends_with('d'));
        assert_eq!(plain(&"\u{e4}".repeat(10_000)).chars().count(), MAX_CHARS);
    }
}
