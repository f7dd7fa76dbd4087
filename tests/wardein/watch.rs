//! `wardein trust watch`: it goes on over a restart of the authority, and a later one goes on where an earlier one was.

use crate::common::{Served, wardein};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// A `wardein trust watch --json` that runs, and its lines.
struct Watching {
    child: Child,
    lines: Receiver<Value>,
}

impl Watching {
    fn begin(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
        command.args(["--json", "trust", "watch"]).args(args).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if tell.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line of that event, and what came before it.
    fn until(&self, event: &str) -> (Value, Vec<Value>) {
        let mut before = Vec::new();
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).expect("a line in time");
            if line["event"] == event {
                return (line, before);
            }
            before.push(line);
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_watch_hears_of_changes_over_a_restart_and_another_one_goes_on_from_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut served = runtime.block_on(Served::found());
    let dir = served.home().to_str().unwrap().to_owned();
    let file = |name: &str| served.directory.path().join(name).to_str().unwrap().to_owned();
    let (station, platform, csv) = (file("station"), file("platform"), file("list.csv"));
    let out = file("devices");
    let done = |args: &[&str]| {
        let done = wardein(args);
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    for (role, name, quota, to) in
        [("station", "line-1", &["--quota", "9"][..], &station), ("platform", "iot", &[], &platform)]
    {
        let issue = ["operator", "issue", "--role", role, "--tenant", "klinik", "--name", name];
        done(&[&issue[..], &["--validity", "1d", "--out", to, "--dir", &dir], quota].concat());
    }
    fs::write(&csv, "id,attr.board\npump-1,a\npump-2,b\n").unwrap();
    done(&["device", "enroll", "--identity", &station, "--csv", &csv, "--out", &out]);
    let set = |what: &str, more: &[&str]| {
        done(&[&["device", what, "pump-1", "--tenant", "klinik", "--reason", "test", "--dir", &dir], more].concat());
    };

    let watching = Watching::begin(&["--identity", &platform]);
    let (_, devices) = watching.until("snapshot-end");
    let mut ids: Vec<_> = devices.iter().map(|line| line["device_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["pump-1", "pump-2"]);
    assert!(devices.iter().all(|line| line["verdict"] == "trusted" && line["event"] == "snapshot"));
    set("suspend", &["--yes"]);
    let (change, _) = watching.until("change");
    assert_eq!((&change["device_id"], &change["verdict"]), (&"pump-1".into(), &"not-trusted".into()));
    let revision = change["revision"].as_str().unwrap().to_owned();

    served.kill();
    let (interrupted, _) = watching.until("interrupted");
    assert!(interrupted["code"].is_string());
    runtime.block_on(served.start());
    set("resume", &[]);
    let (change, before) = watching.until("change");
    assert_eq!((&change["device_id"], &change["verdict"]), (&"pump-1".into(), &"trusted".into()));
    assert!(before.iter().all(|line| line["event"] != "snapshot"), "it went on where it was: {before:?}");
    drop(watching);

    let later = Watching::begin(&["--identity", &platform, "--after", &revision]);
    let (change, before) = later.until("change");
    assert_eq!((&change["device_id"], before.len()), (&"pump-1".into(), 0));
    drop(later);
    // One that is none.
    let refused = wardein(&["trust", "watch", "--identity", &platform, "--after", "00"]);
    assert_eq!(refused.status.code(), Some(3), "{}", String::from_utf8_lossy(&refused.stderr));
    let refused = wardein(&["trust", "watch", "--identity", &platform, "--after", "xx"]);
    assert_eq!(refused.status.code(), Some(2));
}
