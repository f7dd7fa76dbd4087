//! The machine's clocks, from which the authority makes its time.

/// What the machine says of the time. The authority decides by neither of them alone.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, in Unix milliseconds: anybody may set it, and it may jump.
    fn wall_ms(&self) -> u64;

    /// Milliseconds since the machine started, suspensions included. It never goes back, and nobody sets it.
    fn boot_ms(&self) -> u64;
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn wall_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn boot_ms(&self) -> u64 {
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (seconds, nanoseconds) = (since.tv_sec.unsigned_abs(), since.tv_nsec.unsigned_abs());
        seconds.saturating_mul(1_000).saturating_add(nanoseconds / 1_000_000)
    }
}
