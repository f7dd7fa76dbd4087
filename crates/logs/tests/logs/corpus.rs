//! Replays the corpora of the fuzz targets through their bodies, on a stable compiler.

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a crate of its own for the fuzz targets")]
mod fuzz;

use wardein_testkit::corpus::{replay, targets};

#[test]
fn approval() {
    replay(HERE, "approval", fuzz::approval);
}

#[test]
fn batch() {
    replay(HERE, "batch", fuzz::batch);
}

#[test]
fn config() {
    replay(HERE, "config", fuzz::config);
}

#[test]
fn frames() {
    replay(HERE, "frames", fuzz::frames);
}

/// A target that is added to the folder has its test here, which fails until it has a corpus.
#[test]
fn no_target_is_left_out() {
    assert_eq!(targets(HERE), ["approval", "batch", "config", "frames"]);
}

const HERE: &str = env!("CARGO_MANIFEST_DIR");
