//! Writes valid inputs for every target into `corpus/`, from a release's fixture: where fuzzing starts when there is no corpus yet.
//! `cargo run --example seeds` in `crates/pki/fuzz`.

use std::fs;
use std::path::{Path, PathBuf};
use wardein_crypto::P256SigningKey;
use wardein_pki::{Csr, pem};

fn main() {
    for operator in ["line-2", "deputy", "iot"] {
        let chain = read(&format!("operators/{operator}/operator.pem"));
        write("certificate", &format!("{operator}.pem"), chain.as_bytes());
        let certificates = pem::decode_certificates(&chain).expect("a chain");
        write("certificate", operator, &certificates[0]);
        let key = pem::decode_private_key(read(&format!("operators/{operator}/operator.key")).as_bytes());
        let key = P256SigningKey::from_pkcs8(&key.expect("a key")).expect("a key");
        write("request", operator, &Csr::create(&key).expect("it signs"));
    }
    let made = here().join("../src/tests/vectors/requests");
    for file in fs::read_dir(made).expect("the vectors are committed") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "der") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            write("request", &name, &fs::read(&path).expect("a vector"));
        }
    }
    for name in ["root-ca", "infrastructure", "trust"] {
        let certificates = pem::decode_certificates(&read(&format!("sqlite/{name}.pem"))).expect("certificates");
        for (number, certificate) in certificates.iter().enumerate() {
            write("certificate", &format!("{name}-{number}"), certificate);
        }
    }
    write("certificate", "device-uri", b"spiffe://wardein.test/tenant/klinik/device/pump-1");
}

fn read(name: &str) -> String {
    fs::read_to_string(here().join("../../../tests/fixtures/0.1.0").join(name)).expect("the fixture is committed")
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = here().join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a file");
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
