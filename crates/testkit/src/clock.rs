//! A clock that stays the same until it is set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wardein_port::Clock;

/// A clock in the hands of a test; its clones are one clock.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock at Unix second `now`.
    pub fn at(now: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now * 1000)))
    }

    /// Sets it to Unix second `now`.
    pub fn set(&self, now: u64) {
        self.0.store(now * 1000, Ordering::SeqCst);
    }

    /// Lets `seconds` pass.
    pub fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
