//! Replays through the bodies of the fuzz targets, on a stable compiler, what fuzzing found worth keeping (`fuzz/corpus/`)
//! and what once broke something (`fuzz/regressions/`).

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a crate of its own for the fuzz targets")]
mod fuzz;

use std::fs;
use std::path::Path;

#[test]
fn decode() {
    replay("decode", fuzz::decode);
}

#[test]
fn device_state() {
    replay("device_state", fuzz::device_state);
}

#[test]
fn record() {
    replay("record", fuzz::record);
}

#[test]
fn both_ends() {
    replay("both_ends", fuzz::both_ends);
}

/// A target that is added to the folder has its test here, which fails until it has a corpus.
#[test]
fn no_target_is_left_out() {
    let targets = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets"));
    let mut targets: Vec<_> = targets.unwrap().map(|entry| entry.unwrap().path()).collect();
    targets.sort();
    let targets: Vec<_> = targets.iter().map(|path| path.file_stem().unwrap()).collect();
    assert_eq!(targets, ["both_ends", "decode", "device_state", "record"]);
}

fn replay(target: &str, run: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let inputs = |folder: &str| fs::read_dir(fuzz.join(folder).join(target)).into_iter().flatten();
    assert!(inputs("corpus").next().is_some(), "the corpus of {target} is committed");
    for entry in inputs("corpus").chain(inputs("regressions")) {
        let path = entry.expect("it can be listed").path();
        // Shown when the run below fails.
        eprintln!("{}", path.display());
        run(&fs::read(&path).expect("it can be read"));
    }
}
