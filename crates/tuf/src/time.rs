//! Moments as TUF writes them: RFC 3339 in UTC, whole seconds, `2030-01-31T23:59:59Z`.

use wardein_domain::UnixSeconds;

/// The last moment that can be written: the end of the year 9999.
const LAST: u64 = 253_402_300_799;

/// The moment in that form, at most the end of the year 9999.
pub fn format_utc(moment: UnixSeconds) -> String {
    let seconds = moment.get().min(LAST);
    let (year, month, day) = civil(seconds / DAY);
    let time = seconds % DAY;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time / 3600, time / 60 % 60, time % 60)
}

/// The moment that `text` is, from 1970 on; `None` for any other form. A leap second is not one.
pub fn parse_utc(text: &str) -> Option<UnixSeconds> {
    let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
    let number = |from: usize, length: usize| {
        let digits = &bytes[from..from + length];
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if separators.into_iter().any(|(at, separator)| bytes[at] != separator) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    if year < 1970 || hour > 23 || minute > 59 || second > 59 || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let days = days_before(year, month) + day - 1;
    // A day that the month does not have comes back as one of the next.
    (civil(days) == (year, month, day))
        .then(|| UnixSeconds::new(days * DAY + hour * 3600 + minute * 60 + second))
}

const DAY: u64 = 86_400;

/// The days from 1970-01-01 to the first of that month.
fn days_before(year: u64, month: u64) -> u64 {
    let whole = year - 1;
    let leap_days = whole / 4 - whole / 100 + whole / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let mut days = (year - 1970) * 365 + leap_days;
    for before in 1..month {
        days += days_in(year, before);
    }
    days
}

fn days_in(year: u64, month: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of the day that is so many after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // No year is shorter than 365 days nor longer than 366: from below it is a step or a few to the right one.
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 12;
    while days_before(year, month) > days {
        month -= 1;
    }
    (year, month, days - days_before(year, month) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        // As `date -u -d @N +%FT%TZ` says.
        let known = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_796_083_627, "2026-12-01T00:07:07Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ];
        for (seconds, text) in known {
            assert_eq!(format_utc(UnixSeconds::new(seconds)), text);
            assert_eq!(parse_utc(text), Some(UnixSeconds::new(seconds)), "{text}");
        }
        assert_eq!(format_utc(UnixSeconds::new(u64::MAX)), "9999-12-31T23:59:59Z");
        // Every day, at a second that differs.
        for day in 0..LAST / DAY {
            let moment = UnixSeconds::new(day * DAY + day % DAY);
            assert_eq!(parse_utc(&format_utc(moment)), Some(moment));
        }
    }

    #[test]
    fn any_other_form_is_refused() {
        for bad in [
            "",
            "2030-01-31T23:59:59",
            "2030-01-31t23:59:59Z",
            "2030-01-31 23:59:59Z",
            "2030-01-31T23:59:59+00:00",
            "2030-01-31T23:59:60Z",
            "2030-01-31T24:00:00Z",
            "2030-01-31T23:60:00Z",
            "2030-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2030-04-31T00:00:00Z",
            "2030-00-01T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-01-00T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2030-01-31T23:59:5\u{e9}",
            "+030-01-31T23:59:59Z",
            "2030-01-31T23:59:59.5Z",
            "20300-01-31T23:59:59Z",
        ] {
            assert_eq!(parse_utc(bad), None, "{bad}");
        }
    }
}
