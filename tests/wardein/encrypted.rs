//! Identities whose keys are under a passphrase.

use crate::common::{Served, answered, read, wardein};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PASSPHRASE: &str = "correct horse battery";

struct Place {
    served: Served,
    directory: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let place = Self { served: Served::found().await, directory: tempfile::tempdir().unwrap() };
        fs::write(place.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        fs::write(place.path("other"), "another passphrase").unwrap();
        place
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// An identity of that name, issued with these options.
    fn issue(&self, name: &str, options: &[&str]) -> String {
        let (home, identity) = (self.served.home(), self.path(name));
        let issue = ["operator", "issue", "--role", "platform", "--tenant", "klinik", "--name", name];
        let to = ["--validity", "30d", "--out", &identity, "--dir", home.to_str().unwrap()];
        done(&wardein(&[&issue[..], &to, options].concat()));
        identity
    }

    fn check(&self, identity: &str, passphrase: &str) -> Output {
        let check = ["trust", "check", "--identity", identity, "--device", "pump-1"];
        wardein(&[&check[..], &["--key-passphrase-file", &self.path(passphrase)]].concat())
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn refused(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(words), "{words}: {said}");
}

fn openssl(args: &[&str]) -> Output {
    Command::new("openssl").args(args).output().unwrap()
}

fn is_encrypted(identity: &str) -> bool {
    let key = read(&Path::new(identity).join("operator.key"));
    assert!(key.contains("PRIVATE KEY-----"));
    key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
}

#[tokio::test]
async fn a_key_under_a_passphrase_is_of_use_to_who_knows_it_and_to_openssl() {
    let place = Place::new().await;
    let new = ["--encrypt-key", "--new-passphrase-file", &place.path("passphrase")];
    let identity = place.issue("iot", &new);
    assert!(is_encrypted(&identity));
    answered(&place.check(&identity, "passphrase"));
    refused(&place.check(&identity, "other"), "the passphrase is wrong");
    let key = format!("{identity}/operator.key");
    for (name, opens) in [("passphrase", true), ("other", false)] {
        let pass = format!("file:{}", place.path(name));
        assert_eq!(openssl(&["pkey", "-in", &key, "-passin", &pass, "-noout"]).status.success(), opens);
    }
    // Where there is nobody to ask, it does not wait for one.
    let alone = Command::new("setsid")
        .args([
            "--wait",
            env!("CARGO_BIN_EXE_wardein"),
            "trust",
            "check",
            "--identity",
            &identity,
            "--device",
            "x",
        ])
        .stdin(Stdio::null())
        .output();
    refused(&alone.unwrap(), "--key-passphrase-file");
    let by_descriptor = Command::new("sh")
        .args(["-c", "exec \"$@\" 3<\"$PASSPHRASE\"", "sh", env!("CARGO_BIN_EXE_wardein")])
        .args(["trust", "check", "--identity", &identity, "--device", "pump-1", "--key-passphrase-fd", "3"])
        .env("PASSPHRASE", place.path("passphrase"))
        .output();
    answered(&by_descriptor.unwrap());

    // What renews it is under the same passphrase, or under another.
    let renewed = |out: &str, more: &[&str]| {
        let (out, passphrase) = (place.path(out), place.path("passphrase"));
        let renew = ["operator", "renew", "--identity", &identity, "--key-passphrase-file", &passphrase];
        done(&wardein(&[&renew[..], &["--out", &out], more].concat()));
        assert!(is_encrypted(&out));
        out
    };
    let second = renewed("second", &[]);
    answered(&place.check(&second, "passphrase"));
    let third = renewed("third", &["--encrypt-key", "--new-passphrase-file", &place.path("other")]);
    answered(&place.check(&third, "other"));
    refused(&place.check(&third, "passphrase"), "the passphrase is wrong");

    // A request is made under one, too, and what comes back is installed beside it.
    let (made, bundle) = (place.path("made"), place.path("bundle"));
    done(&wardein(&[&["operator", "request", "--out", &made][..], &new].concat()));
    let home = place.served.home();
    let order = ["--role", "platform", "--tenant", "klinik", "--name", "fourth", "--validity", "30d"];
    let sign = [
        "operator",
        "sign",
        &format!("{made}/operator.csr"),
        "--out",
        &bundle,
        "--dir",
        home.to_str().unwrap(),
    ];
    done(&wardein(&[&sign[..], &order].concat()));
    let install = ["operator", "install", &made, &bundle, "--key-passphrase-file", &place.path("passphrase")];
    done(&wardein(&install));
    answered(&place.check(&made, "passphrase"));
    // One that is too short to be worth it.
    fs::write(place.path("short"), "1234567\n").unwrap();
    let short = ["--encrypt-key", "--new-passphrase-file", &place.path("short")];
    let never = place.path("never");
    refused(&wardein(&[&["operator", "request", "--out", &never][..], &short].concat()), "at least 8 bytes");
    assert!(!Path::new(&never).exists());
}

#[tokio::test]
async fn a_key_that_openssl_encrypted_is_read() {
    let place = Place::new().await;
    let identity = place.issue("iot", &[]);
    assert!(!is_encrypted(&identity));
    let (key, clear) = (format!("{identity}/operator.key"), place.path("clear"));
    fs::copy(&key, &clear).unwrap();
    let pass = format!("file:{}", place.path("passphrase"));
    let encrypt = |how: &[&str]| {
        let made = [&["pkcs8", "-topk8", "-in", &clear, "-out", &key, "-passout", &pass][..], how].concat();
        done(&openssl(&made));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(is_encrypted(&identity));
    };
    for how in [
        &["-v2", "aes-256-cbc"][..],
        &["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"],
        &["-v2", "aes-256-cbc", "-iter", "20000"],
        &["-scrypt"],
        &["-scrypt", "-scrypt_N", "8192", "-scrypt_r", "8", "-scrypt_p", "2"],
    ] {
        encrypt(how);
        answered(&place.check(&identity, "passphrase"));
        refused(&place.check(&identity, "other"), "the passphrase is wrong");
    }
    encrypt(&["-v1", "PBE-SHA1-3DES"]);
    refused(&place.check(&identity, "passphrase"), "not PKCS#8 by PBES2");
    let text = read(Path::new(&key));
    fs::write(&key, &text[..text.len() / 2]).unwrap();
    refused(&place.check(&identity, "passphrase"), "cannot open the key");
}

/// The library takes the passphrase as a secret, keeps it for what is renewed, and says where it has none.
#[tokio::test]
async fn a_platform_connects_with_a_key_under_a_passphrase() {
    use wardein_client::{ConnectError, connect_as, connect_as_under, v1};
    use wardein_crypto::SecretBytes;
    let place = Place::new().await;
    let new = ["--encrypt-key", "--new-passphrase-file", &place.path("passphrase")];
    let identity = place.issue("iot", &new);
    let (directory, endpoint) = (Path::new(&identity), &place.served.endpoint);
    let secret = |name: &str| SecretBytes::from_vec(fs::read(place.path(name)).unwrap());
    let refused = connect_as(directory, endpoint).await.err().unwrap();
    assert!(matches!(refused, ConnectError::KeyEncrypted { .. }), "{refused}");
    let refused = connect_as_under(directory, endpoint, secret("other")).await.err().unwrap();
    assert!(matches!(refused, ConnectError::KeyNotOpened { .. }), "{refused}");
    assert!(refused.to_string().contains("the passphrase is wrong"), "{refused}");

    let connection = connect_as_under(directory, endpoint, secret("passphrase")).await.unwrap();
    assert!(!format!("{connection:?}").contains(PASSPHRASE));
    let check = async || {
        let subject = Some(v1::check_request::Subject::DeviceId("pump-1".into()));
        connection.platform().check(v1::CheckRequest { subject, receipt: None }).await.unwrap();
    };
    check().await;
    // What renews it is under the same.
    let renewed = place.path("renewed");
    let renew =
        ["operator", "renew", "--identity", &identity, "--key-passphrase-file", &place.path("passphrase")];
    done(&wardein(&[&renew[..], &["--out", &renewed, "--endpoint", endpoint]].concat()));
    assert!(is_encrypted(&renewed));
    for file in ["operator.key", "operator.pem"] {
        fs::rename(format!("{renewed}/{file}"), format!("{identity}/{file}")).unwrap();
    }
    assert!(connection.reload().await.unwrap());
    check().await;
    // One that is under none does as well.
    let plain = place.issue("plain", &[]);
    connect_as_under(Path::new(&plain), endpoint, secret("passphrase")).await.unwrap();
}
