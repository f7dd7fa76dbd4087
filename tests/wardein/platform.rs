//! The platform's certificate from the command line, as OpenSSL takes it.

use crate::common::{Served, wardein};
use serde_json::Value;
use std::process::{Command, Output};

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

fn openssl(args: &[&str]) -> Option<Output> {
    let done = Command::new("openssl").args(args).output().ok();
    if done.is_none() {
        eprintln!("SKIPPED: openssl cannot be run");
    }
    done
}

#[tokio::test]
async fn a_platform_is_certified_by_the_request_that_openssl_made_and_openssl_takes_the_chain() {
    let served = Served::found_with(&["--devices-serve"]).await;
    let place = |name: &str| served.directory.path().join(name).to_str().unwrap().to_owned();
    let home = served.home().to_str().unwrap().to_owned();
    let (key, csr) = (place("iot.key"), place("iot.csr"));
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-subj", "/CN=ignored"];
    let request = [&["req", "-new", "-keyout", &key, "-out", &csr][..], &curve].concat();
    let Some(made) = openssl(&request) else { return };
    assert!(made.status.success(), "{}", words(&made));
    let issue = |options: &[&str], out: &str| {
        let args = ["platform-cert", "issue", "--tenant", "klinik", "--dir", &home, "--csr", &csr, "--json"];
        wardein(&[&args[..], options, &["--out", out]].concat())
    };
    let root = format!("{home}/root-ca.pem");
    let verified = |purpose: &str, chain: &str| {
        let args =
            ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &root, "-untrusted", chain, chain];
        openssl(&args).unwrap()
    };
    let (first, again) = (place("iot.pem"), place("again.pem"));
    let server = ["--dns", "iot.example.org", "--dns", "iot2.example.org"];
    let done = issue(&server, &first);
    assert!(done.status.success(), "{}", words(&done));
    let issued: Value = serde_json::from_slice(&done.stdout).unwrap();
    let checked = verified("sslserver", &first);
    assert!(checked.status.success(), "{}", words(&checked));
    assert!(!verified("sslclient", &first).status.success(), "it is for servers alone");
    let text = words(&openssl(&["x509", "-in", &first, "-noout", "-text"]).unwrap());
    for word in
        ["DNS:iot.example.org, DNS:iot2.example.org", "URI:spiffe://wardein.test/platform/klinik/server"]
    {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(!issue(&server, &first).status.success(), "nothing is written over");
    let done = issue(&server, &again);
    assert!(done.status.success(), "{}", words(&done));
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&again).unwrap());
    let signer = place("firmware.pem");
    let nameless = issue(&["--profile", "firmware-signing"], &signer);
    assert_eq!(nameless.status.code(), Some(2), "{}", words(&nameless));
    let done = issue(&["--profile", "firmware-signing", "--name", "pump-firmware"], &signer);
    assert!(done.status.success(), "{}", words(&done));
    let text = words(&openssl(&["x509", "-in", &signer, "-noout", "-text"]).unwrap());
    assert!(text.contains("Code Signing") && text.contains("CN = pump-firmware"), "{text}");
    let serial = issued["serial"].as_str().unwrap();
    let reason = ["--reason", "lost", "--yes", "--tenant", "klinik", "--dir", &home];
    let revoked = wardein(&[&["cert", "revoke", serial][..], &reason].concat());
    assert!(revoked.status.success(), "{}", words(&revoked));
    let listed = wardein(&["cert", "list", "--tenant", "klinik", "--dir", &home, "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let all = listed["certificates"].as_array().unwrap();
    let one = all.iter().find(|one| one["serial"] == serial).unwrap();
    assert_eq!((&one["state"], &one["device_id"]), (&"revoked".into(), &"".into()));
}
