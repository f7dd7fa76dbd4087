//! A sheet as spreadsheets save it: which encoding it has, what separates its cells, and its lines.
//!
//! A line of the file is a line of the sheet: no cell of a batch has a line break. So a quote that is opened by mistake spoils its own
//! line, and not those up to the next quote.

use csv::{ByteRecord, ReaderBuilder};

/// The cells of one line.
pub(super) type Cells = ByteRecord;

pub(super) struct Sheet {
    /// UTF-8, as far as it is.
    text: Vec<u8>,
    separator: u8,
    /// The number of the line that names the columns, from 1.
    first: usize,
}

impl Sheet {
    pub(super) fn of(bytes: Vec<u8>) -> Result<Self, String> {
        if WORKBOOKS.iter().any(|magic| bytes.starts_with(magic)) {
            return Err("is a workbook of a spreadsheet; save the sheet as \"CSV UTF-8\"".to_owned());
        }
        let text = decode(bytes)?;
        let one = lines(&text).next().unwrap_or_default();
        // Excel's own way to say it.
        let (separator, first) = match one.strip_prefix(b"sep=") {
            Some([separator]) => (*separator, 2),
            _ => (separator_of(one), 1),
        };
        Ok(Self { text, separator, first })
    }

    /// The lines with their numbers, from the one that names the columns on; why a line cannot be read.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u64, Result<Cells, String>)> + '_ {
        let numbered = lines(&self.text).enumerate().skip(self.first - 1);
        numbered.map(|(before, line)| (before as u64 + 1, cells(line, self.separator)))
    }
}

/// As UTF-8. What is neither UTF-16 by its byte order mark nor UTF-8 is found cell by cell.
fn decode(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let units: fn([u8; 2]) -> u16 = match bytes.first_chunk() {
        Some([0xff, 0xfe]) => u16::from_le_bytes,
        Some([0xfe, 0xff]) => u16::from_be_bytes,
        _ => return Ok(bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes)),
    };
    let (pairs, rest) = bytes.as_chunks();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().skip(1).map(|pair| units(*pair))).collect();
    match (text, rest) {
        (Ok(text), []) => Ok(text.into_bytes()),
        _ => Err("begins as UTF-16 and is not; save it as \"CSV UTF-8\"".to_owned()),
    }
}

/// They end with LF, CR LF, or CR alone.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line).split(|byte| *byte == b'\r')
    })
}

/// What parts the first line into most cells; a comma where nothing does.
fn separator_of(first: &[u8]) -> u8 {
    let parts = |separator: &u8| cells(first, *separator).map_or(0, |cells| cells.len());
    [b'\t', b';', b','].into_iter().max_by_key(parts).unwrap_or(b',')
}

fn cells(line: &[u8], separator: u8) -> Result<Cells, String> {
    // The line after it is read as one of its own where no quote is open.
    let followed = [line, b"\n#\n"].concat();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(followed.as_slice());
    let mut records = reader.byte_records();
    let mut next = || records.next().transpose().map_err(|error| error.to_string());
    if line.is_empty() {
        return Ok(Cells::default());
    }
    let cells = next()?.unwrap_or_default();
    match next()? {
        Some(_) => Ok(cells),
        None => {
            Err("opens a quote that nothing on the line closes; write a quote in a cell twice".to_owned())
        }
    }
}

/// How files begin that are XLSX or ODS (ZIP), and XLS (OLE 2).
const WORKBOOKS: [&[u8]; 2] = [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"];
