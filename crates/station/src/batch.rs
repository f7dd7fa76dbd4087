//! A factory's batch: lines of CSV (RFC 4180), each judged alone.

use crate::Error;
use csv::{ByteRecord, ReaderBuilder};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use wardein_ddkg::MAX_ATTRIBUTE_LEN;
use wardein_device::Vouched;
use wardein_domain::{AttributeName, DeviceId, ModelName, ProfileName, Udi, check_file_name};

/// A file of devices: what can be enrolled, and what cannot.
#[derive(Debug, Default)]
pub struct Batch {
    /// The good lines.
    pub lines: Vec<Line>,
    /// The bad ones.
    pub bad: Vec<BadLine>,
}

/// A good line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where it starts in the file, from 1.
    pub number: u64,
    /// The device's id.
    pub device: DeviceId,
    /// The profile; none for `default`.
    pub profile: Option<ProfileName>,
    /// The maker's name of the model.
    pub model: Option<ModelName>,
    /// The unique device identifier.
    pub udi: Option<Udi>,
    /// Attributes with their values.
    pub attributes: BTreeMap<AttributeName, String>,
}

/// A line that cannot be enrolled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// Where it starts in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl Line {
    /// What the factory says of the device.
    pub(crate) fn vouched(&self) -> Vouched {
        let Self { profile, model, udi, .. } = self;
        Vouched {
            profile: profile.as_ref().map(ToString::to_string),
            model: model.as_ref().map(ToString::to_string),
            udi: udi.as_ref().map(ToString::to_string),
        }
    }
}

/// What a column holds.
enum Column {
    Id,
    Model,
    Udi,
    Profile,
    Attribute(AttributeName),
}

impl Batch {
    /// Reads a file. A bad line spoils nothing but itself; a bad first line, which names the columns, spoils all.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, error))?;
        Self::parse(&bytes).map_err(|reason| Error::file("read", path, reason))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        // Spreadsheets put a byte order mark first.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(bytes);
        let columns = columns(reader.byte_headers().map_err(|error| error.to_string())?)?;
        let (mut batch, mut seen) = (Self::default(), BTreeMap::new());
        let mut lines = LineCounter { bytes, at: 0, line: 1 };
        for record in reader.byte_records() {
            // The bytes are in memory, and any bytes are a record of some kind.
            let record = record.map_err(|error| error.to_string())?;
            let number = lines.at(record.position().map_or(0, csv::Position::byte));
            let line = line(&columns, &record, number).and_then(|line| {
                // A device's files have its name, and on some file systems case makes no difference.
                match seen.insert(line.device.as_str().to_ascii_lowercase(), number) {
                    Some(first) => Err(format!("id: {} stands on line {first} already", line.device)),
                    None => Ok(line),
                }
            });
            match line {
                Ok(line) => batch.lines.push(line),
                Err(reason) => batch.bad.push(BadLine { line: number, reason }),
            }
        }
        Ok(batch)
    }
}

/// Tells the line of a place. The reader's own count is one behind where lines end with CR LF.
struct LineCounter<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl LineCounter<'_> {
    /// The line of the record that starts at `offset`, or behind the ends of lines there. Offsets only rise.
    fn at(&mut self, offset: u64) -> u64 {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).clamp(self.at, self.bytes.len());
        let ends = self.bytes[offset..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &self.bytes[self.at..offset + ends];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = offset + ends;
        self.line
    }
}

fn columns(heads: &ByteRecord) -> Result<Vec<Column>, String> {
    let mut columns = Vec::new();
    for (i, head) in heads.iter().enumerate() {
        let head = text(head)?;
        if heads.iter().take(i).any(|earlier| earlier == head.as_bytes()) {
            return Err(format!("column {head} is named twice"));
        }
        columns.push(match head {
            "id" => Column::Id,
            "model" => Column::Model,
            "udi" => Column::Udi,
            "profile" => Column::Profile,
            other => match other.strip_prefix("attr.") {
                Some(name) => Column::Attribute(parse(other, name)?),
                None => {
                    return Err(format!("column {other:?} is none of id, model, udi, profile, attr.NAME"));
                }
            },
        });
    }
    if columns.iter().any(|column| matches!(column, Column::Id)) {
        return Ok(columns);
    }
    Err("the first line names no column id".to_owned())
}

fn line(columns: &[Column], record: &ByteRecord, number: u64) -> Result<Line, String> {
    if record.len() != columns.len() {
        return Err(format!("has {} columns where the first line has {}", record.len(), columns.len()));
    }
    let mut device = None;
    let (mut profile, mut model, mut udi, mut attributes) = (None, None, None, BTreeMap::new());
    for (column, value) in columns.iter().zip(record) {
        let value = text(value)?;
        match column {
            Column::Id => device = Some(parse("id", value)?),
            // An empty cell is no value: not every device has a UDI or every attribute.
            _ if value.is_empty() => {}
            Column::Model => model = Some(parse("model", value)?),
            Column::Udi => udi = Some(value.parse().map_err(|error| format!("udi: {error}"))?),
            Column::Profile => profile = Some(parse("profile", value)?),
            Column::Attribute(name) => {
                let length = value.len();
                if length > MAX_ATTRIBUTE_LEN {
                    let most = MAX_ATTRIBUTE_LEN;
                    return Err(format!("attr.{name}: has {length} bytes; it takes at most {most}"));
                }
                attributes.insert(name.clone(), value.to_owned());
            }
        }
    }
    let device: DeviceId = device.ok_or("has no id")?;
    check_file_name(device.as_str()).map_err(|error| format!("id: {error}"))?;
    Ok(Line { number, device, profile, model, udi, attributes })
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map(str::trim).map_err(|_| "is not UTF-8".to_owned())
}

fn parse<T: FromStr<Err: std::fmt::Display>>(column: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|error| format!("{column}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_line_is_named_and_the_good_ones_stay() {
        let mut csv = b"\xef\xbb\xbfid,model,udi,profile,attr.firmware\r\n\
            pump-1,Infuso 3,(01)09506000134352(21)4711,,1.2\r\n\
            pump 2,Infuso 3,,,1.2\r\n\
            pump-3,\"a \"\"quoted\"\" model\nof two lines\",,,\r\n\
            pump-4,,(01)09506000134353,,\r\n\
            pump-1,,,,\r\n\
            pump-6,,,\r\n\
            pump-7,,,Default,\r\n\
            ,,,,\r\n\r\n\
            pump-9,,,default,x\r\n"
            .to_vec();
        csv.extend(b"Pump-9,,,,\r\n-rf,,,,\r\n");
        csv.extend(b"pump-\xff,,,,\r\n");
        let batch = Batch::parse(&csv).unwrap();
        let good: Vec<_> = batch.lines.iter().map(|line| (line.number, line.device.as_str())).collect();
        assert_eq!(good, [(2, "pump-1"), (12, "pump-9")]);
        assert_eq!(batch.lines[0].udi.as_ref().unwrap().as_str(), "(01)09506000134352(21)4711");
        assert_eq!(batch.lines[0].attributes.len(), 1);
        let bad: Vec<_> = batch.bad.iter().map(|bad| (bad.line, bad.reason.as_str())).collect();
        let starts = [
            (3, "id: device id has a character at byte 4"),
            (4, "model: "),
            (6, "udi: "),
            (7, "id: pump-1 stands on line 2 already"),
            (8, "has 4 columns where the first line has 5"),
            (9, "profile: "),
            (10, "id: device id has 0 bytes"),
            (13, "id: Pump-9 stands on line 12 already"),
            (14, "id: begins with '-'"),
            (15, "is not UTF-8"),
        ];
        assert_eq!(bad.len(), starts.len(), "{bad:?}");
        for ((line, reason), (expected, start)) in bad.iter().zip(starts) {
            assert!(*line == expected && reason.starts_with(start), "{line}: {reason}");
        }
    }

    #[test]
    fn the_first_line_must_name_known_columns_once_and_an_id() {
        for (heads, reason) in [
            ("", "names no column id"),
            ("model\n", "names no column id"),
            ("id,serial\n", "\"serial\" is none of"),
            ("id,id\n", "named twice"),
            ("id,attr.\n", "attribute name has 0 bytes"),
        ] {
            let error = Batch::parse(heads.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
