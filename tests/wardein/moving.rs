//! An authority whose records move from store to store, with kill -9 in between: devices and platforms notice nothing.

use crate::backup::{Hospital, words};
use crate::common::wardein;
use serde_json::Value;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;
use wardein_testkit::Postgres;

impl Hospital {
    fn migrate(&self, to: &str, more: &[&str]) -> Output {
        let dir = self.served.home();
        let dir = dir.to_str().unwrap();
        wardein(&[&["--json", "store", "migrate", "--to", to, "--dir", dir], more].concat())
    }

    /// In `wardein.toml`.
    fn configured(&self, before: &str, after: &str) {
        let file = self.served.home().join("wardein.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(before), "{text}");
        fs::write(file, text.replacen(before, after, 1)).unwrap();
    }

    /// Whether it was killed in time.
    fn killed_moving(&self, to: &str, after: Duration) -> bool {
        let mut moving = Command::new(env!("CARGO_BIN_EXE_wardein"))
            .args(["store", "migrate", "--to", to, "--dir"])
            .arg(self.served.home())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(after);
        moving.kill().unwrap();
        !moving.wait().unwrap().success()
    }

    /// Moved by a command that is killed again and again, then started from there. What it said at last.
    fn moves(&mut self, from: &str, to: &str) -> Value {
        self.served.kill();
        let mut kills = 0;
        for round in 0..40 {
            // Slower each time: of its some hundred ms as many as it may take.
            if !self.killed_moving(to, Duration::from_millis(4 * round)) {
                break;
            }
            kills += 1;
        }
        assert!(kills > 3, "killed {kills} times");
        let moved = self.migrate(to, &[]);
        let said = match moved.status.success() {
            true => serde_json::from_slice(&moved.stdout).unwrap(),
            // The last one was not killed in time.
            false => {
                assert!(words(&moved).contains("it was moved to"), "{}", words(&moved));
                Value::Null
            }
        };
        let refused = wardein(&[
            "operator",
            "recover",
            "--dir",
            self.served.home().to_str().unwrap(),
            "--out",
            &self.file("never"),
        ]);
        assert!(words(&refused).contains("it was moved to"), "{}", words(&refused));
        self.configured(&format!("store = \"{from}\""), &format!("store = \"{to}\""));
        let started = self.served.start();
        self.runtime.block_on(started);
        said
    }
}

#[test]
fn an_authority_moves_into_a_database_and_out_of_it_and_devices_go_on() {
    let Some(server) = Postgres::start() else { return };
    let url = server.database();
    let mut hospital = Hospital::found(3);
    let login = |hospital: &Hospital, number: u32, round: &str| {
        let name = format!("token-{number}-{round}");
        let token = hospital.made(number, &name, &["token", "--audience", "iot"]);
        assert!(hospital.login(&token).status.success());
        token
    };
    let spent = login(&hospital, 1, "before");
    let unspent = hospital.made(2, "unspent", &["token", "--audience", "iot"]);

    let running = hospital.migrate("sled", &[]);
    assert!(words(&running).contains("has this store open"), "{}", words(&running));
    let same = hospital.migrate("sqlite", &[]);
    assert!(words(&same).contains("is sqlite already"), "{}", words(&same));
    hospital.served.kill();
    let nowhere = hospital.migrate("postgresql", &[]);
    assert!(words(&nowhere).contains("first set postgresql.url"), "{}", words(&nowhere));
    hospital.configured("\nurl = \"\"", &format!("\nurl = \"{url}\""));
    let no_tables = hospital.migrate("postgresql", &[]);
    assert!(words(&no_tables).contains("run `wardein db init` first"), "{}", words(&no_tables));
    assert!(wardein(&["db", "init", "--url", &url]).status.success());
    // The root key of another authority.
    let custody = hospital.served.home().join("custody.json");
    let (own, stranger) = (fs::read(&custody).unwrap(), hospital.file("stranger"));
    let key = hospital.file("root.key");
    let founded = wardein(&["init", "--trust-domain", "x.test", "--dir", &stranger, "--key-file", &key]);
    assert!(founded.status.success(), "{}", words(&founded));
    fs::copy(format!("{stranger}/custody.json"), &custody).unwrap();
    let foreign = hospital.migrate("postgresql", &[]);
    assert!(words(&foreign).contains("its root key does not open it"), "{}", words(&foreign));
    fs::write(&custody, own).unwrap();
    let tried = hospital.migrate("postgresql", &["--dry-run"]);
    let tried: Value = serde_json::from_slice(&tried.stdout).unwrap();
    assert_eq!((&tried["done"], tried["entries"].as_u64() > Some(50)), (&false.into(), true), "{tried}");
    assert_eq!(server.sql(url.rsplit('/').next().unwrap(), "SELECT count(*) FROM wardein.rows").trim(), "0");

    let started = hospital.served.start();
    hospital.runtime.block_on(started);
    let moved = hospital.moves("sqlite", "postgresql");
    if let Some(parts) = moved["parts"].as_array().filter(|parts| !parts.is_empty()) {
        let device = parts.iter().find(|part| part["name"] == "Device").unwrap();
        assert_eq!((&device["entries"], device["digest"].as_str().unwrap().len()), (&3.into(), 64));
    }
    assert!(!hospital.login(&spent).status.success(), "a token is taken once");
    assert!(hospital.login(&unspent).status.success());
    for number in 1..=3 {
        hospital.does(number, &["authenticate"]);
    }
    login(&hospital, 1, "in-postgresql");
    hospital.moves("postgresql", "sled");
    assert!(!hospital.login(&unspent).status.success());
    let listed = hospital.told(&["device", "list", "--tenant", "klinik"]);
    assert_eq!(listed["devices"].as_array().unwrap().len(), 3);
    for number in 1..=3 {
        hospital.does(number, &["authenticate"]);
    }
    // Back to where it began, where the former one still is.
    hospital.served.kill();
    let full = hospital.migrate("sqlite", &[]);
    assert!(words(&full).contains("it was moved to PostgreSQL"), "{}", words(&full));
    let store = hospital.served.home().join("store.db");
    for ending in ["", "-wal", "-shm"] {
        let mut name = store.clone().into_os_string();
        name.push(ending);
        let _ = fs::rename(&name, hospital.file(&format!("former{ending}")));
    }
    let started = hospital.served.start();
    hospital.runtime.block_on(started);
    hospital.moves("sled", "sqlite");
    for number in 1..=3 {
        hospital.does(number, &["authenticate"]);
        login(&hospital, number, "at-last");
    }
    let log = hospital.told(&["audit", "list"]);
    for (from, to) in [("sqlite", "postgresql"), ("postgresql", "sled"), ("sled", "sqlite")] {
        let is_it = |entry: &Value| {
            let said = entry.to_string();
            said.contains("authority.move-store") && said.contains(from) && said.contains(to)
        };
        assert!(log["entries"].as_array().unwrap().iter().any(is_it), "{from} to {to}: {log}");
    }
    let numbers = log["entries"].as_array().unwrap().iter().map(|entry| entry["sequence"].as_u64().unwrap());
    assert!(numbers.eq(1..=log["entries"].as_array().unwrap().len() as u64), "{log}");
}
