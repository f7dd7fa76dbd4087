//! Times, as types that cannot be mixed: a moment in seconds, a moment in milliseconds, a span in seconds.

/// A moment: whole seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixSeconds(u64);

/// A moment: whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(u64);

/// A span of whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seconds(u64);

impl UnixSeconds {
    /// The moment that many seconds after 1970 began.
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The number of seconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// That much later, or the last moment that can be represented.
    pub const fn plus(self, span: Seconds) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How much later than `earlier` it is; nothing where it is not later.
    pub const fn since(self, earlier: Self) -> Seconds {
        Seconds(self.0.saturating_sub(earlier.0))
    }
}

impl UnixMillis {
    /// The moment that many milliseconds after 1970 began.
    pub const fn new(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// The number of milliseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The second that it lies in.
    pub const fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1000)
    }
}

impl Seconds {
    /// That many seconds.
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The number of seconds.
    pub const fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_moments_end_where_numbers_do() {
        let (early, late) = (UnixSeconds::new(5), UnixSeconds::new(9));
        assert_eq!((late.since(early), early.since(late)), (Seconds::new(4), Seconds::new(0)));
        assert_eq!(early.plus(Seconds::new(4)), late);
        assert_eq!(early.plus(Seconds::new(u64::MAX)), UnixSeconds::new(u64::MAX));
        assert_eq!(UnixMillis::new(5_999).seconds(), early);
    }
}
