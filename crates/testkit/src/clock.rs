//! A machine's clocks, which stand still until they are moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wardein_port::Clock;

/// Clocks in the hands of a test; its clones are the same ones.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<Clocks>);

#[derive(Debug)]
struct Clocks {
    wall: AtomicU64,
    boot: AtomicU64,
}

impl TestClock {
    /// Milliseconds for which the machine has been up at first.
    pub const UP_MS: u64 = 3_600_000;

    /// A machine that was started an hour before Unix second `now`.
    pub fn at(now: u64) -> Self {
        Self(Arc::new(Clocks { wall: AtomicU64::new(now * 1000), boot: AtomicU64::new(Self::UP_MS) }))
    }

    /// Lets `seconds` pass.
    pub fn pass(&self, seconds: u64) {
        self.0.wall.fetch_add(seconds * 1000, Ordering::SeqCst);
        self.0.boot.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Sets the wall clock to Unix second `now`; no time passes.
    pub fn set(&self, now: u64) {
        self.0.wall.store(now * 1000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn wall_ms(&self) -> u64 {
        self.0.wall.load(Ordering::SeqCst)
    }

    fn boot_ms(&self) -> u64 {
        self.0.boot.load(Ordering::SeqCst)
    }
}
