//! `wardein trust watch`: it goes on over a restart of the authority, and a later one goes on where an earlier one was.

use crate::common::wardein;
use crate::trust::Ward;
use serde_json::Value;
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
    let mut ward = runtime.block_on(Ward::with(&["pump-1", "pump-2"]));
    let platform = ward.platform.clone();

    let watching = Watching::begin(&["--identity", &platform]);
    let (_, devices) = watching.until("snapshot-end");
    let mut ids: Vec<_> = devices.iter().map(|line| line["device_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["pump-1", "pump-2"]);
    assert!(devices.iter().all(|line| line["verdict"] == "trusted" && line["event"] == "snapshot"));
    ward.device("suspend", &["--yes"]);
    let (change, _) = watching.until("change");
    assert_eq!((&change["device_id"], &change["verdict"]), (&"pump-1".into(), &"not-trusted".into()));
    let revision = change["revision"].as_str().unwrap().to_owned();

    ward.served.kill();
    let (interrupted, _) = watching.until("interrupted");
    assert!(interrupted["code"].is_string());
    runtime.block_on(ward.served.start());
    ward.device("resume", &[]);
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
