//! Replays through the body of a fuzz target, on a stable compiler, what fuzzing found worth keeping (`fuzz/corpus/`) and what once
//! broke something (`fuzz/regressions/`).

use std::fs;
use std::path::Path;

/// Replays the inputs of `target`, whose crate is at `manifest`: each as it is, and again with one byte changed, at places that lie
/// evenly in it.
pub fn replay(manifest: &str, target: &str, run: impl Fn(&[u8])) {
    let fuzz = Path::new(manifest).join("fuzz");
    let inputs = |folder: &str| fs::read_dir(fuzz.join(folder).join(target)).into_iter().flatten();
    assert!(inputs("corpus").next().is_some(), "the corpus of {target} is committed");
    for entry in inputs("corpus").chain(inputs("regressions")) {
        let path = entry.unwrap().path();
        // Shown when the run below fails.
        eprintln!("{}", path.display());
        let mut bytes = fs::read(&path).unwrap();
        run(&bytes);
        for index in (0..bytes.len()).step_by(bytes.len().div_ceil(CHANGED).max(1)) {
            let before = bytes[index];
            bytes[index] ^= 1 << (index % 8);
            run(&bytes);
            bytes[index] = before;
        }
    }
}

/// The targets that the crate at `manifest` has, in order of their names.
pub fn targets(manifest: &str) -> Vec<String> {
    let targets = fs::read_dir(Path::new(manifest).join("fuzz/fuzz_targets")).unwrap();
    let name = |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
    let mut targets: Vec<_> = targets.map(|entry| name(entry.unwrap())).collect();
    targets.sort();
    targets
}

/// How many bytes of an input are changed, one at a time.
const CHANGED: usize = 64;
