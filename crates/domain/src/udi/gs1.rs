//! GS1 General Specifications §3: application identifiers with their values.

use super::{UdiError, check_day, number};
use alloc::format;
use alloc::string::String;

/// How scanners send FNC1, which ends a value that is not of fixed length (§7.8).
pub(super) const FNC1: u8 = 0x1d;

/// What a value is.
#[derive(Clone, Copy)]
enum Value {
    Gtin,
    /// YYMMDD; day 00 is the whole month.
    Date,
    /// So many digits.
    Digits(usize),
    /// Up to so many digits, ended by FNC1.
    Count(usize),
    /// Up to so many characters of set 82, ended by FNC1.
    Text(usize),
}

/// The identifiers that a UDI may have.
const IDENTIFIERS: [(&str, Value); 12] = [
    ("01", Value::Gtin),
    ("10", Value::Text(20)),
    ("11", Value::Date),
    ("13", Value::Date),
    ("17", Value::Date),
    ("20", Value::Digits(2)),
    ("21", Value::Text(20)),
    ("30", Value::Count(8)),
    ("240", Value::Text(30)),
    ("241", Value::Text(30)),
    ("250", Value::Text(30)),
    ("8012", Value::Text(20)),
];

impl Value {
    fn fixed_len(self) -> Option<usize> {
        match self {
            Self::Gtin => Some(14),
            Self::Date => Some(6),
            Self::Digits(len) => Some(len),
            Self::Count(_) | Self::Text(_) => None,
        }
    }

    fn check(self, value: &str) -> Result<(), UdiError> {
        match self {
            Self::Gtin => check_gtin(value),
            Self::Date => {
                let part = |range| value.get(range).and_then(number).ok_or(UdiError::Date);
                let (year, month, day) = (part(0..2)?, part(2..4)?, part(4..6)?);
                if value.len() != 6 {
                    return Err(UdiError::Date);
                }
                check_day(year, month, day, true)
            }
            Self::Digits(len) => {
                number(value).filter(|_| value.len() == len).map(|_| ()).ok_or(UdiError::Text)
            }
            Self::Count(most) => {
                number(value).filter(|_| value.len() <= most).map(|_| ()).ok_or(UdiError::Text)
            }
            Self::Text(most) => check_text(value, most),
        }
    }
}

/// The human-readable form.
pub(super) fn read(text: &str) -> Result<String, UdiError> {
    let gtin_alone = matches!(text.len(), 8 | 12 | 13 | 14).then(|| number_text(text)).flatten();
    if let Some(digits) = gtin_alone {
        // Shorter ones are filled up from the left (§3.3.2).
        let gtin = format!("{digits:0>14}");
        check_gtin(&gtin)?;
        return Ok(format!("(01){gtin}"));
    }
    let mut parts = Parts { readable: String::new(), seen: 0 };
    match text.starts_with('(') {
        true => parts.read_printed(text)?,
        false => parts.read_scanned(text)?,
    }
    Ok(parts.readable)
}

/// The GTIN and the serial number of the human-readable form, whose values have no parentheses.
pub(super) fn numbered(readable: &str) -> Option<(&str, &str)> {
    let value = |identifier: &str| {
        let mut parts = readable.split('(').filter_map(|part| part.split_once(')'));
        parts.find_map(|(known, value)| (known == identifier).then_some(value))
    };
    Some((value("01")?, value("21")?))
}

struct Parts {
    readable: String,
    /// A bit for each identifier that was there.
    seen: u16,
}

impl Parts {
    /// `(01)… (21)…`, as printed; spaces around a value are the printer's.
    fn read_printed(&mut self, text: &str) -> Result<(), UdiError> {
        let mut rest = text;
        while !rest.is_empty() {
            let (identifier, after) =
                rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or(UdiError::Part)?;
            let (value, after) = after.split_at(after.find('(').unwrap_or(after.len()));
            self.take(identifier, value.trim_matches(' '))?;
            rest = after;
        }
        Ok(())
    }

    fn read_scanned(&mut self, text: &str) -> Result<(), UdiError> {
        let fnc1 = char::from(FNC1);
        let mut rest = text.strip_prefix(fnc1).unwrap_or(text);
        while !rest.is_empty() {
            let (identifier, value) = known(rest).ok_or(UdiError::Part)?;
            let after = &rest[identifier.len()..];
            let end = match value.fixed_len() {
                Some(len) => len.min(after.len()),
                None => after.find(fnc1).unwrap_or(after.len()),
            };
            let (value, after) = after.split_at_checked(end).ok_or(UdiError::Text)?;
            self.take(identifier, value)?;
            // Behind a value of fixed length there need be none, and may be one.
            rest = after.strip_prefix(fnc1).unwrap_or(after);
        }
        Ok(())
    }

    fn take(&mut self, identifier: &str, value: &str) -> Result<(), UdiError> {
        let at = IDENTIFIERS.iter().position(|(known, _)| *known == identifier).ok_or(UdiError::Part)?;
        let (is_first, is_gtin) = (self.seen == 0, at == 0);
        if is_first != is_gtin || self.seen & 1 << at != 0 {
            return Err(UdiError::Part);
        }
        self.seen |= 1 << at;
        IDENTIFIERS[at].1.check(value)?;
        self.readable.push_str(&format!("({identifier}){value}"));
        Ok(())
    }
}

/// None of the identifiers begins with another one.
fn known(text: &str) -> Option<(&'static str, Value)> {
    IDENTIFIERS.iter().find(|(identifier, _)| text.starts_with(identifier)).copied()
}

fn number_text(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

/// §7.9: digits weighted 3, 1, 3, … from the left add up to a multiple of ten.
fn check_gtin(gtin: &str) -> Result<(), UdiError> {
    let digits = gtin.bytes().enumerate();
    let sum = digits.map(|(i, byte)| {
        byte.is_ascii_digit().then(|| u32::from(byte - b'0') * if i % 2 == 0 { 3 } else { 1 })
    });
    let sum: Option<u32> = sum.sum();
    sum.filter(|sum| gtin.len() == 14 && sum % 10 == 0).map(|_| ()).ok_or(UdiError::Gtin)
}

fn check_text(text: &str, most: usize) -> Result<(), UdiError> {
    // Set 82 without the parentheses, which part the human-readable form.
    let is_82 = |byte: u8| byte.is_ascii_alphanumeric() || b"!\"%&'*+,-./:;<=>?_".contains(&byte);
    ((1..=most).contains(&text.len()) && text.bytes().all(is_82)).then_some(()).ok_or(UdiError::Text)
}
