//! Writes valid inputs for every target into `corpus/`, from a release's fixture: where fuzzing starts when there is no corpus yet.
//! `cargo run --example seeds` in `crates/pki/fuzz`.

use std::fs;
use std::path::{Path, PathBuf};
use wardein_crypto::{P256SigningKey, hex};
use wardein_pki::est::{self, Lines};
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
            let request = fs::read(&path).expect("a vector");
            write("request", &name, &request);
            write("est", &name, est::encode(&request, Lines::Of64).expose());
            write("est", &format!("{name}.pem"), pem::encode_request(&request).expect("PEM").as_bytes());
        }
    }
    for name in ["root-ca", "infrastructure", "trust"] {
        let certificates = pem::decode_certificates(&read(&format!("sqlite/{name}.pem"))).expect("certificates");
        for (number, certificate) in certificates.iter().enumerate() {
            write("certificate", &format!("{name}-{number}"), certificate);
        }
    }
    // As `openssl ocsp -reqout` wrote it.
    let request = hex::decode(OCSP_REQUEST).expect("hex digits");
    write("ocsp", "sha1-no_nonce", &request);
    write("certificate", "device-uri", b"spiffe://wardein.test/tenant/klinik/device/pump-1");
}

const OCSP_REQUEST: &str = "3051304f304d304b3049300906052b0e03021a0500041436e743a1238c486a4e1e61b944079dc6922ca0090414b280208f\
fc0d5678c6ee807703dd8202942695a702104142434445464748494a4b4c4d4e4f50";

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
