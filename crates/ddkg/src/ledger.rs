//! The accepted numbers, and the meaning of a right mac (specification, section 5): the authority's rules for one
//! generation's proofs, without keys, so that the model of the protocol runs these very lines.

use crate::time::AuthorityTime;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use wardein_domain::Schedule;

/// A proof's claim about itself, before its mac is known to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The epoch of its key.
    pub epoch: u32,
    /// The number of its key.
    pub number: u64,
    /// When its challenge was issued, in Unix milliseconds.
    pub issued_ms: u64,
    /// Whether its action is never accepted late.
    pub is_ordered: bool,
    /// The first 8 bytes of its transcript.
    pub mark: [u8; 8],
}

/// The epochs that are acceptable now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpochBounds {
    /// The first that the tree still yields.
    pub derivable: u32,
    /// The one due `grace` ago.
    pub lowest: u32,
    /// The one due in `grace` from now.
    pub highest: u32,
    /// By how many a proof may run ahead of the due, the current, and the first derivable one.
    pub lead: u32,
}

/// The proofs that were accepted in one generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// The highest epoch accepted.
    current: u32,
    /// How many numbers were accepted in it.
    uses: u64,
    /// The highest number accepted, with the first 8 bytes of its transcript.
    highest: Option<(u64, [u8; 8])>,
    /// Bit i: number `highest − 1 − i` was accepted. 127 are watched.
    window: u128,
    /// The latest issue time of a challenge that an accepted proof answered, in Unix milliseconds.
    latest_ms: u64,
    /// When a human last readmitted the device, in Unix milliseconds; 0 for never. No challenge issued until then counts.
    readmitted_ms: u64,
}

/// How many numbers below the highest may still come.
pub const WINDOW: u64 = 127;

/// What to do with a claim once its mac is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Accept it.
    Open,
    /// Do not accept it: judge whether the network repeated it or a clone sent it.
    Closed,
}

/// The claim is refused before anything is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misplaced {
    /// Its epoch is over or full; `next` is an acceptable one.
    Spent {
        /// An epoch that is acceptable now.
        next: u32,
    },
    /// Its epoch is too far ahead; `highest` is the last acceptable one.
    Ahead {
        /// The last epoch that is acceptable now.
        highest: u32,
    },
}

/// The meaning of a right mac that cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgment {
    /// The network repeated or delayed a message.
    Replayed,
    /// Two holders of one state speak.
    Clone(CloneSign),
}

/// The sign that gave a clone away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloneSign {
    /// One number came with two transcripts.
    NumberTwice,
    /// A number not above the highest came for a challenge issued later than `latest + skew`: an honest device would have
    /// taken a higher one.
    NumberTooLow,
    /// A retired generation was used for a challenge issued later than `latest + skew` of the active one: an honest device
    /// had erased it.
    RetiredGeneration,
    /// A pending generation was used that a later rekey had replaced: one holder adopted it, another asked again.
    ReplacedGeneration,
}

impl CloneSign {
    /// The stable code, for the evidence.
    pub fn code(self) -> &'static str {
        match self {
            Self::NumberTwice => "number-twice",
            Self::NumberTooLow => "number-too-low",
            Self::RetiredGeneration => "retired-generation",
            Self::ReplacedGeneration => "replaced-generation",
        }
    }
}

impl Ledger {
    /// Bytes of [`Ledger::put`].
    pub(crate) const LEN: usize = 4 + 8 + 1 + 8 + 8 + 16 + 8;

    /// Nothing accepted yet. `latest_ms` is the issue time of the challenge that led to this generation, 0 for the first.
    pub fn new(latest_ms: u64) -> Self {
        Self { current: 0, uses: 0, highest: None, window: 0, latest_ms, readmitted_ms: 0 }
    }

    /// The highest epoch accepted so far.
    pub fn current(&self) -> u32 {
        self.current
    }

    /// The highest number accepted so far.
    pub fn highest(&self) -> Option<u64> {
        self.highest.map(|(number, _)| number)
    }

    /// The latest issue time of an answered challenge, in Unix milliseconds.
    pub fn latest_ms(&self) -> u64 {
        self.latest_ms
    }

    /// When the device was last readmitted, in Unix milliseconds; 0 for never.
    pub(crate) fn readmitted_ms(&self) -> u64 {
        self.readmitted_ms
    }

    /// The same ledger, which was stored with it.
    pub(crate) fn with_readmitted_ms(self, readmitted_ms: u64) -> Self {
        Self { readmitted_ms, ..self }
    }

    /// This ledger as it is read at `time`: what a clock that ran ahead has left in it is corrected. All that is judged, accepted or
    /// handed on rests on it, so the next proof that is accepted writes the correction.
    pub fn at(&self, time: AuthorityTime, skew_ms: u64) -> Self {
        let [latest_ms, readmitted_ms] =
            [self.latest_ms, self.readmitted_ms].map(|stored| time.reads(stored, skew_ms));
        Self { latest_ms, readmitted_ms, ..self.clone() }
    }

    /// A human readmits the device at `now_ms`, after an alarm: its numbers begin again. The numbers of the other holder, which may
    /// have used the last one there is, are in nobody's way then. Nothing that was answered before can be accepted again: no
    /// challenge issued until now counts any more.
    pub fn readmit(&mut self, now_ms: u64) {
        self.latest_ms = self.latest_ms.max(now_ms);
        (self.highest, self.window, self.readmitted_ms) = (None, 0, self.latest_ms);
    }

    /// The place of `claim`, before its mac is checked, so that the work on a refused one is bounded.
    ///
    /// There is no bound on how far a number may be above the highest: deriving its key costs the same whatever it is, and
    /// a device that burned numbers on refused or lost requests must not be locked out.
    pub fn place(
        &self,
        claim: &Claim,
        schedule: &Schedule,
        bounds: &EpochBounds,
        skew_ms: u64,
    ) -> Result<Place, Misplaced> {
        let base = self.current.max(bounds.derivable);
        let highest = base.max(bounds.highest).saturating_add(bounds.lead);
        if claim.epoch > highest {
            return Err(Misplaced::Ahead { highest });
        }
        let lowest = self.current.max(bounds.lowest);
        let is_full = claim.epoch == self.current && self.is_full(schedule);
        let is_above =
            self.highest.is_none_or(|(number, _)| claim.number > number) && !self.is_outdated(claim);
        let is_derivable = claim.epoch >= bounds.derivable;
        if is_derivable && claim.epoch >= lowest && !is_full && (is_above || self.may_fill(claim, skew_ms)) {
            return Ok(Place::Open);
        }
        if is_above || !is_derivable {
            let next = if self.is_full(schedule) { self.current.saturating_add(1) } else { self.current };
            return Err(Misplaced::Spent { next: next.max(bounds.lowest).max(bounds.derivable) });
        }
        Ok(Place::Closed)
    }

    /// Whether the current epoch takes no further number. The last one always does: only a clock that was ahead by all the
    /// epochs there are can have led there, and without it the device could not even prove the rekey that leads out.
    fn is_full(&self, schedule: &Schedule) -> bool {
        self.current != u32::MAX && schedule.is_spent(self.uses)
    }

    /// Whether a number below the highest was overtaken on the way and is still welcome.
    fn may_fill(&self, claim: &Claim, skew_ms: u64) -> bool {
        self.bit(claim.number).is_some_and(|bit| self.window & bit == 0)
            && !claim.is_ordered
            && !self.is_outdated(claim)
            && claim.issued_ms <= self.latest_ms.saturating_add(skew_ms)
    }

    /// The window's bit for a number below the highest, if it is watched.
    fn bit(&self, number: u64) -> Option<u128> {
        let below = self.highest()?.checked_sub(number)?.checked_sub(1)?;
        (below < WINDOW).then(|| 1 << below)
    }

    /// Accepts a claim that [`Ledger::place`] found open and whose mac is right.
    pub fn accept(&mut self, claim: &Claim) {
        if claim.epoch > self.current {
            (self.current, self.uses) = (claim.epoch, 0);
        }
        self.uses = self.uses.saturating_add(1);
        self.latest_ms = self.latest_ms.max(claim.issued_ms);
        if let Some(bit) = self.bit(claim.number) {
            self.window |= bit;
            return;
        }
        if let Some((highest, _)) = self.highest {
            let risen = claim.number.saturating_sub(highest);
            let shifted =
                u32::try_from(risen).ok().and_then(|risen| self.window.checked_shl(risen)).unwrap_or(0);
            let old = risen.checked_sub(1).filter(|below| *below < WINDOW).map_or(0, |below| 1 << below);
            self.window = (shifted | old) & WINDOW_MASK;
        }
        self.highest = Some((claim.number, claim.mark));
    }

    /// The meaning of a closed claim whose mac is right.
    pub fn judge(&self, claim: &Claim, skew_ms: u64) -> Judgment {
        match self.highest {
            Some((number, mark)) if number == claim.number && mark == claim.mark => Judgment::Replayed,
            _ if self.is_outdated(claim) => Judgment::Replayed,
            Some((number, _)) if number == claim.number => Judgment::Clone(CloneSign::NumberTwice),
            _ if self.is_after(claim, skew_ms) => Judgment::Clone(CloneSign::NumberTooLow),
            _ => Judgment::Replayed,
        }
    }

    /// Whether the claim's challenge was certainly issued after every one that was answered here.
    pub fn is_after(&self, claim: &Claim, skew_ms: u64) -> bool {
        claim.issued_ms > self.latest_ms.saturating_add(skew_ms)
    }

    /// Whether the claim's challenge was issued before the device was readmitted, so that it may have been accepted then.
    fn is_outdated(&self, claim: &Claim) -> bool {
        self.readmitted_ms != 0 && claim.issued_ms <= self.readmitted_ms
    }

    /// All but the time of the readmission, which an older form of the record had not.
    pub(crate) fn put(&self, out: &mut impl Sink) {
        out.u32(self.current);
        out.u64(self.uses);
        out.put(&[u8::from(self.highest.is_some())]);
        let (number, mark) = self.highest.unwrap_or_default();
        out.u64(number);
        out.put(&mark);
        out.put(&self.window.to_be_bytes());
        out.u64(self.latest_ms);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (current, uses) = (reader.u32("current epoch")?, reader.u64("uses")?);
        let is_used = reader.small("has a highest number", 1)? == 1;
        let highest = (reader.u64("highest number")?, reader.array("mark")?);
        let (window, latest_ms) = (reader.u128("window")?, reader.u64("latest challenge")?);
        if window & !WINDOW_MASK != 0 || (!is_used && (highest != Default::default() || window != 0)) {
            return Err(Problem::NotCanonical("has bits outside of what it watches").of("window"));
        }
        let highest = is_used.then_some(highest);
        Ok(Self { current, uses, highest, window, latest_ms, readmitted_ms: 0 })
    }
}

const WINDOW_MASK: u128 = (1 << WINDOW) - 1;

#[cfg(test)]
mod tests;
