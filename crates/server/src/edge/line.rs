//! A connection, as its calls and the task that serves it see it together. Nothing here is locked, and no call asks for the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// A connection.
#[derive(Default)]
pub(crate) struct Line {
    /// The uses of its network, and of its site where that is something else.
    pub(crate) used: Vec<Arc<Used>>,
    pub(crate) calls: AtomicUsize,
    pub(crate) public_streams: AtomicUsize,
    /// How many calls began.
    begun: AtomicUsize,
    /// Answers that wait for the peer to take them, by the turn (modulo 3) in which they began to.
    waiting: [AtomicUsize; 3],
    turn: AtomicUsize,
    ask: Notify,
    /// Its operator has ended.
    is_ending: AtomicBool,
    is_cut: AtomicBool,
}

/// What the open calls from one network, or site, hold.
#[derive(Default)]
pub(crate) struct Used {
    /// How many networks' worth it has.
    pub(crate) share: usize,
    pub(crate) calls: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    pub(crate) public_streams: AtomicUsize,
}

/// What a connection is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To take no more calls, and to end once those in hand are finished.
    Go,
    /// To end now.
    Cut,
}

/// An answer that waits for its peer, in the turn in which that was last seen to take something.
pub(crate) struct Waiting(usize);

impl Line {
    pub(crate) fn new(used: Vec<Arc<Used>>) -> Self {
        Self { used, ..Self::default() }
    }

    /// Asks the connection to finish its calls and end.
    pub(crate) fn go(&self) {
        self.ask.notify_one();
    }

    /// Has the connection end when the answers of calls that are on their way have left.
    pub(crate) fn end_soon(self: &Arc<Self>) {
        if !self.is_ending.swap(true, Ordering::Relaxed) {
            let line = self.clone();
            tokio::spawn(async move {
                sleep(LEAVING).await;
                line.go();
            });
        }
    }

    /// Ends the connection at once.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.ask.notify_one();
    }

    /// Done when something is asked of the connection.
    pub(crate) async fn asked(&self) -> Asked {
        self.ask.notified().await;
        if self.is_cut.load(Ordering::Acquire) { Asked::Cut } else { Asked::Go }
    }

    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.calls.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn begin_waiting(&self) -> Waiting {
        let turn = self.turn.load(Ordering::Relaxed);
        self.waiting_since(turn).fetch_add(1, Ordering::Relaxed);
        Waiting(turn)
    }

    /// The peer took something: its time begins again.
    pub(crate) fn go_on_waiting(&self, waiting: &mut Waiting) {
        if waiting.0 != self.turn.load(Ordering::Relaxed) {
            let since = std::mem::replace(waiting, self.begin_waiting());
            self.end_waiting(since);
        }
    }

    pub(crate) fn end_waiting(&self, waiting: Waiting) {
        self.waiting_since(waiting.0).fetch_sub(1, Ordering::Relaxed);
    }

    /// Begins another turn. Whether the peer took nothing of some answer for the whole of the last one.
    pub(crate) fn next_turn(&self) -> bool {
        let last = self.turn.load(Ordering::Relaxed);
        // Before the last one; its place is the next one's but one.
        let is_stuck = self.waiting_since(last + 2).load(Ordering::Relaxed) > 0;
        self.turn.store(last + 1, Ordering::Relaxed);
        is_stuck
    }

    fn waiting_since(&self, turn: usize) -> &AtomicUsize {
        &self.waiting[turn % 3]
    }
}

/// The time in which calls that are on their way hear that their operator has ended.
const LEAVING: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_which_nothing_is_taken_for_a_turn_is_stuck() {
        let line = Line::default();
        let (mut taken, left) = (line.begin_waiting(), line.begin_waiting());
        assert!(!line.next_turn());
        line.go_on_waiting(&mut taken);
        assert!(line.next_turn());
        line.end_waiting(left);
        line.go_on_waiting(&mut taken);
        assert!(!line.next_turn());
        line.go_on_waiting(&mut taken);
        assert!(!line.next_turn());
        assert!(line.next_turn());
        line.end_waiting(taken);
        assert!(!line.next_turn() && !line.next_turn());
    }
}
