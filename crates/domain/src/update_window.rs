//! When a site has its devices updated.

use crate::time::UnixSeconds;

/// When devices are offered releases: within its range and its daily hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateWindow {
    range: (Option<UnixSeconds>, Option<UnixSeconds>),
    daily: Option<(u16, u16)>,
}

/// Why there is no such window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// It would bound nothing.
    #[error("is empty: it takes a range, daily hours, or both")]
    Empty,
    /// It ends before it begins.
    #[error("ends before it begins")]
    Range,
    /// Not minutes of a day.
    #[error("has daily hours that are not two different minutes of a day, 0 to 1439")]
    Daily,
}

impl UpdateWindow {
    /// From `not_before` on, before `until`, and daily from one minute of the day to another in UTC, which is on the next day where it is the
    /// lesser.
    pub fn new(
        not_before: Option<UnixSeconds>,
        until: Option<UnixSeconds>,
        daily: Option<(u16, u16)>,
    ) -> Result<Self, WindowError> {
        if not_before.is_none() && until.is_none() && daily.is_none() {
            return Err(WindowError::Empty);
        }
        if not_before.zip(until).is_some_and(|(from, until)| until <= from) {
            return Err(WindowError::Range);
        }
        if daily.is_some_and(|(from, until)| from >= DAY || until >= DAY || from == until) {
            return Err(WindowError::Daily);
        }
        Ok(Self { range: (not_before, until), daily })
    }

    /// From when on.
    pub fn not_before(&self) -> Option<UnixSeconds> {
        self.range.0
    }

    /// Before when.
    pub fn until(&self) -> Option<UnixSeconds> {
        self.range.1
    }

    /// Minutes of each day in UTC.
    pub fn daily(&self) -> Option<(u16, u16)> {
        self.daily
    }

    /// Whether it is open then.
    pub fn has(&self, now: UnixSeconds) -> bool {
        let (not_before, until) = self.range;
        let is_in_range = not_before.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until);
        let minute = (now.get() / 60 % u64::from(DAY)) as u16;
        let is_daily = self.daily.is_none_or(|(from, until)| match from < until {
            true => from <= minute && minute < until,
            false => from <= minute || minute < until,
        });
        is_in_range && is_daily
    }
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_open_within_its_range_and_its_hours_over_midnight_too() {
        let at = |day: u64, hour: u64, minute: u64| UnixSeconds::new(((day * 24 + hour) * 60 + minute) * 60);
        let night = UpdateWindow::new(None, None, Some((22 * 60, 4 * 60))).unwrap();
        for (hour, minute, is_open) in
            [(21, 59, false), (22, 0, true), (0, 0, true), (3, 59, true), (4, 0, false)]
        {
            assert_eq!(night.has(at(20_000, hour, minute)), is_open, "{hour}:{minute}");
        }
        let noon =
            UpdateWindow::new(Some(at(10, 12, 0)), Some(at(12, 12, 0)), Some((11 * 60, 13 * 60))).unwrap();
        for (day, hour, is_open) in [
            (10, 11, false),
            (10, 12, true),
            (10, 13, false),
            (11, 11, true),
            (12, 11, true),
            (12, 12, false),
        ] {
            assert_eq!(noon.has(at(day, hour, 0)), is_open, "day {day}, {hour} o'clock");
        }
    }

    #[test]
    fn what_bounds_nothing_or_never_opens_is_refused() {
        let at = |second| Some(UnixSeconds::new(second));
        assert_eq!(UpdateWindow::new(None, None, None), Err(WindowError::Empty));
        assert_eq!(UpdateWindow::new(at(7), at(7), None), Err(WindowError::Range));
        for daily in [(1440, 0), (0, 1440), (5, 5)] {
            assert_eq!(UpdateWindow::new(None, None, Some(daily)), Err(WindowError::Daily));
        }
    }
}
