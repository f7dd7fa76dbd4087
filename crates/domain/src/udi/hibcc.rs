//! The Supplier Labeling Standard of HIBCC (ANSI/HIBC 2.6): `+`, the labeler, the product and its unit of measure; then, after `/` each, lot or
//! serial with a date, and supplements; at the end a check character.

use super::{UdiError, check_day, check_ordinal, number};

pub(super) fn check(text: &str) -> Result<(), UdiError> {
    check_character(text)?;
    let mut parts = text[1..text.len() - 1].split('/');
    check_primary(parts.next().unwrap_or_default())?;
    parts.try_for_each(check_secondary)
}

/// The labeler's product with its unit of measure, and the serial number, if a part has one.
pub(super) fn numbered(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.get(1..text.len().checked_sub(1)?)?.split('/');
    Some((parts.next()?, parts.find_map(serial)?))
}

fn serial(part: &str) -> Option<&str> {
    let serial = if let Some(dated) = part.strip_prefix("$$+") {
        after_date(dated).ok()?
    } else {
        part.strip_prefix("$+").or_else(|| part.strip_prefix('S'))?
    };
    Some(serial).filter(|serial| !serial.is_empty())
}

/// The values of all characters before it, added up modulo 43 (appendix B).
fn check_character(text: &str) -> Result<(), UdiError> {
    let value = |byte: &u8| CHARACTERS.iter().position(|known| known == byte);
    let (last, before) = text.as_bytes().split_last().ok_or(UdiError::Text)?;
    let sum: Option<usize> = before.iter().map(value).sum();
    let sum = sum.ok_or(UdiError::Text)?;
    (before.len() > 1 && value(last) == Some(sum % 43)).then_some(()).ok_or(UdiError::CheckCharacter)
}

/// A letter and 3 characters of the labeler, 1 to 18 of the product, a digit for the unit of measure.
fn check_primary(primary: &str) -> Result<(), UdiError> {
    let is_long_enough = (6..=23).contains(&primary.len());
    let are_alphanumeric = primary.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    let ends = primary.starts_with(|first: char| first.is_ascii_uppercase())
        && primary.ends_with(|last: char| last.is_ascii_digit());
    (is_long_enough && are_alphanumeric && ends).then_some(()).ok_or(UdiError::Text)
}

fn check_secondary(part: &str) -> Result<(), UdiError> {
    if let Some(rest) = part.strip_prefix("$$") {
        // With `+`, what follows the date is a serial and no lot.
        return check_dated(rest.strip_prefix('+').unwrap_or(rest));
    }
    if let Some(rest) = part.strip_prefix('$') {
        return check_text(rest.strip_prefix('+').unwrap_or(rest));
    }
    match (part.strip_prefix("14D").or(part.strip_prefix("16D")), part.strip_prefix('S')) {
        (Some(date), _) => {
            let (year, after) = take(date, 4)?;
            let (month, day) = take_pair(after)?;
            if date.len() != 8 {
                return Err(UdiError::Date);
            }
            check_day(numeric(year)?, month, day, false)
        }
        (None, Some(serial)) => check_text(serial),
        (None, None) => match part.strip_prefix('Q') {
            Some(quantity) => {
                number(quantity).filter(|_| quantity.len() <= 5).map(|_| ()).ok_or(UdiError::Text)
            }
            None => Err(UdiError::Structure),
        },
    }
}

/// A quantity, if any; a date in the form that its first digit says; then a lot or serial, if any.
fn check_dated(part: &str) -> Result<(), UdiError> {
    let after = after_date(part)?;
    if after.is_empty() { Ok(()) } else { check_text(after) }
}

/// What is behind quantity and date.
fn after_date(part: &str) -> Result<&str, UdiError> {
    let rest = match part.as_bytes().first() {
        Some(b'8') => take(part, 3)?.1,
        Some(b'9') => take(part, 6)?.1,
        _ => part,
    };
    let (form, dated) = take(rest, 1)?;
    Ok(match form {
        "0" | "1" => {
            let (date, after) = take(rest, 4)?;
            let (month, year) = take_pair(date)?;
            check_day(year, month, 1, false)?;
            after
        }
        "2" => {
            let (date, after) = take(dated, 6)?;
            let (month, day) = take_pair(date)?;
            check_day(numeric(&date[4..])?, month, day, false)?;
            after
        }
        "3" | "4" => {
            let (date, after) = take(dated, 6)?;
            let (month, day) = take_pair(&date[2..])?;
            check_day(numeric(&date[..2])?, month, day, false)?;
            if form == "4" { check_hour(after)? } else { after }
        }
        "5" | "6" => {
            let (date, after) = take(dated, 5)?;
            check_ordinal(numeric(&date[..2])?, numeric(&date[2..])?)?;
            if form == "6" { check_hour(after)? } else { after }
        }
        // Without a date.
        "7" => dated,
        _ => return Err(UdiError::Date),
    })
}

fn check_hour(text: &str) -> Result<&str, UdiError> {
    let (hour, after) = take(text, 2)?;
    (numeric(hour)? < 24).then_some(after).ok_or(UdiError::Date)
}

fn check_text(text: &str) -> Result<(), UdiError> {
    (1..=18).contains(&text.len()).then_some(()).ok_or(UdiError::Text)
}

fn take(text: &str, len: usize) -> Result<(&str, &str), UdiError> {
    text.split_at_checked(len).ok_or(UdiError::Date)
}

/// The numbers that two digits are, and the two after them.
fn take_pair(text: &str) -> Result<(u32, u32), UdiError> {
    let (one, after) = take(text, 2)?;
    Ok((numeric(one)?, numeric(take(after, 2)?.0)?))
}

fn numeric(digits: &str) -> Result<u32, UdiError> {
    number(digits).ok_or(UdiError::Date)
}

const CHARACTERS: &[u8; 43] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%";
