//! What a command prints: tables for people, one JSON document for scripts.

mod pager;
mod table;

use crate::Failure;
use pager::Pager;
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
    /// Lines.
    height: u16,
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

    /// Prints a list: a table, or `{"<plural>": […]}`. At a terminal, one that is longer than the screen is shown by a pager.
    pub fn list<T: Record>(&self, plural: &str, records: &[T]) -> Result<(), Failure> {
        self.records(plural, records, |text| {
            let is_long = self.screen.is_some_and(|screen| screen.is_shorter_than(text));
            is_long && !self.is_error && Pager::of_process().show(text)
        })
    }

    /// The same without a pager, for a table that is a part of what a command says.
    pub fn table<T: Record>(&self, plural: &str, records: &[T]) -> Result<(), Failure> {
        self.records(plural, records, |_| false)
    }

    fn records<T: Record>(
        &self,
        plural: &str,
        records: &[T],
        is_shown: impl Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        if self.is_json {
            return self.json(&serde_json::json!({ plural: records }));
        }
        if records.is_empty() {
            return self.write(&format!("no {plural}\n"));
        }
        let heads: Vec<_> = T::COLUMNS.iter().map(|(head, _)| *head).collect();
        let rows = records.iter().map(|record| (record.tone(), record.cells()));
        let drawn = table::draw(&heads, rows, self.screen);
        if !is_shown(&drawn.text) {
            self.write(&drawn.text)?;
        }
        if let Some(screen) = self.screen.filter(|_| !drawn.shortened.is_empty()) {
            let (width, columns) = (screen.width, Vec::from_iter(drawn.shortened).join(", "));
            eprintln!("shortened to {width} columns: {columns}; a wider terminal, a pipe or --json has all");
        }
        Ok(())
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

    /// Prints one record: head and value on a line each, or an object. At a terminal long values go on below their beginning.
    pub fn one<T: Record>(&self, record: &T) -> Result<(), Failure> {
        if self.is_json {
            return self.json(record);
        }
        let width = T::COLUMNS.iter().map(|(head, _)| head.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (head, cell) in T::COLUMNS {
            let cell = cell(record);
            let lines = match self.screen {
                Some(screen) => table::wrapped(&cell, usize::from(screen.width).saturating_sub(width + 2)),
                None => vec![cell],
            };
            for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
                let head = if number == 0 { head } else { "" };
                text.push_str(&format!("{head:width$}  {line}\n"));
            }
        }
        self.write(&text)
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
}

impl Screen {
    /// That of a stream, if a terminal shows it. NO_COLOR counts if it is not empty (no-color.org).
    fn of(stream: impl IsTerminal + AsFd) -> Option<Self> {
        if !stream.is_terminal() {
            return None;
        }
        let size = terminal_size::terminal_size_of(stream);
        let (width, height) = size.map_or((80, 24), |(width, height)| (width.0, height.0));
        let has_color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Some(Self { width, height, has_color })
    }

    /// Whether a text and the prompt after it do not fit.
    fn is_shorter_than(self, text: &str) -> bool {
        text.lines().count() >= usize::from(self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_no_line_for_the_prompt_is_too_long() {
        let screen = Screen { width: 80, height: 24, has_color: false };
        assert!(!screen.is_shorter_than(&"x\n".repeat(23)));
        assert!(screen.is_shorter_than(&"x\n".repeat(24)));
    }
}
