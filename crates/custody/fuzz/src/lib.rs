//! What the fuzz target does, apart from the engine, so that `tests/custody/corpus.rs` runs the same lines on a stable compiler.
//!
//! | target | takes | reaches |
//! | --- | --- | --- |
//! | [`file`] | a custody file | reading it, as `init`, `restore` and every start do, and writing it again |

use std::fs;
use wardein_custody::{copy, kind, put, status};

/// Reads `data` as a custody file. What is taken is written in one form, which is read alike.
pub fn file(data: &[u8]) {
    let place = tempfile::tempdir().expect("a directory");
    let (found, put_there) = (place.path().join("custody.json"), place.path().join("again.json"));
    fs::write(&found, data).expect("it can be written");
    let shown = match (status(&found), kind(&found), put(&put_there, data)) {
        (Ok(shown), Ok(kind), Ok(())) => {
            assert!(shown.kind == kind);
            shown
        }
        (Err(error), Err(_), Err(_)) => {
            assert!(!error.to_string().is_empty());
            assert!(!put_there.exists(), "what is refused is not kept");
            return;
        }
        _ => unreachable!("a custody file is read in two ways"),
    };
    let again = status(&put_there).expect("it was written here");
    assert_eq!((shown.versions, shown.registers), (again.versions, again.registers));
    assert_eq!((shown.kms_key, shown.authority), (again.kms_key, again.authority));
    let copied = copy(&put_there).expect("it was written here");
    assert_eq!(copied, fs::read(&put_there).expect("it was written here"));
}
