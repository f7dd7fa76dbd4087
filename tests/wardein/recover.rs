//! An authority whose last administrator has expired, and how it gets another.

use crate::common::{free_port, now, read, wardein};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;
use wardein_crypto::Secret;
use wardein_custody::Protection;
use wardein_engine::{Ports, administrators, found};
use wardein_pki::pem;
use wardein_port::SystemClock;
use wardein_store::{Kind, Options};
use wardein_testkit::TestClock;

const DAY: u64 = 86_400;

/// An authority that was founded 400 days ago.
struct Old {
    directory: tempfile::TempDir,
    child: Option<Child>,
}

impl Old {
    async fn found() -> Self {
        let old = Self { directory: tempfile::tempdir().unwrap(), child: None };
        let home = old.home();
        let [listen, http] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let key_file = old.path("root.key");
        let init = [
            "init",
            "--trust-domain",
            "wardein.test",
            "--listen",
            &listen,
            "--http",
            &http,
            "--dir",
            &home,
            "--key-file",
            &key_file,
        ];
        assert!(wardein(&init).status.success());
        // The same founded again, in its place and under the same root key, long ago.
        let protection = Protection::KeyFile(PathBuf::from(&key_file));
        let custody = wardein_custody::open(&Path::new(&home).join("custody.json"), &protection).unwrap();
        let root_key = custody.keys().next().unwrap().1.duplicate();
        for name in ["store.db", "store.db-wal", "store.db-shm"] {
            drop(fs::remove_file(Path::new(&home).join(name)));
        }
        let ports = Ports::new(old.store(), TestClock::at(now() - 400 * DAY));
        let founded = found(&ports, Secret::copied_from(root_key.expose()), "wardein.test".parse().unwrap());
        let founded = founded.await.unwrap();
        let key = pem::encode_private_key(founded.admin_key.expose()).unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(Path::new(&home).join(name), bytes).unwrap();
        write("admin.pem", founded.admin_certificate_pem.as_bytes());
        write("admin.key", key.expose());
        write("infrastructure.pem", founded.infrastructure_pem.as_bytes());
        write("trust.pem", founded.bundle_pem.as_bytes());
        write("root-ca.pem", founded.root_pem.as_bytes());
        old
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn home(&self) -> String {
        self.path("authority")
    }

    fn store(&self) -> std::sync::Arc<dyn wardein_port::Store> {
        let path = Path::new(&self.home()).join("store.db");
        wardein_store::open(Kind::Sqlite, &path, &Options::default()).unwrap()
    }

    fn serve(&mut self) {
        let config = format!("{}/wardein.toml", self.home());
        let mut serve = Command::new(env!("CARGO_BIN_EXE_wardein"));
        serve.args(["serve", "--config", &config]).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(serve.spawn().unwrap());
        let listen = read(Path::new(&config));
        let port = listen.lines().find_map(|line| line.strip_prefix("listen = \"127.0.0.1:")).unwrap();
        let port: u16 = port.trim_end_matches('"').parse().unwrap();
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        unreachable!("the server did not come up in half a minute");
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn recover(&self, out: &str) -> Command {
        let mut recover = Command::new(env!("CARGO_BIN_EXE_wardein"));
        recover.args(["--json", "operator", "recover", "--dir", &self.home(), "--out", out]);
        recover.stdin(Stdio::null());
        recover
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        self.stop();
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(bytes)))
}

/// The error of a command that failed here, as JSON.
fn failed(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    json(&output.stderr)["error"].clone()
}

/// What `doctor` says of a check.
fn finding(output: &Output, check: &str) -> Value {
    let found = json(&output.stdout);
    found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["check"] == check)
        .cloned()
        .unwrap_or_default()
}

#[tokio::test]
async fn an_authority_without_an_administrator_gets_another() {
    let mut old = Old::found().await;
    let (home, new) = (old.home(), old.path("new"));
    let doctor = wardein(&["--json", "doctor", "--dir", &home]);
    for check in ["administrators", "identity", "administrator"] {
        let finding = finding(&doctor, check);
        assert_eq!(finding["result"], "bad", "{check}: {finding}");
        assert!(finding["next"].as_str().unwrap().contains("wardein operator recover"), "{finding}");
    }

    old.serve();
    for command in [["tenant", "list"], ["operator", "list"]] {
        let error = failed(&wardein(&[&["--json"], &command[..], &["--dir", &home]].concat()));
        assert_eq!(error["kind"], "identity", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("the identity admin/admin ended 20"), "{message}");
        assert!(message.contains("have an administrator issue another"), "{message}");
    }
    let doctor = wardein(&["--json", "doctor", "--dir", &home]);
    assert_eq!(finding(&doctor, "service"), Value::Null, "nobody is told to start it");
    assert_eq!(finding(&doctor, "store"), Value::Null, "nor that another process has the store open");
    // The store is the service's.
    let error = failed(&old.recover(&new).output().unwrap());
    assert!(error["message"].as_str().unwrap().contains("store.db"), "{error}");
    assert!(!Path::new(&new).exists());

    old.stop();
    let Output { status, stdout, stderr } = old.recover(&new).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let made = json(&stdout);
    assert!(made["name"].as_str().unwrap().starts_with("recovered-"), "{made}");
    let error = failed(&old.recover(&new).output().unwrap());
    assert!(error["message"].as_str().unwrap().contains("is there already"), "{error}");

    old.serve();
    let listed = json(&wardein(&["--json", "operator", "list", "--identity", &new]).stdout);
    let serials: Vec<_> =
        listed["operators"].as_array().unwrap().iter().map(|operator| &operator["serial"]).collect();
    assert!(serials.contains(&&made["serial"]), "{listed}");
    let entries = json(&wardein(&["--json", "audit", "list", "--identity", &new]).stdout);
    let entry =
        entries["entries"].as_array().unwrap().iter().find(|entry| entry["event"] == "operator.recover");
    assert_eq!(entry.unwrap()["actor"], "owner", "{entries}");
    let doctor = wardein(&["--json", "doctor", "--dir", &home, "--identity", &new]);
    assert_eq!(finding(&doctor, "administrators")["result"], "ok", "{doctor:?}");
    // It is the last one.
    let serial = made["serial"].as_str().unwrap();
    let revoke = ["--json", "operator", "revoke", serial, "--reason", "left", "--yes", "--identity", &new];
    let Output { status, stderr, .. } = wardein(&revoke);
    assert_eq!((status.code(), &json(&stderr)["error"]["code"]), (Some(3), &"last-administrator".into()));
}

/// Whenever it is killed, an administrator that is on record has its identity whole.
#[tokio::test]
async fn killed_at_any_time_no_administrator_is_on_record_without_its_files() {
    let old = Old::found().await;
    let started = std::time::Instant::now();
    assert!(old.recover(&old.path("whole")).output().unwrap().status.success());
    let whole = started.elapsed();
    let (kills, mut cut_short) = (30, 0);
    for kill in 0..kills {
        // Two in one second would have one name.
        sleep(Duration::from_millis(1_000));
        let out = old.path(&format!("new-{kill}"));
        let mut child = old.recover(&out).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The first is killed at once, the last is not: however slow the machine is, both ends are seen.
        if kill + 1 < kills {
            sleep(whole * kill / kills);
            child.kill().unwrap();
        }
        child.wait().unwrap();
        cut_short += u32::from(!Path::new(&out).join("operator.json").exists());
    }
    let known = administrators(&Ports::new(old.store(), SystemClock)).await.unwrap();
    let mut serials: Vec<_> = known.iter().map(|admin| admin.principal.serial.to_string()).collect();
    for kill in 0..kills {
        let directory = PathBuf::from(old.path(&format!("new-{kill}")));
        let Ok(description) = fs::read(directory.join("operator.json")) else { continue };
        let serial = json(&description)["serial"].clone();
        for name in ["operator.key", "operator.pem", "infrastructure.pem", "trust.pem", "identity.pub"] {
            assert!(directory.join(name).exists(), "{name} of {kill}");
        }
        serials.retain(|known| serial != **known);
    }
    assert_eq!(serials.len(), 1, "but for the one that was whole: {serials:?}");
    println!(
        "{kills} kills: {cut_short} cut short before the identity was whole, {} on record",
        known.len() - 1
    );
    assert!(cut_short > 0 && known.len() > 1, "{cut_short} cut short, {} on record", known.len());
}
