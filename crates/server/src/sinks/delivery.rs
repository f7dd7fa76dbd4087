//! The delivery to one sink: batches from its place in the log, again after a pause where one was not taken.

use super::{Failure, Line, Receiver, SinkConfig, Surroundings, Taken};
use futures_util::FutureExt;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// The delivery to one sink.
pub(super) struct Delivery {
    config: SinkConfig,
    around: Surroundings,
    /// How far it is, for the metrics.
    taken: Arc<Taken>,
    /// This machine's name, as messages of syslog have it.
    host: String,
    receiver: Option<Receiver>,
    place: Option<Place>,
    /// How many entries are sent at one time: fewer after a failure, for a receiver that takes no long ones.
    batch: usize,
    /// Whether it took the last batch, and why it did not.
    failing: Option<&'static str>,
}

/// Where it is in the log.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// The last entry that it took for good.
    settled: u64,
    /// What the store has of that.
    noted: u64,
    noted_at: Option<Instant>,
    /// The last entry that was sent.
    sent: u64,
    /// The last entries of batches that may still be lost, and when those were sent.
    unsettled: VecDeque<(Instant, u64)>,
}

impl Place {
    fn at(number: u64) -> Self {
        let unsettled = VecDeque::new();
        Self { settled: number, noted: number, noted_at: None, sent: number, unsettled }
    }

    fn sent(&mut self, number: u64, now: Instant) {
        self.sent = number;
        self.unsettled.push_back((now, number));
    }

    /// Counts what was sent so long before `now` as taken.
    fn settle(&mut self, now: Instant, after: Duration) {
        while let Some((at, number)) = self.unsettled.front()
            && now.duration_since(*at) >= after
        {
            self.settled = *number;
            self.unsettled.pop_front();
        }
    }

    /// What was sent and not taken comes again.
    fn go_back(&mut self) {
        self.sent = self.settled;
        self.unsettled.clear();
    }

    /// The number to note, where it is time: a flood of entries is not one of writes.
    fn due(&self, now: Instant) -> Option<u64> {
        let is_time = self.noted_at.is_none_or(|at| now.duration_since(at) >= NOTED);
        (is_time && self.settled > self.noted).then_some(self.settled)
    }
}

impl Delivery {
    pub(super) fn new(config: SinkConfig, around: Surroundings, taken: Arc<Taken>) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { config, around, taken, host, receiver: None, place: None, batch: BATCH, failing: None }
    }

    /// Delivers until the server stops.
    pub(super) async fn run(mut self) {
        let (mut stop, mut reopen) = (self.around.stop.clone(), self.around.reopen.clone());
        let mut pause = FIRST_PAUSE;
        loop {
            // A batch that is under way is brought to its end: its time is bounded.
            let step = AssertUnwindSafe(self.step()).catch_unwind().await;
            let wait = match step.unwrap_or(Err(Failure::Panicked)) {
                Ok(is_more) => {
                    if self.failing.take().is_some() {
                        tracing::info!(sink = self.config.name.as_str(), "an audit sink takes entries again");
                    }
                    pause = FIRST_PAUSE;
                    if is_more { Duration::ZERO } else { LOOK }
                }
                Err(failure) => {
                    self.failed(&failure);
                    let now = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    now
                }
            };
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                () = changed(&mut reopen) => {
                    self.close();
                    pause = FIRST_PAUSE;
                }
                () = sleep(wait) => {}
            }
        }
        // A failure has what was taken since sent again after the next start.
        let _ = self.note(true).await;
    }

    /// Delivers one batch; whether there may be more.
    async fn step(&mut self) -> Result<bool, Failure> {
        let engine = self.around.engine.clone();
        if !engine.keeps() {
            // Another node delivers, and notes how far.
            self.close();
            self.place = None;
            self.taken.set(Taken::UNKNOWN);
            return Ok(false);
        }
        let place = match &mut self.place {
            Some(place) => place,
            none => none.insert(Place::at(engine.sink_position(&self.config.name).await?)),
        };
        self.taken.set(place.settled);
        let receiver = match &mut self.receiver {
            Some(receiver) => receiver,
            none => none.insert(open(&self.config, &engine).await?),
        };
        if receiver.is_gone().await {
            return Err(Failure::Closed);
        }
        let entries = engine.entries_for_sink(place.sent.saturating_add(1), self.batch).await?;
        let most = self.config.to.most();
        let mut lines = Vec::with_capacity(entries.len());
        let mut bytes = 0;
        for (number, entry) in &entries {
            let line = Line::new(*number, entry, most)?;
            bytes += line.json.len();
            if bytes > MOST_OF_BATCH && !lines.is_empty() {
                break;
            }
            lines.push(line);
        }
        if let Some(last) = lines.last() {
            receiver.send(&lines, &self.host).await?;
            place.sent(last.number, Instant::now());
            self.batch = (self.batch * 2).min(BATCH);
        }
        place.settle(Instant::now(), receiver.settles_after());
        self.taken.set(place.settled);
        self.note(false).await?;
        Ok(!lines.is_empty())
    }

    /// Has the store know how far it took the log, where that is due, or `at_once`.
    async fn note(&mut self, at_once: bool) -> Result<(), Failure> {
        let Some(place) = &mut self.place else { return Ok(()) };
        let now = Instant::now();
        let due = if at_once {
            Some(place.settled).filter(|settled| *settled > place.noted)
        } else {
            place.due(now)
        };
        if let Some(number) = due {
            place.noted_at = Some(now);
            self.around.engine.note_sink_position(&self.config.name, number).await?;
            place.noted = number;
        }
        Ok(())
    }

    fn failed(&mut self, failure: &Failure) {
        let (sink, reason) = (self.config.name.as_str(), failure.reason());
        self.around.metrics.sink_failed(sink, reason);
        // Once for each reason; the metrics have how often.
        if self.failing.replace(reason) != Some(reason) {
            tracing::error!(sink, reason, %failure, "an audit sink takes nothing; it is tried again, and nothing is lost");
        }
        self.batch = (self.batch / 2).max(1);
        // That the store takes no note says nothing of the receiver.
        if !matches!(failure, Failure::Store(_)) {
            self.close();
        }
    }

    /// Gives up the way to it; what may be lost with that is sent again.
    fn close(&mut self) {
        self.receiver = None;
        if let Some(place) = &mut self.place {
            place.go_back();
        }
    }
}

/// The way to a sink, within a bounded time.
async fn open(config: &SinkConfig, engine: &Arc<wardein_engine::Engine>) -> Result<Receiver, Failure> {
    tokio::time::timeout(super::TIME, Receiver::open(config, engine)).await.unwrap_or(Err(Failure::Late))
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the server has gone, which is the same.
    drop(stop.wait_for(|is_stopping| *is_stopping).await);
}

async fn changed(reopen: &mut watch::Receiver<u64>) {
    if reopen.changed().await.is_err() {
        // Nobody asks for it any more.
        std::future::pending().await
    }
}

/// The most entries of a batch.
const BATCH: usize = 256;

/// The most bytes of one, unless one entry has more.
const MOST_OF_BATCH: usize = 1 << 20;

/// How soon it looks for entries where there were none.
const LOOK: Duration = Duration::from_millis(500);

/// How often its place is noted: a crash has what was sent since sent again.
const NOTED: Duration = Duration::from_secs(1);

const FIRST_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_counts_once_the_connection_lived_on_and_otherwise_comes_again() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let after = Duration::from_secs(5);
        let mut place = Place::at(10);
        place.sent(20, at(0));
        place.sent(30, at(3));
        place.settle(at(4), after);
        assert_eq!((place.settled, place.due(at(4))), (10, None));
        place.settle(at(5), after);
        assert_eq!((place.settled, place.due(at(5))), (20, Some(20)));
        place.go_back();
        assert_eq!((place.sent, place.settled), (20, 20));
        place.settle(at(60), after);
        assert_eq!(place.settled, 20, "what was lost does not count later");
        // A file has it when it is written.
        place.sent(40, at(60));
        place.settle(at(60), Duration::ZERO);
        assert_eq!(place.settled, 40);
    }

    #[test]
    fn its_place_is_noted_once_a_second() {
        let begin = Instant::now();
        let mut place = Place { noted_at: Some(begin), settled: 9, ..Place::at(7) };
        assert_eq!(place.due(begin + NOTED / 2), None);
        assert_eq!(place.due(begin + NOTED), Some(9));
        place.noted = 9;
        assert_eq!(place.due(begin + NOTED), None);
    }
}
