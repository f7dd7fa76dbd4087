//! The platform's certificate from the command line, as OpenSSL takes it; and a device that knows the platform by its pins.

use crate::common::{Served, wardein, wardein_device};
use serde_json::Value;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

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

/// `openssl s_server` with a key and a chain; what it reads goes to a file.
struct Platform {
    process: Child,
    address: String,
    read: PathBuf,
}

impl Platform {
    fn start(directory: &Path, name: &str, chain: &str, key: &str) -> Self {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let read = directory.join(format!("{name}.read"));
        let process = Command::new("openssl")
            .args(["s_server", "-quiet", "-tls1_3", "-accept", &format!("127.0.0.1:{port}")])
            .args(["-cert", chain, "-key", key, "-cert_chain", chain])
            // It ends with its input.
            .stdin(Stdio::piped())
            .stdout(File::create(&read).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self { process, address: format!("127.0.0.1:{port}"), read };
        for _ in 0..100 {
            if TcpStream::connect(&started.address).is_ok() {
                return started;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("openssl s_server does not listen");
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_device_delivers_to_the_pinned_platform_and_to_no_other_that_the_same_ca_certified() {
    let served = Served::found_with(&["--devices-serve"]).await;
    let place = |name: &str| served.directory.path().join(name).to_str().unwrap().to_owned();
    let home = served.home().to_str().unwrap().to_owned();
    let run = |args: &[&str]| {
        let done = wardein(args);
        assert!(done.status.success(), "{args:?}: {}", words(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    // Four keys: the platform's three, and that of a stranger who has a good certificate for the same name.
    for name in ["current", "next", "recovery", "stranger"] {
        let (key, csr, out) = (place(&format!("{name}.key")), place(&format!("{name}.csr")), place(name));
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/"];
        let Some(made) = openssl(&[&["req", "-new", "-keyout", &key, "-out", &csr][..], &curve].concat())
        else {
            return;
        };
        assert!(made.status.success(), "{}", words(&made));
        let issue = ["platform-cert", "issue", "--tenant", "klinik", "--dir", &home, "--dns", "iot.example"];
        run(&[&issue[..], &["--csr", &csr, "--out", &out]].concat());
    }
    let public = place("recovery.pub");
    assert!(
        openssl(&["pkey", "-in", &place("recovery.key"), "-pubout", "-out", &public])
            .unwrap()
            .status
            .success()
    );

    let at = ["--tenant", "klinik", "--dir", &home, "--json"];
    let keys = ["--current", &place("current"), "--next", &place("next"), "--recovery", &public];
    let set: Value =
        serde_json::from_str(&run(&[&["platform-pin", "set"][..], &keys, &at].concat())).unwrap();
    let shown: Value = serde_json::from_str(&run(&[&["platform-pin", "show"][..], &at].concat())).unwrap();
    assert_eq!(shown, set);
    let early = wardein(&[&["platform-pin", "rotate", "--next", &place("stranger")][..], &at].concat());
    assert_eq!(early.status.code(), Some(3), "{}", words(&early));
    assert!(words(&early).contains("platform-pin-too-new"), "{}", words(&early));

    // At enrollment the device gets the pins, before it ever spoke to the platform.
    let station = place("station");
    let order = ["operator", "issue", "--role", "station", "--tenant", "klinik", "--name", "line-1"];
    run(&[&order[..], &["--validity", "1d", "--quota", "1", "--out", &station, "--dir", &home]].concat());
    let device = |args: &[&str]| {
        Command::new(wardein_device()).args(["--dir", &place("pump-1")]).args(args).output().unwrap()
    };
    let (certificate, key) = (format!("{station}/operator.pem"), format!("{station}/operator.key"));
    let (identity, roots) = (format!("{home}/identity.pub"), format!("{home}/root-ca.pem"));
    let enrolled = device(&[
        "enroll",
        "--tenant",
        "klinik",
        "--device-id",
        "pump-1",
        "--attribute",
        "board=text:rev-b",
        "--endpoint",
        &served.endpoint,
        "--station-cert",
        &certificate,
        "--station-key",
        &key,
        "--identity-key",
        &identity,
        "--trust-roots",
        &roots,
    ]);
    assert!(enrolled.status.success(), "{}", words(&enrolled));

    let mut nobodys = String::new();
    for (name, is_platform) in [("current", true), ("next", true), ("recovery", true), ("stranger", false)] {
        let chain = place(name);
        let server = Platform::start(served.directory.path(), name, &chain, &place(&format!("{name}.key")));
        let checked = device(&["connect-check", &server.address]);
        assert_eq!(checked.status.success(), is_platform, "{name}: {}", words(&checked));
        if !is_platform {
            assert_eq!(checked.status.code(), Some(1));
            assert!(words(&checked).contains("is not the platform"), "{}", words(&checked));
        }
        assert_eq!(std::fs::read(&server.read).unwrap(), b"", "a check delivers nothing");
        nobodys.clone_from(&server.address);
    }
    let gone = device(&["connect-check", &nobodys]);
    assert_eq!(gone.status.code(), Some(4), "{}", words(&gone));
    // Later ones come by a proof.
    let pins = device(&["pins", "--json"]);
    assert!(pins.status.success(), "{}", words(&pins));
    let pins: Value = serde_json::from_slice(&pins.stdout).unwrap();
    assert_eq!((&pins["epoch"], &pins["recovery"]), (&set["epoch"], &set["recovery"]));
}
