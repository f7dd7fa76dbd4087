//! Writes valid inputs into `corpus/`, from a release's fixture: where fuzzing starts when there is no corpus yet.
//! `cargo run --example seeds` in `crates/custody/fuzz`.

use std::fs;
use std::path::Path;

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here.join("corpus/file");
    fs::create_dir_all(&folder).expect("a folder");
    let fixture = here.join("../../../tests/fixtures/0.1.0/sqlite/custody.json");
    fs::copy(fixture, folder.join("passphrase")).expect("the fixture is committed");
}
