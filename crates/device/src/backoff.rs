//! When to try again, and when to renew: arithmetic only, with randomness handed in.

use std::time::Duration;
use wardein_domain::RenewalWindow;

/// How long to wait after `failures` failures in a row: uniform up to a bound that doubles from 5 seconds to an hour ("full
/// jitter"), so that a fleet does not return all at once. `random` is uniform.
pub(crate) fn after(failures: u32, random: u64) -> Duration {
    let bound = FIRST_MS.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(LAST_MS);
    // Never less than a second, so that a streak of low draws does not hammer.
    Duration::from_millis(share(bound, random).max(1_000))
}

/// `interval` seconds, a tenth more or less.
pub(crate) fn around(interval: u64, random: u64) -> Duration {
    let ms = interval.saturating_mul(1_000);
    Duration::from_millis((ms - ms / 10).saturating_add(share(ms / 5, random)))
}

/// A second of `window`, uniform.
pub(crate) fn within(window: RenewalWindow, random: u64) -> u64 {
    window.start() + share(window.end() - window.start(), random)
}

/// Uniform in `0..=bound`.
fn share(bound: u64, random: u64) -> u64 {
    // The upper half of the product: no bias that matters, no overflow.
    ((u128::from(random) * (u128::from(bound) + 1)) >> 64) as u64
}

const FIRST_MS: u64 = 5_000;
const LAST_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_up_to_an_hour_and_is_never_under_a_second() {
        let longest: Vec<u64> = (1..=12).map(|failures| after(failures, u64::MAX).as_secs()).collect();
        assert_eq!(longest, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
        for failures in [0, 1, 11, 100, u32::MAX] {
            assert_eq!(after(failures, 0), Duration::from_secs(1));
            assert!(after(failures, u64::MAX) <= Duration::from_secs(3600));
        }
        assert_eq!(after(u32::MAX, 1 << 63).as_secs(), 1800);
    }

    #[test]
    fn an_interval_varies_by_a_tenth() {
        assert_eq!(around(1000, 0), Duration::from_secs(900));
        assert_eq!(around(1000, u64::MAX), Duration::from_secs(1100));
    }

    #[test]
    fn renewal_falls_anywhere_in_its_window() {
        let window = RenewalWindow::new(1700, 1900).unwrap();
        let at = [0, 1 << 63, u64::MAX].map(|random| within(window, random));
        assert_eq!(at, [1700, 1800, 1900]);
        let whole = RenewalWindow::new(0, u64::MAX).unwrap();
        assert_eq!((within(whole, 0), within(whole, u64::MAX)), (0, u64::MAX));
    }
}
