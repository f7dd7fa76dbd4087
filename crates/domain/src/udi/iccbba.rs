//! ISBT 128, the standard of ICCBBA for what is of human origin: data structures of fixed length, the processor's product first.

use super::{UdiError, check_ordinal, number};

pub(super) fn check(text: &str) -> Result<(), UdiError> {
    // Processor product identification code (structure 034): who makes it, and what it is.
    let mut rest = structure(text, "=/", 16)?;
    let mut seen = 0_u8;
    while !rest.is_empty() {
        let (at, after) = STRUCTURES
            .iter()
            .enumerate()
            .find_map(|(at, known)| Some((at, (known.1)(rest)?)))
            .ok_or(UdiError::Structure)?;
        if seen & 1 << at != 0 {
            return Err(UdiError::Structure);
        }
        seen |= 1 << at;
        rest = after?;
    }
    Ok(())
}

/// The product, and the serial number in the structure of that name.
pub(super) fn numbered(text: &str) -> Option<(&str, &str)> {
    let (product, mut rest) = text.split_at_checked(PRODUCT)?;
    while !rest.is_empty() {
        let (at, after) =
            STRUCTURES.iter().enumerate().find_map(|(at, known)| Some((at, (known.1)(rest)?.ok()?)))?;
        if at == SERIAL {
            return Some((product, rest.get(2..2 + SERIAL_LEN)?));
        }
        rest = after;
    }
    None
}

/// The bytes of the product's structure.
const PRODUCT: usize = 2 + 16;

/// Which of [`STRUCTURES`] is the serial number.
const SERIAL: usize = 0;

const SERIAL_LEN: usize = 6;

/// What is behind the structure at the beginning of a text; `None` where another one is there.
type Read = fn(&str) -> Option<Result<&str, UdiError>>;

/// Each at most once.
const STRUCTURES: [(&str, Read); 5] = [
    ("serial number", |text| text.starts_with("=,").then(|| structure(text, "=,", SERIAL_LEN))),
    ("expiration date", |text| text.starts_with("=>").then(|| dated(text, "=>"))),
    ("production date", |text| text.starts_with("=}").then(|| dated(text, "=}"))),
    ("MPHO lot number", |text| text.starts_with("&,1").then(|| structure(text, "&,1", 18))),
    ("donation identification number", |text| {
        let is_donation =
            text.as_bytes().get(1).is_some_and(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        (text.starts_with('=') && is_donation).then(|| structure(text, "=", 15))
    }),
];

/// What is behind a structure, which has `len` capital letters and digits.
fn structure<'a>(text: &'a str, identifier: &str, len: usize) -> Result<&'a str, UdiError> {
    let after = text.strip_prefix(identifier).ok_or(UdiError::Structure)?;
    let (value, rest) = after.split_at_checked(len).ok_or(UdiError::Text)?;
    let is_value = value.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    is_value.then_some(rest).ok_or(UdiError::Text)
}

/// A date: the third digit of the year, two more, and the day of the year.
fn dated<'a>(text: &'a str, identifier: &str) -> Result<&'a str, UdiError> {
    let rest = structure(text, identifier, 6)?;
    let date = &text[identifier.len()..identifier.len() + 6];
    let part = |range| date.get(range).and_then(number).ok_or(UdiError::Date);
    part(0..1)?;
    check_ordinal(part(1..3)?, part(3..6)?)?;
    Ok(rest)
}
