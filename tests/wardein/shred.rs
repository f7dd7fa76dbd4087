//! `wardein device retire --shred`: a thief of all files of the authority afterward, its key file, and every sealed record of the
//! device that there ever was, opens none of them.

use crate::common::{Served, wardein, wardein_device};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use wardein_crypto::Secret;
use wardein_custody::Protection;
use wardein_port::{Store, Table};
use wardein_store::{Kind, Options, open};
use wardein_testkit::{SEALED_KEY, block_on, get, unsealed};

/// A thief of the directory's files and the key file: all versions of the tenant's key that are to be had from them, at whatever
/// place in whatever file something stands that was one once.
fn tenant_keys(home: &Path, key_file: &Path) -> Vec<Secret<32>> {
    let custody =
        wardein_custody::open(&home.join("custody.json"), &Protection::KeyFile(key_file.to_owned()));
    let custody = custody.unwrap();
    let mut keys: Vec<Secret<32>> = Vec::new();
    for (_, bytes) in files(home) {
        for at in 0..bytes.len() {
            let Some(sealed) = bytes.get(at..at + SEALED_KEY).filter(|sealed| sealed[..4] == [1, 0, 0, 0])
            else {
                continue;
            };
            for (_, root) in custody.keys() {
                let Some(plain) = unsealed(root, Table::Tenant, b"klinik", "key", sealed) else { continue };
                keys.push(Secret::copied_from(plain[4..].try_into().unwrap()));
            }
        }
    }
    keys
}

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push((path.display().to_string(), fs::read(&path).unwrap())),
        }
    }
    files
}

fn row_of(store: &dyn Store, device: &str) -> Option<Vec<u8>> {
    let key = format!("klinik\0{device}");
    block_on(get(store, Table::DeviceKeys, key.as_bytes())).unwrap().map(|row| row.value)
}

/// How many of the sealed records of a device open.
fn opening(keys: &[Secret<32>], device: &str, sealed: &[Vec<u8>]) -> usize {
    let row = format!("klinik\0{device}");
    let opens = |sealed: &&Vec<u8>| {
        keys.iter().any(|key| unsealed(key, Table::DeviceKeys, row.as_bytes(), "cold", sealed).is_some())
    };
    sealed.iter().filter(opens).count()
}

fn shred(kind: Kind, name: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut served = runtime.block_on(Served::found_with(&["--store", name]));
    let home = served.home();
    let (dir, binary) = (home.to_str().unwrap().to_owned(), wardein_device());
    let file = |name: &str| served.directory.path().join(name).to_str().unwrap().to_owned();
    let (station, csv, out, key_file) =
        (file("station"), file("list.csv"), file("devices"), served.directory.path().join("root.key"));
    let done = |args: &[&str]| {
        let done = wardein(args);
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    };
    let issue = [
        "operator",
        "issue",
        "--role",
        "station",
        "--tenant",
        "klinik",
        "--name",
        "line-1",
        "--validity",
        "1d",
    ];
    done(&[&issue[..], &["--quota", "9", "--out", &station, "--dir", &dir]].concat());
    fs::write(&csv, "id,attr.board\npump-1,a\npump-2,b\n").unwrap();
    done(&["device", "enroll", "--identity", &station, "--csv", &csv, "--out", &out]);
    let proves = |device: &str| {
        let mut command = Command::new(&binary);
        command.arg("--dir").arg(format!("{out}/{device}")).arg("authenticate");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    };

    // Every record of the device that there was when somebody looked.
    let mut sealed = Vec::new();
    for _ in 0..3 {
        assert!(proves("pump-1") && proves("pump-2"));
        served.kill();
        let store = open(kind, &home.join(kind.file_name()), &Options::default()).unwrap();
        sealed.extend(row_of(&*store, "pump-1"));
        drop(store);
        runtime.block_on(served.start());
    }
    assert_eq!(sealed.len(), 3);
    let custody = fs::read_to_string(home.join("custody.json")).unwrap();
    let wrapped = custody.split("\"wrapped\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(opening(&tenant_keys(&home, &key_file), "pump-1", &sealed), 3, "before, all of them open");

    let args = [
        "--json", "device", "retire", "pump-1", "--shred", "--tenant", "klinik", "--reason", "sold", "--dir",
        &dir,
    ];
    assert_eq!(wardein(&args).status.code(), Some(2), "without --yes");
    assert!(proves("pump-1"));
    // To be called while the service is down.
    let nothing_opens = || {
        let store = open(kind, &home.join(kind.file_name()), &Options::default()).unwrap();
        assert!(row_of(&*store, "pump-1").is_none());
        let neighbor = [row_of(&*store, "pump-2").unwrap()];
        drop(store);
        let keys = tenant_keys(&home, &key_file);
        assert_eq!(opening(&keys, "pump-2", &neighbor), 1, "what is read here is what there is to read");
        assert_eq!(opening(&keys, "pump-1", &sealed), 0);
        // Nor is the previous root key wrapped anywhere.
        let has_it = |bytes: &[u8]| bytes.windows(wrapped.len()).any(|window| window == wrapped.as_bytes());
        assert!(has_it(custody.as_bytes()));
        for (path, bytes) in files(&home) {
            assert!(!has_it(&bytes), "{path}");
        }
    };

    // Cut short: the caller and the service die in the middle. The next start goes on, and nobody has to ask.
    let slowly = ["--per-second", "1", "--yes"];
    let mut asking = Command::new(env!("CARGO_BIN_EXE_wardein"));
    asking.args(args).args(slowly).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut asking = asking.spawn().unwrap();
    let deeds = || {
        let told: serde_json::Value =
            serde_json::from_slice(&done(&["--json", "key", "deeds", "--dir", &dir])).unwrap();
        told["deeds"].as_array().unwrap().clone()
    };
    let waits_for = |step: Option<&str>| {
        let begun = std::time::Instant::now();
        while deeds().first().map(|deed| deed["step"].as_str().unwrap().to_owned()).as_deref() != step {
            assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", deeds());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    waits_for(Some("sweeping"));
    asking.kill().unwrap();
    asking.wait().unwrap();
    served.kill();
    assert!(opening(&tenant_keys(&home, &key_file), "pump-1", &sealed) > 0, "it is not done yet");
    runtime.block_on(served.start());
    waits_for(None);
    assert!(!proves("pump-1") && proves("pump-2"), "its neighbor goes on");
    served.kill();
    nothing_opens();
    runtime.block_on(served.start());

    // Asked again, all of it is done again.
    let told: serde_json::Value = serde_json::from_slice(&done(&[&args[..], &["--yes"]].concat())).unwrap();
    assert_eq!((&told["state"], &told["device_id"]), (&"retired".into(), &"pump-1".into()));
    assert_eq!((&told["tenant_key"], &told["root_key"]), (&3.into(), &3.into()));
    assert!(!proves("pump-1") && proves("pump-2"));

    served.kill();
    nothing_opens();
    runtime.block_on(served.start());
    assert!(proves("pump-2"));
}

#[test]
fn nothing_opens_the_keys_of_a_device_that_was_shredded() {
    shred(Kind::Sqlite, "sqlite");
}

#[test]
fn nor_where_the_store_is_sled() {
    shred(Kind::Sled, "sled");
}
