//! How devices fared, each alone and all together.

use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};
use wardein_device::Vouched;
use wardein_domain::DeviceId;

/// How it went with one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Where it came from.
    pub line: Origin,
    /// Its id; empty where it had not said it.
    pub device_id: String,
    /// How it ended.
    pub result: Fate,
    /// The generation that was agreed on; 0 for a device that signs, and where none was.
    pub generation: u64,
    /// How surely the key of a device that signs is in its TPM; empty for one that derives keys.
    pub assurance: String,
    /// The stable code of a failure, where it has one.
    pub code: String,
    /// What was wrong, or is left to do.
    pub message: String,
    /// The unique device identifier that the factory vouches for; empty where there is none.
    pub udi: String,
    /// The maker's name of the model that the factory vouches for; empty where there is none.
    pub model: String,
    /// SHA-256 of the SubjectPublicKeyInfo of the key of a device that signs, in hex; empty for one that derives keys.
    pub key_id: String,
    /// When it ended, by the station's clock, in Unix seconds.
    pub time: u64,
}

/// Where a device came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum Origin {
    /// The line of a batch's file, from 1.
    Row(u64),
    /// The line that the device is at the other end of.
    Line(String),
}

/// How it ended with one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It has its keys, and the authority knows.
    Enrolled,
    /// It has its keys since an earlier time.
    AlreadyEnrolled,
    /// It has its keys, and sends its confirmation again by itself.
    Unconfirmed,
    /// It has none.
    Failed,
}

/// Who was enrolled and who was not: each device once, however often it came.
#[derive(Debug)]
pub struct Tally<'a> {
    /// They have their keys.
    pub enrolled: BTreeSet<&'a str>,
    /// They failed, and did not come again.
    pub failed: BTreeSet<&'a str>,
    /// Of the list, and not enrolled. Those of them that failed are in both sets.
    pub missing: BTreeSet<&'a str>,
    /// Failures of lines, and of devices that had not said who they are: each may be of a device that is counted already.
    pub unnamed: usize,
}

impl Outcome {
    /// One in which nothing is said but how it ended.
    pub(crate) fn new(line: Origin, device_id: impl fmt::Display, result: Fate) -> Self {
        Self {
            line,
            device_id: device_id.to_string(),
            result,
            generation: 0,
            assurance: String::new(),
            code: String::new(),
            message: String::new(),
            udi: String::new(),
            model: String::new(),
            key_id: String::new(),
            time: now(),
        }
    }

    /// The same with what the factory vouches for.
    pub(crate) fn of(self, vouched: &Vouched) -> Self {
        let Vouched { udi, model, .. } = vouched.clone();
        Self { udi: udi.unwrap_or_default(), model: model.unwrap_or_default(), ..self }
    }

    /// What there is to say of a device whose confirmation did not arrive.
    pub(crate) const CONFIRMS_AGAIN: &str = "the device sends its confirmation again by itself";

    pub(crate) fn unconfirmed(line: Origin, device_id: impl fmt::Display) -> Self {
        let message = Self::CONFIRMS_AGAIN.to_owned();
        Self { message, ..Self::new(line, device_id, Fate::Unconfirmed) }
    }

    /// Whether the device has no keys.
    pub fn has_failed(&self) -> bool {
        self.result == Fate::Failed
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(number) => write!(f, "{number}"),
            Self::Line(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enrolled => "enrolled",
            Self::AlreadyEnrolled => "already-enrolled",
            Self::Unconfirmed => "unconfirmed",
            Self::Failed => "failed",
        })
    }
}

impl<'a> Tally<'a> {
    /// Counts, given the devices that were expected.
    pub fn of(expected: impl IntoIterator<Item = &'a DeviceId>, outcomes: &'a [Outcome]) -> Self {
        let devices = |has_failed: bool| {
            let outcomes = outcomes.iter().filter(move |outcome| outcome.has_failed() == has_failed);
            outcomes.map(|outcome| outcome.device_id.as_str())
        };
        let enrolled: BTreeSet<_> = devices(false).collect();
        let is_left = |device: &&str| !device.is_empty() && !enrolled.contains(device);
        Self {
            failed: devices(true).filter(is_left).collect(),
            missing: expected.into_iter().map(DeviceId::as_str).filter(is_left).collect(),
            unnamed: devices(true).filter(|device| device.is_empty()).count(),
            enrolled,
        }
    }

    /// How many failures there were.
    pub fn failures(&self) -> usize {
        self.failed.len() + self.unnamed
    }

    /// Of the list, and never there.
    pub fn absent(&self) -> usize {
        self.missing.difference(&self.failed).count()
    }

    /// Devices that were not enrolled.
    pub fn left(&self) -> usize {
        self.failed.union(&self.missing).count()
    }
}

#[expect(clippy::disallowed_methods, reason = "a station's wall clock is its own, and decides nothing")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = "failed";

    fn outcome(device: &str, result: &str) -> Outcome {
        let result = match result {
            "enrolled" => Fate::Enrolled,
            "unconfirmed" => Fate::Unconfirmed,
            _ => Fate::Failed,
        };
        Outcome::new(Origin::Line("-".to_owned()), device, result)
    }

    /// Enrolled, failures, of the list and never there, and not enrolled.
    fn counts(listed: &[&str], outcomes: &[(&str, &str)]) -> (usize, usize, usize, usize) {
        let listed: Vec<DeviceId> = listed.iter().map(|device| device.parse().unwrap()).collect();
        let outcomes: Vec<_> = outcomes.iter().map(|&(device, result)| outcome(device, result)).collect();
        let tally = Tally::of(&listed, &outcomes);
        (tally.enrolled.len(), tally.failures(), tally.absent(), tally.left())
    }

    #[test]
    fn a_device_is_counted_once() {
        let (one, two) = (&["pump-1"][..], &["pump-1", "pump-2"][..]);
        assert_eq!(counts(one, &[("pump-1", FAILED)]), (0, 1, 0, 1));
        assert_eq!(counts(one, &[("pump-1", FAILED), ("pump-1", FAILED)]), (0, 1, 0, 1));
        assert_eq!(counts(one, &[("pump-1", FAILED), ("pump-1", "enrolled")]), (1, 0, 0, 0));
        assert_eq!(counts(one, &[("pump-1", "unconfirmed"), ("pump-1", "enrolled")]), (1, 0, 0, 0));
        assert_eq!(counts(two, &[("pump-1", FAILED)]), (0, 1, 1, 2));
        assert_eq!(counts(two, &[("pump-9", FAILED)]), (0, 1, 2, 3), "one that is not of the list");
        assert_eq!(counts(&[], &[("pump-1", FAILED), ("pump-2", "enrolled")]), (1, 1, 0, 1), "no list");
        assert_eq!(counts(one, &[("", FAILED)]), (0, 1, 1, 1), "a line that was lost is no device");
    }

    #[test]
    fn a_script_reads_the_word_that_a_person_does() {
        let all = [Fate::Enrolled, Fate::AlreadyEnrolled, Fate::Unconfirmed, Fate::Failed];
        for fate in all {
            assert_eq!(serde_json::to_value(fate).unwrap(), fate.to_string());
        }
        let outcome = Outcome::unconfirmed(Origin::Row(3), "pump-1");
        assert_eq!(serde_json::to_value(&outcome).unwrap()["line"], 3);
    }
}
