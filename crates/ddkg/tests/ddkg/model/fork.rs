//! Two holders of one state, and what (I4) says of them.
//!
//! Messages that never arrive cannot raise an alarm, and numbers that a holder skips let it leapfrog the other; so (I4) is
//! stated twice.
//!
//! *General form*, whatever was lost, skipped or crashed: a request with a right mac that arrives in time raises the alarm
//! when its challenge was issued more than `skew` after the latest answered one of the generation that judges it, and
//! its number is not above the highest accepted, or its generation is retired (one of the last four); and whenever it is
//! under a replaced generation (one of the last eight). The one exception is an epoch that can no longer be derived: that
//! is refused as `epoch-spent`, and the next request, which heeds the epoch named, raises it.
//!
//! *Two speakers*: a *turn* is a request of one holder that arrives after one of the other, its challenge issued more than
//! `skew` after every challenge that the other had answered. While neither skips numbers (no crash, no request that is
//! lost), the alarm has been raised when each of the two has had its second turn, not counting turns that are refused as
//! `epoch-spent`; and of those a holder has at most
//! `1 + log₂(m + 1)` in a row, rounded up, m being the most requests that the other has made in a row. (Under `max_uses` one
//! holder can take each epoch just before the other does; with every such refusal the refused one doubles its lead, up to 31 epochs.
//! Where m is larger than that, the numbers of the one who speaks so much more soon overtake the other's.) Each must have had its turns: the requests of one
//! who only ever speaks within `skew` of the other's look like repeated messages, and are refused as such.

use super::config::SKEW_MS;

/// The two holders since the fork.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Fork {
    /// When the latest challenge was issued that each holder answered by a request that arrived, in Unix milliseconds.
    pub(crate) last_ms: [Option<u64>; 2],
    /// Who spoke last.
    pub(crate) speaker: Option<usize>,
    /// Turns of each that were not refused as `epoch-spent`; two stand for more.
    pub(crate) turns: [u8; 2],
    /// Turns of each in a row that were.
    pub(crate) spent: [u8; 2],
    /// How many requests the one who spoke last has made in a row.
    pub(crate) run: u8,
    /// The most requests of each in a row.
    pub(crate) most: [u8; 2],
    /// Whether numbers were skipped since.
    pub(crate) skipped: bool,
}

impl Fork {
    /// A request of `holder` arrived. `read` reads a time that was stored before. True where (I4) is broken.
    pub(crate) fn arrived(
        &mut self,
        holder: usize,
        issued_ms: u64,
        read: impl Fn(u64) -> u64,
        is_alarm: bool,
        is_spent: bool,
    ) -> bool {
        let [own, other] = [holder, 1 - holder].map(|at| self.last_ms[at].map(&read));
        let is_turn =
            self.speaker == Some(1 - holder) && other.is_some_and(|other| issued_ms > other + SKEW_MS);
        self.run = if self.speaker == Some(holder) { self.run + 1 } else { 1 };
        self.most[holder] = self.most[holder].max(self.run);
        self.speaker = Some(holder);
        self.last_ms[holder] = own.max(Some(issued_ms));
        if is_turn && is_spent {
            self.spent[holder] += 1;
        } else if is_turn {
            self.turns[holder] = 2.min(self.turns[holder] + 1);
            self.spent[holder] = 0;
        }
        let most_spent = 1 + (u32::from(self.most[1 - holder]) + 1).next_power_of_two().trailing_zeros();
        !is_alarm && !self.skipped && (self.turns == [2, 2] || u32::from(self.spent[holder]) > most_spent)
    }
}
