//! What a TPM costs the authority: `cargo bench -p wardein-custody --features tpm --bench tpm`, where `swtpm` is installed.
//!
//! The TPM is one in software on this machine, which is as fast as a TPM gets: one in hardware is a slow processor behind a slow bus. What it
//! takes here is the least that a signature of a CA in a TPM would take.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it measures, states its expectations so, and prints"
)]

use std::time::{Duration, Instant};
use wardein_crypto::{Digest, P256SigningKey, Secret, SecretBytes, SystemEntropy};
use wardein_custody::{Passphrase, Protection, TpmProtection, TpmTarget, create, open_by_tpm};
use wardein_testkit::Swtpm;
use wardein_tpm::Tpm;

fn main() {
    // `cargo test --benches` runs this too, and wants no measurement.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let Some(swtpm) = Swtpm::start() else { return };
    let mut tpm = Tpm::open(&swtpm.tcti().parse().unwrap()).unwrap();
    tpm.device_key().unwrap();
    let digest = Digest::of(b"what a CA signs");
    let in_tpm = median(200, || drop(tpm.sign(&digest.0).unwrap()));
    drop(tpm);
    let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    let in_process = median(2_000, || drop(key.sign(b"what a CA signs").unwrap()));
    println!("a signature on P-256: swtpm {in_tpm:.1?}, in the process {in_process:.1?}");
    println!(
        "certificates a second, if a CA signed them so one after the other: swtpm {:.0}, in the process {:.0}",
        1.0 / in_tpm.as_secs_f64(),
        1.0 / in_process.as_secs_f64()
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.json");
    let target = TpmTarget::parse(&swtpm.tcti(), "0,2,4,7").unwrap();
    let recovery = Passphrase::new(SecretBytes::from_vec(b"correct horse".to_vec())).unwrap();
    let protection = Protection::Tpm(TpmProtection { target, recovery });
    create(&path, &protection, &Secret::copied_from(&[7; 32]), &mut SystemEntropy::default()).unwrap();
    let opened = median(100, || drop(open_by_tpm(&path, &swtpm.tcti()).unwrap()));
    println!("the root key, out of swtpm: {opened:.1?}");
}

fn median(times: usize, mut operation: impl FnMut()) -> Duration {
    let mut took: Vec<_> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            operation();
            begun.elapsed()
        })
        .collect();
    took.sort();
    took[times / 2]
}
