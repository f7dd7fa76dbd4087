//! Replays the corpora of the fuzz targets through their bodies, on a stable compiler.

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a crate of its own for the fuzz targets")]
mod fuzz;

use wardein_testkit::corpus::{replay, targets};

#[test]
fn certificate() {
    replay(HERE, "certificate", fuzz::certificate);
}

#[test]
fn est() {
    replay(HERE, "est", fuzz::est);
}

#[test]
fn ocsp() {
    replay(HERE, "ocsp", fuzz::ocsp);
}

#[test]
fn request() {
    replay(HERE, "request", fuzz::request);
}

/// A target that is added to the folder has its test here, which fails until it has a corpus.
#[test]
fn no_target_is_left_out() {
    assert_eq!(targets(HERE), ["certificate", "est", "ocsp", "request"]);
}

const HERE: &str = env!("CARGO_MANIFEST_DIR");
