//! A model of both ends of DDKG-1 and the network, explored exhaustively to a stated depth.
//!
//! What: the shipped rules (`wardein_ddkg::model`) with symbolic keys, among messages that are lost, repeated, reordered and
//! forged from seen parts, crashes before and after every durable write at either end, copies and old images of the device,
//! and clocks of two nodes that are wrong, jump, or stand still. A device's own clock has no part in proofs (specification,
//! section 3.1). What of the ends cannot be shared, since it is tied to keys, is written again here and held against the
//! shipped ends step by step (`conform.rs`).
//!
//! - (I1) From every state both ends agree again without a human: within three requests a proof is accepted and acknowledged,
//!   within three more a rekey, within three more a proof under the new generation; except after the clone alarm (`recover.rs`).
//! - (I2) No number of a generation is accepted twice, for another transcript or for the same.
//! - (I3) The generation that the device has stored is always one under which the authority accepts proofs, so an acknowledged
//!   rekey is never lost (`recover.rs`).
//! - (I4) Of two holders of one state that both go on speaking, one raises the clone alarm; stated exactly in `fork.rs`.
//! - (I5) No alarm without a fork, while the nodes' clocks keep within `skew` of each other.
//! - (I6) After an alarm for a number and a readmission, either holder's rekey succeeds, and then the other is out (`recover.rs`).
//! - No key that retention promises is lost, however far the authority's time was ahead meanwhile.
//!
//! (I1) to (I3) hold under any clocks, the others while they keep `skew`. A jump of the authority's time, which all nodes share, and its
//! return in a new era break none of them. `WARDEIN_MODEL_DEPTH=n` goes n steps deeper.
//! `WARDEIN_MODEL_TRACES` shows how each mutant was noticed.

/// Says it past the test harness, which would keep it to itself: how much was explored must be seen.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        // Nobody to tell is no failure.
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod authority;
mod config;
mod conform;
mod device;
mod ends;
mod explore;
mod fork;
mod mutant;
mod mutants;
mod real;
mod recover;
mod runs;
mod splice;
mod step;
mod world;

use config::Config;

fn check(config: Config) {
    if let Err((invariant, trace)) = explore::explore(&config) {
        panic!("{}: {invariant}\n{trace}", config.name);
    }
}

#[test]
fn network() {
    check(runs::network());
}

#[test]
fn spent_epochs() {
    check(runs::spent_epochs());
}

#[test]
fn wrong_clocks() {
    check(runs::wrong_clocks());
}

#[test]
fn wild_clocks() {
    check(runs::wild_clocks());
}

#[test]
fn eras() {
    check(runs::eras());
}

#[test]
fn copies_across_eras() {
    check(runs::copies_across_eras());
}

#[test]
fn enrollment() {
    check(runs::enrollment());
}

#[test]
fn interleaved() {
    check(runs::interleaved());
}

#[test]
fn copies() {
    check(runs::copies());
}

#[test]
fn lossy_copies() {
    check(runs::lossy_copies());
}

#[test]
fn copies_with_max_uses() {
    check(runs::copies_with_max_uses());
}

#[test]
fn restored() {
    check(runs::restored());
}

#[test]
fn every_mutant_is_noticed() {
    mutants::check();
}

#[test]
fn the_shipped_ends_do_as_the_model_does() {
    // More of each fault than a run that is exhaustive can afford.
    let runs = [
        runs::network(),
        runs::spent_epochs(),
        runs::wrong_clocks(),
        runs::wild_clocks(),
        runs::eras(),
        runs::copies_across_eras(),
        runs::copies(),
        runs::restored(),
    ];
    for run in runs {
        let budget = run.budget.generous();
        conform::check(&Config { budget, spliced: false, ..run }, 400);
    }
}
