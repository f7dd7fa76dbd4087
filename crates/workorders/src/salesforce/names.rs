//! Names and values that get into a query of SOQL. None of them can end the place that it is put into.

use std::fmt;
use std::str::FromStr;

/// The API name of an object: a letter, then letters, digits and `_`; at most 80.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectName(String);

/// The API name of a field, also of a related object: up to 6 names with full stops between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath(String);

/// A value of a status: 1 to 255 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusValue(String);

/// The text is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not {0}")]
pub(crate) struct NameError(&'static str);

impl ObjectName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FieldPath {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The names that lead to the field.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

impl StatusValue {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StatusValue {
    /// As a literal of SOQL, whose backslash escapes it and the quote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\\', "\\\\").replace('\'', "\\'"))
    }
}

impl FromStr for ObjectName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        is_name(text)
            .then(|| Self(text.to_owned()))
            .ok_or(NameError("the API name of an object, such as WorkOrder"))
    }
}

impl FromStr for FieldPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_path = text.split('.').count() <= MAX_NAMES && text.split('.').all(is_name);
        is_path
            .then(|| Self(text.to_owned()))
            .ok_or(NameError("the API name of a field, such as Status or Asset.SerialNumber"))
    }
}

impl FromStr for StatusValue {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_value = (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
        is_value
            .then(|| Self(text.to_owned()))
            .ok_or(NameError("a value of 1 to 255 bytes without control characters"))
    }
}

/// Whether `id` is that of a record: 15 or 18 letters and digits.
pub(crate) fn is_record_id(id: &str) -> bool {
    matches!(id.len(), 15 | 18) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_name(text: &str) -> bool {
    text.len() <= 80
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

const MAX_NAMES: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_or_value_ends_its_place_in_a_query() {
        for bad in ["", "1a", "A B", "A,B", "A'", "A)", "Ä", "A--", &"A".repeat(81)] {
            assert!(bad.parse::<ObjectName>().is_err() && bad.parse::<FieldPath>().is_err(), "{bad}");
        }
        for bad in [".A", "A.", "A..B", "A.B.C.D.E.F.G", "A.B'"] {
            assert!(bad.parse::<FieldPath>().is_err(), "{bad}");
        }
        let path: FieldPath = "SVMXC__Component__r.Name".parse().unwrap();
        assert_eq!(path.names().collect::<Vec<_>>(), ["SVMXC__Component__r", "Name"]);
        let value: StatusValue = "a' OR \\'1".parse().unwrap();
        assert_eq!(value.to_string(), "'a\\' OR \\\\\\'1'");
        assert!("a\nb".parse::<StatusValue>().is_err() && "".parse::<StatusValue>().is_err());
    }

    #[test]
    fn an_id_of_a_record_is_letters_and_digits() {
        assert!(is_record_id("a0B000000012345") && is_record_id("a0B000000012345AAA"));
        for bad in ["", "a0B00000001234", "a0B0000000/2345", "a0B000000012345AA", "../../../../../.."] {
            assert!(!is_record_id(bad), "{bad}");
        }
    }
}
