//! Replays the corpora of the fuzz targets through their bodies, on a stable compiler.

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, clippy::duplicate_mod, reason = "it is a crate of its own for the fuzz targets")]
mod fuzz;

use wardein_testkit::corpus::{replay, targets};

/// Run with `WARDEIN_BLESS=1` to write the backup from which fuzzing starts.
#[test]
fn backup() {
    if std::env::var_os("WARDEIN_BLESS").is_some() {
        let folder = std::path::Path::new(HERE).join("fuzz/corpus/backup");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("whole"), fuzz::a_backup()).unwrap();
    }
    replay(HERE, "backup", fuzz::backup);
}

#[test]
fn calls() {
    replay(HERE, "calls", fuzz::calls);
}

/// A target that is added to the folder has its test here, which fails until it has a corpus.
#[test]
fn no_target_is_left_out() {
    assert_eq!(targets(HERE), ["backup", "calls"]);
}

const HERE: &str = env!("CARGO_MANIFEST_DIR");
