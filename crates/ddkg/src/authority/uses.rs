//! How many tokens were accepted in each epoch, where the schedule bounds them (specification, section 7).

use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::vec::Vec;
use wardein_domain::Schedule;

/// The epochs that tokens were accepted in, with how many, in order; none where the schedule has no bound.
///
/// Tokens may come late, so that more than one epoch takes some. Only the highest [`MAX_COUNTED`] are counted, and one below those is
/// full: otherwise a long retention would make a record grow with every epoch.
#[derive(Default)]
pub(super) struct TokenUses(Vec<(u32, u64)>);

/// How many epochs are counted.
pub(super) const MAX_COUNTED: usize = 16;

impl TokenUses {
    /// Whether `epoch` takes no further token.
    pub(super) fn is_full(&self, epoch: u32, schedule: &Schedule) -> bool {
        let taken = self.0.iter().find(|(counted, _)| *counted == epoch).map_or(0, |(_, taken)| *taken);
        let lowest = self.0.first().filter(|_| self.0.len() == MAX_COUNTED);
        let is_forgotten = schedule.max_uses != 0 && lowest.is_some_and(|(lowest, _)| epoch < *lowest);
        is_forgotten || schedule.is_spent(taken)
    }

    /// Counts a token of `epoch`; no epoch below `first` takes any more.
    pub(super) fn add(&mut self, epoch: u32, first: u32) {
        self.0.retain(|(counted, _)| *counted >= first);
        match self.0.iter_mut().find(|(counted, _)| *counted == epoch) {
            Some((_, taken)) => *taken = taken.saturating_add(1),
            None => {
                self.0.push((epoch, 1));
                self.0.sort_unstable_by_key(|(counted, _)| *counted);
                if self.0.len() > MAX_COUNTED {
                    self.0.remove(0);
                }
            }
        }
    }

    /// Nothing, or `u8(count)` and the epochs in order: a record of before has nothing.
    pub(super) fn put(&self, out: &mut impl Sink) {
        if self.0.is_empty() {
            return;
        }
        out.put(&[self.0.len() as u8]);
        for (epoch, taken) in &self.0 {
            out.u32(*epoch);
            out.u64(*taken);
        }
    }

    /// The inverse of [`TokenUses::put`], which is the last of its record.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut uses = Self::default();
        if reader.is_empty() {
            return Ok(uses);
        }
        let count = reader.small("counted epochs", MAX_COUNTED as u8)?;
        if count == 0 {
            return Err(Problem::NotCanonical("are none, and said to be").of("counted epochs"));
        }
        for _ in 0..count {
            let (epoch, taken) = (reader.u32("counted epoch")?, reader.u64("counted tokens")?);
            if taken == 0 || uses.0.last().is_some_and(|(before, _)| *before >= epoch) {
                return Err(Problem::NotCanonical("is out of order or without a token").of("counted epoch"));
            }
            uses.0.push((epoch, taken));
        }
        Ok(uses)
    }

    /// Bytes of the longest.
    pub(super) const MAX_LEN: usize = 1 + MAX_COUNTED * (4 + 8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const TWICE: Schedule = Schedule { period: 0, max_uses: 2, not_before: 0 };
    const UNBOUNDED: Schedule = Schedule { max_uses: 0, ..TWICE };

    #[test]
    fn each_epoch_takes_as_many_as_the_schedule_says() {
        let mut uses = TokenUses::default();
        for epoch in [7, 5, 7] {
            assert!(!uses.is_full(epoch, &TWICE));
            uses.add(epoch, 5);
        }
        assert!(uses.is_full(7, &TWICE) && !uses.is_full(5, &TWICE) && !uses.is_full(6, &TWICE));
        assert!(!uses.is_full(7, &UNBOUNDED));
        uses.add(8, 7);
        assert!(uses.is_full(7, &TWICE), "what is left behind is forgotten, and nothing else");
        assert_eq!(uses.0.len(), 2);
    }

    #[test]
    fn an_epoch_that_is_counted_no_more_is_full() {
        let mut uses = TokenUses::default();
        (10..10 + MAX_COUNTED as u32).for_each(|epoch| uses.add(epoch, 0));
        assert!(uses.is_full(9, &TWICE), "nobody knows how many it took");
        assert!(!uses.is_full(10, &TWICE) && !uses.is_full(9, &UNBOUNDED));
        uses.add(100, 0);
        assert_eq!(uses.0.len(), MAX_COUNTED);
        assert!(uses.is_full(10, &TWICE) && !uses.is_full(11, &TWICE));
    }

    #[test]
    fn they_have_one_form() {
        let read = |bytes: &[u8]| TokenUses::read(&mut Reader::new(bytes));
        let mut uses = TokenUses::default();
        let encoded = |uses: &TokenUses| {
            let mut out = Vec::new();
            uses.put(&mut out);
            out
        };
        assert!(encoded(&uses).is_empty() && read(b"").unwrap().0.is_empty());
        [9, 3, 9].iter().for_each(|epoch| uses.add(*epoch, 0));
        assert_eq!(read(&encoded(&uses)).unwrap().0, uses.0);
        let entry = |epoch: u32, taken: u64| [&epoch.to_be_bytes()[..], &taken.to_be_bytes()].concat();
        for bad in [
            vec![0],
            vec![MAX_COUNTED as u8 + 1],
            [vec![1], entry(3, 0)].concat(),
            [vec![2], entry(3, 1), entry(3, 1)].concat(),
            [vec![2], entry(3, 1), entry(2, 1)].concat(),
            [vec![2], entry(3, 1)].concat(),
        ] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }
}
