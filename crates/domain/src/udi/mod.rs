//! Unique device identifiers, as the three agencies that issue them for devices write them.

mod gs1;
mod hibcc;
mod iccbba;

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// A UDI of GS1, HIBCC or ICCBBA, checked by what each prescribes. It is read as a label prints it or a scanner sends it, with the symbology
/// identifier (ISO/IEC 15424) in front or without, and kept in one form: of GS1 the human-readable one, such as
/// `(01)09506000134352(21)4711`; of the others as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udi(String);

impl Udi {
    /// The most bytes.
    pub const MAX_LEN: usize = 200;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The device identifier and the serial number in it, which together are one device's; none where it has no serial number, and
    /// is that of many devices.
    pub fn numbered(&self) -> Option<(&str, &str)> {
        match self.0.as_bytes().first() {
            Some(b'+') => hibcc::numbered(&self.0),
            Some(b'=') => iccbba::numbered(&self.0),
            _ => gs1::numbered(&self.0),
        }
    }

    /// The serial number in it.
    pub fn serial_number(&self) -> Option<&str> {
        self.numbered().map(|(_, serial)| serial)
    }
}

/// Why a text is not a UDI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UdiError {
    /// It is empty, or too long.
    #[error("has no characters, or more than {}", Udi::MAX_LEN)]
    Length,
    /// It is of no agency.
    #[error("begins like none of GS1 (`(01)`, or the digits of a scanner), HIBCC (`+`) and ICCBBA (`=`)")]
    Agency,
    /// Of GS1: it does not consist of parts that are known, each once, the GTIN first.
    #[error(
        "of GS1 takes (01) first, then each once of (10), (11), (13), (17), (20), (21), (30), (240), (241), (250) and (8012)"
    )]
    Part,
    /// The GTIN is not 14 digits with the right check digit.
    #[error("(01) takes 14 digits, the last of them the GS1 check digit")]
    Gtin,
    /// There is no such day.
    #[error("has a date that is no day, or not of the form that its place takes")]
    Date,
    /// A value is not of the length or the characters that its part takes.
    #[error("a part is empty, too long, or has other characters than it takes")]
    Text,
    /// The check character of HIBCC is another one.
    #[error(
        "of HIBCC ends with another check character than its text has; part of it is missing or mistyped"
    )]
    CheckCharacter,
    /// A data structure of HIBCC or ICCBBA is not known.
    #[error("has a part that its agency does not have in a UDI")]
    Structure,
}

impl FromStr for Udi {
    type Err = UdiError;

    fn from_str(text: &str) -> Result<Self, UdiError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(UdiError::Length);
        }
        let scanned = match text.as_bytes() {
            // Of the symbology nothing is of interest but that it is none of the text.
            [b']', code, modifier, ..] if code.is_ascii_alphabetic() && modifier.is_ascii_alphanumeric() => {
                &text[3..]
            }
            _ => text,
        };
        match scanned.as_bytes().first().copied() {
            Some(b'+') => hibcc::check(scanned).map(|()| Self(scanned.to_owned())),
            Some(b'=') => iccbba::check(scanned).map(|()| Self(scanned.to_owned())),
            Some(b'(' | b'0'..=b'9' | gs1::FNC1) => gs1::read(scanned).map(Self),
            _ => Err(UdiError::Agency),
        }
    }
}

impl fmt::Display for Udi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number that `digits` are; `None` where one is none.
fn number(digits: &str) -> Option<u32> {
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| are_digits)
}

/// A day of a year of two digits, which is one of 1951 to 2050: in all of them that divide by 4, February has 29 days. Where `may_be_open`,
/// day 0 is the whole month.
fn check_day(year: u32, month: u32, day: u32, may_be_open: bool) -> Result<(), UdiError> {
    let last = match month {
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(UdiError::Date),
    };
    let first = u32::from(!may_be_open);
    (first..=last).contains(&day).then_some(()).ok_or(UdiError::Date)
}

/// A day of the year, from 1.
fn check_ordinal(year: u32, day: u32) -> Result<(), UdiError> {
    let last = if year.is_multiple_of(4) { 366 } else { 365 };
    (1..=last).contains(&day).then_some(()).ok_or(UdiError::Date)
}

#[cfg(test)]
mod tests;
