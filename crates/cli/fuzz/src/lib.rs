//! What the fuzz targets do, apart from the engine, so that `tests/cli/corpus.rs` runs the same lines on a stable compiler.
//!
//! | target | takes | reaches |
//! | --- | --- | --- |
//! | [`config`] | `wardein.toml` | reading it, and writing it with its documentation |
//! | [`batch`] | a factory's CSV file, or a workbook | its columns, and each line |

use std::fs;
use wardein_cli::config::Config;
use wardein_station::{Batch, HeadMap};

/// Reads `data` as a configuration. What is taken is written in a form that is read alike.
pub fn config(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match Config::parse(text) {
        Ok(config) => {
            let again = Config::parse(&config.to_documented_toml()).expect("it was written here");
            assert!(again == config);
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
}

/// Reads `data` as a list of devices. Each line is a device of its own, or a bad line with a reason.
pub fn batch(data: &[u8]) {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("devices.csv");
    fs::write(&path, data).expect("it can be written");
    match Batch::read(&path, &HeadMap::default()) {
        Ok(batch) => {
            let mut devices: Vec<_> = batch.lines.iter().map(|line| &line.device).collect();
            devices.sort();
            assert!(devices.is_sorted_by(|one, next| one < next), "a device is there twice");
            assert!(batch.bad.iter().all(|bad| !bad.reason.is_empty()));
            // A workbook is compressed.
            assert!(data.starts_with(b"PK") || batch.lines.len() + batch.bad.len() <= data.len());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
