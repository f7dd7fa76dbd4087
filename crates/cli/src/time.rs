//! Times and durations as people write and read them.

use std::time::{Duration, UNIX_EPOCH};

/// Seconds of a text such as `30d`, `12h` or `1d 6h`.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let duration =
        humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 30d, 12h or 90m"))?;
    if duration.subsec_nanos() != 0 {
        return Err("whole seconds are the least that counts".to_owned());
    }
    Ok(duration.as_secs())
}

/// The Unix second of a text such as `2026-11-29T08:00:00Z`, or of a day's beginning in UTC, such as `2026-11-29`.
pub(crate) fn moment(text: &str) -> Result<u64, String> {
    let whole = if text.len() == "2026-11-29".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let moment = humantime::parse_rfc3339(&whole)
        .map_err(|error| format!("{error}; write it in UTC as 2026-11-29T08:00:00Z or 2026-11-29"))?;
    let since = moment.duration_since(UNIX_EPOCH).map_err(|_| "times begin in 1970".to_owned())?;
    Ok(since.as_secs())
}

/// The Unix second of a text such as [`moment`] takes, or of one that says how long ago it was, such as `24h`.
pub(crate) fn past(text: &str) -> Result<u64, String> {
    match seconds(text) {
        Ok(ago) => Ok(wardein_client::unix_now().saturating_sub(ago)),
        Err(_) => moment(text).map_err(|error| format!("{error}, or as 24h for so long ago")),
    }
}

/// A Unix second as RFC 3339 in UTC; nothing for 0, which stands for none.
pub fn at(second: u64) -> String {
    at_ms(second.saturating_mul(1000))
}

/// A Unix millisecond likewise, to the second.
pub(crate) fn at_ms(millisecond: u64) -> String {
    // humantime writes years up to 9999.
    const LAST: u64 = 253_402_300_799_000;
    match millisecond {
        0 => String::new(),
        _ => humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(millisecond.min(LAST)))
            .to_string(),
    }
}

/// Seconds as people say them, such as `1day`; `none` for 0.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0 => "none".to_owned(),
        _ => humantime::format_duration(Duration::from_secs(seconds)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_times_at_their_bounds() {
        assert_eq!(seconds("30d"), Ok(30 * 86_400));
        assert!(seconds("30").is_err());
        assert!(seconds("1500ms").is_err());
        assert_eq!(at(0), "");
        assert_eq!(at(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(at(u64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(span(86_400), "1day");
        assert_eq!(moment("2023-11-14T22:13:20Z"), Ok(1_700_000_000));
        assert_eq!(moment("1970-01-02"), Ok(86_400));
        for text in
            ["", "yesterday", "2023-11-14 22:13:20", "2023-11-14T22:13:20+01:00", "1969-12-31", "2026-13-01"]
        {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
