//! When a device's keys change (DDKG-1 §3).

/// The schedule of one generation; it holds for all of its purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Schedule {
    /// Seconds in an epoch; 0 where time ends none.
    pub period: u64,
    /// Keys in an epoch; 0 for no bound.
    pub max_uses: u64,
    /// Unix seconds at which epoch 0 starts.
    pub not_before: u64,
}

impl Schedule {
    /// The epoch due at Unix second `time`: `floor((time − not_before) / period)`, at least 0 and at most 2³² − 1;
    /// 0 without a period.
    pub fn due(&self, time: u64) -> u32 {
        let elapsed = time.saturating_sub(self.not_before);
        elapsed.checked_div(self.period).map_or(0, |epoch| u32::try_from(epoch).unwrap_or(u32::MAX))
    }

    /// Whether `taken` keys are all that an epoch has.
    pub fn is_spent(&self, taken: u64) -> bool {
        self.max_uses != 0 && taken >= self.max_uses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_at_its_bounds() {
        let hourly = Schedule { period: 3600, max_uses: 0, not_before: 1_000 };
        assert_eq!(hourly.due(0), 0);
        assert_eq!(hourly.due(1_000), 0);
        assert_eq!(hourly.due(4_599), 0);
        assert_eq!(hourly.due(4_600), 1);
        assert_eq!(Schedule { period: 1, max_uses: 0, not_before: 0 }.due(u64::MAX), u32::MAX);
        assert_eq!(Schedule { period: 0, max_uses: 0, not_before: 0 }.due(u64::MAX), 0);
    }

    #[test]
    fn an_epoch_is_spent_at_its_bound() {
        let bounded = Schedule { period: 0, max_uses: 2, not_before: 0 };
        assert!(!bounded.is_spent(1));
        assert!(bounded.is_spent(2));
        assert!(!Schedule { max_uses: 0, ..bounded }.is_spent(u64::MAX));
    }
}
