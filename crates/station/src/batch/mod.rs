//! A factory's batch: lines of CSV (RFC 4180) or a workbook (XLSX) as spreadsheets write them, each line judged alone.

mod heads;
mod sheet;
#[cfg(feature = "xlsx")]
mod xlsx;

pub use heads::HeadMap;
pub(crate) use sheet::{Cells, each_line};

use crate::Error;
use crate::text::{meant, plain};
use heads::{Column, columns};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Read;
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

impl Batch {
    /// The most bytes of a file.
    pub const MAX_LEN: u64 = 128 << 20;
    /// The most lines, which is as many as Excel has.
    pub const MAX_LINES: u64 = 1 << 20;

    /// Reads a file, whose columns are named as `heads` says. A bad line spoils nothing but itself; a bad first line, which
    /// names the columns, spoils all.
    pub fn read(path: &Path, heads: &HeadMap) -> Result<Self, Error> {
        Self::parse(Self::bytes(path)?, heads).map_err(|reason| Error::file("read", path, reason))
    }

    pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(Self::MAX_LEN + 1).read_to_end(&mut bytes))
            .map_err(|error| Error::file("read", path, error))?;
        if bytes.len() as u64 > Self::MAX_LEN {
            let reason = format!("is longer than {} MiB; divide it", Self::MAX_LEN >> 20);
            return Err(Error::file("read", path, reason));
        }
        Ok(bytes)
    }

    pub(crate) fn parse(bytes: Vec<u8>, heads: &HeadMap) -> Result<Self, String> {
        let (mut batch, mut seen) = (Self::default(), BTreeMap::new());
        let mut named = None;
        each_line(bytes, |number, cells| {
            let Some(columns) = &named else {
                named = Some(columns(&cells?, heads)?);
                return Ok(());
            };
            let line = cells.and_then(|cells| line(columns, &cells, number)).transpose();
            let Some(line) = line else { return Ok(()) };
            let line = line.and_then(|line| {
                // A device's files have its name, and on some file systems case makes no difference.
                match seen.insert(line.device.as_str().to_ascii_lowercase(), number) {
                    Some(first) => Err(format!("id: {} is on line {first} already", line.device)),
                    None => Ok(line),
                }
            });
            match line {
                Ok(line) => batch.lines.push(line),
                Err(reason) => batch.bad.push(BadLine { line: number, reason }),
            }
            Ok(())
        })?;
        match named {
            Some(_) => Ok(batch),
            // An empty file names no column.
            None => columns(&Cells::default(), heads).map(|_| batch),
        }
    }
}

/// What a line says; `None` where all of it is empty, as spreadsheets leave lines behind.
fn line(columns: &[Column], cells: &Cells, number: u64) -> Result<Option<Line>, String> {
    if cells.iter().all(|cell| cell.trim_ascii().is_empty()) {
        return Ok(None);
    }
    // Cells that no column names must be empty, as those behind a separator at the end are.
    let unnamed = cells.iter().skip(columns.len());
    if cells.len() < columns.len() || unnamed.clone().any(|cell| !cell.trim_ascii().is_empty()) {
        return Err(format!("has {} columns where the first line has {}", cells.len(), columns.len()));
    }
    let mut device = None;
    let (mut profile, mut model, mut udi, mut attributes) = (None, None, None, BTreeMap::new());
    for (column, cell) in columns.iter().zip(cells.iter()) {
        let value = text(cell).map_err(|error| format!("{column}: {error}"))?;
        // As a report writes it, so that no spreadsheet calculates it.
        let unquoted = meant(value);
        let value = unquoted.as_str();
        match column {
            Column::Id => device = Some(id(value)?),
            // An empty cell is no value: not every device has a UDI or every attribute.
            _ if value.is_empty() => {}
            Column::Model => model = Some(parse(column, value)?),
            Column::Udi => udi = Some(parse(column, value)?),
            Column::Profile => profile = Some(parse(column, value)?),
            Column::Attribute(name) => {
                let length = value.len();
                if length > MAX_ATTRIBUTE_LEN {
                    return Err(format!(
                        "{column}: has {length} bytes; it takes at most {MAX_ATTRIBUTE_LEN}"
                    ));
                }
                attributes.insert(name.clone(), value.to_owned());
            }
            Column::Ignored(_) => {}
            Column::Unnamed => return Err(format!("has {value:?} in a column without a name")),
        }
    }
    let device: DeviceId = device.ok_or("has no id")?;
    Ok(Some(Line { number, device, profile, model, udi, attributes }))
}

/// The id in a cell.
pub(crate) fn device_id(cell: &[u8]) -> Result<DeviceId, String> {
    id(text(cell).map_err(|error| format!("id: {error}"))?)
}

fn id(value: &str) -> Result<DeviceId, String> {
    if is_shortened(value) {
        return Err(format!(
            "id: {value} is a long number that a spreadsheet shortened; format the column as text, and enter the ids again"
        ));
    }
    let device: DeviceId = parse(&Column::Id, value)?;
    check_file_name(device.as_str()).map_err(|error| format!("id: {error}"))?;
    Ok(device)
}

/// Whether it looks like `1,00E+05`, which is how spreadsheets show and save a number of many digits.
fn is_shortened(value: &str) -> bool {
    let Some((mantissa, exponent)) = value.split_once("E+") else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once([',', '.']).unwrap_or((mantissa, "0"));
    [whole, fraction, exponent].into_iter().all(is_number)
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes)
        .map(str::trim)
        .map_err(|_| "is not UTF-8; save the file as \"CSV UTF-8\", or as \"Unicode text\"")
}

fn parse<T: FromStr<Err: std::fmt::Display>>(column: &Column, value: &str) -> Result<T, String> {
    value.parse().map_err(|error| plain(&format!("{column}: {error}")))
}

#[cfg(test)]
mod tests;
