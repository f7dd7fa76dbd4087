//! What people were warned of: each thing once an hour, for it may be so with every line.

use crate::polled::{Warning, WarningKind};
use std::time::Duration;

/// Warnings, with when each was told last.
#[derive(Default)]
pub(super) struct Told(Vec<(Warning, Duration)>);

impl Told {
    /// Whether `warning` is to be told at `now`; then it counts as told.
    pub(super) fn is_due(&mut self, warning: &Warning, now: Duration) -> bool {
        let same = of_any_number(warning);
        match self.0.iter_mut().find(|(known, _)| *known == same) {
            Some((_, at)) if now.saturating_sub(*at) < AGAIN => false,
            Some((_, at)) => {
                *at = now;
                true
            }
            None => {
                self.0.push((same, now));
                true
            }
        }
    }
}

/// The same of however many records.
fn of_any_number(warning: &Warning) -> Warning {
    let mut same = warning.clone();
    if let WarningKind::LooksLikePatientData { records, .. } = &mut same.what {
        *records = 0;
    }
    same
}

const AGAIN: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_told_once_an_hour() {
        let warning = |field: &str, records| Warning {
            source: "app".parse().unwrap(),
            what: WarningKind::LooksLikePatientData {
                audience: "maker".parse().unwrap(),
                field: field.to_owned(),
                like: "a date of birth",
                records,
            },
        };
        let (mut told, second) = (Told::default(), Duration::from_secs);
        assert!(told.is_due(&warning("text", 1), second(5)));
        assert!(!told.is_due(&warning("text", 9), second(6)));
        assert!(told.is_due(&warning("code", 9), second(6)));
        assert!(!told.is_due(&warning("text", 1), second(3_604)));
        assert!(told.is_due(&warning("text", 1), second(3_605)));
        assert!(!told.is_due(&warning("text", 1), second(3_606)));
    }
}
