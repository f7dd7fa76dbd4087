//! The authority's time, as its decisions take it in (specification, section 9.1).

/// The authority's time. This crate has no clock: the caller says what time it is, and how far that can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorityTime {
    /// Unix milliseconds. Within an era it never goes back by more than [`crate::Policy::skew_ms`].
    pub now_ms: u64,
    /// When its present era began, in Unix milliseconds; 0 where there was only one. No challenge of an earlier era is good: the
    /// caller makes and checks those of each era under a key of its own.
    pub era_ms: u64,
    /// Whether keys may be erased by it. A key that was erased under a wrong clock is gone.
    pub may_erase: bool,
}

impl AuthorityTime {
    /// Unix second `now` of a clock that was never wrong.
    pub fn sure(now: u64) -> Self {
        Self { now_ms: now.saturating_mul(1_000), era_ms: 0, may_erase: true }
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        self.now_ms / 1_000
    }

    /// A time that the authority has stored, read. One that is beyond now by more than `skew_ms` was stored under a clock that ran
    /// ahead, in an earlier era. It is read as the start of this one at the latest: read as now, it would be later than every
    /// challenge there is, until the time that was stored has come.
    pub fn reads(&self, stored_ms: u64, skew_ms: u64) -> u64 {
        if stored_ms > self.now_ms.saturating_add(skew_ms) {
            stored_ms.min(self.era_ms).min(self.now_ms)
        } else {
            stored_ms
        }
    }
}
