//! An authority whose records are in PostgreSQL: a second node serves beside the first, a backup goes there and back, and what is wrong with the
//! database is said.

use crate::backup::{Hospital, words};
use crate::common::{Served, free_port, wardein};
use crate::trust::Ward;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use wardein_testkit::Postgres;

/// The options of `wardein init` for a new database of that server, in which the tables are.
pub(crate) fn options(server: &Postgres) -> [String; 4] {
    let url = server.database();
    done(&["db", "init", "--url", &url]);
    ["--store", "postgresql", "--postgresql-url", &url].map(str::to_owned)
}

fn done(args: &[&str]) -> String {
    let done = wardein(args);
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn refused(args: &[&str]) -> String {
    let refused = wardein(args);
    assert!(!refused.status.success(), "{args:?}");
    String::from_utf8(refused.stderr).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The directory of the same authority on another machine, and the port on which it is served there.
pub(crate) fn another(of: &Served, name: &str) -> (std::path::PathBuf, u16) {
    let to = of.directory.path().join(name);
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(&of.home).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let file = to.join("wardein.toml");
    let mut said = fs::read_to_string(&file).unwrap();
    let (listen, http) = (free_port(), free_port());
    for (key, port) in [
        ("listen = \"127.0.0.1:", listen),
        ("http = \"127.0.0.1:", http),
        ("endpoint = \"https://localhost:", listen),
    ] {
        let at = said.find(key).unwrap() + key.len();
        let end = at + said[at..].find('"').unwrap();
        said.replace_range(at..end, &port.to_string());
    }
    fs::write(file, said).unwrap();
    (to, listen)
}

/// A node that is served from a directory; its log is beside that.
fn served_from(home: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_wardein"))
        .args(["serve", "--config", text(&home.join("wardein.toml"))])
        .stdout(Stdio::null())
        .stderr(fs::File::create(home.with_extension("log")).unwrap())
        .spawn()
        .unwrap()
}

/// Waits until that is in the log of what is served from a directory.
fn said(home: &Path, what: &str) {
    let log = || fs::read_to_string(home.with_extension("log")).unwrap();
    for _ in 0..600 {
        if log().contains(what) {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("{what}: {}", log());
}

#[tokio::test]
async fn a_second_node_serves_beside_the_first_and_goes_on_without_it() {
    let Some(server) = Postgres::start() else { return };
    let options = options(&server);
    let mut ward = Ward::founded_with(&["pump-1"], &options.each_ref().map(String::as_str)).await;
    assert_eq!(ward.check("pump-1").0, Some(0));
    let (second, _) = another(&ward.served, "second");
    let mut node = served_from(&second);
    said(&second, "serving version");
    let nodes = || {
        let listed = done(&["--json", "node", "list", "--url", &options[3]]);
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        listed["nodes"].as_array().unwrap().clone()
    };
    let named = |nodes: &[serde_json::Value], process: u32| {
        let ends = format!("process {process}");
        nodes.iter().find(|node| node["name"].as_str().unwrap().ends_with(&ends)).unwrap().clone()
    };
    let both = nodes();
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(both.iter().filter(|node| node["has_upkeep"] == true).count(), 1, "{both:?}");
    // What must be done by one alone is refused meanwhile.
    let out = second.with_extension("recovered");
    let alone = refused(&["operator", "recover", "--dir", text(&second), "--out", text(&out)]);
    assert!(alone.contains("has this store open"), "{alone}");
    ward.device("suspend", &["--yes"]);
    ward.served.kill();
    let listed = done(&["device", "list", "--tenant", "klinik", "--dir", text(&second)]);
    assert!(listed.contains("pump-1") && listed.contains("suspended"), "{listed}");
    let id = named(&nodes(), node.id())["id"].as_str().unwrap().to_owned();
    let removed = done(&["node", "remove", &id, "--url", &options[3]]);
    assert!(removed.contains(&id), "{removed}");
    said(&second, "not among those that use the database");
    assert!(!node.wait().unwrap().success());
    let unknown = refused(&["node", "remove", &id, "--url", &options[3]]);
    assert!(unknown.contains("there is no node"), "{unknown}");
}

#[tokio::test]
async fn a_backup_goes_into_a_database_and_out_of_it() {
    let Some(server) = Postgres::start() else { return };
    let ward = Ward::with(&["pump-1"]).await;
    let mut at = ward.served.home.clone();
    let file = |name: &str| ward.served.directory.path().join(name);
    let key = file("root.key");
    // From SQLite into PostgreSQL, and from there back.
    let (mut ward_served, options) = (ward.served, options(&server));
    for (backup, to, store) in [
        ("first", "in-postgresql", &options[..]),
        ("second", "in-sqlite", &["--store".to_owned(), "sqlite".to_owned()][..]),
    ] {
        let (backup, to) = (ward_served.directory.path().join(backup), ward_served.directory.path().join(to));
        done(&["backup", "--out", text(&backup), "--dir", text(&at)]);
        ward_served.kill();
        let listen = ward_served.endpoint.strip_prefix("https://").unwrap().to_owned();
        let http = format!("127.0.0.1:{}", free_port());
        let mut restore = vec!["restore", "--from", text(&backup), "--dir", text(&to)];
        restore.extend(["--key-file", text(&key), "--listen", &listen, "--http", &http]);
        restore.extend(store.iter().map(String::as_str));
        done(&restore);
        ward_served.home = to.clone();
        ward_served.start().await;
        let listed = done(&["device", "list", "--tenant", "klinik", "--dir", text(&to)]);
        assert!(listed.contains("pump-1"), "{listed}");
        at = to;
    }
}

#[test]
fn what_is_wrong_with_the_database_is_said() {
    let Some(server) = Postgres::start() else { return };
    let place = tempfile::tempdir().unwrap();
    let (dir, key) = (place.path().join("authority"), place.path().join("root.key"));
    let init = |more: &[&str]| {
        let mut init =
            vec!["init", "--trust-domain", "wardein.test", "--dir", text(&dir), "--key-file", text(&key)];
        init.extend(more);
        refused(&init)
    };
    let url = server.database();
    let without = init(&["--store", "postgresql"]);
    assert!(without.contains("--postgresql-url"), "{without}");
    let empty = init(&["--store", "postgresql", "--postgresql-url", &url]);
    assert!(empty.contains("wardein db init") && !dir.exists(), "{empty}");
    let password =
        init(&["--store", "postgresql", "--postgresql-url", "postgresql://w:hunter2@db.example/w"]);
    assert!(password.contains("password in it") && !password.contains("hunter2"), "{password}");
    let plain = init(&["--store", "postgresql", "--postgresql-url", "postgresql://w@db.example/w"]);
    assert!(plain.contains("ca_file"), "{plain}");
    let nobody = refused(&["db", "status", "--url", &server.url("nobody_at_all", "postgres")]);
    assert!(nobody.contains("does not exist"), "{nobody}");
    // A second authority in one database.
    done(&["db", "init", "--url", &url]);
    let founding = [
        "init",
        "--trust-domain",
        "wardein.test",
        "--key-file",
        text(&key),
        "--store",
        "postgresql",
        "--postgresql-url",
    ];
    done(&[&founding[..], &[&url, "--dir", text(&dir)]].concat());
    let second = place.path().join("second");
    let taken = refused(&[&founding[..], &[&url, "--dir", text(&second)]].concat());
    assert!(taken.contains("already holds an authority") && taken.contains("DROP SCHEMA wardein"), "{taken}");
}

/// The database of an authority is put back to an earlier moment, on another timeline: nothing starts from it but a restore in place.
#[test]
fn a_database_that_was_put_back_is_restored_in_place_and_devices_come_back() {
    let Some(mut server) = Postgres::start() else { return };
    let options = options(&server);
    let mut hospital = Hospital::found_with(1, &options.each_ref().map(String::as_str));
    let spent = hospital.made(1, "spent", &["token", "--audience", "iot"]);
    hospital.served.terminate();
    server.copy();
    let started = hospital.served.start();
    hospital.runtime.block_on(started);
    assert!(hospital.login(&spent).status.success());
    hospital.served.terminate();
    server.put_back();
    server.promote();
    let home = hospital.served.home();
    let unconfirmed =
        refused(&["operator", "recover", "--dir", text(&home), "--out", &hospital.file("never")]);
    assert!(unconfirmed.contains("restore --in-place"), "{unconfirmed}");
    let unasked = refused(&["restore", "--in-place", "--dir", text(&home)]);
    assert!(unasked.contains("nothing was done"), "{unasked}");
    done(&["restore", "--in-place", "--dir", text(&home), "--yes"]);
    let started = hospital.served.start();
    hospital.runtime.block_on(started);
    let again = hospital.login(&spent);
    assert!(words(&again).contains("rekey-required"), "what was spent is not taken: {}", words(&again));
    hospital.does(1, &["rekey"]);
    let token = hospital.made(1, "fresh", &["token", "--audience", "iot"]);
    assert!(hospital.login(&token).status.success());
    assert!(hospital.told(&["audit", "list"]).to_string().contains("authority.restore"));
}

/// A standby takes over while no node runs: what a human says of it is on record before anything is served from there.
#[test]
fn a_failover_that_was_confirmed_is_in_the_audit_log() {
    let Some(mut server) = Postgres::start() else { return };
    let options = options(&server);
    let mut hospital = Hospital::found_with(1, &options.each_ref().map(String::as_str));
    hospital.served.terminate();
    server.promote();
    let confirm = ["db", "confirm-failover", "--url", &options[3]];
    let unasked = refused(&confirm);
    assert!(unasked.contains("nothing was done"), "{unasked}");
    let confirmed = done(&[&confirm[..], &["--yes"]].concat());
    assert!(confirmed.contains("is on record: nodes that wait go on"), "{confirmed}");
    let again = done(&[&confirm[..], &["--yes"]].concat());
    assert!(again.contains("on record already"), "{again}");
    let started = hospital.served.start();
    hospital.runtime.block_on(started);
    let log = hospital.told(&["audit", "list"]);
    let is_it = |entry: &&serde_json::Value| entry.to_string().contains("authority.confirm-failover");
    let found: Vec<_> = log["entries"].as_array().unwrap().iter().filter(is_it).collect();
    assert!(found.len() == 1 && found[0].to_string().contains("/2"), "once, with its timeline: {found:?}");
    hospital.does(1, &["authenticate"]);
}

/// While there are two nodes neither changes the root key nor shreds a device, which ends with that. One that was away meanwhile comes back
/// with the custody of those that were not.
#[test]
fn the_root_key_is_changed_by_one_node_and_another_comes_back_with_its_custody() {
    let Some(server) = Postgres::start() else { return };
    let options = options(&server);
    let mut hospital = Hospital::found_with(2, &options.each_ref().map(String::as_str));
    let (home, (second, _)) = (hospital.served.home(), another(&hospital.served, "second"));
    let mut node = served_from(&second);
    said(&second, "serving version");
    let rotate = ["key", "rotate", "--root", "--yes", "--dir", text(&home)];
    let shred =
        ["device", "retire", "pump-2", "--shred", "--tenant", "klinik", "--reason", "erasure", "--yes"];
    let shred = [&shred[..], &["--dir", text(&home)]].concat();
    for args in [&rotate[..], &shred[..]] {
        let beside = refused(args);
        assert!(beside.contains("nodes-running"), "{beside}");
    }
    hospital.does(2, &["authenticate"]);
    let terminated = Command::new("kill").args(["-TERM", &node.id().to_string()]).status();
    assert!(terminated.unwrap().success() && node.wait().unwrap().success());
    done(&rotate);
    done(&shred);
    assert!(!hospital.of_device(2, &["authenticate"]).output().unwrap().status.success());
    // With the custody of before it opens nothing, and says so.
    assert!(!served_from(&second).wait().unwrap().success());
    let log = fs::read_to_string(second.with_extension("log")).unwrap();
    assert!(log.contains("custody"), "{log}");
    fs::copy(home.join("custody.json"), second.join("custody.json")).unwrap();
    let mut node = served_from(&second);
    said(&second, "serving version");
    hospital.served.kill();
    let listed = done(&["device", "list", "--tenant", "klinik", "--dir", text(&second)]);
    assert!(listed.contains("pump-1") && listed.contains("retired"), "{listed}");
    let started = hospital.served.start();
    hospital.runtime.block_on(started);
    hospital.does(1, &["authenticate"]);
    node.kill().unwrap();
    node.wait().unwrap();
}
