//! Hands the linker the board's memory, and the image `vectors` its file: the committed one, or that of `WARDEIN_DDKG_VECTORS`.

use std::env;
use std::path::PathBuf;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo:rustc-link-search={}", here.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // Sections in flash begin where the last one ends, not at a page.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rerun-if-changed=memory.x");

    let committed = here.join("../../crates/ddkg/vectors/ddkg-1.vectors.json");
    let vectors = env::var_os("WARDEIN_DDKG_VECTORS").map_or(committed, PathBuf::from);
    println!("cargo:rerun-if-env-changed=WARDEIN_DDKG_VECTORS");
    println!("cargo:rustc-env=WARDEIN_DDKG_VECTORS={}", vectors.display());
}
