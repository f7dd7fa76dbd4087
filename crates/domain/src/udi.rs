//! Unique device identifiers in GS1 form.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// A UDI in the human-readable form of GS1: `(01)` with a GTIN-14 as device identifier, then any of `(10)` lot, `(11)`
/// production date, `(17)` expiry date and `(21)` serial, each at most once (GS1 General Specifications §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udi(String);

impl Udi {
    /// The most bytes of a UDI with each of its parts.
    pub const MAX_LEN: usize = 4 + 14 + 2 * (4 + 20) + 2 * (4 + 6);

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a UDI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UdiError {
    /// It does not consist of `(nn)value` parts, the first of them `(01)`.
    #[error("UDI: parts are `(nn)value`, the first of them (01)")]
    Shape,
    /// A part is not one of 01, 10, 11, 17, 21, or occurs twice.
    #[error("UDI: only (01), (10), (11), (17) and (21) are known, each once")]
    Part,
    /// The GTIN is not 14 digits with the right check digit.
    #[error("UDI: (01) takes 14 digits, the last of them the GS1 check digit")]
    Gtin,
    /// A date is not YYMMDD.
    #[error("UDI: (11) and (17) take a date as YYMMDD")]
    Date,
    /// A lot or serial is not 1 to 20 characters of GS1's set 82.
    #[error("UDI: (10) and (21) take 1 to 20 letters, digits and signs of GS1 set 82")]
    Text,
}

impl FromStr for Udi {
    type Err = UdiError;

    fn from_str(text: &str) -> Result<Self, UdiError> {
        if text.len() > Self::MAX_LEN || !text.is_ascii() {
            return Err(UdiError::Shape);
        }
        let mut rest = text.strip_prefix("(01)").ok_or(UdiError::Shape)?;
        let mut seen = [false; 4];
        let (gtin, after) = rest.split_at_checked(14).ok_or(UdiError::Gtin)?;
        check_gtin(gtin)?;
        rest = after;
        while !rest.is_empty() {
            let (part, after) = rest.split_at_checked(4).ok_or(UdiError::Shape)?;
            let known = ["(10)", "(11)", "(17)", "(21)"].iter().zip(&mut seen);
            let seen = known.filter(|(name, _)| **name == part).map(|(_, seen)| seen).next();
            let seen = seen.filter(|seen| !**seen).ok_or(UdiError::Part)?;
            *seen = true;
            let (value, after) = after.split_at(after.find('(').unwrap_or(after.len()));
            if matches!(part, "(11)" | "(17)") {
                check_date(value)?
            } else {
                check_text(value)?
            }
            rest = after;
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Udi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// GS1 General Specifications §7.9: digits weighted 3, 1, 3, … from the left add up to a multiple of ten.
fn check_gtin(gtin: &str) -> Result<(), UdiError> {
    let digits = gtin.bytes().enumerate();
    let sum = digits.map(|(i, byte)| {
        byte.is_ascii_digit().then(|| u32::from(byte - b'0') * if i % 2 == 0 { 3 } else { 1 })
    });
    let sum: Option<u32> = sum.sum();
    sum.filter(|sum| sum % 10 == 0).map(|_| ()).ok_or(UdiError::Gtin)
}

fn check_date(date: &str) -> Result<(), UdiError> {
    let is_date = date.len() == 6 && date.bytes().all(|byte| byte.is_ascii_digit());
    let number = |range| date.get(range).and_then(|part: &str| part.parse::<u32>().ok());
    // Day 00 stands for an unspecified day of the month.
    let is_in_range = number(2..4).is_some_and(|month| (1..=12).contains(&month))
        && number(4..6).is_some_and(|day| day <= 31);
    (is_date && is_in_range).then_some(()).ok_or(UdiError::Date)
}

fn check_text(text: &str) -> Result<(), UdiError> {
    // Set 82 without the parentheses, which part the human-readable form.
    let is_82 = |byte: u8| byte.is_ascii_alphanumeric() || b"!\"%&'*+,-./:;<=>?_".contains(&byte);
    ((1..=20).contains(&text.len()) && text.bytes().all(is_82)).then_some(()).ok_or(UdiError::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_at_their_bounds() {
        for good in ["(01)09506000134352", "(01)09506000134352(17)271200(10)LOT-7(21)4711"] {
            assert_eq!(good.parse::<Udi>().unwrap().as_str(), good);
        }
        let longest =
            "(01)09506000134352(10)ABCDEFGHIJ0123456789(11)260101(17)270101(21)abcdefghij0123456789";
        assert_eq!(longest.len(), Udi::MAX_LEN);
        assert!(longest.parse::<Udi>().is_ok());
        for (bad, error) in [
            ("", UdiError::Shape),
            ("(10)LOT", UdiError::Shape),
            ("(01)0950600013435", UdiError::Gtin),
            ("(01)09506000134353", UdiError::Gtin),
            ("(01)0950600013435A", UdiError::Gtin),
            ("(01)09506000134352(99)x", UdiError::Part),
            ("(01)09506000134352(10)a(10)b", UdiError::Part),
            ("(01)09506000134352(17)271301", UdiError::Date),
            ("(01)09506000134352(17)27123", UdiError::Date),
            ("(01)09506000134352(21)", UdiError::Text),
            ("(01)09506000134352(21)a b", UdiError::Text),
            ("(01)09506000134352(21)abcdefghij01234567890", UdiError::Text),
            ("(01)09506000134352x", UdiError::Shape),
        ] {
            assert_eq!(bad.parse::<Udi>(), Err(error), "{bad}");
        }
    }
}
