//! A sheet as spreadsheets save it: which encoding it has, what separates its cells, and its lines.
//!
//! A line of the file is a line of the sheet: no cell of a batch has a line break. So a quote that is opened by mistake spoils
//! its own line, and not those up to the next quote.

use super::Batch;
use csv::{ByteRecord, ReaderBuilder};

/// The cells of one line.
pub(crate) type Cells = ByteRecord;

/// Gives `each` the lines of a file in turn, from the one that names the columns on: the number of each, and its cells or why
/// it cannot be read. It ends with the first error of `each`.
pub(crate) fn each_line(
    bytes: Vec<u8>,
    mut each: impl FnMut(u64, Result<Cells, String>) -> Result<(), String>,
) -> Result<(), String> {
    if bytes.starts_with(ZIP) {
        #[cfg(feature = "xlsx")]
        return super::xlsx::each_line(bytes, &mut each);
        #[cfg(not(feature = "xlsx"))]
        return Err(
            "is a workbook, which this program was built without; save the sheet as \"CSV UTF-8\"".to_owned()
        );
    }
    if bytes.starts_with(OLE) {
        return Err("is a workbook of a spreadsheet before 2007, or one under a password; save the sheet as XLSX or \"CSV UTF-8\"".to_owned());
    }
    let text = decode(bytes)?;
    let one = lines(&text).next().unwrap_or_default();
    // Excel's own way to say it.
    let (separator, first) = match one.strip_prefix(b"sep=") {
        Some([separator]) => (*separator, 2),
        _ => (separator_of(one), 1),
    };
    for (number, line) in (1..).zip(lines(&text)).skip(first - 1) {
        within(number)?;
        each(number, cells(line, separator))?;
    }
    Ok(())
}

/// Refuses a file at its first line that is too many.
pub(super) fn within(line: u64) -> Result<(), String> {
    match line <= Batch::MAX_LINES {
        true => Ok(()),
        false => Err(format!("has more than {} lines; divide it", Batch::MAX_LINES)),
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
    if line.is_empty() {
        return Ok(Cells::default());
    }
    // The line after it is read as one of its own where no quote is open.
    let followed = [line, b"\n#\n"].concat();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(followed.as_slice());
    let mut records = reader.byte_records();
    let mut next = || records.next().transpose().map_err(|error| error.to_string());
    let cells = next()?.unwrap_or_default();
    match next()? {
        Some(_) => Ok(cells),
        None => {
            Err("opens a quote that nothing on the line closes; write a quote in a cell twice".to_owned())
        }
    }
}

/// How files begin that are XLSX or ODS.
const ZIP: &[u8] = b"PK\x03\x04";
/// How files begin that are XLS, or an XLSX that is encrypted (OLE 2).
const OLE: &[u8] = b"\xd0\xcf\x11\xe0";
