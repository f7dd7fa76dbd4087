//! Moments as text: RFC 3339, and the form of Salesforce, whose offset has no colon.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// Unix milliseconds of a text in either form; none if it is in neither, or before 1970.
pub(crate) fn parse(text: &str) -> Option<u64> {
    if text.len() > MAX_LEN {
        return None;
    }
    let salesforce = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3][offset_hour sign:mandatory][offset_minute]"
    );
    let moment =
        OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(text, salesforce)).ok()?;
    u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

/// A Unix second in RFC 3339; `unknown` where it is beyond the year 9999.
pub(crate) fn of_second(second: u64) -> String {
    of_ms(second.saturating_mul(1000), false)
}

/// Unix milliseconds as SOQL has them (`2026-11-30T16:03:38.000Z`).
pub(crate) fn soql(ms: u64) -> String {
    of_ms(ms, true)
}

fn of_ms(ms: u64, with_ms: bool) -> String {
    let nanos = i128::from(ms) * 1_000_000;
    let Ok(moment) = OffsetDateTime::from_unix_timestamp_nanos(nanos) else { return "unknown".to_owned() };
    let moment = moment.to_offset(UtcOffset::UTC);
    let text = match with_ms {
        true => moment.format(format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        )),
        false => moment.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z")),
    };
    text.unwrap_or_else(|_| "unknown".to_owned())
}

const MAX_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        for text in
            ["2026-11-30T16:03:38.250+0000", "2026-11-30T17:03:38.250+01:00", "2026-11-30T16:03:38.25Z"]
        {
            assert_eq!(parse(text), Some(1_796_054_618_250), "{text}");
        }
        let long = format!("2026-11-30T16:03:38.{}Z", "0".repeat(64));
        for bad in ["", "now", "2026-11-30", "2026-11-30T16:03:38", "1969-12-31T23:59:59Z", &long] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_moment_is_written_as_it_is_read() {
        assert_eq!(soql(1_796_054_618_250), "2026-11-30T16:03:38.250Z");
        assert_eq!(of_second(1_796_054_618), "2026-11-30T16:03:38Z");
        assert_eq!(of_second(u64::MAX), "unknown");
    }
}
