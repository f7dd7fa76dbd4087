//! How the registers of a device's TPM were found: in which state it booted.

use crate::name::NameError;
use core::fmt;
use core::str::FromStr;

/// By what the registers of a device's TPM (PCRs) were found good, at the last quote of them that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PcrStanding {
    /// Each had a value that the profile's policy lists.
    Golden,
    /// They were as at the device's enrollment.
    AsEnrolled,
    /// They were as an administrator approved for this device.
    AsApproved,
}

impl PcrStanding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Golden, Self::AsEnrolled, Self::AsApproved];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Golden => "golden",
            Self::AsEnrolled => "as-enrolled",
            Self::AsApproved => "as-approved",
        }
    }
}

impl fmt::Display for PcrStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for PcrStanding {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|standing| standing.code() == text).ok_or(NameError::Unknown {
            kind: "standing of registers",
            allowed: "golden, as-enrolled, as-approved",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for standing in PcrStanding::ALL {
            assert_eq!(standing.code().parse(), Ok(standing));
        }
        assert!("".parse::<PcrStanding>().is_err());
    }
}
