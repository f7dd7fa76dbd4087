//! `wardein dev`: what it prints is typed, and a second start goes on.

use crate::common::{free_port, read, wardein};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A trial that serves, and the lines that it printed.
struct Trial {
    child: Child,
    lines: Vec<String>,
}

impl Trial {
    fn start(options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
        let child = command.arg("dev").args(options).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = child.unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            lines.push(line.unwrap());
            if lines.last().unwrap().contains("trust check") {
                break;
            }
        }
        Self { child, lines }
    }

    /// The line that begins so, without that.
    fn said(&self, begin: &str) -> &str {
        self.lines.iter().find_map(|line| line.trim_start().strip_prefix(begin)).unwrap()
    }

    /// As Ctrl-C does.
    fn interrupt(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // It has ended, or its test failed.
        let _ = self.child.kill();
    }
}

/// `wardein` with the words of a printed command.
fn typed(authority: &str, words: &str) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
    command.args(words.split(' ')).env("WARDEIN_DIR", authority).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn what_it_prints_can_be_typed_and_a_second_start_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("trial");
    let [port, http] = [free_port(), free_port()].map(|port| port.to_string());
    let options =
        ["--dir", directory.to_str().unwrap(), "--port", port.as_str(), "--http-port", http.as_str()];
    let trial = Trial::start(&options);
    let authority = trial.said("export WARDEIN_DIR=").to_owned();
    assert_eq!(Path::new(&authority), directory.join("authority"));
    let enroll = typed(&authority, &format!("device enroll{}", trial.said("wardein device enroll")));
    let said = String::from_utf8(enroll.stdout).unwrap();
    assert!(enroll.status.success() && said.contains("2 enrolled, 0 failed"), "{said}");
    let check = format!("trust check{}", trial.said("wardein trust check"));
    let trusted = typed(&authority, &check);
    assert!(trusted.status.success(), "{}", String::from_utf8_lossy(&trusted.stderr));
    trial.interrupt();
    let key = read(&directory.join("station/operator.json"));

    // With the ports of before.
    let trial = Trial::start(&options[..2]);
    assert!(typed(&authority, &check).status.success());
    assert_eq!(read(&directory.join("station/operator.json")), key, "its identities stay");
    trial.interrupt();

    let config = directory.join("authority/wardein.toml");
    let open = read(&config).replace(&format!("listen = \"127.0.0.1:{port}\""), "listen = \"0.0.0.0:0\"");
    std::fs::write(&config, open).unwrap();
    let refused = wardein(&["dev", "--dir", directory.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("serves this machine alone"), "{said}");
}

#[test]
fn a_trial_without_a_directory_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardein"));
    let [port, http] = [free_port(), free_port()].map(|port| port.to_string());
    let child = command
        .args(["dev", "--port", &port, "--http-port", &http])
        .env("TMPDIR", place.path())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().contains("trust check")));
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_some());
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_none());
}
