//! Names of sources and of audiences. They are in file names and in records, hence the narrow alphabet.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_LEN} characters: a-z, 0-9 and '-', the first not '-'")]
pub struct NameError;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
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
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                judge(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                judge(&text).map(|()| Self(text))
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
    SourceName
}

name! {
    /// Who gets records: `[a-z0-9][a-z0-9-]{0,31}`. It is the beginning of the file names of that audience's batches.
    AudienceName
}

fn judge(text: &str) -> Result<(), NameError> {
    let is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let is_name =
        (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(is_allowed) && !text.starts_with('-');
    is_name.then_some(()).ok_or(NameError)
}

/// The most bytes of a name.
const MAX_LEN: usize = 32;

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
}
