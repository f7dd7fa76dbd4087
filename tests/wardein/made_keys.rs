//! A device that gets a key of RSA from the authority, with the real binaries, and OpenSSL's opinion of it.

use crate::common::{Served, wardein, wardein_device};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use wardein_pki::pem;

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// Whether a file below `folder` has these bytes.
fn holds(folder: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return holds(&path, wanted);
        }
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(wanted.len()).any(|part| part == wanted)
    })
}

#[tokio::test]
async fn a_device_gets_a_key_of_rsa_and_the_authority_keeps_nothing_of_it() {
    let mut served = Served::found().await;
    served.terminate();
    let home = served.home();
    let toml = std::fs::read_to_string(home.join("wardein.toml")).unwrap();
    let set = toml.replace("made_keys = 0", "made_keys = 1");
    assert_ne!(toml, set);
    std::fs::write(home.join("wardein.toml"), set).unwrap();
    let log = served.directory.path().join("log");
    let written = std::fs::File::create(&log).unwrap();
    served.start_with(Stdio::from(written)).await;

    let dir = home.to_str().unwrap();
    let place = |name: &str| served.directory.path().join(name).to_str().unwrap().to_owned();
    let run = |args: &[&str]| {
        let output = wardein(args);
        assert!(output.status.success(), "{}", words(&output));
        words(&output)
    };
    run(&["profile", "put", "default", "--tenant", "klinik", "--dir", dir, "--certificate-keys", "rsa-2048"]);
    let (station, devices, list) = (place("station"), place("devices"), place("batch.csv"));
    std::fs::write(&list, "id,model,profile\nhub-1,hub,\n").unwrap();
    let order = ["operator", "issue", "--role", "station", "--tenant", "klinik", "--name", "line-1"];
    let to = ["--validity", "1d", "--quota", "1", "--out", &station, "--dir", dir];
    run(&[&order[..], &to, &["--endpoint", &served.endpoint]].concat());
    run(&["device", "enroll", "--identity", &station, "--csv", &list, "--out", &devices]);

    let device = format!("{devices}/hub-1");
    let ask = |args: &[&str]| {
        let args = [&["--dir", &device, "certificate"], args].concat();
        Command::new(wardein_device()).args(args).output().unwrap()
    };
    assert!(words(&ask(&[])).contains("csr-key-not-accepted"), "the profile takes RSA alone");
    let refused = ask(&["--made", "rsa-3072"]);
    assert_eq!(refused.status.code(), Some(3), "{}", words(&refused));
    assert!(words(&refused).contains("csr-key-not-accepted"), "{}", words(&refused));
    // The first one may be in the making.
    let begun = Instant::now();
    let made = |args: &[&str]| loop {
        let output = ask(args);
        if output.status.success() {
            return words(&output);
        }
        assert!(words(&output).contains("overloaded"), "{}", words(&output));
        assert!(begun.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(200));
    };
    made(&["--made", "rsa-2048"]);
    let key = || std::fs::read_to_string(format!("{device}/device.key")).unwrap();
    let first = key();
    // A renewal, without a word on the kind of key.
    made(&[]);
    let second = key();
    assert_ne!(first, second);
    let der = pem::decode_private_key(second.as_bytes()).unwrap();
    // Of the primes, which follow both exponents and the modulus.
    let secret = &der.expose()[600..632];
    assert!(!holds(&home, secret) && !std::fs::read(&log).unwrap().windows(32).any(|part| part == secret));
    let audit = run(&["audit", "list", "--dir", dir]);
    assert_eq!(audit.matches("key-made=rsa-2048").count(), 2, "{audit}");

    let (root, chain) = (format!("{dir}/root-ca.pem"), format!("{device}/certificate.pem"));
    let openssl = |args: &[&str]| Command::new("openssl").args(args).output();
    let Ok(_) = openssl(&["version"]) else {
        eprintln!("SKIPPED: openssl cannot be run; the certificate was not judged by it");
        return;
    };
    let verified =
        openssl(&["verify", "-purpose", "sslclient", "-CAfile", &root, "-untrusted", &chain, &chain]);
    assert!(verified.as_ref().unwrap().status.success(), "{}", words(&verified.unwrap()));
    let of_key = openssl(&["pkey", "-in", &format!("{device}/device.key"), "-pubout"]).unwrap().stdout;
    assert_eq!(of_key, openssl(&["x509", "-in", &chain, "-noout", "-pubkey"]).unwrap().stdout);
}
