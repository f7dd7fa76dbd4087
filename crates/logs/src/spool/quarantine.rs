//! Batches that a receiver refused for good: kept, with the reason, until a person has looked.

use super::{BatchName, QUARANTINE, SpoolError};
use serde::Serialize;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The file beside a batch in quarantine.
#[derive(Serialize)]
struct Reason<'a> {
    /// What the receiver said.
    refused: &'a str,
}

/// Moves the files of a batch into the quarantine, the reason first. Where a crash cut it short, the batch is delivered and refused again, or
/// [`tidy`] moves what is left.
pub(super) fn set_aside(directory: &Path, name: &BatchName, why: &str) -> Result<(), SpoolError> {
    let quarantine = directory.join(QUARANTINE);
    let reason = quarantine.join(format!("{name}.json"));
    let text =
        serde_json::to_vec(&Reason { refused: why }).map_err(|error| SpoolError::damaged(&reason, error))?;
    wardein_durable::replace(&reason, &text, 0o600).map_err(SpoolError::file("write", &reason))?;
    for file in [name.sealed(), name.statement()] {
        let from = directory.join(&file);
        match fs::rename(&from, quarantine.join(&file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(SpoolError::file("move", &from)(error));
            }
            _ => {}
        }
    }
    for directory in [&quarantine, directory] {
        wardein_durable::sync_directory(directory).map_err(SpoolError::file("sync", directory))?;
    }
    Ok(())
}

/// Brings to its end what a crash cut short: a statement whose batch is not beside it belongs to one that was delivered or set aside.
pub(super) fn tidy(directory: &Path) -> Result<(), SpoolError> {
    let failed = || SpoolError::file("read", directory);
    let quarantine = directory.join(QUARANTINE);
    for entry in fs::read_dir(directory).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = file.strip_suffix(".sig").and_then(|sealed| sealed.parse::<BatchName>().ok()) else {
            continue;
        };
        if directory.join(name.sealed()).symlink_metadata().is_ok() {
            continue;
        }
        let set_aside = quarantine.join(name.sealed()).symlink_metadata().is_ok();
        let done = match set_aside {
            true => fs::rename(&path, quarantine.join(file)),
            false => fs::remove_file(&path),
        };
        done.map_err(SpoolError::file("tidy up", &path))?;
    }
    Ok(())
}

/// The bytes of all that is set aside.
pub(super) fn bytes(directory: &Path) -> Result<u64, SpoolError> {
    let quarantine = directory.join(QUARANTINE);
    let entries = match fs::read_dir(&quarantine) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(SpoolError::file("read", &quarantine))?,
    };
    let mut bytes = 0;
    for entry in entries {
        let entry = entry.map_err(SpoolError::file("read", &quarantine))?;
        bytes += entry.metadata().map_or(0, |facts| facts.len());
    }
    Ok(bytes)
}
