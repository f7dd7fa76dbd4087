//! What a command prints: tables for people, one JSON document for scripts.

use crate::Failure;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};
use wardein_crypto::hex;

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    is_json: bool,
    is_terminal: bool,
    is_error: bool,
}

/// Something that has a line in a table and an object in JSON, whose field names are stable.
pub trait Record: Serialize + Sized + 'static {
    /// The columns of its table.
    const COLUMNS: &'static [Column<Self>];

    /// Its cell in each column.
    fn cells(&self) -> Vec<String> {
        Self::COLUMNS.iter().map(|(_, cell)| cell(self)).collect()
    }
}

/// A column of a table: its head, and the cell of a record in it.
pub type Column<T> = (&'static str, fn(&T) -> String);

impl Output {
    /// Standard output; as JSON where that was asked for.
    pub fn new(is_json: bool) -> Self {
        Self { is_json, is_terminal: stdout().is_terminal(), is_error: false }
    }

    /// The same to standard error, where standard output is somebody else's.
    pub fn on_standard_error(self) -> Self {
        Self { is_terminal: stderr().is_terminal(), is_error: true, ..self }
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
        self.write(&self.table(&heads, records.iter().map(T::cells)))
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

    /// A table with lines for people, or bare columns where something else reads them.
    fn table(&self, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(if self.is_terminal { presets::UTF8_HORIZONTAL_ONLY } else { presets::NOTHING });
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(heads);
        table.add_rows(rows);
        table.trim_fmt() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_for_a_pipe_has_no_lines() {
        let piped = Output { is_json: false, is_terminal: false, is_error: false };
        let rows = [vec!["pump-1".to_owned(), "active".to_owned()]];
        let text = piped.table(&["device", "state"], rows.into_iter());
        assert_eq!(text, " device  state\n pump-1  active\n");
    }
}
