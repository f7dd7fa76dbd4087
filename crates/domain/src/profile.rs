//! What holds for a group of devices.

use crate::schedule::Schedule;

/// The rules that a device follows by its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Seconds for which a certificate is valid.
    certificate_validity: u64,
    /// Seconds in an epoch; 0 for none.
    period: u64,
    /// Keys in an epoch; 0 for no bound.
    max_uses: u64,
    /// Bit n − 1: suite n is allowed.
    suites: u8,
    /// Seconds for which a trust verdict may be kept.
    verdict_lifetime: u64,
}

impl Profile {
    /// Certificates for a day, keys for an hour, both suites, verdicts for five minutes.
    pub const DEFAULT: Self = Self {
        certificate_validity: 86_400,
        period: 3_600,
        max_uses: 0,
        suites: 0b11,
        verdict_lifetime: 300,
    };

    /// A profile whose certificates are valid for 5 minutes to 10 days, with a period of 0 or at least 60 seconds, at least one
    /// suite of 1 and 2, and verdicts that may be kept for at most a day.
    pub fn new(
        certificate_validity: u64,
        period: u64,
        max_uses: u64,
        suites: &[u32],
        verdict_lifetime: u64,
    ) -> Result<Self, ProfileError> {
        let range = |field, value, min, max| {
            (min..=max).contains(&value).then_some(value).ok_or(ProfileError { field, value, min, max })
        };
        range("certificate_validity", certificate_validity, 300, 864_000)?;
        if period != 0 {
            range("period", period, 60, 10 * 366 * 86_400)?;
        }
        range("verdict_lifetime", verdict_lifetime, 0, 86_400)?;
        range("suites", suites.len() as u64, 1, 2)?;
        let mut bits = 0;
        for suite in suites {
            bits |= 1 << (range("suites", u64::from(*suite), 1, 2)? - 1);
        }
        Ok(Self { certificate_validity, period, max_uses, suites: bits, verdict_lifetime })
    }

    /// Seconds for which a certificate is valid.
    pub fn certificate_validity(&self) -> u64 {
        self.certificate_validity
    }

    /// Seconds for which a trust verdict may be kept.
    pub fn verdict_lifetime(&self) -> u64 {
        self.verdict_lifetime
    }

    /// The schedule of a generation that starts at Unix second `now`.
    pub fn schedule(&self, now: u64) -> Schedule {
        Schedule { period: self.period, max_uses: self.max_uses, not_before: now }
    }

    /// Whether suite `number` is allowed.
    pub fn allows_suite(&self, number: u16) -> bool {
        matches!(number, 1 | 2) && self.suites & 1 << (number - 1) != 0
    }

    /// The suites that are allowed.
    pub fn suites(&self) -> impl Iterator<Item = u32> {
        (1..=2).filter(|number| self.allows_suite(*number)).map(u32::from)
    }
}

/// A value of a profile is out of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; it takes {min} to {max}")]
pub struct ProfileError {
    /// The field at fault.
    pub field: &'static str,
    /// Its value.
    pub value: u64,
    /// The least that it may be.
    pub min: u64,
    /// The greatest that it may be.
    pub max: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_at_its_bounds() {
        assert!(Profile::new(300, 60, 0, &[1], 0).is_ok());
        assert!(Profile::new(864_000, 0, 0, &[1, 2], 86_400).is_ok());
        for (profile, field) in [
            (Profile::new(299, 0, 0, &[1], 0), "certificate_validity"),
            (Profile::new(864_001, 0, 0, &[1], 0), "certificate_validity"),
            (Profile::new(300, 59, 0, &[1], 0), "period"),
            (Profile::new(300, 0, 0, &[], 0), "suites"),
            (Profile::new(300, 0, 0, &[3], 0), "suites"),
            (Profile::new(300, 0, 0, &[0], 0), "suites"),
            (Profile::new(300, 0, 0, &[1], 86_401), "verdict_lifetime"),
        ] {
            assert_eq!(profile.unwrap_err().field, field);
        }
        let only_2 = Profile::new(300, 0, 0, &[2], 0).unwrap();
        assert!(!only_2.allows_suite(1) && only_2.allows_suite(2) && !only_2.allows_suite(3));
    }
}
