//! The names under which a device delivers: `<audience>-<batch, 12 digits>.age`, and the same with `.sig` behind it.

use std::fmt;
use wardein_logs::AudienceName;

/// A batch: for whom it is, and its number among those for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchName {
    /// For whom.
    pub audience: AudienceName,
    /// From 1, without gaps.
    pub batch: u64,
}

/// One of the two files of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The sealed batch.
    Sealed,
    /// The statement that the device signed of it.
    Statement,
}

impl BatchName {
    /// The batch and the part that a file's name says. There is one name of each.
    pub fn of_file(name: &str) -> Option<(Self, Part)> {
        let (stem, part) = match name.strip_suffix(".age.sig") {
            Some(stem) => (stem, Part::Statement),
            None => (name.strip_suffix(".age")?, Part::Sealed),
        };
        Some((Self::parse(stem)?, part))
    }

    /// The inverse of its text.
    pub fn parse(stem: &str) -> Option<Self> {
        let (audience, digits) = stem.rsplit_once('-')?;
        let is_number = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        let batch = digits.parse().ok().filter(|batch| is_number && *batch > 0)?;
        Some(Self { audience: audience.parse().ok()?, batch })
    }

    /// The name of a part's file.
    pub fn file(&self, part: Part) -> String {
        match part {
            Part::Sealed => format!("{self}.age"),
            Part::Statement => format!("{self}.age.sig"),
        }
    }
}

impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:012}", self.audience, self.batch)
    }
}

const DIGITS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_name_of_a_batch_and_none_climbs() {
        for (name, part) in
            [("maker-000000000017.age", Part::Sealed), ("a-b-999999999999.age.sig", Part::Statement)]
        {
            let (batch, found) = BatchName::of_file(name).unwrap();
            assert_eq!((batch.file(found).as_str(), found), (name, part));
        }
        for bad in [
            "",
            ".age",
            "maker.age",
            "maker-17.age",
            "maker-000000000000.age",
            "maker-+00000000017.age",
            "maker-0000000000017.age",
            "maker-000000000017",
            "maker-000000000017.age.part",
            "maker-000000000017.age.sig.sig",
            "Maker-000000000017.age",
            "-000000000017.age",
            "../maker-000000000017.age",
            "..-000000000017.age",
            "maker/-000000000017.age",
        ] {
            assert_eq!(BatchName::of_file(bad), None, "{bad}");
        }
    }
}
