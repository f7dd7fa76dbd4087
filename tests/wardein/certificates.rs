//! Certificate profiles from the command line, and the certificate of a device that OpenSSL takes for a server.

use crate::common::{Served, wardein, wardein_device};
use std::process::{Command, Output};

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[tokio::test]
async fn a_device_is_certified_for_what_its_profile_says_and_openssl_takes_it() {
    let served = Served::found_with(&["--devices-serve"]).await;
    let home = served.home();
    let home = home.to_str().unwrap();
    let place = |name: &str| served.directory.path().join(name).to_str().unwrap().to_owned();
    let run = |args: &[&str]| {
        let output = wardein(args);
        assert!(output.status.success(), "{}", words(&output));
        words(&output)
    };
    let put = |options: &[&str]| {
        wardein(
            &[&["profile", "put", "default", "--tenant", "klinik", "--dir", home, "--merge"], options]
                .concat(),
        )
    };
    let profile = put(&[
        "--certificate-profile",
        "hl7-fhir-tls",
        "--certificate-dns",
        "{device}.{tenant}.example",
        "--certificate-uri",
        "urn:dev:os:32473-{device}",
        "--certificate-serial-number",
        "{device}",
        "--certificate-no-rev-avail",
        "true",
        "--certificate-renewal",
        "40",
    ]);
    assert!(profile.status.success(), "{}", words(&profile));
    let shown = run(&["profile", "list", "--tenant", "klinik", "--dir", home, "--json"]);
    for word in ["hl7-fhir-tls", "rsa-3072", "urn:dev:os:32473-{device}", "\"certificate_no_rev_avail\":true"]
    {
        assert!(shown.replace(": ", ":").contains(word), "{word} in {shown}");
    }
    let refused = put(&["--certificate-validity", "8d"]);
    assert_eq!(refused.status.code(), Some(3), "{}", words(&refused));
    assert!(words(&refused).contains("certificate-validity-unconfirmed"), "{}", words(&refused));
    let confirmed = put(&["--certificate-validity", "8d", "--confirm-long-validity"]);
    assert!(confirmed.status.success(), "{}", words(&confirmed));

    let (station, devices, list) = (place("station"), place("devices"), place("batch.csv"));
    std::fs::write(&list, "id,model,profile\nhub-1,hub,\n").unwrap();
    let order = ["operator", "issue", "--role", "station", "--tenant", "klinik", "--name", "line-1"];
    let to = ["--validity", "1d", "--quota", "1", "--out", &station, "--dir", home];
    run(&[&order[..], &to, &["--endpoint", &served.endpoint]].concat());
    run(&["device", "enroll", "--identity", &station, "--csv", &list, "--out", &devices]);
    let device = format!("{devices}/hub-1");
    // The root alone: as a trust anchor an issuing CA could certify servers.
    let config = std::fs::read_to_string(format!("{device}/device.toml")).unwrap();
    let anchors = wardein_pki::pem::decode_certificates(&config).unwrap();
    let root = std::fs::read_to_string(format!("{home}/root-ca.pem")).unwrap();
    assert_eq!(anchors, wardein_pki::pem::decode_certificates(&root).unwrap());
    let certified = Command::new(wardein_device()).args(["--dir", &device, "certificate"]).output().unwrap();
    assert!(certified.status.success(), "{}", words(&certified));

    // It is renewed when its profile says: 40 percent, 8 less or more, of the seven days for which it is valid without revocation.
    let status =
        Command::new(wardein_device()).args(["--dir", &device, "status", "--json"]).output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let at = |field: &str| status["certificate"][field].as_u64().unwrap();
    let (start, end) = (at("renewal_start"), at("renewal_end"));
    assert_eq!((at("not_after") - start, end - start), (604_800 * 68 / 100, 604_800 * 16 / 100), "{status}");

    let (root, chain) = (format!("{home}/root-ca.pem"), format!("{device}/certificate.pem"));
    let openssl = |args: &[&str]| Command::new("openssl").args(args).output();
    let Ok(_) = openssl(&["version"]) else {
        eprintln!("SKIPPED: openssl cannot be run; the certificate was not judged by it");
        return;
    };
    for purpose in ["sslclient", "sslserver"] {
        let args =
            ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &root, "-untrusted", &chain, &chain];
        let verified = openssl(&args).unwrap();
        assert!(verified.status.success(), "{purpose}: {}", words(&verified));
    }
    let text = words(&openssl(&["x509", "-in", &chain, "-noout", "-text", "-nameopt", "RFC2253"]).unwrap());
    for word in [
        "DNS:hub-1.klinik.example",
        "URI:urn:dev:os:32473-hub-1",
        "URI:spiffe://wardein.test/klinik/hub-1",
        "serialNumber=hub-1",
        "TLS Web Server Authentication",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    // Version 3.4 of OpenSSL has a name for noRevAvail.
    assert!(text.contains("2.5.29.56") || text.contains("No Revocation Available"), "{text}");
}
