//! What is committed is what `proto/` generates. `WARDEIN_REGENERATE=1 cargo test -p wardein-proto` makes it so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations so")]

mod current;
mod openapi;
mod reference;

use std::path::{Path, PathBuf};
use std::{env, fs};

fn proto() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

/// Every file of the package, in an order that no file system chooses.
fn files() -> Vec<String> {
    let entries = fs::read_dir(proto().join("wardein/v1")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = names.map(|name| format!("wardein/v1/{name}")).collect();
    files.sort();
    files
}

/// The file at `path` has these bytes, or gets them where they are to be generated.
fn is(path: &Path, fresh: &[u8]) {
    if env::var_os("WARDEIN_REGENERATE").is_some() {
        fs::write(path, fresh).unwrap();
    }
    let is_current = fs::read(path).is_ok_and(|committed| committed == fresh);
    assert!(is_current, "{} is not what proto/ generates: WARDEIN_REGENERATE=1 makes it so", path.display());
}
