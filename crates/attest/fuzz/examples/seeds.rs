//! Writes valid inputs for every target into `corpus/`, from what a real TPM gave: where fuzzing starts when there is no corpus yet.
//! `cargo run --example seeds` in `crates/attest/fuzz`, after the vectors were written again.

use std::fs;
use std::path::Path;

fn main() {
    for name in ["ek-rsa2048", "ek-p256", "ek-p384", "ak-rsassa", "ak-rsapss", "ak-p256", "ak-p384", "device"] {
        write("public", name, &read(&format!("{name}.pub")));
    }
    for ak in ["rsassa", "rsapss", "p256", "p384"] {
        for kind in ["certify", "quote"] {
            let name = format!("{kind}-{ak}");
            let (attested, signature) = (read(&format!("{name}.attest")), read(&format!("{name}.sig")));
            write("statement", &name, &[sized(&attested), signature].concat());
        }
    }
    for ek in ["rsa2048", "p256", "p384"] {
        let leaf = read(&format!("ek-{ek}.der"));
        write("certificate", ek, &[sized(&leaf), read("vendor-issuer.der")].concat());
    }
    write("certificate", "root", &read("vendor-root.der"));
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name);
    fs::read(path).expect("the vectors are committed")
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a file");
}
