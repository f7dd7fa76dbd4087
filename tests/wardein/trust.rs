//! What a platform asks about devices, and what their support is told.

use crate::common::{Served, wardein};
use serde_json::Value;
use std::fs;

/// An authority with devices in tenant `klinik`, and the identity of a platform.
pub(crate) struct Ward {
    pub(crate) served: Served,
    pub(crate) platform: String,
    home: String,
}

impl Ward {
    pub(crate) async fn with(devices: &[&str]) -> Self {
        Self::founded_with(devices, &[]).await
    }

    /// The same with more options for `wardein init`.
    pub(crate) async fn founded_with(devices: &[&str], options: &[&str]) -> Self {
        let served = Served::found_with(options).await;
        let home = served.home().to_str().unwrap().to_owned();
        let file = |name: &str| served.directory.path().join(name).to_str().unwrap().to_owned();
        let (csv, out, platform) = (file("list.csv"), file("devices"), file("platform"));
        let ward = Self { served, platform, home };
        let station = ward.issue("station", "line-1", &["--quota", "9"]);
        ward.issue("platform", "platform", &[]);
        let rows: String = devices.iter().map(|id| format!("{id},rev-c\n")).collect();
        fs::write(&csv, format!("id,attr.board\n{rows}")).unwrap();
        done(&["device", "enroll", "--identity", &station, "--csv", &csv, "--out", &out]);
        ward
    }

    /// The directory of another operator.
    fn issue(&self, role: &str, name: &str, more: &[&str]) -> String {
        let to = self.served.directory.path().join(name).to_str().unwrap().to_owned();
        let issue = ["operator", "issue", "--role", role, "--tenant", "klinik", "--name", name];
        done(&[&issue[..], &["--validity", "1d", "--out", &to, "--dir", &self.home], more].concat());
        to
    }

    /// A command of the administrator on pump-1.
    pub(crate) fn device(&self, verb: &str, more: &[&str]) {
        let command = ["device", verb, "pump-1", "--tenant", "klinik", "--reason", "reported lost"];
        done(&[&command[..], &["--dir", &self.home], more].concat());
    }

    /// The verdict on a device, and how the command ends.
    pub(crate) fn check(&self, device: &str) -> (Option<i32>, Value) {
        let check = ["--json", "trust", "check", "--identity", &self.platform, "--device", device];
        let checked = wardein(&check);
        let answer: Value = serde_json::from_slice(&checked.stdout).unwrap();
        (checked.status.code(), answer["verdict"].clone())
    }

    /// Asks for the verdict on pump-1 with a receipt in `file`; how the command ends.
    fn signed(&self, file: &str, audience: &str, nonce: &str) -> Option<i32> {
        let check = ["trust", "check", "--identity", &self.platform, "--device", "pump-1"];
        let receipt = ["--receipt", file, "--audience", audience, "--nonce", nonce];
        wardein(&[&check[..], &receipt].concat()).status.code()
    }

    fn file(&self, name: &str) -> String {
        self.served.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn explain(&self) -> Value {
        let explain = ["--json", "trust", "explain", "pump-1", "--tenant", "klinik", "--dir", &self.home];
        let explained = wardein(&explain);
        assert!(explained.status.success(), "{}", String::from_utf8_lossy(&explained.stderr));
        serde_json::from_slice(&explained.stdout).unwrap()
    }
}

fn done(args: &[&str]) {
    let done = wardein(args);
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn a_check_ends_with_5_unless_the_verdict_is_trusted_and_support_is_told_why() {
    let ward = Ward::with(&["pump-1"]).await;
    assert_eq!(ward.check("pump-1"), (Some(0), "trusted".into()));
    assert_eq!(ward.check("pump-9"), (Some(5), "unknown".into()));
    let told = ward.explain();
    assert_eq!((&told["verdict"], &told["event"]), (&"trusted".into(), &"device.confirm".into()));
    assert_eq!((&told["remedy"], &told["command"]), (&"".into(), &"".into()));

    ward.device("suspend", &["--yes"]);
    assert_eq!(ward.check("pump-1"), (Some(5), "not-trusted".into()));
    let told = ward.explain();
    assert_eq!((&told["verdict"], &told["state"]), (&"not-trusted".into(), &"suspended".into()));
    assert_eq!((&told["reason"], &told["event"]), (&"reported lost".into(), &"device.set-state".into()));
    assert!(told["by"].as_str().unwrap().starts_with("admin/"), "{told}");
    assert!(!told["request_id"].as_str().unwrap().is_empty());
    assert!(told["since"].as_u64().unwrap().abs_diff(crate::common::now()) < 60, "{told}");

    // It is for who has the history; a platform is told by its own questions.
    let auditor = ward.issue("auditor", "auditor", &[]);
    let ask = ["trust", "explain", "pump-1", "--identity"];
    let explained = wardein(&[&ask[..], &[&auditor]].concat());
    let words = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.status.success() && words.contains("The device is suspended."), "{words}");
    let refused = wardein(&[&ask[..], &[&ward.platform]].concat());
    assert_eq!(refused.status.code(), Some(3), "{}", String::from_utf8_lossy(&refused.stderr));

    // The command that it names brings the device back.
    let command = told["command"].as_str().unwrap().replace("TEXT", "found");
    done(&[&command.split(' ').skip(1).collect::<Vec<_>>()[..], &["--dir", &ward.home]].concat());
    assert_eq!(ward.check("pump-1"), (Some(0), "trusted".into()));
}

#[tokio::test]
async fn a_policy_is_tried_then_set_and_explains_what_it_does() {
    let ward = Ward::with(&["pump-1", "pump-2"]).await;
    let policy = |verb: &str, more: &[&str]| {
        let command = ["--json", "trust", "policy", verb, "--tenant", "klinik", "--dir", &ward.home];
        let done = wardein(&[&command[..], more].concat());
        let text = if done.status.success() { &done.stdout } else { &done.stderr };
        (done.status.code(), serde_json::from_slice::<Value>(text).unwrap_or_default())
    };
    let rule = ["--rule", "firmware-old:board:2.0=restricted"];
    // The factory's `rev-c` is not a version.
    let (_, tried) = policy("set", &[&rule[..], &["--dry-run"]].concat());
    assert_eq!((&tried["changed"], &tried["looked_at"]), (&2.into(), &2.into()), "{tried}");
    assert_eq!(tried["changes"][0]["device_id"], "pump-1");
    assert_eq!(tried["changes"][0]["reasons"][0], "firmware-unknown");
    assert_eq!(ward.check("pump-1"), (Some(0), "trusted".into()), "nothing was changed");
    let (_, set) = policy("set", &rule);
    assert_eq!((&set["rules"][0], &set["holds"]), (&rule[1].into(), &"tenant".into()), "{set}");
    assert_eq!(ward.check("pump-1"), (Some(5), "restricted".into()));
    let told = ward.explain();
    assert_eq!((&told["verdict"], &told["policy"]), (&"restricted".into(), &"tenant".into()));
    assert_eq!(told["policy_version"], set["etag"]);
    assert_eq!(told["reasons"][0], "firmware-unknown");
    assert!(told["cures"][0].as_str().unwrap().contains("announces"), "{told}");
    // One who has the version of before is refused, and what holds is shown.
    let stale = policy("set", &["--no-rules", "--etag", "0000000000000000"]);
    assert_eq!(stale.0, Some(3));
    let (_, shown) = policy("show", &["--profile", "default"]);
    assert_eq!((&shown["inherited"], &shown["effective_etag"]), (&true.into(), &set["etag"]));
    // A dry run of the way back, and the way back.
    let (_, tried) = policy("set", &["--inherited", "--dry-run"]);
    assert_eq!(tried["changed"], 2);
    policy("set", &["--inherited"]);
    assert_eq!(ward.check("pump-1"), (Some(0), "trusted".into()));
    let (code, _) = policy("set", &["--rule", "silent:1s=restricted"]);
    assert_eq!(code, Some(3), "an age that is absurd");
}

/// What `wardein trust verify-receipt` says of a file, and how it ends: the code of a refusal, or the verdict.
fn verified(file: &str, jwks: &str, audience: &str, nonce: &str, more: &[&str]) -> (Option<i32>, String) {
    let verify = ["--json", "trust", "verify-receipt", "--receipt", file, "--jwks", jwks];
    let expected = ["--audience", audience, "--nonce", nonce];
    let verified = wardein(&[&verify[..], &expected, more].concat());
    let said: Value = match verified.stdout.is_empty() {
        true => serde_json::from_slice(&verified.stderr).unwrap(),
        false => serde_json::from_slice(&verified.stdout).unwrap(),
    };
    let word =
        said["verdict"].as_str().or(said["error"]["code"].as_str()).unwrap_or_else(|| panic!("{said}"));
    (verified.status.code(), word.to_owned())
}

#[tokio::test]
async fn a_receipt_is_verified_offline_and_refused_with_its_own_code() {
    let ward = Ward::with(&["pump-1"]).await;
    let (receipt, jwks, nonce) = (ward.file("receipt"), ward.file("jwks.json"), "0011223344556677");
    assert_eq!(ward.signed(&receipt, "thingworx", nonce), Some(0));
    assert_eq!(ward.signed(&receipt, "thingworx", nonce), Some(1), "a receipt is never written over");
    let answer = ward.served.http_get("/jwks.json").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/jwk-set+json") && head.contains("max-age=3600"), "{head}");
    fs::write(&jwks, body).unwrap();
    let good = (Some(0), "trusted".to_owned());
    assert_eq!(verified(&receipt, &jwks, "thingworx", nonce, &[]), good);
    assert_eq!(verified(&receipt, &format!("file://{jwks}"), "thingworx", nonce, &[]), good);

    let refused = |code: &str| (Some(3), code.to_owned());
    assert_eq!(verified(&receipt, &jwks, "another", nonce, &[]), refused("receipt-audience"));
    assert_eq!(verified(&receipt, &jwks, "thingworx", "0011223344556678", &[]), refused("receipt-nonce"));
    for (at, code) in [("2099-01-01T00:00:00Z", "receipt-expired"), ("2020-01-01T00:00:00Z", "receipt-early")]
    {
        assert_eq!(verified(&receipt, &jwks, "thingworx", nonce, &["--at", at]), refused(code));
    }
    let (text, altered) = (fs::read_to_string(&receipt).unwrap(), ward.file("altered"));
    let (message, signature) = text.trim().rsplit_once('.').unwrap();
    let with = |text: &str, code: &str| {
        fs::write(&altered, text).unwrap();
        assert_eq!(verified(&altered, &jwks, "thingworx", nonce, &[]), refused(code));
    };
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    with(&format!("{message}.{first}{}", &signature[1..]), "receipt-signature");
    with("not a receipt", "receipt-malformed");
    // {"alg":"none"}
    let (_, claims) = message.split_once('.').unwrap();
    with(&format!("eyJhbGciOiJub25lIn0.{claims}."), "receipt-algorithm");
    let (others, none) = (ward.file("others"), "{\"keys\":[]}");
    fs::write(&others, none).unwrap();
    assert_eq!(verified(&receipt, &others, "thingworx", nonce, &[]), refused("receipt-key-unknown"));
    fs::write(&others, body.replace("\"}", "\",\"exp\":7}")).unwrap();
    assert_eq!(verified(&receipt, &others, "thingworx", nonce, &[]), refused("receipt-key-retired"));
    fs::write(&others, "none").unwrap();
    assert_eq!(verified(&receipt, &others, "thingworx", nonce, &[]), refused("receipt-keys"));

    ward.device("suspend", &["--yes"]);
    let second = ward.file("second");
    assert_eq!(ward.signed(&second, "thingworx", nonce), Some(5));
    assert_eq!(verified(&second, &jwks, "thingworx", nonce, &[]), (Some(5), "not-trusted".to_owned()));
}
