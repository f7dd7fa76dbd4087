//! Every field of the vectors against this implementation, and proof that every field is looked at.
//!
//! The tests take the committed file, or the one that `WARDEIN_DDKG_VECTORS` names: vectors of the same form, with any number
//! of entries. With the feature `vectors` the checks are functions, for processors on which the tests do not run.

mod added;
mod agreement;
mod check;
mod form;
mod given;
mod interop;
mod made_keys;
#[cfg(test)]
mod mutate;
mod refused;
mod scenario;
mod service_codes;
mod transfers;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The omissions, and why.
pub type Skipped = Vec<String>;

/// Checks a whole file; an error names the field.
pub fn check(text: &str) -> Result<Skipped, String> {
    let file: form::File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut skipped = check::file(&file)?;
    for (index, entry) in file.enrollment.iter().enumerate() {
        let at = format!("enrollment[{index}]");
        match entry.suite().map_err(|error| format!("{at}.{error}"))? {
            Some(suite) => {
                agreement::check(&file, entry, suite).map_err(|error| format!("{at}.{error}"))?;
            }
            None => skipped.push(format!("{at}: suite {} is built with feature suite2 only", entry.suite)),
        }
    }
    added(&file, &mut skipped)?;
    Ok(skipped)
}

/// Checks what was added after the first file.
fn added(file: &form::File, skipped: &mut Skipped) -> Result<(), String> {
    added::check(file, skipped)?;
    transfers::check(file, skipped)?;
    made_keys::check(file)?;
    service_codes::check(file)?;
    refused::check(file, skipped)?;
    scenario::check(file)
}

/// Has the real ends enroll, each with one that is built from the file's private values. Where the random bytes of an end are those that
/// it is given (with RustCrypto), all that it says is compared with the file, too.
pub fn ends(text: &str) -> Result<(), String> {
    let file: form::File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for (index, entry) in file.enrollment.iter().enumerate() {
        let at = |error| format!("enrollment[{index}].{error}");
        let Some(suite) = entry.suite().map_err(at)? else { continue };
        interop::device_end(&file, entry, suite).map_err(at)?;
        interop::authority_end(&file, entry, suite).map_err(at)?;
    }
    Ok(())
}

#[cfg(test)]
const COMMITTED: &str = include_str!("../vectors/ddkg-1.vectors.json");

/// The text of the file.
#[cfg(test)]
fn text() -> String {
    match std::env::var("WARDEIN_DDKG_VECTORS") {
        Ok(path) => std::fs::read_to_string(path).expect("the named file is to be read"),
        Err(_) => COMMITTED.to_string(),
    }
}

#[test]
fn every_field_of_the_vectors() {
    use std::io::Write;
    for skipped in check(&text()).unwrap() {
        // Past the test harness, which would hide it: unchecked vectors must be visible.
        writeln!(std::io::stderr(), "SKIPPED {skipped}").unwrap();
    }
}

#[test]
fn the_real_ends_agree_with_independent_ones() {
    ends(&text()).unwrap();
}
