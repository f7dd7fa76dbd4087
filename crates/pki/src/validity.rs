//! From when until when a certificate is valid.

use crate::PkiError;

/// Seconds before the present from which a certificate is valid, for peers whose clock is behind ours.
pub const CLOCK_SKEW: u64 = 5 * 60;

/// Seconds for which a root is valid: twenty years of 365.25 days.
pub const ROOT_LIFETIME: u64 = 20 * YEAR;

/// Seconds for which an issuing or infrastructure CA is valid: ten years.
pub const INTERMEDIATE_LIFETIME: u64 = 10 * YEAR;

/// A span of Unix seconds, both ends within it, that X.509 can express.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    not_before: u64,
    not_after: u64,
}

impl Validity {
    /// From `not_before` to `not_after`, which comes later and no later than the year 9999 (RFC 5280 §4.1.2.5).
    pub fn new(not_before: u64, not_after: u64) -> Result<Self, PkiError> {
        (not_before < not_after && not_after <= MAX)
            .then_some(Self { not_before, not_after })
            .ok_or(PkiError::Validity)
    }

    /// From [`CLOCK_SKEW`] before `now` until `lifetime` seconds after it.
    pub fn starting(now: u64, lifetime: u64) -> Result<Self, PkiError> {
        Self::new(now.saturating_sub(CLOCK_SKEW), now.saturating_add(lifetime))
    }

    /// The part of it that lies within `bounds`, if any does.
    pub fn within(self, bounds: Self) -> Result<Self, PkiError> {
        Self::new(self.not_before.max(bounds.not_before), self.not_after.min(bounds.not_after))
    }

    /// Whether all of it lies within `bounds`.
    pub fn is_within(self, bounds: Self) -> bool {
        bounds.not_before <= self.not_before && self.not_after <= bounds.not_after
    }

    /// Whether `second` is one of it.
    pub fn contains(self, second: u64) -> bool {
        (self.not_before..=self.not_after).contains(&second)
    }

    /// The first second.
    pub fn not_before(self) -> u64 {
        self.not_before
    }

    /// The last second.
    pub fn not_after(self) -> u64 {
        self.not_after
    }
}

const YEAR: u64 = 31_557_600;

/// 9999-12-31T23:59:59Z.
const MAX: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_before_the_year_10000_and_after_it_starts() {
        assert!(Validity::new(0, MAX).is_ok());
        for (from, until) in [(0, MAX + 1), (5, 5), (6, 5), (0, u64::MAX)] {
            assert_eq!(Validity::new(from, until), Err(PkiError::Validity));
        }
        assert_eq!(Validity::starting(1_000, 60), Validity::new(700, 1_060));
        assert_eq!(Validity::starting(1, u64::MAX), Err(PkiError::Validity));
    }

    #[test]
    fn the_part_within_bounds() {
        let bounds = Validity::new(100, 200).unwrap();
        let span = |from, until| Validity::new(from, until).unwrap();
        assert_eq!(span(50, 150).within(bounds), Ok(span(100, 150)));
        assert_eq!(span(150, 250).within(bounds), Ok(span(150, 200)));
        assert_eq!(span(10, 100).within(bounds), Err(PkiError::Validity));
        assert!(span(100, 200).is_within(bounds));
        assert!(!span(99, 200).is_within(bounds) && !span(100, 201).is_within(bounds));
    }
}
