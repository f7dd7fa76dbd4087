//! Names of sources, of audiences and of observed devices. The first two are in file names, hence their narrow alphabet.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_LEN} characters: a-z, 0-9 and '-', the first not '-'")]
pub struct NameError;

/// Why a text is not the name of an observed device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an observed device's name has 1 to {MAX_OBSERVED} characters: letters, digits, '.', '_' and '-', the first a letter or a digit"
)]
pub struct ObservedNameError;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $judge:ident, $error:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                $judge(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                $judge(&text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// A source of log lines: `[a-z0-9][a-z0-9-]{0,31}`.
    SourceName, judge, NameError
}

name! {
    /// Who gets records: `[a-z0-9][a-z0-9-]{0,31}`. It is the beginning of the file names of that audience's batches.
    AudienceName, judge, NameError
}

name! {
    /// A device beside which a collector works, as the collector calls it: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`. It is the word of a
    /// configuration, and not the id of a device that has proved who it is; hence a type of its own.
    ObservedName, judge_observed, ObservedNameError
}

fn judge(text: &str) -> Result<(), NameError> {
    let is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let is_name =
        (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(is_allowed) && !text.starts_with('-');
    is_name.then_some(()).ok_or(NameError)
}

fn judge_observed(text: &str) -> Result<(), ObservedNameError> {
    let is_allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let is_name = (1..=MAX_OBSERVED).contains(&text.len())
        && text.bytes().all(is_allowed)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric());
    is_name.then_some(()).ok_or(ObservedNameError)
}

/// The most bytes of a name.
const MAX_LEN: usize = 32;
/// As many as the id of a device has.
const MAX_OBSERVED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_and_does_not_climb() {
        for name in ["a", "0", "pump-app", &"x".repeat(32)] {
            assert_eq!(name.parse::<SourceName>().unwrap().as_str(), name);
            assert_eq!(serde_json::from_str::<AudienceName>(&format!("{name:?}")).unwrap().as_str(), name);
        }
        for name in ["", "-a", "A", "a.b", "../a", "a/b", "ä", "a\0", &"x".repeat(33)] {
            assert_eq!(name.parse::<SourceName>(), Err(NameError), "{name}");
            assert!(serde_json::from_str::<AudienceName>(&format!("{name:?}")).is_err(), "{name}");
        }
    }
    #[test]
    fn an_observed_device_has_a_serial_numbers_characters_and_no_others() {
        for name in ["7", "Infusomat_4711-A", "ct-2.radiology", &"x".repeat(64)] {
            assert_eq!(name.parse::<ObservedName>().unwrap().as_str(), name);
        }
        for name in ["", "-a", ".a", "_a", "a/b", "a b", "a\n", "a\"", "ä", &"x".repeat(65)] {
            assert_eq!(name.parse::<ObservedName>(), Err(ObservedNameError), "{name}");
            assert!(serde_json::from_str::<ObservedName>(&format!("{name:?}")).is_err(), "{name}");
        }
    }
}
