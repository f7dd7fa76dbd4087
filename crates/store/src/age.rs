//! How old the feed's entries are, and when they go.

/// The times of the oldest and the newest entry, by the clock of the changes: the store has none of its own.
///
/// Each entry is noted with the latest time that any change had by then. So times rise with revisions, whatever the clock does,
/// and the entries that are too old are always a prefix of the feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Age {
    /// The latest time of any change; 0 if none had one.
    newest: u64,
    /// The time of the oldest entry that has one; 0 if there is none.
    oldest: u64,
}

impl Age {
    /// A feed whose oldest and newest times are these; 0 if there is none.
    pub(crate) fn new(oldest: u64, newest: u64) -> Self {
        Self { newest, oldest }
    }

    /// Applies a change that is applied.
    pub(crate) fn pass(&mut self, at_ms: u64) {
        // SQLite's numbers end there.
        self.newest = self.newest.max(at_ms.min(i64::MAX as u64));
    }

    /// The time to note beside an entry that is added now.
    pub(crate) fn note(&mut self) -> u64 {
        if self.oldest == 0 {
            self.oldest = self.newest;
        }
        self.newest
    }

    /// Where entries are due to be deleted: those before this time, and those without one, which are older still.
    pub(crate) fn due(&self) -> Option<u64> {
        let before = self.newest.checked_sub(KEPT)?;
        (self.oldest > 0 && self.oldest.saturating_add(SLACK) < before).then_some(before)
    }

    /// Some were deleted, and the oldest time is this one now; 0 if there is none.
    pub(crate) fn truncated(&mut self, oldest: u64) {
        self.oldest = oldest;
    }
}

/// At most this many entries are deleted at a time, besides the rest of the last one's commit: a commit waits for some
/// milliseconds.
pub(crate) const AT_A_TIME: usize = 1024;

/// For how long entries are kept at least, in milliseconds: 7 days.
const KEPT: u64 = 7 * 24 * 60 * 60 * 1000;

/// How much longer the oldest one is left, so that many go together: an hour.
const SLACK: u64 = 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_due_by_the_clock_of_changes_alone() {
        let mut age = Age::default();
        age.pass(0);
        assert_eq!((age.note(), age.due()), (0, None), "no time makes nothing due");
        age.pass(1000);
        assert_eq!(age.note(), 1000);
        age.pass(500);
        assert_eq!(age.note(), 1000, "a clock that goes back does not mix up the order");
        age.pass(1000 + KEPT + SLACK);
        assert_eq!(age.due(), None);
        age.pass(0);
        age.pass(1000 + KEPT + SLACK + 1);
        assert_eq!(age.due(), Some(1000 + SLACK + 1));
        age.truncated(0);
        assert_eq!(age.due(), None);
        age.pass(u64::MAX);
        assert_eq!(age.note(), i64::MAX as u64);
    }
}
