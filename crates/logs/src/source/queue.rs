//! Messages that came by a socket and wait for a poll, and what was lost of them, in bounded memory.

use super::poll::Poll;
use super::tracked::Reader;
use crate::polled::GapReason;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What waits. A thread fills it, and the agent's polls empty it.
pub(super) struct Queue {
    came: Mutex<Came>,
    max_bytes: usize,
}

#[derive(Default)]
struct Came {
    messages: VecDeque<Vec<u8>>,
    /// What they take, by [`cost`].
    bytes: usize,
    /// Lines and bytes that are missing.
    missing: BTreeMap<GapReason, (Option<u64>, u64)>,
}

impl Queue {
    /// One in which about `max_bytes` wait.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { came: Mutex::default(), max_bytes }
    }

    /// Whether there is room. Who can let messages wait elsewhere asks this first, and then may [`Self::push`] a few.
    pub(super) fn has_room(&self) -> bool {
        self.lock().bytes < self.max_bytes
    }

    /// Takes a message in any case.
    pub(super) fn push(&self, message: Vec<u8>) {
        self.lock().push(message);
    }

    /// Takes a message that cannot wait elsewhere; where there is no room, it is counted as lost.
    pub(super) fn keep(&self, message: &[u8]) {
        let mut came = self.lock();
        if came.bytes + cost(message) > self.max_bytes {
            came.miss(GapReason::SocketOverrun, Some(1), message.len() as u64);
        } else {
            came.push(message.to_vec());
        }
    }

    /// Notes that something is missing: how many lines, where that is known, and how many bytes are known to be.
    pub(super) fn miss(&self, why: GapReason, lines: Option<u64>, bytes: u64) {
        self.lock().miss(why, lines, bytes);
    }

    /// Gives what waits to a poll, as far as it has room.
    pub(super) fn poll(&self, reader: &Reader, poll: &mut Poll) {
        let Reader { source, joiner, filter, .. } = reader;
        let missing = std::mem::take(&mut self.lock().missing);
        for (why, (lines, bytes)) in missing {
            poll.gap(source, why, lines, bytes);
        }
        // The lock is held for a moment at a time, so that the thread is not kept from taking messages.
        loop {
            let next = self.lock().next();
            let Some(message) = next else { break };
            let end = message.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let is_taken = poll.has_room()
                && if message.len() > joiner.max {
                    poll.skip(source, message.len(), true);
                    true
                } else {
                    let decoded = joiner.encoding.decode(message.get(..end).unwrap_or_default());
                    poll.take(source, filter, &decoded.text, message.len(), decoded.is_replaced)
                };
            if !is_taken {
                self.lock().put_back(message);
                break;
            }
        }
    }

    /// Each change to what came is made in one step, so that it is whole also where a thread panicked with it.
    fn lock(&self) -> MutexGuard<'_, Came> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Came {
    fn push(&mut self, message: Vec<u8>) {
        self.bytes += cost(&message);
        self.messages.push_back(message);
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let message = self.messages.pop_front()?;
        self.bytes -= cost(&message);
        Some(message)
    }

    fn put_back(&mut self, message: Vec<u8>) {
        self.bytes += cost(&message);
        self.messages.push_front(message);
    }

    fn miss(&mut self, why: GapReason, lines: Option<u64>, bytes: u64) {
        let so_far = self.missing.entry(why).or_insert((Some(0), 0));
        so_far.0 = so_far.0.zip(lines).map(|(so_far, more)| so_far.saturating_add(more));
        so_far.1 = so_far.1.saturating_add(bytes);
    }
}

/// What a message takes: its bytes, and what keeping it takes, so that many empty ones do not take more than a few long ones.
fn cost(message: &[u8]) -> usize {
    message.len() + OVERHEAD
}

/// A place in the queue, and what the allocator adds.
const OVERHEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_empty_messages_take_room_too() {
        let queue = Queue::new(1_000);
        for _ in 0..100 {
            queue.keep(b"");
        }
        let came = queue.lock();
        assert_eq!((came.messages.len(), came.bytes), (15, 960));
        assert_eq!(came.missing[&GapReason::SocketOverrun], (Some(85), 0));
        drop(came);
        assert!(queue.has_room());
        queue.push(vec![0; 64]);
        assert!(!queue.has_room());
        queue.miss(GapReason::SocketOverrun, None, 7);
        queue.miss(GapReason::SocketOverrun, Some(1), u64::MAX);
        assert_eq!(queue.lock().missing[&GapReason::SocketOverrun], (None, u64::MAX));
        while queue.lock().next().is_some() {}
        assert_eq!(queue.lock().bytes, 0);
    }
}
