//! What a command prints: tables for people, one JSON document for scripts.

use crate::Failure;
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width, presets};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use wardein_crypto::hex;

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    is_json: bool,
    /// Of the terminal that a person reads; none where something else reads.
    screen: Option<Screen>,
    is_error: bool,
}

/// What a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Screen {
    /// Columns.
    width: u16,
    has_color: bool,
}

/// Something that has a line in a table and an object in JSON, whose field names are stable.
pub trait Record: Serialize + Sized + 'static {
    /// The columns of its table.
    const COLUMNS: &'static [Column<Self>];

    /// How its line is shown to a person.
    fn tone(&self) -> Tone {
        Tone::Plain
    }

    /// Its cell in each column.
    fn cells(&self) -> Vec<String> {
        Self::COLUMNS.iter().map(|(_, cell)| cell(self)).collect()
    }
}

/// What the color of a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// Look at it.
    Warning,
    /// It is wrong.
    Bad,
}

impl Tone {
    /// ISO 6429, select graphic rendition.
    const fn color(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Warning => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
        }
    }
}

/// A column of a table: its head, and the cell of a record in it.
pub type Column<T> = (&'static str, fn(&T) -> String);

/// Says on standard error what does not stop a command, in the form that was asked for.
pub(crate) fn warn(words: &str) {
    match AS_JSON.load(Ordering::Relaxed) {
        true => eprintln!("{}", serde_json::json!({ "warning": { "message": words } })),
        false => eprintln!("warning: {words}"),
    }
}

/// Whether the process was asked for JSON: what warns is below where an [`Output`] is at hand.
static AS_JSON: AtomicBool = AtomicBool::new(false);

impl Output {
    /// Standard output; as JSON where that was asked for.
    pub fn new(is_json: bool) -> Self {
        AS_JSON.store(is_json, Ordering::Relaxed);
        Self { is_json, screen: Screen::of(stdout()), is_error: false }
    }

    /// The same to standard error, where standard output is somebody else's.
    pub fn on_standard_error(self) -> Self {
        Self { screen: Screen::of(stderr()), is_error: true, ..self }
    }

    /// Whether scripts read it.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Prints a list: a table, or `{"<plural>": […]}`.
    pub fn list<T: Record>(&self, plural: &str, records: &[T]) -> Result<(), Failure> {
        if self.is_json {
            return self.json(&serde_json::json!({ plural: records }));
        }
        if records.is_empty() {
            return self.write(&format!("no {plural}\n"));
        }
        let heads: Vec<_> = T::COLUMNS.iter().map(|(head, _)| *head).collect();
        self.write(&self.table(&heads, records.iter().map(|record| (record.tone(), record.cells()))))
    }

    /// Prints a part of a list, and where it goes on: on standard error for people, as `next` (null at the end) for scripts.
    pub(crate) fn list_part<T: Record>(
        &self,
        plural: &str,
        records: &[T],
        next: &[u8],
    ) -> Result<(), Failure> {
        let next = (!next.is_empty()).then(|| hex::encode(next));
        if self.is_json {
            return self.json(&serde_json::json!({ plural: records, "next": next }));
        }
        self.list(plural, records)?;
        if let Some(next) = next {
            eprintln!("there are more; go on with --after {next}");
        }
        Ok(())
    }

    /// Prints one record: head and value on a line each, or an object.
    pub fn one<T: Record>(&self, record: &T) -> Result<(), Failure> {
        if self.is_json {
            return self.json(record);
        }
        let width = T::COLUMNS.iter().map(|(head, _)| head.len()).max().unwrap_or(0);
        let lines =
            T::COLUMNS.iter().map(|(head, cell)| (head, cell(record))).filter(|(_, cell)| !cell.is_empty());
        self.write(&lines.map(|(head, cell)| format!("{head:width$}  {cell}\n")).collect::<String>())
    }

    /// Prints words for people, or the document for scripts.
    pub fn say(&self, words: &str, document: &impl Serialize) -> Result<(), Failure> {
        if self.is_json { self.json(document) } else { self.write(&format!("{words}\n")) }
    }

    /// Prints a document on one line, as JSON.
    pub fn json(&self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(document).map_err(Failure::failed)?;
        self.write(&format!("{text}\n"))
    }

    /// Prints text as it is.
    pub fn write(&self, text: &str) -> Result<(), Failure> {
        let write = |out: &mut dyn Write| out.write_all(text.as_bytes()).and_then(|()| out.flush());
        let written = if self.is_error { write(&mut stderr().lock()) } else { write(&mut stdout().lock()) };
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::Failed(format!("cannot write the output: {error}")),
        })
    }

    /// A table: for a person as wide as the terminal, a line a row but for what is wrong; bare columns where something else reads
    /// it.
    fn table(&self, heads: &[&str], rows: impl Iterator<Item = (Tone, Vec<String>)>) -> String {
        let (tones, rows): (Vec<_>, Vec<_>) = rows.unzip();
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(heads);
        let Some(screen) = self.screen else {
            table.add_rows(rows);
            return table.trim_fmt() + "\n";
        };
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(screen.width);
        table.set_truncation_indicator("…");
        // What a person copies into the next command is never shortened: only what is made of words is.
        let constraint = |at: usize| {
            let cells = || rows.iter().filter_map(|row: &Vec<String>| row.get(at));
            let longest = cells().map(|cell| cell.chars().count()).max().unwrap_or_default();
            match cells().any(|cell| cell.contains(' ')) && longest > usize::from(LEAST_WORDS) {
                true => ColumnConstraint::LowerBoundary(Width::Fixed(LEAST_WORDS)),
                false => ColumnConstraint::ContentWidth,
            }
        };
        let constraints: Vec<_> = (0..heads.len()).map(constraint).collect();
        for (tone, row) in tones.iter().zip(rows) {
            let mut row = Row::from(row);
            // What is wrong is said in full.
            if *tone == Tone::Plain {
                row.max_height(1);
            }
            table.add_row(row);
        }
        table.set_constraints(constraints);
        let text = table.trim_fmt() + "\n";
        if screen.has_color { colored(&text, &tones) } else { text }
    }
}

impl Screen {
    /// That of a stream, if a terminal shows it. NO_COLOR counts if it is not empty (no-color.org).
    fn of(stream: impl IsTerminal + AsFd) -> Option<Self> {
        if !stream.is_terminal() {
            return None;
        }
        let width =
            terminal_size::terminal_size_of(stream).map_or(80, |(terminal_size::Width(width), _)| width);
        let has_color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Some(Self { width, has_color })
    }
}

/// The lines of a table in the colors of their rows. Its first line is the head, and a line whose first column is empty goes on
/// with the row above it.
fn colored(table: &str, tones: &[Tone]) -> String {
    let mut out = String::with_capacity(table.len());
    let (mut tones, mut tone) = (std::iter::once(&Tone::Plain).chain(tones), Tone::Plain);
    for line in table.lines() {
        if line.chars().nth(1).is_some_and(|first| first != ' ') {
            tone = tones.next().copied().unwrap_or(Tone::Plain);
        }
        match tone.color() {
            "" => out.push_str(line),
            color => {
                out.push_str(color);
                out.push_str(line);
                out.push_str("\u{1b}[0m");
            }
        }
        out.push('\n');
    }
    out
}

/// Columns that a text keeps on a narrow terminal.
const LEAST_WORDS: u16 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const PIPED: Output = Output { is_json: false, screen: None, is_error: false };

    const ID: &str = "0123456789abcdef0123456789abcdef";
    const WHY: &str = "It was reported stolen from ward 7, and nobody has seen it since that day";

    fn shown(tone: Tone, width: u16, has_color: bool) -> String {
        let row = |tone, cells: [&str; 3]| (tone, cells.map(str::to_owned).to_vec());
        let rows = [row(Tone::Plain, [ID, "active", "In use"]), row(tone, ["pump-2", "suspended", WHY])];
        let screen = Some(Screen { width, has_color });
        Output { screen, ..PIPED }.table(&["device", "state", "why"], rows.into_iter())
    }

    #[test]
    fn a_table_for_a_pipe_has_no_lines() {
        let rows = [(Tone::Bad, vec!["pump-1".to_owned(), "active".to_owned()])];
        let text = PIPED.table(&["device", "state"], rows.into_iter());
        assert_eq!(text, " device  state\n pump-1  active\n");
    }

    #[test]
    fn a_table_for_a_person_is_a_line_a_row_and_no_wider_than_the_terminal() {
        for width in [80_u16, 160] {
            let text = shown(Tone::Plain, width, false);
            assert_eq!(text.lines().count(), 3, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}: {text}");
            assert!(text.contains(ID), "an id is whole: {text}");
            assert_eq!((text.contains('…'), text.contains(WHY)), (width == 80, width == 160), "{text}");
            assert!(!text.contains('─') && !text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_full_and_in_color_where_there_is_color() {
        let text = shown(Tone::Bad, 80, false);
        assert!(WHY.split(' ').all(|word| text.contains(word)) && !text.contains('…'), "{text}");
        let text = shown(Tone::Bad, 80, true);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.len() > 3 && !lines[0].contains('\u{1b}') && !lines[1].contains('\u{1b}'), "{text}");
        assert!(
            lines[2..].iter().all(|line| line.starts_with("\u{1b}[31m") && line.ends_with("\u{1b}[0m")),
            "{text}"
        );
    }
}
