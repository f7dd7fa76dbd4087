//! What is done with orders: a round takes in what changed, and brings each visit one step further.

use crate::authority::{Authority, Invitation};
use crate::config::{Config, Source};
use crate::error::Error;
use crate::journal::{Cursor, Job, JobName, Journal, State, Wish};
use crate::order::Order;
use crate::outgoing::Outgoing;
use crate::report::{Delivery, Report, VisitReport, What};
use crate::salesforce::{Salesforce, Written};
use wardein_client::{unix_now, v1};

/// Takes orders, and sees to their visits.
pub struct Desk {
    pub(crate) config: Config,
    pub(crate) journal: Journal,
    authority: Authority,
    other: Other,
}

/// The system that orders come from.
enum Other {
    Salesforce(Box<Salesforce>),
    Webhook(Outgoing),
}

impl Desk {
    /// Opens the state, reads keys and secrets, and reaches the authority. Nothing is asked of the service system yet.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let now = unix_now();
        let journal = Journal::open(&config.state, now.saturating_sub(KEPT) * 1000)?;
        if journal.cursor() == Cursor::default() {
            // What was dispatched long before the first start is not to be reported as refused.
            journal.move_to(Cursor { changed: now.saturating_sub(FIRST) * 1000, id: String::new() })?;
        }
        let other = match &config.source {
            Source::Salesforce(of) => Other::Salesforce(Box::new(Salesforce::new((**of).clone())?)),
            Source::Webhook(of) => Other::Webhook(Outgoing::new(of)?),
        };
        let authority = Authority::connect(&config.identity, &config.endpoint).await?;
        Ok(Self { config, journal, authority, other })
    }

    /// One round: what changed is taken in, and each visit brought further. What fails is done again in the next round; one side
    /// that is not reached keeps the other from nothing.
    pub async fn round(&self) -> Result<(), Error> {
        let read = match &self.other {
            Other::Salesforce(salesforce) => self.read(salesforce).await,
            Other::Webhook(_) => Ok(()),
        };
        let mut worked = Ok(());
        for name in self.journal.open_jobs() {
            if worked.is_ok() {
                worked = self.visit(&name).await;
            }
        }
        let mut delivered = Ok(());
        for name in self.journal.open_jobs() {
            if delivered.is_ok() {
                delivered = self.deliver(&name).await;
            }
        }
        read.and(worked).and(delivered)
    }

    async fn read(&self, salesforce: &Salesforce) -> Result<(), Error> {
        let after = self.journal.cursor();
        let take = |orders: Vec<Order>, reached: Option<Cursor>| {
            for order in orders {
                self.take(order)?;
            }
            match reached {
                // What is read again is before the cursor.
                Some(reached) if reached.changed >= self.journal.cursor().changed => {
                    self.journal.move_to(reached)
                }
                _ => Ok(()),
            }
        };
        salesforce.read_orders(&after, take).await
    }

    /// Takes an order in, durably.
    pub(crate) fn take(&self, order: Order) -> Result<(), Error> {
        let fingerprint = order.raw.fingerprint(&self.config);
        self.journal.take(order, fingerprint)
    }

    /// Brings a visit one step further.
    async fn visit(&self, name: &JobName) -> Result<(), Error> {
        let Some(job) = self.journal.job(name) else { return Ok(()) };
        match &job.state {
            State::New if job.wish != Wish::Visit => {
                self.journal.update(name, |job| job.state = State::Dropped)
            }
            State::New | State::Inviting => self.invite(name, &job).await,
            State::Invited { visit } => self.follow(name, &job, visit).await,
            State::Refused | State::Dropped | State::Over { .. } => Ok(()),
        }
    }

    async fn invite(&self, name: &JobName, job: &Job) -> Result<(), Error> {
        let refuse = |code: String, message: String| {
            tracing::warn!(order = name.order, code, message, "the order makes no visit");
            let report = Report::new(job.key.clone(), What::Refused { code, message });
            self.journal.update(name, |job| (job.state, job.report) = (State::Refused, Some(report)))
        };
        let terms = match job.raw.terms(&self.config, &job.key, unix_now()) {
            Ok(terms) => terms,
            Err(defect) => return refuse(defect.code().to_owned(), defect.to_string()),
        };
        let is_unsure = job.state == State::Inviting;
        if !is_unsure {
            // Before it is asked for: after a crash it is looked for.
            self.journal.update(name, |job| job.state = State::Inviting)?;
        }
        match self.authority.invite(&terms, is_unsure).await? {
            Invitation::Made(visit) => {
                tracing::info!(order = name.order, visit, work_order = %terms.work_order, "the technician is invited");
                self.journal.update(name, |job| job.state = State::Invited { visit })
            }
            Invitation::Refused { code, message } => refuse(code, message),
            Invitation::Waits => {
                tracing::info!(
                    order = name.order,
                    "the invitation waits for a second person (wardein approval list)"
                );
                Ok(())
            }
        }
    }

    /// Ends a visit that is not wanted any more, and makes the report of one that is over.
    async fn follow(&self, name: &JobName, job: &Job, visit: &str) -> Result<(), Error> {
        if let Some(reason) = job.wish.end_reason() {
            self.authority.end(visit, reason).await?;
        }
        let Some(seen) = self.authority.visit(visit).await? else {
            tracing::warn!(
                order = name.order,
                visit,
                "the authority has no such visit; was it restored from a backup?"
            );
            return self.journal.update(name, |job| job.state = State::Over { visit: visit.to_owned() });
        };
        let is_over = matches!(seen.state(), v1::VisitState::Ended | v1::VisitState::Over);
        if !is_over || !seen.awaited_protocols.is_empty() {
            return match job.complete {
                Some(_) => self.journal.update(name, |job| job.complete = None),
                None => Ok(()),
            };
        }
        let now = unix_now();
        let complete = job.complete.unwrap_or(now);
        // A device may have a second session to report. A visit that let nobody in has none.
        let is_settled = seen.protocols.is_empty() || now.saturating_sub(complete) >= self.config.settle;
        self.journal.update(name, |job| {
            job.complete = Some(complete);
            if is_settled {
                job.state = State::Over { visit: visit.to_owned() };
                // Nobody came, and nobody is to: there is nothing to say.
                if job.wish == Wish::Visit
                    || job.wish == Wish::Close
                    || !seen.protocols.is_empty()
                    || seen.closing.is_some()
                {
                    job.report =
                        Some(Report::new(job.key.clone(), What::Visit(Box::new(VisitReport::of(&seen)))));
                }
            }
        })
    }

    /// Delivers the report of an order to the other system, once.
    async fn deliver(&self, name: &JobName) -> Result<(), Error> {
        let Some(report) = self.journal.job(name).and_then(|job| job.report) else { return Ok(()) };
        if report.delivery == Delivery::Done || unix_now() < report.next {
            return Ok(());
        }
        let written = match self.has_arrived(name, &report).await {
            Ok(true) => Ok(Written::Done),
            Ok(false) => self.write(name, &report).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(written) => {
                if written == Written::Gone {
                    tracing::warn!(
                        order = name.order,
                        "the order is gone; what came of it is written nowhere"
                    );
                }
                self.journal.update(name, |job| set(job, |report| report.delivery = Delivery::Done))
            }
            // This order's own: others go on.
            Err(error @ Error::Answered { status: 400..=499, .. }) => {
                tracing::warn!(order = name.order, %error, "what came of the order was not taken; trying again later");
                let next = unix_now().saturating_add(pause(report.failures));
                self.journal.update(name, |job| {
                    set(job, |report| {
                        (report.next, report.failures) = (next, report.failures.saturating_add(1))
                    });
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a report that was begun before a crash arrived.
    async fn has_arrived(&self, name: &JobName, report: &Report) -> Result<bool, Error> {
        match &self.other {
            Other::Salesforce(salesforce) if report.delivery == Delivery::Begun => {
                salesforce.is_written(&name.order, report).await
            }
            _ => Ok(false),
        }
    }

    async fn write(&self, name: &JobName, report: &Report) -> Result<Written, Error> {
        self.journal.update(name, |job| set(job, |report| report.delivery = Delivery::Begun))?;
        match &self.other {
            Other::Salesforce(salesforce) => {
                let all = self.journal.jobs(&name.order).into_iter().filter_map(|job| job.report);
                salesforce.write(&name.order, report, &all.collect::<Vec<_>>()).await
            }
            Other::Webhook(outgoing) => outgoing.send(&name.order, report).await.map(|()| Written::Done),
        }
    }
}

fn set(job: &mut Job, change: impl FnOnce(&mut Report)) {
    if let Some(report) = &mut job.report {
        change(report);
    }
}

/// Seconds until what was refused is tried again: a minute, doubled up to an hour.
fn pause(failures: u32) -> u64 {
    (60_u64 << failures.min(6)).min(3_600)
}

/// Seconds for which an order is kept that is done: as long as the authority keeps its visit.
const KEPT: u64 = 400 * 86_400;

/// Seconds before the first start from which orders are taken.
const FIRST: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_tried_again_ever_more_rarely() {
        let pauses: Vec<u64> = [0, 1, 5, 6, 7, u32::MAX].map(pause).to_vec();
        assert_eq!(pauses, [60, 120, 1_920, 3_600, 3_600, 3_600]);
    }
}
