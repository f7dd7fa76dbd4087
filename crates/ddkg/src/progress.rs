//! Which epoch and number a device takes next (specification, sections 3 and 3.1): the device's rules without keys, so
//! that the model of the protocol runs these very lines.

use crate::key::MAX_NUMBER;
use wardein_domain::Schedule;

/// How many numbers one write to flash reserves.
pub const NUMBER_BLOCK: u64 = 64;

/// The numbers of one purpose. The stored number is the end of the reserved block; a crash skips the rest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Numbers {
    next: u64,
    reserved: u64,
}

impl Numbers {
    /// The numbers of a new generation.
    pub fn new() -> Self {
        Self { next: 0, reserved: 0 }
    }

    /// After a restart: whatever was reserved may have been used.
    pub fn restored(reserved: u64) -> Self {
        Self { next: reserved, reserved }
    }

    /// The value to store.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// The next number; `None` when the last one, 2⁶³ − 1, is taken. [`Numbers::reserved`] may have grown, and then must be stored
    /// before the number is used. Nothing is reserved before it is needed, so that a device that only restarts skips none.
    pub fn take(&mut self) -> Option<u64> {
        let number = self.next;
        if number > MAX_NUMBER {
            return None;
        }
        self.next = number.saturating_add(1);
        if self.next > self.reserved {
            self.reserved = number.saturating_add(NUMBER_BLOCK);
        }
        Some(number)
    }

    /// How many numbers are reserved and not taken: a crash would skip them.
    pub fn unused(&self) -> u64 {
        self.reserved - self.next
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self::new()
    }
}

/// The epochs of a device's proofs. It moves by the authority's acknowledgments; refusals, which nothing authenticates,
/// only shape the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProofEpochs {
    /// The last acknowledged epoch.
    acked: u32,
    /// How many acks came in it.
    acks: u64,
    /// The least epoch that the authority's last refusal left, until an ack or a refusal as too far ahead.
    floor: u32,
    /// By how many epochs the next refusal as spent goes beyond the epoch that it names.
    stride: u32,
}

impl ProofEpochs {
    /// At the start of a generation, or after a restart with the stored value.
    pub fn new(acked: u32, acks: u64) -> Self {
        Self { acked, acks, floor: 0, stride: 0 }
    }

    /// The last acknowledged epoch.
    pub fn acked(&self) -> u32 {
        self.acked
    }

    /// How many acks came in the last acknowledged epoch.
    pub fn acks(&self) -> u64 {
        self.acks
    }

    /// The epoch for a proof whose challenge came with `server_time`.
    pub fn next(&self, schedule: &Schedule, server_time: u64) -> u32 {
        let own = if schedule.is_spent(self.acks) { self.acked.saturating_add(1) } else { self.acked };
        own.max(self.floor).max(schedule.due(server_time))
    }

    /// An ack came for a proof of `epoch`.
    pub fn acknowledged(&mut self, epoch: u32) {
        if epoch > self.acked {
            (self.acked, self.acks) = (epoch, 0);
        }
        if epoch == self.acked {
            self.acks = self.acks.saturating_add(1);
        }
        self.refused_as_ahead();
    }

    /// A proof of `epoch` was refused as `epoch-spent`, with `next` as the authority's advice. The advice is a hint from
    /// the network, so an attempt always advances by at least one epoch, and [`ProofEpochs::refused_as_ahead`] forgets it.
    ///
    /// Refused again after it took the advice, another holder of this state may be taking each epoch just before it does: neither
    /// would ever be distinguished from the other. So every further refusal of an attempt that took the advice doubles the lead,
    /// until they meet. The same refusal again, or one of an earlier attempt, says nothing new.
    pub fn refused_as_spent(&mut self, epoch: u32, next: u32) {
        if epoch < self.floor {
            self.floor = self.floor.max(next);
            return;
        }
        self.floor = next.max(epoch.saturating_add(1)).saturating_add(self.stride);
        self.stride = (2 * self.stride + 1).min(MAX_STRIDE);
    }

    /// A proof was refused as too far ahead: whatever refusals said is forgotten.
    pub fn refused_as_ahead(&mut self) {
        (self.floor, self.stride) = (0, 0);
    }
}

/// Within the authority's default lead of 64.
const MAX_STRIDE: u32 = 31;

/// Which epoch the keys of a purpose other than `proof` are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uses {
    /// The epoch of the frontier.
    pub epoch: u32,
    /// How many numbers were taken in it, or may have been.
    pub taken: u64,
}

impl Uses {
    /// Takes a number in the epoch that is due, or the next one when its numbers are used up; `None` when there is no
    /// further epoch.
    pub fn take(&mut self, schedule: &Schedule, due: u32) -> Option<u32> {
        if due > self.epoch {
            *self = Self { epoch: due, taken: 0 };
        }
        if schedule.is_spent(self.taken) {
            *self = Self { epoch: self.epoch.checked_add(1)?, taken: 0 };
        }
        self.taken = self.taken.saturating_add(1);
        Some(self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Schedule = Schedule { period: 0, max_uses: 0, not_before: 0 };

    #[test]
    fn a_number_is_never_taken_twice_across_restarts() {
        let mut numbers = Numbers::new();
        let mut last = None;
        for restart in [1, 3, 64, 65, 200] {
            for _ in 0..restart {
                let number = numbers.take();
                assert!(number > last && numbers.reserved() > number.unwrap());
                last = number;
            }
            numbers = Numbers::restored(numbers.reserved());
        }
        let idle = Numbers::restored(numbers.reserved());
        assert_eq!(Numbers::restored(idle.reserved()), idle, "a restart alone skips nothing");
    }

    #[test]
    fn the_last_number_is_refused_and_not_wrapped() {
        let mut numbers = Numbers::restored(MAX_NUMBER);
        assert_eq!(numbers.take(), Some(MAX_NUMBER));
        assert_eq!(numbers.take(), None);
        assert_eq!(Numbers::restored(u64::MAX).take(), None);
        assert_eq!(numbers.take(), None);
    }

    #[test]
    fn a_proof_follows_acks_refusals_and_the_challenge() {
        let twice = Schedule { period: 10, max_uses: 2, not_before: 100 };
        let mut epochs = ProofEpochs::new(0, 0);
        assert_eq!(epochs.next(&twice, 125), 2);
        assert_eq!(epochs.next(&twice, 0), 0, "a false time carries nothing away");
        epochs.acknowledged(2);
        assert_eq!(epochs.next(&twice, 0), 2);
        epochs.acknowledged(2);
        assert_eq!(epochs.next(&twice, 0), 3);
        epochs.refused_as_spent(3, 7);
        assert_eq!(epochs.next(&twice, 0), 7);
        epochs.refused_as_spent(7, 0);
        assert_eq!(epochs.next(&twice, 0), 9, "refused again, it takes a lead");
        epochs.refused_as_ahead();
        assert_eq!(epochs.next(&twice, 0), 3);
        epochs.acknowledged(1);
        assert_eq!((epochs.acked(), epochs.acks()), (2, 2), "an old ack moves nothing back");
    }

    #[test]
    fn one_that_is_always_overtaken_takes_a_growing_lead() {
        let mut epochs = ProofEpochs::new(0, 0);
        let leads = [0; 7].map(|_| {
            let (epoch, next) = (epochs.next(&PLAIN, 0), epochs.next(&PLAIN, 0) + 1);
            epochs.refused_as_spent(epoch, next);
            // Repetitions by the network take no lead.
            epochs.refused_as_spent(epoch, next);
            epochs.next(&PLAIN, 0) - next
        });
        assert_eq!(leads, [0, 1, 3, 7, 15, 31, 31]);
        epochs.acknowledged(40);
        epochs.refused_as_spent(40, 41);
        assert_eq!(epochs.next(&PLAIN, 0), 41);
    }

    #[test]
    fn uses_run_ahead_when_spent_and_never_lag() {
        let once = Schedule { max_uses: 1, ..PLAIN };
        let mut uses = Uses { epoch: 0, taken: 0 };
        assert_eq!(uses.take(&once, 0), Some(0));
        assert_eq!(uses.take(&once, 0), Some(1));
        assert_eq!(uses.take(&once, 9), Some(9));
        assert_eq!(uses.take(&once, 3), Some(10));
        let mut last = Uses { epoch: u32::MAX, taken: 1 };
        assert_eq!(last.take(&once, 0), None);
    }
}
