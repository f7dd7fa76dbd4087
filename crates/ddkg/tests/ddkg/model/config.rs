//! What a run explores: the schedule, the clocks, how often each fault may happen, and which mutant is in force.

use super::mutant::Mutant;
use wardein_ddkg::Policy;

/// Unix seconds at which every run begins.
pub(crate) const START: u64 = 1_000_000;

/// Seconds that pass at once: more than `skew`, so that two requests are either within it or apart by more.
pub(crate) const TICK: u64 = 3;

/// A node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Clock {
    /// Right but for this many seconds.
    Off(i64),
    /// Standing still at this second.
    Stopped(u64),
}

impl Clock {
    /// What it shows, in seconds.
    pub(crate) fn read(self, now: u64) -> u64 {
        match self {
            Self::Off(seconds) => now.saturating_add_signed(seconds),
            Self::Stopped(at) => at,
        }
    }
}

/// How often something may happen. A state holds what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Budget {
    /// Challenges asked for.
    pub(crate) asks: u8,
    /// Proofs made.
    pub(crate) proofs: u8,
    /// How many of them may be rekeys.
    pub(crate) rekeys: u8,
    /// Crashes of a device.
    pub(crate) crashes: u8,
    /// Ticks of real time.
    pub(crate) ticks: u8,
    /// Forged refusals.
    pub(crate) refusals: u8,
    /// Changes of a node's clock.
    pub(crate) clocks: u8,
    /// Jumps of the authority's time, which all nodes share.
    pub(crate) jumps: u8,
    /// Sweeps by a node (specification, section 9).
    pub(crate) sweeps: u8,
    /// Copies made of the device: a second holder of its state.
    pub(crate) copies: u8,
    /// Times that the device itself is rolled back to an old image.
    pub(crate) restores: u8,
    /// Enrollments begun.
    pub(crate) enrollments: u8,
}

impl Budget {
    /// As often as a walk may want, of what may happen at all.
    pub(crate) fn generous(self) -> Self {
        let many = |left: u8| if left == 0 { 0 } else { 40 };
        Self {
            asks: many(self.asks),
            proofs: many(self.proofs),
            rekeys: many(self.rekeys),
            crashes: many(self.crashes),
            ticks: many(self.ticks),
            refusals: many(self.refusals),
            clocks: many(self.clocks),
            jumps: many(self.jumps),
            sweeps: many(self.sweeps),
            ..self
        }
    }
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Its name in the output.
    pub(crate) name: &'static str,
    /// How many steps deep it goes.
    pub(crate) depth: usize,
    /// How many states there are at least: an exploration that ends early by accident fails.
    pub(crate) floor: usize,
    /// The schedule of every generation, but for `not_before`, which is the authority's time.
    pub(crate) period: u64,
    /// Keys in an epoch.
    pub(crate) max_uses: u64,
    /// The two nodes' clocks at the start.
    pub(crate) clocks: [Clock; 2],
    /// To what they may be set.
    pub(crate) settings: &'static [Clock],
    /// By how many seconds the authority's time may jump ahead. It goes back only into a new era (specification, section 9.1).
    pub(crate) jumps: &'static [u64],
    /// How often each thing may happen.
    pub(crate) budget: Budget,
    /// Whether a tick passes before every whole request.
    pub(crate) paced: bool,
    /// Whether a request is made, carried, judged and answered in one step, besides the single ones.
    pub(crate) whole: bool,
    /// Whether challenge, proof, delivery and receipt are steps of their own.
    pub(crate) single: bool,
    /// Whether nodes load and commit in two steps, so that they can overtake each other.
    pub(crate) interleaved: bool,
    /// Whether all splices of seen messages are tried in every state.
    pub(crate) spliced: bool,
    /// The rule that is broken on purpose.
    pub(crate) mutant: Option<Mutant>,
}

impl Config {
    /// The authority's policy: the specification's, with times short enough to be reached. Its lead is the specification's: it
    /// must be above the lead of a device that is refused again and again.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            grace: TICK,
            skew_ms: if self.is(Mutant::NoSkew) { 0 } else { SKEW_MS },
            challenge_lifetime_ms: 4 * TICK * 1_000,
            data_retention: 2,
            ..Policy::default()
        }
    }

    /// Whether the nodes' clocks keep within `skew` of each other, as (I4) and (I5) take for granted. Where they do not, the
    /// run is about (I1) to (I3), and an alarm ends a path.
    pub(crate) fn keeps_skew(&self) -> bool {
        self.settings.is_empty()
    }

    /// Whether `mutant` is in force.
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

/// `skew`: both what the policy promises and what the clocks keep where the run says so.
pub(crate) const SKEW_MS: u64 = 2_000;
