//! Each broken rule must be noticed, and by the invariant that it breaks.

use super::config::Config;
use super::explore::explore;
use super::mutant::Mutant;
use super::runs;

/// A mutant, the run that notices it, and the invariants that may say so first.
type Expected = (Mutant, fn() -> Config, &'static [&'static str]);

const MUTANTS: &[Expected] = &[
    (Mutant::WindowUnchecked, runs::network, &["I2"]),
    (Mutant::MacUnchecked, runs::network, &["a spliced"]),
    (Mutant::AnswersBeforeStoring, runs::network, &["I1", "I2", "I3"]),
    (Mutant::StoresBlindly, runs::interleaved, &["I1", "I2", "I3", "I5"]),
    (Mutant::RekeyAcceptedLate, runs::network, &["I1", "I3", "I5"]),
    (Mutant::RetiresAtOnce, runs::network, &["I1", "I3", "I5"]),
    (Mutant::NoReplacedMemory, runs::copies, &["I1", "I4"]),
    (Mutant::NoRetiredMemory, runs::copies, &["I1", "I4"]),
    (Mutant::LateIsClone, runs::network, &["I5"]),
    (Mutant::RetiredIsClone, runs::network, &["I5"]),
    (Mutant::NoSkew, runs::network, &["I5"]),
    (Mutant::ErasesInDoubt, runs::eras, &["no key"]),
    (Mutant::AheadBelieved, runs::copies_across_eras, &["I1", "I4"]),
    (Mutant::AheadIsNow, runs::copies_across_eras, &["I1", "I4"]),
    (Mutant::OldChallenges, || Config { period: 0, ..runs::eras() }, &["I5"]),
    (Mutant::NumbersGoOn, runs::copies, &["I6"]),
    (Mutant::ConfirmedReplaced, runs::enrollment, &["I1", "I3"]),
    (Mutant::UsesBeforeStoring, runs::network, &["I1", "I2", "I5"]),
    (Mutant::ErasesBeforeStoring, runs::network, &["I1", "I3"]),
    (Mutant::BelievesEarlierRekey, runs::network, &["I1", "I3", "I5"]),
    (Mutant::ManyQuestions, runs::network, &["I5"]),
    (Mutant::HintIgnored, runs::wrong_clocks, &["I1"]),
    (Mutant::NoLead, runs::copies_with_max_uses, &["I4"]),
    (Mutant::AheadIgnored, runs::spent_epochs, &["I1"]),
    (Mutant::ConfirmsBeforeStoring, runs::enrollment, &["I1", "I3"]),
];

/// Explores every mutant and panics where one passes, or fails for another reason than its own.
pub(crate) fn check() {
    for (mutant, run, expected) in MUTANTS {
        let config = Config { mutant: Some(*mutant), ..run() };
        let Err((invariant, trace)) = explore(&config) else {
            panic!("{mutant:?} was not noticed by {}", config.name);
        };
        assert!(
            expected.iter().any(|expected| invariant.starts_with(expected)),
            "{mutant:?}: unexpected {invariant}\n{trace}"
        );
        let steps = trace.lines().take_while(|line| !line.starts_with("  ends in")).count();
        say!("{mutant:?}: noticed by {} after {steps} steps: {invariant}", config.name);
        if std::env::var_os("WARDEIN_MODEL_TRACES").is_some() {
            say!("{trace}");
        }
    }
}
