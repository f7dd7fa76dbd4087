//! An order on record, and the visits that it makes, one after the other.

use crate::order::{Order, Raw, Status, key};
use crate::report::{Delivery, Report};
use serde::{Deserialize, Serialize};

/// An order on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    /// When it was last changed, in Unix milliseconds.
    pub(super) changed: u64,
    /// The visits, the latest last, at most [`MAX_JOBS`].
    pub(super) jobs: Vec<Job>,
}

/// One visit that an order makes, and the report of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Which one of its order, counted from 0.
    pub(crate) turn: u32,
    /// The key of the visit, which its work order ends with.
    pub(crate) key: String,
    /// It differs where the same order has other fields.
    fingerprint: String,
    pub(crate) raw: Raw,
    pub(crate) wish: Wish,
    pub(crate) state: State,
    pub(crate) report: Option<Report>,
    /// Unix second at which the visit was first seen to be over with all protocols that are awaited.
    pub(crate) complete: Option<u64>,
}

/// What the order wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wish {
    /// A visit.
    Visit,
    /// The end of it: the order was closed.
    Close,
    /// The end of it: the order was canceled.
    Cancel,
    /// The end of it: the order was changed, and a later job has what it is now.
    Change,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Nothing was done.
    New,
    /// The technician may have been invited.
    Inviting,
    /// The technician was, by the visit of this id.
    Invited { visit: String },
    /// The order makes no visit.
    Refused,
    /// The order was closed or canceled before anything was done.
    Dropped,
    /// The visit is over.
    Over { visit: String },
}

impl Wish {
    /// The reason for which the authority ends the visit; none while it is wanted.
    pub(crate) fn end_reason(self) -> Option<&'static str> {
        match self {
            Self::Visit => None,
            Self::Close => Some("the work order is closed"),
            Self::Cancel => Some("the work order is canceled"),
            Self::Change => Some("the work order was changed"),
        }
    }
}

impl Job {
    fn new(id: &str, turn: u32, fingerprint: String, raw: Raw) -> Self {
        let key = key(id, turn, &fingerprint);
        Self {
            turn,
            key,
            fingerprint,
            raw,
            wish: Wish::Visit,
            state: State::New,
            report: None,
            complete: None,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Refused | State::Dropped | State::Over { .. })
            && self.report.as_ref().is_none_or(|report| report.delivery == Delivery::Done)
    }
}

impl Record {
    pub(super) fn new(id: String) -> Self {
        Self { id, changed: 0, jobs: Vec::new() }
    }

    pub(super) fn is_done(&self) -> bool {
        self.jobs.iter().all(Job::is_done)
    }

    /// The record once the order is as it is said to be.
    pub(super) fn take(mut self, order: Order, fingerprint: String) -> Self {
        if order.changed < self.changed {
            return self;
        }
        self.changed = order.changed;
        let latest = self.jobs.last_mut();
        match order.status {
            Status::Dispatched => match latest {
                Some(job) if job.wish == Wish::Visit && job.fingerprint == fingerprint => {}
                _ => self.add(order.raw, fingerprint),
            },
            Status::Closed => latest.into_iter().for_each(|job| job.wish(Wish::Close)),
            Status::Canceled => latest.into_iter().for_each(|job| job.wish(Wish::Cancel)),
        }
        self
    }

    fn add(&mut self, raw: Raw, fingerprint: String) {
        self.jobs.iter_mut().for_each(|job| job.wish(Wish::Change));
        let turn = self.jobs.last().map_or(0, |job| job.turn.saturating_add(1));
        // The oldest that is done makes room. An order that has so many that are not done waits for them.
        if self.jobs.len() >= MAX_JOBS {
            match self.jobs.iter().position(Job::is_done) {
                Some(done) => drop(self.jobs.remove(done)),
                None => return,
            }
        }
        self.jobs.push(Job::new(&self.id, turn, fingerprint, raw));
    }
}

impl Job {
    /// The first wish for the end counts.
    fn wish(&mut self, wish: Wish) {
        if self.wish == Wish::Visit {
            self.wish = wish;
        }
    }
}

/// Visits of one order that are on record.
const MAX_JOBS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn order(changed: u64, status: Status) -> Order {
        Order { id: "a0".into(), changed, status, raw: Raw::default() }
    }

    fn wishes(record: &Record) -> Vec<Wish> {
        record.jobs.iter().map(|job| job.wish).collect()
    }

    #[test]
    fn an_order_makes_one_visit_until_it_is_changed_or_dispatched_again() {
        let record = Record::new("a0".into()).take(order(1, Status::Dispatched), "f".into());
        assert_eq!(wishes(&record), [Wish::Visit]);
        let again = record.clone().take(order(2, Status::Dispatched), "f".into());
        assert_eq!(wishes(&again), [Wish::Visit]);
        let changed = again.take(order(3, Status::Dispatched), "g".into());
        assert_eq!(wishes(&changed), [Wish::Change, Wish::Visit]);
        let canceled = changed.take(order(4, Status::Canceled), "g".into());
        assert_eq!(wishes(&canceled), [Wish::Change, Wish::Cancel]);
        // What was said before and comes late.
        assert_eq!(canceled.clone().take(order(3, Status::Dispatched), "g".into()), canceled);
        let closed = canceled.take(order(5, Status::Closed), "g".into());
        assert_eq!(wishes(&closed), [Wish::Change, Wish::Cancel]);
        let back = closed.take(order(6, Status::Dispatched), "g".into());
        assert_eq!(wishes(&back), [Wish::Change, Wish::Cancel, Wish::Visit]);
        let mut keys: Vec<_> = back.jobs.iter().map(|job| job.key.clone()).collect();
        keys.dedup();
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn an_order_that_changes_without_end_is_bounded() {
        let mut record = Record::new("a0".into());
        for at in 0..40 {
            record = record.take(order(at, Status::Dispatched), at.to_string());
        }
        assert_eq!(record.jobs.len(), MAX_JOBS);
        record.jobs.iter_mut().for_each(|job| job.state = State::Dropped);
        record = record.take(order(40, Status::Dispatched), "x".into());
        assert_eq!((record.jobs.len(), record.jobs.last().map(|job| job.turn)), (MAX_JOBS, Some(16)));
    }
}
