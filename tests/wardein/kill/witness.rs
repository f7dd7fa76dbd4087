//! What was asked of the server, and what it acknowledged.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use wardein_client::{Refusal, v1};
use wardein_device::CallError;

/// It is outside the server, and does not die with it.
#[derive(Default)]
pub(crate) struct Witness(RefCell<Notes>);

#[derive(Default)]
struct Notes {
    deeds: BTreeMap<Deed, Count>,
    /// The next entry of the audit log to be looked at.
    next: u64,
    serials: HashSet<String>,
    steps: u64,
}

/// Event and target, as the audit log has them.
type Deed = (String, String);

#[derive(Debug, Default)]
struct Count {
    /// Asked, and neither acknowledged nor refused.
    unknown: u64,
    acknowledged: u64,
    on_record: u64,
}

/// Why a call failed: the server refused it, or nobody knows.
pub(crate) trait Failed {
    fn refused(&self) -> Option<&str>;
}

impl Failed for Refusal {
    fn refused(&self) -> Option<&str> {
        (self.code != Self::TRANSPORT && !self.may_retry()).then_some(&self.code)
    }
}

impl Failed for CallError {
    fn refused(&self) -> Option<&str> {
        match self {
            Self::Refused(refused) => Some(&refused.code),
            Self::Unreachable(_) => None,
            other => unreachable!("{other:?}"),
        }
    }
}

impl Witness {
    /// Notes a deed of one entry, asks for it, and notes the answer; none where the server died.
    pub(crate) async fn ask<T, E: Failed>(
        &self,
        event: &str,
        target: &str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        self.ask_for(event, target, 1, call).await
    }

    /// A deed with an entry for each of several targets.
    pub(crate) async fn ask_all<T, E: Failed>(
        &self,
        event: &str,
        targets: &[String],
        call: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        let (first, others) = targets.split_first().expect("a deed has a target");
        for target in others {
            self.count(event, target, |count| count.unknown += 1);
        }
        let answer = self.ask(event, first, call).await?;
        for target in others {
            self.count(event, target, |count| {
                count.unknown -= 1;
                count.acknowledged += 1;
            });
        }
        Some(answer)
    }

    /// What is asked may have this on record of each target for the last of so many times, however often it is asked.
    pub(crate) fn at_most(&self, event: &str, targets: &[String], times: usize) {
        for target in targets {
            self.count(event, target, |count| count.unknown = times as u64 - count.acknowledged);
        }
    }

    /// What was asked is acknowledged, and has it so many times.
    pub(crate) fn exactly(&self, event: &str, targets: &[String], times: usize) {
        for target in targets {
            self.count(event, target, |count| (count.unknown, count.acknowledged) = (0, times as u64));
        }
    }

    /// A deed of several entries.
    pub(crate) async fn ask_for<T, E: Failed>(
        &self,
        event: &str,
        target: &str,
        entries: u64,
        call: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        self.count(event, target, |count| count.unknown += entries);
        let answer = call.await;
        if let Err(Some(code)) = answer.as_ref().map_err(Failed::refused) {
            unreachable!("{event} of {target} was refused: {code}");
        }
        let answer = answer.ok()?;
        self.count(event, target, |count| {
            count.unknown -= entries;
            count.acknowledged += entries;
        });
        Some(answer)
    }

    fn count<T>(&self, event: &str, target: &str, change: impl FnOnce(&mut Count) -> T) -> T {
        let deed = (event.to_owned(), target.to_owned());
        change(self.0.borrow_mut().deeds.entry(deed).or_default())
    }

    /// Where the audit log goes on that was not looked at.
    pub(crate) fn next(&self) -> u64 {
        self.0.borrow().next
    }

    /// Takes in an entry of the audit log, which must be the next one, and of something that was asked.
    pub(crate) fn read(&self, entry: &v1::AuditEntry) {
        let mut notes = self.0.borrow_mut();
        if notes.next > 0 {
            assert_eq!(entry.sequence, notes.next, "the log has no gaps");
        }
        notes.next = entry.sequence + 1;
        let serial = match entry.event.as_str() {
            "certificate.issue" => {
                entry.fields.iter().find(|field| field.name == "serial").map(|field| &field.value)
            }
            "operator.issue" => Some(&entry.target),
            _ => None,
        };
        if let Some(serial) = serial {
            let serial = serial.trim_start_matches("operator/").to_owned();
            assert!(notes.serials.insert(serial.clone()), "the serial {serial} was given twice");
        }
        assert_ne!(entry.event, "device.clone-suspected", "an honest device is taken for a clone: {entry:?}");
        let target = match entry.event.as_str() {
            "operator.issue" => &entry.tenant,
            _ => &entry.target,
        };
        if let Some(count) = notes.deeds.get_mut(&(entry.event.clone(), target.clone()))
            && entry.actor != "system"
        {
            assert_eq!(entry.outcome, "ok", "{entry:?}");
            count.on_record += 1;
            return;
        }
        match entry.event.as_str() {
            "authority.found"
            | "authority.start"
            | "authority.certify-server"
            | "ocsp-signer.certify"
            | "verdict-keys.change"
            | "audit.read"
            | "call.refuse"
            // More than sixty within a minute, where the rounds are quick.
            | "call.refuse-further" => {}
            // Steps of deeds, and what a start does by itself.
            "key.rotate-storage" | "key.drop-storage" | "key.sweep" => notes.steps += 1,
            _ => unreachable!("nobody asked for this: {entry:?}"),
        }
    }

    /// Every deed that was acknowledged has its entry, and every entry is of a deed that was asked.
    pub(crate) fn compare(&self) {
        for ((event, target), count) in &self.0.borrow().deeds {
            let Count { unknown, acknowledged, on_record } = count;
            // A shredding that changes keys adds entries to those of a change that was asked for.
            let most = if event == "key.rotate-storage" { u64::MAX } else { acknowledged + unknown };
            assert!((*acknowledged..=most).contains(on_record), "{event} of {target}: {count:?}");
        }
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.0.borrow().deeds.values().map(|count| count.acknowledged).sum()
    }

    pub(crate) fn summary(&self) -> String {
        let notes = self.0.borrow();
        let mut events: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
        for ((event, _), count) in &notes.deeds {
            let sum = events.entry(event).or_default();
            *sum = (sum.0 + count.acknowledged, sum.1 + count.unknown, sum.2 + count.on_record);
        }
        let mut text = format!(
            "{} certificates with serials of their own; {} steps of deeds",
            notes.serials.len(),
            notes.steps
        );
        for (event, (acknowledged, unknown, on_record)) in events {
            write!(
                text,
                "\n  {event}: {acknowledged} entries acknowledged, {unknown} in flight, {on_record} on record"
            )
            .unwrap();
        }
        text
    }
}
