//! What calls hold while they are in hand, and the bounds on it: in all, for those of nobody's, and for those from one address.

use super::Shared;
use super::line::{Line, Used};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wardein_engine::{Error, ErrorCode};

/// What all calls hold.
#[derive(Default)]
pub(crate) struct Held {
    calls: AtomicUsize,
    open_calls: AtomicUsize,
    public_streams: AtomicUsize,
    bytes: AtomicUsize,
    open_bytes: AtomicUsize,
}

/// A call in hand: from its headers until its answer was taken. Dropping it gives back what it holds.
pub(crate) struct InHand {
    shared: Arc<Shared>,
    line: Arc<Line>,
    /// It draws on the operators' share.
    is_operators: bool,
    is_public_stream: bool,
    bytes: usize,
}

impl InHand {
    pub(crate) fn enter(shared: &Arc<Shared>, line: &Arc<Line>, is_operators: bool) -> Result<Self, Error> {
        let (held, limits) = (&shared.held, &shared.limits);
        // It is counted before it is judged: two that come at one time must not both have the last place.
        let call = Self {
            shared: shared.clone(),
            line: line.clone(),
            is_operators,
            is_public_stream: false,
            bytes: 0,
        };
        line.begin();
        line.calls.fetch_add(1, Ordering::Relaxed);
        let all = add(&held.calls, 1);
        if is_operators {
            return if all > limits.calls { Err(overloaded("calls")) } else { Ok(call) };
        }
        let open = add(&held.open_calls, 1);
        let is_fair = call.within(|used| &used.calls, 1, limits.open_calls_per_address);
        if all > limits.calls || open > crate::Limits::open_share(limits.calls) {
            return Err(overloaded("calls"));
        }
        if !is_fair {
            return Err(of_address("calls"));
        }
        Ok(call)
    }

    /// Counts it as a stream that needs no certificate.
    pub(crate) fn is_public_stream(&mut self) -> Result<(), Error> {
        let limits = &self.shared.limits;
        self.is_public_stream = true;
        let of_line = add(&self.line.public_streams, 1);
        let all = add(&self.shared.held.public_streams, 1);
        let is_fair = self.within(|used| &used.public_streams, 1, limits.public_streams_per_address);
        if of_line > limits.public_streams_per_connection {
            let message = "too many streams on one connection; end one before another is begun";
            return Err(Error::new(ErrorCode::RateLimited, message));
        }
        if !is_fair {
            return Err(of_address("streams"));
        }
        if all > limits.public_streams {
            return Err(overloaded("streams"));
        }
        Ok(())
    }

    /// Counts `bytes` of its message that have come so far.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Error> {
        let more = bytes.saturating_sub(FREE).saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let (held, limits) = (&self.shared.held, &self.shared.limits);
        self.bytes += more;
        let all = add(&held.bytes, more);
        if self.is_operators {
            return if all > limits.body_bytes { Err(overloaded("bytes of messages")) } else { Ok(()) };
        }
        let open = add(&held.open_bytes, more);
        let is_fair = self.within(|used| &used.bytes, more, limits.open_body_bytes_per_address);
        if all > limits.body_bytes || open > limits.open_body_bytes {
            return Err(overloaded("bytes of messages"));
        }
        if !is_fair {
            return Err(of_address("bytes of messages"));
        }
        Ok(())
    }

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// Adds to what its network and its site use. Whether both are within their bounds.
    fn within(&self, of: impl Fn(&Used) -> &AtomicUsize, count: usize, most: usize) -> bool {
        let mut is_within = true;
        for used in &self.line.used {
            is_within &= add(of(used), count) <= most * used.share;
        }
        is_within
    }

    fn give_back(&self, of: impl Fn(&Used) -> &AtomicUsize, count: usize) {
        for used in &self.line.used {
            of(used).fetch_sub(count, Ordering::Relaxed);
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let held = &self.shared.held;
        held.calls.fetch_sub(1, Ordering::Relaxed);
        held.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        if !self.is_operators {
            held.open_calls.fetch_sub(1, Ordering::Relaxed);
            held.open_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
            self.give_back(|used| &used.calls, 1);
            self.give_back(|used| &used.bytes, self.bytes);
        }
        if self.is_public_stream {
            held.public_streams.fetch_sub(1, Ordering::Relaxed);
            self.line.public_streams.fetch_sub(1, Ordering::Relaxed);
            self.give_back(|used| &used.public_streams, 1);
        }
        self.line.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

fn add(to: &AtomicUsize, count: usize) -> usize {
    to.fetch_add(count, Ordering::Relaxed) + count
}

fn overloaded(what: &str) -> Error {
    Error::new(ErrorCode::Overloaded, format_args!("too many {what} at one time"))
}

fn of_address(what: &str) -> Error {
    let message = format_args!("too many {what} at one time from one address; wait a second and try again");
    Error::new(ErrorCode::RateLimited, message)
}

/// The bytes of a message that are not counted, so that an ordinary call touches no counter of bytes.
const FREE: usize = 2 * 1024;
