//! Watching without an end: where a stream breaks, another one goes on from its last revision.

use crate::calls::{Parts, Platform};
use crate::clock::wall;
use crate::refusal::Refusal;
use crate::v1::watch_request::From;
use crate::v1::watch_response::Event;
use crate::{Duration as WireDuration, v1};
use std::time::{Duration, Instant, SystemTime};
use tokio::time::{sleep, timeout};
use tonic::Code;

/// What a watcher hears.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// All devices follow: what was known before is replaced once they are all there.
    SnapshotBegin,
    /// Some of them.
    Snapshot(Vec<v1::DeviceVerdict>),
    /// Those were all.
    SnapshotEnd,
    /// Devices with their present verdicts.
    Change(Vec<v1::DeviceVerdict>),
    /// Everything heard so far is as it was at that moment, or later.
    Bookmark {
        /// The moment by this machine's clocks. It was then or later, whatever was delayed on the way.
        moment: Moment,
        /// The authority's time, in Unix seconds: for people.
        time: u64,
    },
    /// The stream broke, for this reason; another one is tried in a moment.
    Interrupted(Refusal),
}

/// A moment by the machine's steady and by its wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    steady: Instant,
    wall: SystemTime,
}

/// A platform that watches its tenant's devices.
#[derive(Debug)]
pub struct Watcher {
    platform: Platform,
    /// What it goes on from; none for a snapshot.
    revision: Option<Vec<u8>>,
    stream: Option<Open>,
    /// How long to wait before the next attempt.
    pause: Duration,
}

#[derive(Debug)]
struct Open {
    parts: Parts<v1::WatchResponse>,
    /// Just before the request was sent.
    asked: Moment,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self { steady: Instant::now(), wall: wall() }
    }

    /// How long ago that was, by the clock by which it is longer: the steady one stands still while a machine sleeps, and the wall
    /// clock may be set back.
    pub fn age(self) -> Duration {
        let by_wall = wall().duration_since(self.wall).unwrap_or_default();
        self.steady.elapsed().max(by_wall)
    }

    /// So much later, and now at the latest.
    pub(crate) fn later(self, by: Duration) -> Self {
        let now = Self::now();
        let steady = self.steady.checked_add(by).map_or(now.steady, |at| at.min(now.steady));
        let wall = self.wall.checked_add(by).map_or(now.wall, |at| at.min(now.wall));
        Self { steady, wall }
    }

    #[cfg(test)]
    pub(crate) fn set_back(&mut self, by: Duration) {
        self.wall -= by;
    }

    /// The later of the two, by each clock.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { steady: self.steady.max(other.steady), wall: self.wall.max(other.wall) }
    }
}

impl Watcher {
    /// Begins with a snapshot.
    pub fn new(platform: Platform) -> Self {
        Self { platform, revision: None, stream: None, pause: PAUSE }
    }

    /// Goes on from the revision of an earlier watch; with a snapshot where the authority has nothing from there on.
    pub fn resume(platform: Platform, revision: Vec<u8>) -> Self {
        Self { revision: Some(revision), ..Self::new(platform) }
    }

    /// The revision from which another watcher goes on after the last event; none before the first snapshot is complete.
    pub fn revision(&self) -> Option<&[u8]> {
        self.revision.as_deref()
    }

    /// The next event; it waits for one. The error is one that no other attempt changes: the identity was revoked or has expired, or
    /// may not watch. A call that is dropped loses nothing.
    pub async fn next(&mut self) -> Result<WatchEvent, Refusal> {
        loop {
            let Some(Open { parts, asked }) = &mut self.stream else {
                match self.open().await {
                    Ok(Some(event)) => return Ok(event),
                    Ok(None) => continue,
                    Err(refusal) => return self.interrupted(refusal).await,
                }
            };
            let asked = *asked;
            let event = match timeout(SILENCE, parts.next()).await {
                Ok(Ok(Some(v1::WatchResponse { event }))) => event,
                Ok(Ok(None)) => return self.interrupted(Refusal::faulty("the watch ended")).await,
                Ok(Err(refusal)) => return self.interrupted(refusal).await,
                Err(_) => return self.interrupted(Refusal::faulty("nothing came for too long")).await,
            };
            self.pause = PAUSE;
            // An event without a kind is of a later release.
            let Some(event) = event else { continue };
            let Some(event) = heard(&mut self.revision, event, asked) else {
                return self.interrupted(Refusal::faulty("a change was missed")).await;
            };
            // Two clocks drift apart, and one may be set: each stream compares them once. A bookmark that looks old is of before that.
            if let WatchEvent::Bookmark { moment, .. } = &event
                && (moment.age() > SILENCE || asked.age() > LONGEST)
            {
                self.stream = None;
            }
            return Ok(event);
        }
    }

    async fn open(&mut self) -> Result<Option<WatchEvent>, Refusal> {
        let (from, event) = match &self.revision {
            Some(revision) => (From::Revision(revision.clone()), None),
            None => (From::Snapshot(v1::FromSnapshot {}), Some(WatchEvent::SnapshotBegin)),
        };
        let asked = Moment::now();
        let parts = self.platform.watch(v1::WatchRequest { from: Some(from) }).await?;
        self.stream = Some(Open { parts, asked });
        Ok(event)
    }

    /// Whether and how to go on after a stream that ended so.
    async fn interrupted(&mut self, refusal: Refusal) -> Result<WatchEvent, Refusal> {
        self.stream = None;
        // What it goes on from is gone, or a message that it could not know was missed. Without a revision that is nobody's cause.
        if refusal.status == Code::OutOfRange && self.revision.take().is_some() {
            return Ok(WatchEvent::Interrupted(refusal));
        }
        if !may_go_on(&refusal) {
            return Err(refusal);
        }
        let pause = refusal.retry_after.map_or(self.pause, |least| self.pause.max(least));
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        sleep(pause).await;
        Ok(WatchEvent::Interrupted(refusal))
    }
}

/// Whether another attempt may go better: also after a fault of the connection, or of the authority's own.
fn may_go_on(refusal: &Refusal) -> bool {
    refusal.may_retry() || refusal.code == Refusal::TRANSPORT || refusal.status == Code::Internal
}

/// What an event says to who has `revision` by then, and what it has after it; none where a change was missed in between.
fn heard(revision: &mut Option<Vec<u8>>, event: Event, asked: Moment) -> Option<WatchEvent> {
    let (next, event) = match event {
        Event::Snapshot(v1::Snapshot { devices }) => return Some(WatchEvent::Snapshot(devices)),
        Event::SnapshotEnd(v1::SnapshotEnd { revision, .. }) => (revision, WatchEvent::SnapshotEnd),
        Event::Change(v1::Change { previous, .. }) if revision.as_ref() != Some(&previous) => return None,
        Event::Change(v1::Change { revision, devices, .. }) => (revision, WatchEvent::Change(devices)),
        Event::Bookmark(v1::Bookmark { revision, time, elapsed }) => {
            let (moment, time) = (asked.later(span(elapsed)), crate::time::seconds(time));
            (revision, WatchEvent::Bookmark { moment, time })
        }
    };
    *revision = Some(next);
    Some(event)
}

fn span(elapsed: Option<WireDuration>) -> Duration {
    let WireDuration { seconds, nanos } = elapsed.unwrap_or_default();
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Duration::new(seconds, nanos),
        // One that claims nothing.
        _ => Duration::ZERO,
    }
}

/// Bookmarks come every 5 seconds.
const SILENCE: Duration = Duration::from_secs(15);

/// Pauses double, from the first to the last.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long a stream lasts. Steady clocks differ by less than a second in that time.
const LONGEST: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_never_later_than_now_and_its_age_is_the_longer() {
        let asked = Moment::now();
        assert!(asked.later(Duration::from_secs(9)).age() < Duration::from_secs(5));
        assert!(asked.later(Duration::MAX).age() < Duration::from_secs(5));
        let slept = Moment { wall: asked.wall - Duration::from_secs(60), ..asked };
        assert!(slept.age() >= Duration::from_secs(60), "the machine slept");
        let set_back = Moment { wall: asked.wall + Duration::from_secs(60), ..asked };
        assert!(set_back.age() < Duration::from_secs(5));
    }

    #[test]
    fn a_fault_of_the_authority_ends_no_watch_and_a_refusal_does() {
        let of = |status, code: &'static str| {
            let mut status = tonic::Status::new(status, "");
            status.metadata_mut().insert("wardein-code", code.parse().unwrap());
            Refusal::from(status)
        };
        assert!(may_go_on(&of(Code::Internal, "internal")));
        assert!(may_go_on(&of(Code::Unavailable, "stopping")));
        assert!(!may_go_on(&of(Code::PermissionDenied, "role-denied")));
        assert!(!may_go_on(&of(Code::Unauthenticated, "operator-revoked")));
    }

    #[test]
    fn a_change_behind_another_revision_shows_that_one_was_missed() {
        let change = |previous: u8, revision: u8| {
            let (previous, revision) = (vec![previous], vec![revision]);
            Event::Change(v1::Change { previous, revision, devices: Vec::new() })
        };
        let (mut revision, asked) = (None, Moment::now());
        assert!(heard(&mut revision, change(1, 2), asked).is_none(), "before a snapshot");
        let end = Event::SnapshotEnd(v1::SnapshotEnd { revision: vec![1], devices: 0 });
        assert!(heard(&mut revision, end, asked).is_some());
        assert!(heard(&mut revision, change(1, 1), asked).is_some(), "more of it follows");
        assert!(heard(&mut revision, change(1, 2), asked).is_some());
        let bookmark = v1::Bookmark { revision: vec![3], ..Default::default() };
        assert!(heard(&mut revision, Event::Bookmark(bookmark), asked).is_some());
        assert!(heard(&mut revision, change(2, 4), asked).is_none());
        assert_eq!(revision, Some(vec![3]), "it goes on from where it was");
    }

    #[test]
    fn an_elapsed_time_that_is_none_claims_nothing() {
        let wire = |seconds, nanos| span(Some(WireDuration { seconds, nanos }));
        assert_eq!(wire(2, 5), Duration::new(2, 5));
        for (seconds, nanos) in [(-1, 0), (0, -1), (1, 1_000_000_000)] {
            assert_eq!(wire(seconds, nanos), Duration::ZERO);
        }
        assert_eq!(span(None), Duration::ZERO);
    }
}
