//! `wardein operator invite` and `fetch`: an identity for who has none, by a token.

use crate::common::{Served, answered, free_port, read, wardein};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

struct Place {
    served: Served,
    directory: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        Self { served: Served::found().await, directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn home(&self) -> String {
        self.served.home().to_str().unwrap().to_owned()
    }

    /// An invitation, and the file that its token is in.
    fn invite(&self, name: &str) -> (Value, String) {
        let (home, file) = (self.home(), self.path(&format!("{name}.token")));
        let order = ["--role", "platform", "--tenant", "klinik", "--name", name, "--validity", "30d"];
        let made = wardein(&[&["--json", "operator", "invite", "--dir", &home][..], &order].concat());
        done(&made);
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        self.keep(&file, made["token"].as_str().unwrap());
        (made, file)
    }

    fn keep(&self, file: &str, token: &str) {
        fs::write(file, format!("{token}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn fetch(&self, anchor: &str, token: &str, out: &str) -> Output {
        self.fetch_at(&self.served.endpoint, anchor, token, out)
    }

    fn fetch_at(&self, endpoint: &str, anchor: &str, token: &str, out: &str) -> Output {
        let at = ["--endpoint", endpoint, "--infrastructure", anchor];
        wardein(&[&["--json", "operator", "fetch", "--token-file", token, "--out", out][..], &at].concat())
    }
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn refused(output: &Output, exit: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(exit) && said.contains(words), "{words}: {said}");
}

fn works(identity: &str) {
    answered(&wardein(&["trust", "check", "--identity", identity, "--device", "pump-1"]));
}

fn serial(identity: &str) -> Value {
    let described: Value = serde_json::from_str(&read(&Path::new(identity).join("operator.json"))).unwrap();
    described["serial"].clone()
}

#[tokio::test]
async fn a_token_and_a_digest_make_an_identity() {
    let place = Place::new().await;
    let (made, token) = place.invite("iot");
    let root = made["root_sha256"].as_str().unwrap();
    let identity = place.path("iot");
    done(&place.fetch(root, &token, &identity));
    works(&identity);
    let described: Value = serde_json::from_str(&read(&Path::new(&identity).join("operator.json"))).unwrap();
    assert_eq!(described["endpoint"], made["endpoint"], "as it is configured");
    // It is used, for everybody else.
    let other = place.path("other");
    refused(&place.fetch(root, &token, &other), 3, "invitation-invalid");
    assert!(!Path::new(&other).exists());
    refused(&place.fetch(root, &token, &identity), 1, "has an identity already");

    // The answer was lost: what came with it is not there, and the key is.
    let kept = place.path("kept");
    fs::create_dir(&kept).unwrap();
    fs::copy(format!("{identity}/operator.key"), format!("{kept}/operator.key")).unwrap();
    done(&place.fetch(root, &token, &kept));
    assert_eq!(serial(&kept), serial(&identity));
    works(&kept);

    // By the root itself, and with a key under a passphrase.
    let (_, token) = place.invite("second");
    let (anchors, second) = (format!("{}/infrastructure.pem", place.home()), place.path("second"));
    fs::write(place.path("passphrase"), "correct horse battery").unwrap();
    let at = ["--endpoint", &place.served.endpoint, "--infrastructure", &anchors];
    let key = ["--encrypt-key", "--new-passphrase-file", &place.path("passphrase")];
    let fetch = ["operator", "fetch", "--token-file", &token, "--out", &second];
    done(&wardein(&[&fetch[..], &at, &key].concat()));
    assert!(read(&Path::new(&second).join("operator.key")).contains("ENCRYPTED"));
}

#[tokio::test]
async fn what_is_not_meant_is_given_nothing() {
    let place = Place::new().await;
    let (made, token) = place.invite("iot");
    let root = made["root_sha256"].as_str().unwrap();
    let out = place.path("identity");
    let nothing = || assert!(!Path::new(&out).exists());
    // Another authority answers there, by the digest and by the root itself: the token does not reach it.
    let another = Served::found().await;
    let other = Served::roots(&another);
    fs::write(place.path("other.pem"), other).unwrap();
    refused(&place.fetch_at(&another.endpoint, root, &token, &out), 1, "not the authority with that root");
    let anchors = format!("{}/infrastructure.pem", place.home());
    refused(&place.fetch_at(&another.endpoint, &anchors, &token, &out), 4, "unreachable");
    refused(&place.fetch(&place.path("other.pem"), &token, &out), 4, "unreachable");
    refused(
        &place.fetch(&root.replace(['0', '1'], "2"), &token, &out),
        1,
        "not the authority with that root",
    );
    refused(&place.fetch(&token, &token, &out), 1, "cannot take the root of");
    let nobody = format!("https://127.0.0.1:{}", free_port());
    refused(&place.fetch_at(&nobody, root, &token, &out), 4, "unreachable");
    nothing();

    // Files that are no token, or open to others.
    let file = place.path("file");
    place.keep(&file, "a letter");
    refused(&place.fetch(root, &file, &out), 1, "cannot take for a token");
    place.keep(&file, &format!("wardein-invitation-{}", "07".repeat(40)));
    refused(&place.fetch(root, &file, &out), 3, "invitation-invalid");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&place.fetch(root, &token, &out), 1, "open to others");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    nothing();

    // Taken back.
    let id = made["id"].as_str().unwrap();
    let home = place.home();
    let open = || {
        let list = wardein(&["--json", "operator", "invitations", "--tenant", "klinik", "--dir", &home]);
        done(&list);
        serde_json::from_slice::<Value>(&list.stdout).unwrap()["invitations"].take()
    };
    assert_eq!(
        open().as_array().map(|open| (open.len(), open[0]["id"].as_str() == Some(id))),
        Some((1, true))
    );
    let revoke = ["operator", "invite", "--revoke", id, "--reason", "lost", "--dir", &home];
    refused(&wardein(&revoke), 2, "Add --yes");
    done(&wardein(&[&revoke[..], &["--yes"]].concat()));
    assert_eq!(open(), Value::Array(Vec::new()));
    refused(&place.fetch(root, &token, &out), 3, "invitation-invalid");
    nothing();
    let entries = wardein(&["--json", "audit", "list", "--dir", &home]);
    let said = String::from_utf8_lossy(&entries.stdout);
    assert!(said.contains("operator.invite") && said.contains("operator.uninvite"));
    assert!(!said.contains(made["token"].as_str().unwrap().trim_start_matches("wardein-invitation-")));
}
