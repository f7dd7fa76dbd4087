//! The runs: each is about some of the faults, so that it gets deep in those.

use super::config::{Budget, Clock, Config};

const RIGHT: [Clock; 2] = [Clock::Off(0), Clock::Off(0)];
/// As far apart as `skew` allows.
const SKEWED: [Clock; 2] = [Clock::Off(0), Clock::Off(2)];

fn base(name: &'static str, depth: usize, floor: usize) -> Config {
    Config {
        name,
        depth: depth + extra_depth(),
        floor,
        period: 0,
        max_uses: 0,
        clocks: RIGHT,
        settings: &[],
        jumps: &[],
        budget: Budget::default(),
        paced: false,
        whole: false,
        single: true,
        interleaved: false,
        spliced: false,
        mutant: None,
    }
}

/// Steps beyond the usual depth.
fn extra_depth() -> usize {
    std::env::var("WARDEIN_MODEL_DEPTH").ok().and_then(|depth| depth.parse().ok()).unwrap_or(0)
}

/// Loss, repetition, reordering, splices and crashes, with rekeys and clocks that are apart by all of `skew`.
pub(crate) fn network() -> Config {
    let budget = Budget { asks: 4, proofs: 3, rekeys: 2, crashes: 1, ticks: 1, ..Budget::default() };
    Config { clocks: SKEWED, budget, spliced: true, ..base("network", 10, 200_000) }
}

/// Two keys in an epoch and a period: epochs run out, and refusals are forged.
pub(crate) fn spent_epochs() -> Config {
    let budget =
        Budget { asks: 4, proofs: 3, rekeys: 1, crashes: 1, ticks: 1, refusals: 1, ..Budget::default() };
    Config { max_uses: 1, period: 3, budget, ..base("spent epochs", 12, 40_000) }
}

/// Clocks ahead by a hundred epochs, behind, and standing still, and sweeps under them.
pub(crate) fn wrong_clocks() -> Config {
    const SETTINGS: &[Clock] = &[Clock::Off(0), Clock::Off(300), Clock::Off(-300), Clock::Stopped(1_000_000)];
    let budget = Budget {
        asks: 3,
        proofs: 3,
        rekeys: 1,
        crashes: 1,
        ticks: 1,
        clocks: 2,
        sweeps: 1,
        ..Budget::default()
    };
    Config { period: 3, max_uses: 2, settings: SETTINGS, budget, ..base("wrong clocks", 9, 700_000) }
}

/// A clock ahead by more than a schedule has epochs.
pub(crate) fn wild_clocks() -> Config {
    const SETTINGS: &[Clock] = &[Clock::Off(0), Clock::Off(1 << 40)];
    let budget =
        Budget { asks: 3, proofs: 3, rekeys: 1, crashes: 1, clocks: 2, sweeps: 1, ..Budget::default() };
    Config { period: 3, max_uses: 1, settings: SETTINGS, budget, ..base("wild clocks", 11, 100_000) }
}

/// The authority's time jumps ahead, by little and by a hundred epochs, and goes back into a new era.
pub(crate) fn eras() -> Config {
    let budget = Budget { asks: 3, proofs: 3, rekeys: 1, ticks: 2, sweeps: 1, jumps: 1, ..Budget::default() };
    Config { period: 3, jumps: JUMPS, budget, ..base("eras", 11, 140_000) }
}

/// The same with a copy of the device.
pub(crate) fn copies_across_eras() -> Config {
    let budget = Budget { proofs: 5, rekeys: 1, copies: 1, jumps: 1, ..Budget::default() };
    Config {
        period: 3,
        jumps: JUMPS,
        paced: true,
        whole: true,
        single: false,
        budget,
        ..base("copies across eras", 9, 50_000)
    }
}

/// Soon caught up with, and never in a run.
const JUMPS: &[u64] = &[8, 300];

/// Enrollment, its confirmation and the first proof.
pub(crate) fn enrollment() -> Config {
    let budget = Budget { asks: 1, proofs: 1, crashes: 2, enrollments: 3, ..Budget::default() };
    Config { budget, ..base("enrollment", 12, 55_000) }
}

/// Two nodes that load, decide and store by turns.
pub(crate) fn interleaved() -> Config {
    let budget = Budget { asks: 3, proofs: 3, rekeys: 2, crashes: 1, ..Budget::default() };
    Config { interleaved: true, budget, ..base("interleaved nodes", 13, 60_000) }
}

/// A copy of the device's image or memory, both of which go on; time passes before every request.
pub(crate) fn copies() -> Config {
    let budget = Budget { proofs: 6, rekeys: 2, copies: 1, ..Budget::default() };
    Config { clocks: SKEWED, paced: true, whole: true, single: false, budget, ..base("copies", 8, 230_000) }
}

/// The same with crashes, losses, and requests close to each other.
pub(crate) fn lossy_copies() -> Config {
    let budget = Budget { proofs: 4, rekeys: 2, crashes: 1, ticks: 2, copies: 1, ..Budget::default() };
    Config { whole: true, single: false, budget, ..base("copies, lossy", 6, 1_300_000) }
}

/// A copy where each key is an epoch of its own.
pub(crate) fn copies_with_max_uses() -> Config {
    let budget = Budget { proofs: 10, rekeys: 1, copies: 1, ..Budget::default() };
    Config {
        max_uses: 1,
        paced: true,
        whole: true,
        single: false,
        budget,
        ..base("copies, max_uses 1", 12, 20_000)
    }
}

/// The device itself is rolled back to an old image.
pub(crate) fn restored() -> Config {
    let budget =
        Budget { asks: 4, proofs: 4, rekeys: 2, crashes: 1, ticks: 2, restores: 1, ..Budget::default() };
    Config { period: 6, max_uses: 2, clocks: SKEWED, budget, ..base("restored image", 8, 300_000) }
}
