//! A workbook as spreadsheets save it (ECMA-376, XLSX): the lines of its first sheet.
//!
//! What a spreadsheet has made of an id or a model is refused, with the way to enter it as text: numbers of more digits than it
//! keeps, dates, and formulas that failed. The file is compressed, so it is measured first, unpacked; cells are read one after
//! the other.

use super::Cells;
use super::sheet::within;
use calamine::{DataRef, Reader, Xlsx};
use std::io::{Cursor, Read, copy, sink};
use zip::ZipArchive;

pub(super) fn each_line(
    bytes: Vec<u8>,
    each: &mut dyn FnMut(u64, Result<Cells, String>) -> Result<(), String>,
) -> Result<(), String> {
    each_line_within(bytes, MAX_UNPACKED, each)
}

fn each_line_within(
    bytes: Vec<u8>,
    max: u64,
    each: &mut dyn FnMut(u64, Result<Cells, String>) -> Result<(), String>,
) -> Result<(), String> {
    measure(&bytes, max)?;
    let unreadable =
        |error: calamine::XlsxError| format!("is not a workbook (XLSX) that can be read: {error}");
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(unreadable)?;
    let first = book.sheet_names().first().cloned().ok_or("is a workbook without a sheet")?;
    let mut cells = book.worksheet_cells_reader(&first).map_err(unreadable)?;
    let mut line = Line::default();
    // Cells at the end that are empty are not in the file: each line is as wide as the first.
    let mut width = None;
    let mut end = |line: Line| line.end(&mut width, each);
    while let Some(cell) = cells.next_cell().map_err(unreadable)? {
        let (row, column) = cell.get_position();
        let number = u64::from(row) + 1;
        if number < line.number {
            return Err(format!(
                "is not a workbook (XLSX) that can be read: line {number} is behind line {}",
                line.number
            ));
        }
        if number > line.number {
            within(number)?;
            end(std::mem::replace(&mut line, Line { number, ..Line::default() }))?;
        }
        line.take(column, text(cell.get_value()));
    }
    end(line)
}

/// A line whose cells are read.
#[derive(Default)]
struct Line {
    /// From 1; 0 before the first.
    number: u64,
    cells: Cells,
    bad: Option<String>,
}

impl Line {
    fn take(&mut self, column: u32, text: Result<String, String>) {
        let (at, gap) = (u64::from(column), u64::from(column).checked_sub(self.cells.len() as u64));
        match (text, gap) {
            // Formats reach to the last column of a sheet; what is empty needs no place.
            (Ok(text), _) if text.is_empty() => {}
            (_, _) if column >= MAX_COLUMNS => {
                self.bad = Some(format!("has more than {MAX_COLUMNS} columns"))
            }
            (_, None) => self.bad = Some(format!("has column {} twice", at + 1)),
            (Err(why), _) => self.bad = Some(format!("column {}: {why}", at + 1)),
            (Ok(text), Some(gap)) => {
                (0..gap).for_each(|_| self.cells.push_field(b""));
                self.cells.push_field(text.as_bytes());
            }
        }
    }

    fn end(
        mut self,
        width: &mut Option<usize>,
        each: &mut dyn FnMut(u64, Result<Cells, String>) -> Result<(), String>,
    ) -> Result<(), String> {
        match (self.number, self.bad) {
            (0, _) => Ok(()),
            (number, Some(why)) => each(number, Err(why)),
            (number, None) => {
                let width = *width.get_or_insert(self.cells.len());
                (self.cells.len()..width).for_each(|_| self.cells.push_field(b""));
                each(number, Ok(self.cells))
            }
        }
    }
}

/// Refuses what unpacks to more than `max` bytes. Each entry is unpacked for it: what an archive says of its sizes may be false.
fn measure(bytes: &[u8], max: u64) -> Result<(), String> {
    let broken =
        |error: &dyn std::fmt::Display| format!("is not a workbook (XLSX) that can be read: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    let mut left = max;
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(|error| broken(&error))?;
        let read = copy(&mut entry.take(left + 1), &mut sink()).map_err(|error| broken(&error))?;
        left = left
            .checked_sub(read)
            .ok_or_else(|| format!("unpacks to more than {} MiB; divide it", max >> 20))?;
    }
    Ok(())
}

/// A cell as text. Whole numbers have no fraction.
fn text(value: &DataRef<'_>) -> Result<String, String> {
    match value {
        DataRef::Empty => Ok(String::new()),
        DataRef::String(text) => Ok(text.clone()),
        DataRef::SharedString(text) => Ok((*text).to_owned()),
        DataRef::Int(number) => Ok(number.to_string()),
        DataRef::Float(number) if number.abs() < MAX_EXACT => Ok(number.to_string()),
        DataRef::Float(_) => Err(
            "is a number of more than 15 digits, of which a spreadsheet keeps 15 (it shows it as 1,00E+15); \
                                  format the column as text, and enter it again"
                .to_owned(),
        ),
        DataRef::Bool(_) => Err("is TRUE or FALSE; format the column as text, and enter it again".to_owned()),
        DataRef::DateTime(_) | DataRef::DateTimeIso(_) | DataRef::DurationIso(_) => {
            Err("is a date or a time; format the column as text, and enter it again".to_owned())
        }
        DataRef::Error(_) => Err("is a formula that failed; correct it, or enter its value".to_owned()),
    }
}

const MAX_COLUMNS: u32 = 256;
/// Twice what a file may have: a workbook is mostly markup, and all of its texts are in memory at one time.
const MAX_UNPACKED: u64 = 256 << 20;
/// Excel keeps 15 digits of a number.
const MAX_EXACT: f64 = 1e15;

#[cfg(test)]
mod tests;
