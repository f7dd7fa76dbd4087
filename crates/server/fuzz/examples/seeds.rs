//! Writes inputs for `calls` into `corpus/`: where fuzzing starts when there is no corpus yet. `cargo run --example seeds` in
//! `crates/server/fuzz`. That of `backup` is written by its test (`tests/server/corpus.rs`).

use std::fs;
use std::path::Path;
use wardein_domain::Method;

fn main() {
    for (number, method) in (0..).zip(Method::ALL) {
        let name = method.path().rsplit('/').next().expect("a path");
        let begin: &[u8] = &[number, 0];
        // Most messages begin with a tenant and a device or a name; then come a state, a profile, or a number.
        for (kind, message) in [
            ("empty", &b""[..]),
            ("names", b"\x0a\x01t\x12\x06pump-1\x1a\x09suspended\x22\x04lost"),
            ("nested", b"\x0a\x14\x0a\x01t\x12\x03lab\x18\x80\xa3\x05\x20\x3c\x28\x03"),
            ("numbers", b"\x0a\x01t\x18\x0a\x20\x0a\x28\x01\x32\x01a"),
        ] {
            write("calls", &format!("{name}-{kind}"), &[begin, message].concat());
        }
    }
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a file");
}
