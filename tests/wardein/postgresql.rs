//! An authority whose records are in PostgreSQL: a second node serves beside the first, a backup goes there and back, and what is wrong with the
//! database is said.

use crate::common::{Served, free_port, wardein};
use crate::trust::Ward;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::sleep;
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

#[tokio::test]
async fn a_second_node_serves_beside_the_first_and_goes_on_without_it() {
    let Some(server) = Postgres::start() else { return };
    let options = options(&server);
    let mut ward = Ward::founded_with(&["pump-1"], &options.each_ref().map(String::as_str)).await;
    assert_eq!(ward.check("pump-1").0, Some(0));
    let (second, _) = another(&ward.served, "second");
    let log = second.with_extension("log");
    let mut node = Command::new(env!("CARGO_BIN_EXE_wardein"))
        .args(["serve", "--config", text(&second.join("wardein.toml"))])
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let said = async |what: &str| {
        for _ in 0..600 {
            if fs::read_to_string(&log).unwrap().contains(what) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{what}: {}", fs::read_to_string(&log).unwrap());
    };
    said("serving version").await;
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
    said("not among those that use the database").await;
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
