//! A model of both ends and the network, explored exhaustively to a stated depth.

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
        runs::copies(),
        runs::restored(),
    ];
    for run in runs {
        let budget = run.budget.generous();
        conform::check(&Config { budget, spliced: false, ..run }, 400);
    }
}
