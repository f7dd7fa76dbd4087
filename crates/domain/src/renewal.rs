//! When a certificate is renewed: within a window, so that a fleet does not return at once.

use core::fmt;
use core::str::FromStr;

/// The span of Unix seconds, both ends within it, in which a certificate is to be renewed. Its holder takes a moment of it at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalWindow {
    start: u64,
    end: u64,
}

impl RenewalWindow {
    /// The window from `start` to `end`, which is not before it.
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start <= end { Some(Self { start, end }) } else { None }
    }

    /// The window of what is good from second `from` to second `until`: `percent` of it, [`RenewalWindow::SPREAD`] percent more or less.
    pub fn at(percent: u32, from: u64, until: u64) -> Self {
        let span = until.saturating_sub(from);
        let share = |percent: u32| {
            let seconds = u128::from(span) * u128::from(percent.min(100)) / 100;
            from.saturating_add(u64::try_from(seconds).unwrap_or(span))
        };
        Self {
            start: share(percent.saturating_sub(Self::SPREAD)),
            end: share(percent.saturating_add(Self::SPREAD)),
        }
    }

    /// The first second.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The last second.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Whether it is one to go by for what is good from second `from` to second `until`: it ends by then, and begins after a tenth of
    /// the time, so that nobody who says something else makes its holder renew again and again.
    pub fn is_of(self, from: u64, until: u64) -> bool {
        let soonest = from.saturating_add(until.saturating_sub(from) / 10);
        soonest <= self.start && self.end <= until
    }

    /// How many percent before and after the share that a profile sets renewals are spread.
    pub const SPREAD: u32 = 8;

    /// The share where nobody sets one, in percent: two thirds.
    pub const DEFAULT_SHARE: u32 = 66;
}

/// The text is not two Unix seconds, in order, with `-` between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a renewal window is two Unix seconds, in order, with - between them")]
pub struct RenewalWindowError;

impl FromStr for RenewalWindow {
    type Err = RenewalWindowError;

    fn from_str(text: &str) -> Result<Self, RenewalWindowError> {
        let second = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u64>().ok()).flatten()
        };
        let (start, end) = text.split_once('-').ok_or(RenewalWindowError)?;
        let window = second(start).zip(second(end)).and_then(|(start, end)| Self::new(start, end));
        window.ok_or(RenewalWindowError)
    }
}

impl fmt::Display for RenewalWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_window_is_a_share_of_the_time_and_spread_around_it() {
        let window = RenewalWindow::at(66, 1_000, 2_000);
        assert_eq!((window.start(), window.end()), (1_580, 1_740));
        let whole = RenewalWindow::at(u32::MAX, 0, u64::MAX);
        assert_eq!((whole.start(), whole.end()), (u64::MAX, u64::MAX));
        assert_eq!(RenewalWindow::at(4, 1_000, 2_000).start(), 1_000);
        assert_eq!(RenewalWindow::at(66, 2_000, 1_000), RenewalWindow { start: 2_000, end: 2_000 });
    }

    #[test]
    fn a_window_to_go_by_is_neither_too_soon_nor_too_late() {
        let is_of = |start, end| RenewalWindow::new(start, end).unwrap().is_of(1_000, 1_800);
        assert!(is_of(1_080, 1_800) && is_of(1_800, 1_800));
        assert!(!is_of(1_079, 1_800) && !is_of(0, 1_200), "it would be renewed again and again");
        assert!(!is_of(1_080, 1_801), "it would be renewed when it has ended");
        assert_eq!(RenewalWindow::new(2, 1), None);
    }

    #[test]
    fn a_window_has_one_spelling() {
        let window = RenewalWindow::new(17, 4_000_000_000).unwrap();
        assert_eq!(window.to_string(), "17-4000000000");
        assert_eq!(window.to_string().parse(), Ok(window));
        for bad in ["", "-", "1", "1-", "-1", "2-1", "+1-2", "1-2-3", "1 - 2", "1-99999999999999999999"] {
            assert_eq!(bad.parse::<RenewalWindow>(), Err(RenewalWindowError), "{bad}");
        }
    }
}
