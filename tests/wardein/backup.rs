//! Backup and restore through the real binaries: taken while devices prove themselves, restored elsewhere, and nothing that was
//! spent in between is taken there; devices come back by themselves.

use crate::common::{Served, wardein, wardein_device};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A served authority with a station, a platform that may verify tokens and open payloads, and devices `pump-1` and on.
pub(crate) struct Hospital {
    pub(crate) served: Served,
    pub(crate) runtime: Runtime,
    device: PathBuf,
}

impl Hospital {
    pub(crate) fn found(devices: u32) -> Self {
        Self::found_with(devices, &[])
    }

    /// With more options for `wardein init`.
    pub(crate) fn found_with(devices: u32, options: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let served = runtime.block_on(Served::found_with(options));
        let hospital = Self { served, runtime, device: wardein_device() };
        for (role, name) in [("station", "line-1"), ("platform", "iot")] {
            let out = hospital.file(role);
            let quota: &[&str] = if role == "station" { &["--quota", "100"] } else { &[] };
            let issue = [
                "operator",
                "issue",
                "--role",
                role,
                "--tenant",
                "klinik",
                "--name",
                name,
                "--validity",
                "1d",
                "--out",
                &out,
            ];
            hospital.told(&[&issue, quota].concat());
        }
        for right in ["token", "open"] {
            hospital.told(&["grant", "add", "iot", right, "--tenant", "klinik"]);
        }
        let list: String = (1..=devices).map(|number| format!("pump-{number},rev-b\n")).collect();
        fs::write(hospital.file("list.csv"), format!("id,attr.board\n{list}")).unwrap();
        let (csv, out, station) =
            (hospital.file("list.csv"), hospital.file("devices"), hospital.file("station"));
        let enrolled = wardein(&["device", "enroll", "--identity", &station, "--csv", &csv, "--out", &out]);
        assert!(enrolled.status.success(), "{}", words(&enrolled));
        for number in 1..=devices {
            hospital.does(number, &["authenticate"]);
        }
        hospital
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.served.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// What an administrator is told.
    pub(crate) fn told(&self, args: &[&str]) -> Value {
        let dir = self.served.home();
        let told = wardein(&[&["--json"], args, &["--dir", dir.to_str().unwrap()]].concat());
        assert!(told.status.success(), "{args:?}: {}", words(&told));
        serde_json::from_slice(&told.stdout).unwrap_or(Value::Null)
    }

    pub(crate) fn of_device(&self, number: u32, args: &[&str]) -> Command {
        let mut command = Command::new(&self.device);
        command.arg("--dir").arg(self.file("devices") + &format!("/pump-{number}")).args(args);
        command.stdin(Stdio::null());
        command
    }

    /// A device does it.
    pub(crate) fn does(&self, number: u32, args: &[&str]) -> Vec<u8> {
        let done = self.of_device(number, args).output().unwrap();
        assert!(done.status.success(), "pump-{number} {args:?}: {}", words(&done));
        done.stdout
    }

    /// A device is refused.
    fn refused(&self, number: u32, args: &[&str], code: &str) {
        let refused = self.of_device(number, args).output().unwrap();
        assert_eq!(refused.status.code(), Some(3), "pump-{number} {args:?}");
        assert!(words(&refused).contains(code), "pump-{number} {args:?}: {}", words(&refused));
    }

    /// What a device makes, in a file for the platform.
    pub(crate) fn made(&self, number: u32, name: &str, args: &[&str]) -> String {
        let path = self.file(name);
        fs::write(&path, self.does(number, args)).unwrap();
        path
    }

    pub(crate) fn platform(&self, args: &[&str]) -> Output {
        wardein(&[&["trust"], args, &["--identity", &self.file("platform")]].concat())
    }

    pub(crate) fn login(&self, token: &str) -> Output {
        self.platform(&["verify-token", "--token-file", token])
    }

    fn open(&self, sealed: &str, out: &str) -> Output {
        self.platform(&["open", "--sealed", sealed, "--reason", "test", "--out", out])
    }

    fn key_status(&self, number: u32) -> Value {
        self.told(&["key", "status", "--tenant", "klinik", "--device", &format!("pump-{number}")])
    }

    /// `wardein restore` into `directory`, to be served where this one is.
    fn restore(&self, backup: &str, directory: &Path, protection: &[&str]) -> Output {
        let listen = self.served.endpoint.strip_prefix("https://").unwrap();
        let http = format!("127.0.0.1:{}", crate::common::free_port());
        let to = ["--dir", directory.to_str().unwrap(), "--listen", listen, "--http", &http];
        wardein(&[&["--json", "restore", "--from", backup], &to[..], protection].concat())
    }
}

pub(crate) fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refusal(output: &Output, code: &str) {
    assert!(output.status.code() == Some(3) && words(output).contains(code), "{code}: {}", words(output));
}

#[test]
fn what_was_spent_after_a_backup_is_not_taken_again_and_devices_come_back() {
    let mut hospital = Hospital::found(5);
    let (token, payload) = (
        hospital.made(1, "token", &["token", "--audience", "iot"]),
        hospital.made(1, "sealed", &["seal", hospital.file("list.csv").as_str()]),
    );
    let of_before = hospital.made(2, "token-of-before", &["token", "--audience", "iot"]);
    assert!(hospital.login(&of_before).status.success());

    // Taken while a device proves itself without a pause.
    let (is_over, proofs) = (AtomicBool::new(false), AtomicU32::new(0));
    let backup = hospital.file("backup");
    let taken = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                hospital.does(3, &["authenticate"]);
                proofs.fetch_add(1, Ordering::AcqRel);
            }
        });
        while proofs.load(Ordering::Acquire) == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let taken = hospital.told(&["backup", "--out", &backup]);
        let at_its_end = proofs.load(Ordering::Acquire);
        while proofs.load(Ordering::Acquire) == at_its_end {
            thread::sleep(Duration::from_millis(5));
        }
        is_over.store(true, Ordering::Release);
        taken
    });
    let metadata = fs::metadata(&backup).unwrap();
    assert_eq!(
        (metadata.permissions().mode() & 0o777, taken["bytes"].as_u64()),
        (0o600, Some(metadata.len()))
    );
    assert!(!Path::new(&format!("{backup}.partial")).exists());
    let again = wardein(&["backup", "--out", &backup, "--dir", hospital.served.home().to_str().unwrap()]);
    assert!(
        again.status.code() == Some(1) && words(&again).contains("is there already"),
        "{}",
        words(&again)
    );

    // After the backup: a login, an opening, a rekey, an enrollment.
    assert!(hospital.login(&token).status.success());
    assert!(hospital.open(&payload, &hospital.file("opened")).status.success());
    hospital.does(4, &["rekey"]);
    let entries = hospital.told(&["audit", "list"]);

    let directory = hospital.served.directory.path().join("restored");
    let key_file = hospital.file("root.key");
    let restored = hospital.restore(&backup, &directory, &["--key-file", &key_file]);
    assert!(restored.status.success(), "{}", words(&restored));
    let made: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert_eq!((&made["rows"], &made["audit_entries"]), (&taken["rows"], &taken["audit_entries"]));
    hospital.served.kill();
    hospital.served.home = directory;
    hospital.runtime.block_on(hospital.served.start());

    // What was acknowledged before is there.
    let devices = hospital.told(&["device", "list", "--tenant", "klinik"]);
    assert_eq!(devices["devices"].as_array().unwrap().len(), 5);
    let count = taken["audit_entries"].as_u64().unwrap() as usize;
    let kept = hospital.told(&["audit", "list"]);
    assert_eq!(kept["entries"].as_array().unwrap()[..count], entries["entries"].as_array().unwrap()[..count]);
    assert_eq!(kept["entries"][count]["event"], "authority.restore");

    // What was spent is refused, before and after the backup.
    for number in [1, 2, 3, 5] {
        hospital.refused(number, &["authenticate"], "rekey-required");
    }
    refusal(&hospital.login(&token), "rekey-required");
    refusal(&hospital.login(&of_before), "rekey-required");
    refusal(&hospital.open(&payload, &hospital.file("opened-again")), "key-from-before-restore");

    // Devices come back: one that runs, and one that is asked once.
    let running = Ended(hospital.of_device(2, &["run"]).stderr(Stdio::null()).spawn().unwrap());
    hospital.does(1, &["run", "--once"]);
    hospital.does(1, &["authenticate"]);
    refusal(&hospital.login(&token), "retired");
    let fresh = hospital.made(1, "fresh", &["token", "--audience", "iot"]);
    assert!(hospital.login(&fresh).status.success());
    refusal(&hospital.login(&fresh), "token-spent");
    let patience = Instant::now() + Duration::from_secs(120);
    while hospital.key_status(2)["device"]["generation"] != 2 {
        assert!(Instant::now() < patience, "{}", hospital.key_status(2));
        thread::sleep(Duration::from_millis(200));
    }
    drop(running);

    // The one that rekeyed after the backup is enrolled again, by the existing station.
    hospital.refused(4, &["authenticate"], "keys-after-backup");
    hospital.told(&[
        "device",
        "readmit",
        "pump-4",
        "--tenant",
        "klinik",
        "--reenroll",
        "--reason",
        "restored",
        "--yes",
    ]);
    let (cert, key) = (hospital.file("station/operator.pem"), hospital.file("station/operator.key"));
    hospital.does(4, &["enroll", "--again", "--station-cert", &cert, "--station-key", &key]);
    hospital.does(4, &["authenticate"]);
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_backup_that_is_not_right_says_so_and_leaves_nothing() {
    let hospital = Hospital::found(1);
    let directory = hospital.served.directory.path().join("restored");
    let key_file = hospital.file("root.key");
    let under_key_file = ["--key-file", key_file.as_str()];
    let (good, bad) = (hospital.file("good"), hospital.file("bad"));
    hospital.told(&["backup", "--out", &good]);
    // From now on under a passphrase, which is then what the next backup takes.
    let (right, wrong) = (hospital.file("right"), hospital.file("wrong"));
    fs::write(&right, "correct horse\n").unwrap();
    fs::write(&wrong, "battery staple\n").unwrap();
    hospital.told(&["custody", "change", "--to", "passphrase", "--new-passphrase-file", &right, "--yes"]);
    let second = hospital.file("second");
    hospital.told(&["backup", "--out", &second]);
    let other_key = hospital.file("other.key");
    fs::write(&other_key, [9; 32]).unwrap();
    fs::set_permissions(&other_key, fs::Permissions::from_mode(0o600)).unwrap();

    let (one, two) = (fs::read(&good).unwrap(), fs::read(&second).unwrap());
    let flipped = |at: usize| {
        let mut flipped = one.clone();
        flipped[at] ^= 1;
        flipped
    };
    // What stands in front is 47 bytes and the custody file; one part follows, with its length.
    let front = |of: &[u8]| 47 + usize::from(u16::from_be_bytes([of[45], of[46]]));
    let spliced = [&one[..front(&one)], &two[front(&two)..]].concat();
    let later = [&one[..16], &[2], &one[17..]].concat();
    let (key, other) = (&under_key_file[..], ["--key-file", other_key.as_str()]);
    let (right, wrong) = (["--passphrase-file", right.as_str()], ["--passphrase-file", wrong.as_str()]);
    for (what, bytes, protection, said) in [
        ("no backup", b"PK\x03\x04 something else".to_vec(), key, "backup-unknown"),
        ("nothing at all", vec![], key, "backup-unknown"),
        ("a later format", later, key, "backup-version"),
        ("cut off in front", one[..30].to_vec(), key, "backup-cut-off"),
        ("cut off at its end", one[..one.len() - 1].to_vec(), key, "backup-cut-off"),
        ("more at its end", [&one[..], b"\n"].concat(), key, "backup-damaged"),
        ("a flipped bit", flipped(one.len() / 2), key, "backup-damaged"),
        ("another time", flipped(25), key, "backup-damaged"),
        ("two backups in one", spliced, key, "backup-damaged"),
        ("another key file", one.clone(), &other[..], "not the one that the root key is under"),
        ("a passphrase for a key file", one.clone(), &right[..], "--key-file"),
        ("a key file for a passphrase", two.clone(), key, "under a passphrase"),
        ("a wrong passphrase", two.clone(), &wrong[..], "passphrase is wrong"),
    ] {
        fs::write(&bad, bytes).unwrap();
        let refused = hospital.restore(&bad, &directory, protection);
        assert!(matches!(refused.status.code(), Some(1 | 2)), "{what}: {:?}", refused.status);
        assert!(words(&refused).contains(said), "{what}: {}", words(&refused));
        assert!(!directory.exists() && !directory.with_extension("founding").exists(), "{what}");
        let refused = wardein(&[&["backup", "verify", &bad], protection].concat());
        assert!(matches!(refused.status.code(), Some(1 | 2)), "{what}: {:?}", refused.status);
        assert!(words(&refused).contains(said), "{what}: {}", words(&refused));
    }
    // Verified where no authority is, whatever the environment says of one.
    for (file, protection) in [(&good, key), (&second, &right[..])] {
        let mut verify = Command::new(env!("CARGO_BIN_EXE_wardein"));
        verify.args(["--json", "backup", "verify", file]).args(protection).env("WARDEIN_DIR", "/nowhere");
        let verified = verify.output().unwrap();
        assert!(verified.status.success(), "{}", words(&verified));
        let said: Value = serde_json::from_slice(&verified.stdout).unwrap();
        assert!(said["rows"].as_u64() > Some(10) && said["audit_entries"].as_u64() > Some(5), "{said}");
        assert_eq!(said["trust_domain"], "wardein.test");
    }
    let both = wardein(&["backup", "--out", &bad, "verify", &good]);
    assert_eq!(both.status.code(), Some(2), "{}", words(&both));
    let there = hospital.restore(&good, &hospital.served.home(), key);
    assert!(there.status.code() == Some(1) && words(&there).contains("is an authority already"));
    assert!(hospital.restore(&second, &directory, &right).status.success());
    assert!(directory.join("wardein.toml").exists());
}

/// sled holds no moment: it says so, and makes no file.
#[test]
fn a_store_without_snapshots_says_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let served = runtime.block_on(Served::found_with(&["--store", "sled"]));
    let backup = served.directory.path().join("backup");
    let refused =
        wardein(&["backup", "--out", backup.to_str().unwrap(), "--dir", served.home().to_str().unwrap()]);
    refusal(&refused, "store-without-snapshots");
    assert!(!backup.exists() && !backup.with_extension("partial").exists());
}

/// A snapshot of the disk is put back: as it is it would take what was spent since.
#[test]
fn a_store_that_was_put_back_is_restored_in_place_and_devices_come_back() {
    let mut hospital = Hospital::found(2);
    let dir = hospital.served.home();
    let spent = hospital.made(1, "spent", &["token", "--audience", "iot"]);
    hospital.served.terminate();
    // Changes of late are in the log beside the file.
    let copied = |from: &Path, to: &Path| {
        for name in ["store.db", "store.db-wal"] {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
        let _ = fs::remove_file(to.join("store.db-shm"));
    };
    let copy = PathBuf::from(hospital.file("copy"));
    fs::create_dir(&copy).unwrap();
    copied(&dir, &copy);
    let started = hospital.served.start();
    hospital.runtime.block_on(started);
    assert!(hospital.login(&spent).status.success());
    let in_place = |more: &[&str]| {
        let dir = dir.to_str().unwrap();
        wardein(&[&["--json", "restore", "--in-place", "--dir", dir], more].concat())
    };
    let running = in_place(&["--yes"]);
    assert!(words(&running).contains("has this store open"), "{}", words(&running));
    hospital.served.terminate();
    copied(&copy, &dir);
    let unasked = in_place(&[]);
    assert!(words(&unasked).contains("nothing was done"), "{}", words(&unasked));
    let restored = in_place(&["--yes"]);
    assert!(restored.status.success(), "{}", words(&restored));
    let restored: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert!(restored["restored_at"].as_u64().unwrap().abs_diff(crate::common::now()) < 60, "{restored}");
    let started = hospital.served.start();
    hospital.runtime.block_on(started);
    let again = hospital.login(&spent);
    assert!(!again.status.success(), "what was spent after that moment is not taken");
    assert!(words(&again).contains("rekey-required"), "{}", words(&again));
    for number in 1..=2 {
        // As after each restore, keys are agreed again first.
        hospital.does(number, &["rekey"]);
        let token = hospital.made(number, "fresh", &["token", "--audience", "iot"]);
        assert!(hospital.login(&token).status.success());
    }
    let log = hospital.told(&["audit", "list"]);
    assert!(log.to_string().contains("authority.restore"), "{log}");
}
