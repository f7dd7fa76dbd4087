//! Technicians' visits by the command line: asked by a coordinator, released by another person, ended.

use crate::common::{Served, now, wardein, wardein_device};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use wardein_testkit::{has_openssh, is_revoked};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH eva@laptop\n";

pub(crate) fn done(output: Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn refused(output: &Output, code: &str) {
    let said: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((output.status.code(), said["error"]["code"].as_str()), (Some(3), Some(code)), "{said}");
}

/// An authority with operators of tenant `klinik` and a device, each identity in a directory of its name.
pub(crate) struct Place {
    pub(crate) served: Served,
    pub(crate) directory: tempfile::TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let place = Self { served: Served::found().await, directory: tempfile::tempdir().unwrap() };
        for (role, name) in [
            ("service-coordinator", "carla"),
            ("technician", "eva"),
            ("tenant-admin", "anna"),
            ("site", "sina"),
            ("auditor", "otto"),
        ] {
            let order = ["operator", "issue", "--role", role, "--tenant", "klinik", "--name", name];
            let (home, out) = (place.served.home(), place.path(name));
            let rest = ["--validity", "30d", "--out", &out, "--dir", home.to_str().unwrap()];
            done(wardein(&[&order[..], &rest].concat()));
        }
        let (home, station) = (place.served.home(), place.path("station"));
        let order = ["operator", "issue", "--role", "station", "--tenant", "klinik", "--name", "line-1"];
        let rest = ["--validity", "1d", "--quota", "9", "--out", &station, "--dir", home.to_str().unwrap()];
        done(wardein(&[&order[..], &rest].concat()));
        let (csv, out) = (place.path("list.csv"), place.path("devices"));
        fs::write(&csv, "id,attr.board\npump-1,a\npump-2,b\n").unwrap();
        done(wardein(&["device", "enroll", "--identity", &station, "--csv", &csv, "--out", &out]));
        place
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn by(&self, who: &str, args: &[&str]) -> Output {
        wardein(&[&["--json"], args, &["--identity", &self.path(who)]].concat())
    }
}

pub(crate) fn moment(second: u64) -> String {
    let date = Command::new("date")
        .args(["-u", "-d", &format!("@{second}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_technician_is_invited_released_and_sent_away() {
    let place = Place::new().await;
    let key = place.path("eva.pub");
    fs::write(&key, KEY).unwrap();
    let until = moment(now() + 3_600);
    let invite = |until: &str| {
        let order = ["service", "invite", "--technician", "eva", "--key", &key, "--device", "pump-1,pump-2"];
        let rest = ["--work-order", "WO-12", "--scope", "view", "--until", until, "--source", "192.0.2.0/24"];
        [&order[..], &rest].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let invited = |by: &str, until: &str, yes: &[&str]| {
        let args = invite(until);
        let args: Vec<_> = args.iter().map(String::as_str).chain(yes.iter().copied()).collect();
        place.by(by, &args)
    };
    // Without --yes it says what it would do, and does nothing.
    let dry = invited("carla", &until, &[]);
    assert_eq!(dry.status.code(), Some(2));
    let said = String::from_utf8_lossy(&dry.stderr).into_owned();
    assert!(said.contains("would invite eva to pump-1, pump-2 for work order WO-12"), "{said}");
    refused(&invited("carla", "2026-01-01", &["--yes"]), "visit-window-past");
    refused(&invited("carla", "2036-01-01", &["--yes"]), "visit-window-bounds");
    refused(&invited("eva", &until, &["--yes"]), "role-denied");
    let visit = done(invited("carla", &until, &["--yes"]));
    let id = visit["id"].as_str().unwrap();
    assert_eq!((&visit["state"], &visit["scope"]), (&"requested".into(), &"view".into()));
    refused(&invited("carla", &until, &["--yes"]), "visit-overlaps");
    refused(&place.by("carla", &["service", "release", id, "--yes"]), "role-denied");
    let shown = wardein(&["service", "release", id, "--identity", &place.path("sina")]);
    let said = String::from_utf8_lossy(&shown.stderr).into_owned();
    for part in ["technician eva, key SHA256:", "work order WO-12, scope view", "would release this visit"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let current =
        |by| done(place.by(by, &["service", "list", "--current"]))["visits"].as_array().unwrap().len();
    assert_eq!(current("otto"), 0);
    assert_eq!(done(place.by("sina", &["service", "release", id, "--yes"]))["state"], "current");
    assert_eq!((current("sina"), current("eva"), current("otto")), (1, 1, 1));
    assert_eq!(done(place.by("eva", &["service", "show", id]))["released_by"], "site/klinik/sina");
    // The device hears of the CA by its proof; the technician gets a certificate, which is worth something at this device alone.
    let sshd = place.path("sshd");
    fs::create_dir(&sshd).unwrap();
    let sync = || {
        let device = place.path("devices/pump-1");
        let output = Command::new(wardein_device())
            .args(["--dir", &device, "service", "sync", "--out", &sshd, "--json"])
            .env("WARDEIN_SERVICE_SPOOL", place.path("visits"))
            .output();
        done(output.unwrap())
    };
    let synced = serde_json::json!({ "ca": true, "ended": 0, "directory": sshd, "protocols": 0, "emergency_code": false });
    assert_eq!(sync(), synced);
    let ca = done(place.by("anna", &["service", "ca"]));
    let file = |name: &str| fs::read_to_string(format!("{sshd}/{name}")).unwrap();
    assert_eq!(
        (file("ca.pub").trim(), file("principals").as_str()),
        (ca["ca"].as_str().unwrap(), "dev:klinik/pump-1\n")
    );
    let out = place.path("eva-cert.pub");
    let certify = ["service", "certificate", id, "--device", "pump-1", "--out", &out];
    refused(&place.by("anna", &certify), "role-denied");
    assert_eq!(done(place.by("eva", &certify))["principal"], "dev:klinik/pump-1");
    let judged = || {
        let list = fs::read(format!("{sshd}/revoked")).unwrap();
        has_openssh().then(|| is_revoked(&list, &fs::read_to_string(&out).unwrap()))
    };
    assert_ne!(judged(), Some(true));
    // A session there, as sshd begins it with what the certificate says; the visit is open until the device has told of it.
    let open = || done(place.by("sina", &["service", "list", "--open"]))["visits"].as_array().unwrap().len();
    fs::create_dir(place.path("visits")).unwrap();
    let session = Command::new(wardein_device())
        .args(["service", "session", "--visit", id, "--scope", "view", "--work-order", "WO-12"])
        .args(["--technician", "eva", "--until", &(now() + 600).to_string()])
        .env("SHELL", "/bin/sh")
        .env("SSH_ORIGINAL_COMMAND", "true")
        .env("WARDEIN_SERVICE_DIR", &sshd)
        .env("WARDEIN_SERVICE_SPOOL", place.path("visits"))
        .output();
    assert!(session.unwrap().status.success());
    let end = ["service", "end", id, "--reason", "the ward is closed"];
    assert_eq!(place.by("sina", &end).status.code(), Some(2));
    assert_eq!(done(place.by("sina", &[&end[..], &["--yes"]].concat()))["state"], "ended");
    refused(&place.by("sina", &["service", "release", id, "--yes"]), "visit-closed");
    refused(&place.by("eva", &certify), "visit-closed");
    assert_eq!(open(), 1);
    let synced = sync();
    assert_eq!((&synced["ended"], &synced["protocols"]), (&1.into(), &1.into()));
    assert_eq!(open(), 0);
    let shown = done(place.by("otto", &["service", "show", id]));
    let told = &shown["protocols"][0];
    assert_eq!((&told["device_id"], &told["end"]), (&"pump-1".into(), &"left".into()));
    assert_eq!(told["actions"], serde_json::json!({ "command": 1, "login": 1 }));
    assert_eq!(file("ended").trim(), id);
    assert_ne!(judged(), Some(false));
    assert_eq!(current("sina"), 0);
    let policy = ["service", "policy", "set", "--scopes", "view,dose-library", "--longest", "2h"];
    done(place.by("anna", &policy));
    let shown = done(place.by("carla", &["service", "policy", "show"]));
    assert_eq!(shown["scopes"], serde_json::json!(["dose-library", "view"]));
    assert_eq!(shown["release_at_device"], false);
    refused(&place.by("carla", &policy), "role-denied");
    at_the_device(&place, &key, &policy);
    let log = place.by("anna", &["audit", "list"]);
    let log = String::from_utf8_lossy(&log.stdout).into_owned();
    for event in ["visit.invite", "visit.release", "visit.end", "service-policy.put", "visit.certify"] {
        assert!(log.contains(event), "{event}");
    }
}

/// A person at the device releases a visit of it, once the tenant allows that.
fn at_the_device(place: &Place, key: &str, policy: &[&str]) {
    let until = moment(now() + 3_600);
    let order = ["service", "invite", "--technician", "eva", "--key", key, "--device", "pump-2", "--yes"];
    let rest = ["--work-order", "WO-13", "--scope", "view", "--until", &until];
    let visit = done(place.by("carla", &[&order[..], &rest].concat()));
    let id = visit["id"].as_str().unwrap();
    let there = |args: &[&str]| {
        let directory = place.path("devices/pump-2");
        let command = ["--dir", &directory, "service"];
        Command::new(wardein_device()).args(command).args(args).stdin(Stdio::null()).output().unwrap()
    };
    let off = there(&["release", id, "--yes"]);
    let said = String::from_utf8_lossy(&off.stderr).into_owned();
    assert!(off.status.code() == Some(3) && said.contains("release-at-device-off"), "{said}");
    assert_eq!(
        done(place.by("anna", &[policy, &["--release-at-device"]].concat()))["release_at_device"],
        true
    );
    assert_eq!(done(place.by("carla", &["service", "policy", "show"]))["release_at_device"], true);
    let listed = done(there(&["pending", "--json"]));
    assert_eq!(
        (listed["visits"][0]["id"].as_str(), &listed["visits"][0]["invited_by"]),
        (Some(id), &"carla".into())
    );
    // It shows the visit, and does nothing unless a person says yes.
    for args in [&["release", id][..], &["release", id, "--json"]] {
        let asked = there(args);
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert_eq!(asked.status.code(), Some(2), "{said}");
        for part in ["technician eva", "work order WO-13, scope view", "would release visit"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let state = || done(place.by("sina", &["service", "show", id]))["state"].clone();
    assert_eq!(state(), "requested");
    assert_eq!(done(there(&["release", id, "--yes", "--json"]))["released"], true);
    assert_eq!(state(), "current");
    assert_eq!(done(place.by("sina", &["service", "show", id]))["released_by"], "device/klinik/pump-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_network_lets_the_invited_technician_in_by_a_code() {
    let place = Place::new().await;
    let key = place.path("eva.pub");
    fs::write(&key, KEY).unwrap();
    let until = moment(now() + 3_600);
    let order =
        ["service", "invite", "--technician", "eva", "--key", &key, "--device", "pump-1,pump-2", "--yes"];
    let rest = ["--work-order", "WO-12", "--scope", "view", "--until", &until];
    let visit = done(place.by("carla", &[&order[..], &rest].concat()));
    let id = visit["id"].as_str().unwrap();
    done(place.by("sina", &["service", "release", id, "--yes"]));
    let scopes = place.path("scopes");
    fs::create_dir(&scopes).unwrap();
    let device = |name: &str, args: &[&str], typed: &str| {
        let directory = place.path(&format!("devices/{name}"));
        let mut command = Command::new(wardein_device());
        command
            .args(["--dir", &directory])
            .args(args)
            .env("WARDEIN_SERVICE_DIR", &scopes)
            .env("SHELL", "/bin/sh");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that is refused reads no further.
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        child.wait_with_output().unwrap()
    };
    let challenge = |name: &str, scope: &str| {
        let shown = done(device(name, &["service", "challenge", "--scope", scope, "--json"], ""));
        shown["challenge"].as_str().unwrap().to_owned()
    };
    let code = |name: &str, challenge: &str| {
        place.by("eva", &["service", "code", id, "--device", name, "--challenge", challenge])
    };
    let open =
        |name: &str, code: &str, then: &str| device(name, &["service", "open"], &format!("{code}\n{then}"));
    let is_refused = |output: &Output, code: &str| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.contains(code)), (Some(6), true), "{code}: {said}");
    };
    let none = device("pump-1", &["service", "challenge", "--scope", "view"], "");
    is_refused(&none, "service-codes-not-agreed");
    refused(&code("pump-1", "1000-0000-00"), "service-codes-not-agreed");
    for name in ["pump-1", "pump-2"] {
        let file = place.path(&format!("devices/{name}/device.toml"));
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("\"file\"", "\"file\", \"service\"")).unwrap();
        assert!(device(name, &["rekey"], "").status.success());
    }
    // From here on the devices ask nobody.
    let shown = challenge("pump-1", "view");
    refused(&code("pump-2", &shown), "service-challenge-wrong");
    refused(&code("pump-1", &challenge("pump-2", "view")), "service-challenge-wrong");
    refused(
        &place.by("anna", &["service", "code", id, "--device", "pump-1", "--challenge", &shown]),
        "role-denied",
    );
    let answer = done(code("pump-1", &shown.to_lowercase()));
    assert_eq!(done(code("pump-1", &shown)), answer);
    assert!((3_000..=3_600).contains(&answer["session_length"].as_u64().unwrap()), "{answer}");
    let text = answer["code"].as_str().unwrap();
    is_refused(&open("pump-2", text, "echo in"), "service-code-wrong");
    is_refused(&open("pump-1", "no code", ""), "service-code-malformed");
    let session = open("pump-1", text, "echo in for $WARDEIN_SCOPE; exit 7\n");
    assert_eq!((session.status.code(), &session.stdout[..]), (Some(7), &b"in for view\n"[..]));
    is_refused(&open("pump-1", text, "echo in"), "service-challenge-missing");
    // One that was restarted in between, and one whose time is nearly over.
    let alter = |change: &dyn Fn(&mut Value)| {
        let file = place.path("devices/pump-1/codes.json");
        let mut codes: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        change(&mut codes["shown"]["at"]);
        fs::write(&file, serde_json::to_vec(&codes).unwrap()).unwrap();
    };
    let shown = challenge("pump-1", "view");
    let answer = done(code("pump-1", &shown));
    alter(&|at| at["boot"] = "another".into());
    is_refused(&open("pump-1", answer["code"].as_str().unwrap(), ""), "service-challenge-over");
    let shown = challenge("pump-1", "view");
    let wrong: Vec<_> = (0..5).map(|_| open("pump-1", "0K000-00000", "")).collect();
    wrong.iter().for_each(|output| is_refused(output, "service-code-wrong"));
    is_refused(&open("pump-1", "0K000-00000", ""), "service-locked");
    is_refused(&device("pump-1", &["service", "challenge", "--scope", "view"], ""), "service-locked");
    // The network is there again for a moment.
    let sshd = place.path("sshd");
    fs::create_dir(&sshd).unwrap();
    assert!(device("pump-1", &["service", "sync", "--out", &sshd], "").status.success());
    is_refused(
        &open("pump-1", done(code("pump-1", &shown))["code"].as_str().unwrap(), ""),
        "service-challenge-missing",
    );
    // In an emergency somebody has the code of the device, once; it is an alarm, and replaced.
    let sync = || done(device("pump-1", &["service", "sync", "--out", &sshd, "--json"], ""));
    assert_eq!(sync()["emergency_code"], true);
    let shown = |by: &str, more: &[&str]| {
        let order = [
            "service",
            "break-glass",
            "show",
            "--device",
            "pump-1",
            "--reason",
            "a nurse is locked out",
            "--yes",
        ];
        place.by(by, &[&order[..], more].concat())
    };
    refused(&shown("eva", &[]), "role-denied");
    let glass = done(shown("sina", &[]))["code"].as_str().unwrap().to_owned();
    let order =
        ["service", "break-glass", "show", "--device", "pump-1", "--reason", "envelope", "--yes", "--print"];
    let page = wardein(&[&order[..], &["--identity", &place.path("sina")]].concat());
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.contains(&glass) && page.contains("klinik/pump-1") && page.contains("envelope"), "{page}");
    let break_glass =
        |name: &str, code: &str| device(name, &["service", "break-glass"], &format!("{code}\necho in\n"));
    is_refused(&break_glass("pump-2", &glass), "emergency-code-missing");
    assert!(device("pump-2", &["service", "sync", "--out", &sshd], "").status.success());
    is_refused(&break_glass("pump-2", &glass), "service-code-wrong");
    assert_eq!(break_glass("pump-1", &glass).stdout, b"in\n");
    is_refused(&break_glass("pump-1", &glass), "emergency-code-missing");
    let listed =
        |args: &[&str]| done(place.by("otto", &[&["service", "break-glass", "list"], args].concat()));
    assert_eq!(listed(&["--open"])["devices"], serde_json::json!([]));
    sync();
    let open = listed(&["--open"]);
    assert_eq!((&open["devices"][0]["device"], &open["devices"][0]["open"]), (&"pump-1".into(), &1.into()));
    assert_ne!(done(shown("sina", &[]))["code"].as_str().unwrap(), glass);
    is_refused(&break_glass("pump-1", &glass), "service-code-wrong");
    let close = ["service", "break-glass", "close", "--device", "pump-1", "--reason", "INC-12", "--yes"];
    refused(&place.by("otto", &close), "role-denied");
    assert_eq!(done(place.by("sina", &close))["open"], 0);
    refused(&place.by("sina", &close), "emergency-review-missing");
    assert_eq!(listed(&["--open"])["devices"], serde_json::json!([]));
    // The visit is ended: a session that is open goes on, since nobody can tell the device; no further code is given.
    done(place.by("sina", &["service", "end", id, "--reason", "the ward is closed", "--yes"]));
    refused(&code("pump-1", &challenge("pump-1", "view")), "visit-closed");
    let log = String::from_utf8_lossy(&place.by("otto", &["audit", "list"]).stdout).into_owned();
    for event in ["visit.code", "emergency-code.show", "device.break-glass", "break-glass.close"] {
        assert!(log.contains(event), "{event}");
    }
    assert!(!log.contains(text) && !log.contains(&glass));
}
