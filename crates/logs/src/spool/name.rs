//! Names of batches, which are the names of their files.

use crate::name::AudienceName;
use std::fmt;
use std::str::FromStr;

/// A batch: whose it is, and its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchName {
    /// Whose.
    pub audience: AudienceName,
    /// Its number among the audience's: 1, 2, 3 and so on.
    pub number: u64,
}

/// Why a text is not the name of a batch's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a batch's file is AUDIENCE-NUMBER.age, the number with 12 digits")]
pub struct BatchNameError;

impl BatchName {
    /// The name of its sealed file.
    pub fn sealed(&self) -> String {
        format!("{self}.age")
    }

    /// The name of the statement beside it.
    pub fn statement(&self) -> String {
        format!("{self}.age.sig")
    }
}

impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:012}", self.audience, self.number)
    }
}

/// The inverse of [`BatchName::sealed`].
impl FromStr for BatchName {
    type Err = BatchNameError;

    fn from_str(text: &str) -> Result<Self, BatchNameError> {
        let (audience, number) =
            text.strip_suffix(".age").and_then(|text| text.rsplit_once('-')).ok_or(BatchNameError)?;
        let audience = audience.parse().map_err(|_| BatchNameError)?;
        let name = Self { audience, number: number.parse().map_err(|_| BatchNameError)? };
        // A sign, or a digit more or less, would be another file of the same number.
        (name.number > 0 && name.sealed() == text).then_some(name).ok_or(BatchNameError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_one_name() {
        for (audience, number, file) in [
            ("maker", 17, "maker-000000000017.age"),
            ("a-1", 1, "a-1-000000000001.age"),
            ("a", 1_000_000_000_000, "a-1000000000000.age"),
        ] {
            let name = BatchName { audience: audience.parse().unwrap(), number };
            assert_eq!((name.sealed(), file.parse()), (file.to_owned(), Ok(name.clone())));
            assert_eq!(name.statement(), format!("{file}.sig"));
        }
        for text in [
            "",
            "maker.age",
            "maker-17.age",
            "maker-000000000000.age",
            "maker-+00000000017.age",
            "maker-0000000000017.age",
            "maker-000000000017.age.sig",
            "maker-000000000017.age.part",
            "-000000000017.age",
            "../maker-000000000017.age",
            "Maker-000000000017.age",
        ] {
            assert_eq!(text.parse::<BatchName>(), Err(BatchNameError), "{text}");
        }
    }
}
