//! The authority's time, as its decisions take it in (specification, section 9.1).

/// The authority's time. This crate has no clock: the caller says what time it is, and how far that can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorityTime {
    /// Unix milliseconds.
    pub now_ms: u64,
    /// Whether keys may be erased by it. A key that was erased under a wrong clock is gone.
    pub may_erase: bool,
}

impl AuthorityTime {
    /// Unix second `now` of a clock that was never wrong.
    pub fn sure(now: u64) -> Self {
        Self { now_ms: now.saturating_mul(1_000), may_erase: true }
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        self.now_ms / 1_000
    }
}
