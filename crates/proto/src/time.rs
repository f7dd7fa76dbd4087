//! Times and spans on the wire, and as the numbers that Wardein counts in.
//!
//! A program that answers writes them with [`at`], [`at_ms`] and [`span`]. One that is asked judges them with [`whole_ms`] and
//! [`whole_seconds`]; one that reads an answer, which it cannot change, takes what there is with [`seconds`], [`ms`] and
//! [`span_seconds`].

use prost_types::{Duration, Timestamp};

/// The last second that a `Timestamp` can say, at the end of the year 9999 (`google/protobuf/timestamp.proto`).
const LAST: u64 = 253_402_300_799;

/// A Unix second. One after the year 9999 is the last of it.
pub fn at(seconds: u64) -> Option<Timestamp> {
    at_ms(seconds.min(LAST).saturating_mul(1000))
}

/// A Unix second; none for 0, which says that there is none.
pub fn at_unless_0(seconds: u64) -> Option<Timestamp> {
    if seconds == 0 { None } else { at(seconds) }
}

/// A Unix second that somebody else wrote; none where it is after the year 9999.
pub fn at_if_it_is_one(seconds: u64) -> Option<Timestamp> {
    if seconds > LAST { None } else { at(seconds) }
}

/// A Unix millisecond. One after the year 9999 is within the last second of it.
pub fn at_ms(ms: u64) -> Option<Timestamp> {
    let ms = ms.min(LAST * 1000 + 999);
    // Below 10^12, and below 10^9.
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(ms % 1000 * 1_000_000).unwrap_or(0);
    Some(Timestamp { seconds, nanos })
}

/// The Unix millisecond of a time in an answer; 0 where it is unset or before 1970.
pub fn ms(time: Option<Timestamp>) -> u64 {
    time.and_then(|time| whole_ms(&time).ok()).unwrap_or(0)
}

/// The Unix second likewise.
pub fn seconds(time: Option<Timestamp>) -> u64 {
    ms(time) / 1000
}

/// The Unix millisecond of a time in a request; what is below a millisecond is dropped. The error says what is wrong with it.
pub fn whole_ms(time: &Timestamp) -> Result<u64, &'static str> {
    let seconds = u64::try_from(time.seconds).map_err(|_| "is before 1970")?;
    let nanos = u64::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let nanos = nanos.ok_or("has nanos that are not from 0 to 999,999,999")?;
    if seconds > LAST {
        return Err("is after the year 9999");
    }
    Ok(seconds * 1000 + nanos / 1_000_000)
}

/// A span of so many seconds. One of more than 10,000 years is cut to that (`google/protobuf/duration.proto`).
pub fn span(seconds: u64) -> Option<Duration> {
    Some(Duration { seconds: i64::try_from(seconds.min(LONGEST)).unwrap_or(i64::MAX), nanos: 0 })
}

/// The seconds of a span in an answer; 0 where it is unset or negative.
pub fn span_seconds(span: Option<Duration>) -> u64 {
    span.and_then(|span| u64::try_from(span.seconds).ok()).unwrap_or(0)
}

/// The seconds of a span in a request. The error says what is wrong with it.
pub fn whole_seconds(span: &Duration) -> Result<u64, &'static str> {
    match (u64::try_from(span.seconds), span.nanos) {
        (Ok(seconds), 0) if seconds <= LONGEST => Ok(seconds),
        (Ok(_), 0) => Err("is longer than 10,000 years"),
        (Err(_), _) => Err("is negative"),
        (Ok(_), _) => Err("takes whole seconds"),
    }
}

const LONGEST: u64 = 315_576_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_and_those_out_of_range_are_named() {
        for ms in [0, 1, 999, 1_000, 1_795_811_696_123, LAST * 1000 + 999] {
            assert_eq!(whole_ms(&at_ms(ms).unwrap()), Ok(ms));
        }
        assert_eq!(at(u64::MAX), at(LAST));
        assert_eq!((at_unless_0(0), at_if_it_is_one(LAST + 1)), (None, None));
        assert_eq!(at_if_it_is_one(LAST), at(LAST));
        let time = |seconds, nanos| whole_ms(&Timestamp { seconds, nanos });
        assert_eq!(time(1, 999_999_999), Ok(1_999));
        assert_eq!(time(-1, 0), Err("is before 1970"));
        assert_eq!(time(253_402_300_800, 0), Err("is after the year 9999"));
        for nanos in [-1, 1_000_000_000] {
            assert!(time(1, nanos).unwrap_err().starts_with("has nanos"));
        }
        assert_eq!((seconds(None), ms(Some(Timestamp { seconds: -1, nanos: 0 }))), (0, 0));
    }

    #[test]
    fn spans_come_back_and_those_out_of_range_are_named() {
        for seconds in [0, 1, LONGEST] {
            assert_eq!(whole_seconds(&span(seconds).unwrap()), Ok(seconds));
        }
        let given = |seconds, nanos| whole_seconds(&Duration { seconds, nanos });
        assert_eq!(given(-1, 0), Err("is negative"));
        assert_eq!(given(0, 1), Err("takes whole seconds"));
        assert_eq!(given(0, -1), Err("takes whole seconds"));
        assert_eq!(given(315_576_000_001, 0), Err("is longer than 10,000 years"));
        assert_eq!(span_seconds(Some(Duration { seconds: -5, nanos: 0 })), 0);
    }
}
