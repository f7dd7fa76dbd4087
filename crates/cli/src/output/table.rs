//! Tables: for a person as wide as the terminal, a line a row but for what is wrong; bare columns where something else reads them.
//!
//! On a narrow terminal the first columns are a table, and each row has the others on lines below it, with their heads. What a
//! person copies into the next command is never shortened: only what is made of words is.

use super::{Screen, Tone};
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width, presets};
use std::collections::BTreeSet;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A table as text.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    /// Its lines.
    pub(super) text: String,
    /// The heads of columns that are shortened.
    pub(super) shortened: BTreeSet<&'static str>,
}

/// Draws the rows, each with its cells and how it is shown.
pub(super) fn draw(
    heads: &[&'static str],
    rows: impl Iterator<Item = (Tone, Vec<String>)>,
    screen: Option<Screen>,
) -> Drawn {
    let (tones, rows): (Vec<_>, Vec<_>) = rows.unzip();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let Some(screen) = screen else {
        table.set_header(heads);
        table.add_rows(rows);
        return Drawn { text: table.trim_fmt() + "\n", ..Drawn::default() };
    };
    let columns: Vec<_> = heads.iter().enumerate().map(|(at, head)| Shape::of(head, at, &rows)).collect();
    let beside = beside(&columns, usize::from(screen.width));
    let (first, below) = columns.split_at(beside);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(screen.width);
    table.set_truncation_indicator(CUT);
    table.set_header(first.iter().map(|column| column.head));
    for (tone, row) in tones.iter().zip(&rows) {
        let marked = row.iter().take(1).map(|cell| format!("{MARK}{cell}"));
        let cells = marked.chain(row.iter().take(beside).skip(1).cloned());
        let mut row = Row::from(cells);
        // What is wrong is said in full.
        if *tone == Tone::Plain {
            row.max_height(1);
        }
        table.add_row(row);
    }
    table.set_constraints(first.iter().map(|column| match column.is_words {
        true => ColumnConstraint::LowerBoundary(Width::Fixed(LEAST_WORDS)),
        false => ColumnConstraint::ContentWidth,
    }));
    let text = table.trim_fmt();
    let mut drawn = Drawn::default();
    let cuts = |text: &str| text.matches(CUT).count();
    let had: usize = rows.iter().flat_map(|row| row.iter().take(beside)).map(|cell| cuts(cell)).sum();
    if cuts(&text) != had {
        drawn.shortened.extend(first.iter().filter(|column| column.is_words).map(|column| column.head));
    }
    let mut under = rows.iter().zip(&tones).map(|(row, tone)| {
        let cells = row.iter().skip(beside).map(String::as_str);
        lines_below(below, cells, *tone != Tone::Plain, usize::from(screen.width))
    });
    let mut tones = tones.iter().copied();
    let (mut tone, mut pending) = (Tone::Plain, Vec::new());
    let mut line = |line: &str, tone: Tone| match (tone.color(), screen.has_color) {
        ("", _) | (_, false) => drawn.text.extend([line, "\n"]),
        (color, true) => drawn.text.extend([color, line, "\u{1b}[0m\n"]),
    };
    for row in text.lines() {
        // A line without it goes on with the row above it, or is the head.
        if row.contains(MARK) {
            pending.drain(..).for_each(|below: String| line(&below, tone));
            tone = tones.next().unwrap_or(Tone::Plain);
            let (lines, cut) = under.next().unwrap_or_default();
            pending = lines;
            drawn.shortened.extend(cut);
        }
        line(&row.replacen(MARK, "", 1), tone);
    }
    pending.into_iter().for_each(|below| line(&below, tone));
    drawn
}

/// What a column takes.
#[derive(Debug, Clone, Copy)]
struct Shape {
    head: &'static str,
    /// Whether it may be shortened.
    is_words: bool,
    /// The fewest columns of the terminal that it takes, with the space on both sides of it.
    least: usize,
}

impl Shape {
    fn of(head: &'static str, at: usize, rows: &[Vec<String>]) -> Self {
        let cells = || rows.iter().filter_map(|row| row.get(at));
        let longest = cells().map(|cell| cell.width()).max().unwrap_or_default();
        let is_words = longest > usize::from(LEAST_WORDS) && cells().any(|cell| cell.contains(' '));
        let least = if is_words { usize::from(LEAST_WORDS) } else { longest };
        Self { head, is_words, least: least.max(head.width()) + 2 }
    }
}

/// How many columns fit beside each other: one at least.
fn beside(columns: &[Shape], width: usize) -> usize {
    let mut taken = 0;
    let fits = columns.iter().take_while(|column| {
        taken += column.least;
        taken <= width
    });
    fits.count().max(1)
}

/// The columns below a row, and the heads of those that are shortened. Empty cells are left out.
fn lines_below<'a>(
    columns: &[Shape],
    cells: impl Iterator<Item = &'a str>,
    is_whole: bool,
    width: usize,
) -> (Vec<String>, Vec<&'static str>) {
    let room = width.saturating_sub(INDENT.len());
    let (mut lines, mut cut, mut line) = (Vec::new(), Vec::new(), String::new());
    for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
        let piece = format!("{} {cell}", column.head);
        let left = room.saturating_sub(line.width() + BETWEEN.len());
        let shortens = column.is_words && !is_whole;
        if !line.is_empty() && (piece.width() <= left || shortens && left >= usize::from(LEAST_WORDS)) {
            line.push_str(BETWEEN);
        } else if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let left = room.saturating_sub(line.width());
        if piece.width() <= left || !column.is_words {
            line.push_str(&piece);
        } else if shortens {
            line.push_str(&shortened(&piece, left));
            cut.push(column.head);
        } else {
            let mut wrapped = wrapped(&piece, room);
            line = wrapped.pop().unwrap_or_default();
            lines.extend(wrapped);
        }
    }
    lines.extend(Some(line).filter(|line| !line.is_empty()));
    (lines.into_iter().map(|line| format!("{INDENT}{line}")).collect(), cut)
}

/// As much of a text as `width` columns hold, with a sign that there is more.
fn shortened(text: &str, width: usize) -> String {
    let mut taken = CUT.width();
    let fits = text.chars().take_while(|char| {
        taken += char.width().unwrap_or_default();
        taken <= width
    });
    fits.chain(CUT.chars()).collect()
}

/// Lines of a text, broken between words where that can be.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= width => line.extend([" ", word]),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Begins the first line of each row while a table is drawn: ZERO WIDTH SPACE, which no text on record has.
const MARK: char = '\u{200b}';

/// Says that a text goes on.
const CUT: &str = "…";

/// Columns that a text keeps on a narrow terminal.
const LEAST_WORDS: u16 = 16;

const INDENT: &str = "     ";

const BETWEEN: &str = "; ";

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";
    const WHY: &str = "It was reported stolen from ward 7, and nobody has seen it since that day";

    fn drawn(tone: Tone, width: u16, has_color: bool) -> Drawn {
        let row = |tone, cells: [&str; 3]| (tone, cells.map(str::to_owned).to_vec());
        let rows = [row(Tone::Plain, [ID, "active", "In use"]), row(tone, ["pump-2", "suspended", WHY])];
        let screen = Screen { width, height: 24, has_color };
        draw(&["device", "state", "why"], rows.into_iter(), Some(screen))
    }

    fn audit(width: u16) -> Drawn {
        let (who, on_whom) = ("station/klinik-nord/line-1", "device/klinik-nord/pump-001");
        let row = ["17", "2026-11-28T12:43:15Z", who, "device.set-state", on_whom, "ok", WHY];
        let screen = Screen { width, height: 24, has_color: false };
        let heads = ["no", "time", "who", "what", "on whom", "result", "more"];
        draw(&heads, [(Tone::Plain, row.map(str::to_owned).to_vec())].into_iter(), Some(screen))
    }

    #[test]
    fn a_table_for_a_pipe_has_no_lines() {
        let rows = [(Tone::Bad, vec!["pump-1".to_owned(), "active".to_owned()])];
        let Drawn { text, shortened } = draw(&["device", "state"], rows.into_iter(), None);
        assert_eq!((text.as_str(), shortened.len()), (" device  state\n pump-1  active\n", 0));
    }

    #[test]
    fn a_table_for_a_person_is_a_line_a_row_and_no_wider_than_the_terminal() {
        for width in [80_u16, 160] {
            let Drawn { text, shortened } = drawn(Tone::Plain, width, false);
            assert_eq!(text.lines().count(), 3, "{text}");
            assert!(text.lines().all(|line| line.width() <= usize::from(width)), "{width}: {text}");
            assert!(text.contains(ID), "an id is whole: {text}");
            assert_eq!((text.contains('…'), text.contains(WHY)), (width == 80, width == 160), "{text}");
            assert_eq!(shortened.contains("why"), width == 80, "what is shortened is said");
            assert!(!text.contains('─') && !text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_beside_is_below_with_its_head_and_ids_are_whole() {
        let Drawn { text, shortened } = audit(80);
        assert_eq!(
            text,
            " no  time                  who                         what\n \
             17  2026-11-28T12:43:15Z  station/klinik-nord/line-1  device.set-state\n     \
             on whom device/klinik-nord/pump-001; result ok; more It was reported stole…\n"
        );
        assert_eq!(shortened.into_iter().collect::<Vec<_>>(), ["more"]);
        let wide = audit(200);
        assert!(
            wide.text.contains(WHY) && wide.text.lines().count() == 2 && wide.shortened.is_empty(),
            "{wide:?}"
        );
        for width in [1, 10, 30, 50] {
            let text = audit(width).text;
            for id in ["station/klinik-nord/line-1", "device/klinik-nord/pump-001"] {
                assert!(text.contains(id), "{width}: {text}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_full_and_in_color_where_there_is_color() {
        let is_whole = |text: &str| WHY.split(' ').all(|word| text.contains(word)) && !text.contains('…');
        for width in [50, 80] {
            let Drawn { text, shortened } = drawn(Tone::Bad, width, false);
            assert!(is_whole(&text) && shortened.is_empty(), "{text}");
            assert!(text.lines().all(|line| line.width() <= usize::from(width)), "{width}: {text}");
            let text = drawn(Tone::Bad, width, true).text;
            let lines: Vec<_> = text.lines().collect();
            assert!(is_whole(&text) && lines.len() > 3, "{text}");
            let is_red = |line: &&&str| line.starts_with("\u{1b}[31m") && line.ends_with("\u{1b}[0m");
            let red = lines.iter().filter(is_red).count();
            assert!(red > 1 && lines[lines.len() - red..].iter().all(|line| is_red(&line)), "{text}");
            assert!(!lines[0].contains('\u{1b}') && !lines[1].contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn what_is_below_is_below_its_own_row_also_where_a_first_cell_is_empty() {
        let rows = [["", ID, "one"], ["b", ID, "two"], ["", "", "three"]]
            .map(|cells| cells.map(str::to_owned).to_vec());
        let screen = Screen { width: 38, height: 24, has_color: false };
        let text =
            draw(&["a", "id", "more"], rows.into_iter().map(|row| (Tone::Plain, row)), Some(screen)).text;
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            ["a  id", ID, "more one", &format!("b  {ID}"), "more two", "", "more three"],
            "{text}"
        );
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(shortened("輸液ポンプ", 5), "輸液…");
        assert_eq!(wrapped("輸液 ポンプ", 6), ["輸液", "ポンプ"]);
    }
}
