//! A maker's repository from the command line: released by a release manager, served over HTTP, exported, signed by keys that are offline, and
//! taken by the client that devices have.

use crate::common::{Served, read, wardein};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wardein_domain::UnixSeconds;
use wardein_tuf::{Kept, Sought, TargetFile, TargetPath, TrustedSet};

fn done(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn openssl(args: &[&str]) {
    let made = Command::new("openssl").args(args).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

struct Place {
    served: Served,
    home: String,
}

impl Place {
    async fn new() -> Self {
        let served = Served::found().await;
        let home = served.home().to_str().unwrap().to_owned();
        Self { served, home }
    }

    fn path(&self, name: &str) -> String {
        self.served.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// As the administrator.
    fn update(&self, args: &[&str]) -> Output {
        wardein(&[&["update"], args, &["--dir", &self.home, "--json"]].concat())
    }

    /// A key that is kept offline: its files, private and public.
    fn key(&self, name: &str) -> (String, String) {
        let (private, public) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.pub")));
        openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &private]);
        openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
        (private, public)
    }
}

const RELEASE: [&str; 16] = [
    "--repository",
    "maker",
    "--line",
    "pumps",
    "--label",
    "2.1",
    "--model",
    "pump-3",
    "--path",
    "pumps/2.img",
    "--attribute",
    "firmware=2.1",
    "--pcr",
    "sha256:7=0707070707070707070707070707070707070707070707070707070707070707",
    "--notes",
    "Fixes an alarm.",
];

#[tokio::test]
async fn a_release_manager_releases_and_a_device_finds_what_was_signed() {
    let place = Place::new().await;
    done(&place.update(&["repository", "create", "maker"]));
    done(&place.update(&["line", "create", "maker", "pumps", "--path", "pumps/*", "--manager", "eva"]));
    let eva = place.path("eva");
    let issue = ["operator", "issue", "--role", "release-manager", "--name", "eva", "--validity", "1d"];
    done(&wardein(&[&issue[..], &["--out", &eva, "--dir", &place.home, "--json"]].concat()));
    let by_eva = |args: &[&str]| wardein(&[&["update"], args, &["--identity", &eva, "--json"]].concat());
    let artifact = place.path("2.img");
    fs::write(&artifact, b"firmware, the second").unwrap();
    let added = done(&by_eva(&[&["add", &artifact, "--version", "2"], &RELEASE[..]].concat()));
    assert_eq!((added["state"].as_str(), added["length"].as_u64()), (Some("proposed"), Some(20)));
    let of = ["--repository", "maker", "--line", "pumps"];
    let release = [&["release", "2"][..], &of, &["--reason", "tested"]].concat();
    let asked = by_eva(&release);
    assert_eq!(asked.status.code(), Some(2), "nothing is done without --yes");
    let released = done(&by_eva(&[&release[..], &["--yes"]].concat()));
    assert_eq!(released["state"], "released");
    assert_eq!(done(&by_eva(&[&["list"][..], &of].concat()))["releases"][0]["label"], "2.1");
    assert_eq!(done(&by_eva(&[&["show", "2"][..], &of].concat()))["attributes"]["firmware"], "2.1");
    assert_eq!(done(&by_eva(&["line", "list"]))["lines"][0]["name"], "pumps");
    assert_eq!(by_eva(&["repository", "list"]).status.code(), Some(3), "not a release manager's");

    // What is served is what is exported.
    let share = place.path("share");
    done(&place.update(&["export", "maker", &share]));
    let timestamp = place.served.http_get("/tuf/maker/timestamp.json").await;
    assert!(
        timestamp.contains("content-type: application/json") && timestamp.contains("max-age=60"),
        "{timestamp}"
    );
    assert!(timestamp.ends_with(&read(Path::new(&format!("{share}/timestamp.json")))));
    for missing in [
        "/tuf/maker/9.root.json",
        "/tuf/other/timestamp.json",
        "/tuf/maker/..%2fx",
        "/tuf/MAKER/timestamp.json",
    ] {
        assert!(place.served.http_get(missing).await.starts_with("HTTP/1.1 404"), "{missing}");
    }

    // A device takes it from there.
    let found = found(&share, "pumps/2.img").unwrap();
    assert_eq!(Some(wardein_crypto::hex::encode(&found.sha256.0).as_str()), added["sha256"].as_str());
    assert_eq!(wardein_tuf::Release::of(&found).unwrap().judge("pump-3", 0), Ok(()));

    // So does the reference implementation, over HTTP.
    let by_python =
        || python_finds(&format!("http://{}/tuf/maker/", place.served.http), &share, "pumps/2.img");
    if let Some(of_python) = by_python() {
        assert_eq!((&of_python["length"], &of_python["sha256"]), (&20.into(), &added["sha256"]));
    }

    // What was recalled is there no more.
    done(&by_eva(&[&["recall", "2"][..], &of, &["--reason", "an alarm is silent", "--yes"]].concat()));
    assert!(by_python().is_none_or(|of_python| of_python.is_null()));
    done(&place.update(&["export", "maker", &share]));
    assert_eq!(self::found(&share, "pumps/2.img"), None);
}

/// What python-tuf finds at a path, from the first root in `share` on; `None` where it is not installed (deploy/test.sh does that, and asks
/// for it by `WARDEIN_TUF=required`).
fn python_finds(address: &str, share: &str, path: &str) -> Option<Value> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let python = cache.unwrap().join("wardein-tools/tuf-7.0.1/bin/python");
    if !python.exists() {
        let is_required = std::env::var_os("WARDEIN_TUF").is_some_and(|value| value == "required");
        assert!(!is_required, "{} is missing: deploy/test.sh installs it", python.display());
        return None;
    }
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wardein/updates_client.py");
    let root = format!("{share}/1.root.json");
    let said = Command::new(python).args([client, address, &root, path]).output().unwrap();
    Some(done(&said))
}

/// What a device that trusts the first root finds at a path.
fn found(share: &str, path: &str) -> Option<TargetFile> {
    let read = |file: &str| fs::read(format!("{share}/{file}"));
    let now = UnixSeconds::new(crate::common::now());
    let mut set = TrustedSet::new(&read("1.root.json").unwrap(), Kept::default(), now).unwrap();
    loop {
        while let Some(wanted) = set.wanted() {
            match read(&wanted.file) {
                Ok(bytes) => drop(set.take(&bytes).unwrap()),
                Err(_) => set.absent().unwrap(),
            }
        }
        match set.seek(&TargetPath::new(path).unwrap()).unwrap() {
            Sought::More => {}
            Sought::Found(file) => return Some(file),
            Sought::None => return None,
        }
    }
}

#[tokio::test]
async fn offline_keys_sign_root_and_a_line_and_are_replaced() {
    let place = Place::new().await;
    let (first, second, line) = (place.key("first"), place.key("second"), place.key("line"));
    let keys = ["--offline-key", &first.1, "--offline-key", &second.1, "--threshold", "2"];
    let made = done(&place.update(&[&["repository", "create", "maker"], &keys[..]].concat()));
    assert_eq!(made["files"][0]["missing_signatures"], 2);
    done(&place.update(&["line", "create", "maker", "pumps", "--path", "pumps/*", "--offline-key", &line.1]));
    let sign = |role: &str, key: &str| place.update(&["sign", "maker", role, "--offline-key", key, "--yes"]);
    let refused = sign("root", &line.0);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("signature-refused"));
    for key in [&first, &second] {
        for role in ["root", "targets"] {
            done(&sign(role, &key.0));
        }
    }
    assert_eq!(done(&sign("pumps", &line.0))["draft_version"], 0);
    let next = place.key("next");
    let rotate =
        ["repository", "rotate-root", "maker", "--offline-key", &next.1, "--reason", "one left", "--yes"];
    assert_eq!(done(&place.update(&rotate))["files"][0]["draft_version"], 2);
    for (role, key) in [("root", &first), ("root", &second), ("root", &next), ("targets", &next)] {
        done(&sign(role, &key.0));
    }
    let shown = done(&place.update(&["repository", "show", "maker"]));
    assert_eq!(
        (shown["files"][0]["version"].as_u64(), shown["files"][0]["threshold"].as_u64()),
        (Some(2), Some(1))
    );
    let share = place.path("share");
    done(&place.update(&["export", "maker", &share]));
    assert_eq!(found(&share, "pumps/2.img"), None, "over the rotation");
}
