//! Files between us and others, both ways: rage, as pyrage has it, and Go's age. Each runs where deploy/test.sh has installed it, rage in every
//! run (`WARDEIN_AGE=required`) and Go's age with `--all` (`WARDEIN_GO_AGE=required`).

use crate::round_trip::{READER_KEY, opened, reader_key, sealed_for_reader};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wardein_files::Opening;

#[test]
fn rage_opens_ours_and_ours_opens_its() {
    let Some(python) = tool("pyrage-1.4.0/bin/python", "WARDEIN_AGE") else { return };
    both_ways(|verb, key, from, to| {
        let mut command = Command::new(&python);
        command.args(["-c", PYRAGE, verb, key]).arg(from).arg(to);
        command
    });
}

#[test]
fn age_opens_ours_and_ours_opens_its() {
    let Some(age) = tool("age-1.3.2/age", "WARDEIN_GO_AGE") else { return };
    both_ways(|verb, key, from, to| {
        let mut command = Command::new(&age);
        match verb {
            "decrypt" => command.args(["-d", "-i", key]),
            _ => command.args(["-r", key]),
        };
        command.arg("-o").arg(to).arg(from);
        command
    });
}

fn both_ways(judge: impl Fn(&str, &str, &Path, &Path) -> Command) {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    fs::write(file("key"), READER_KEY).unwrap();
    let (key, reader) = (reader_key(), reader_key().reader().to_string());
    for length in [0, 1, 65_536, 200_000] {
        let plaintext: Vec<u8> = (0..length).map(|at| (at % 241) as u8).collect();
        let done = |mut command: Command| {
            let said = command.output().unwrap();
            assert!(said.status.success(), "{length}: {}", String::from_utf8_lossy(&said.stderr));
        };
        fs::write(file("ours"), sealed_for_reader(&plaintext)).unwrap();
        done(judge("decrypt", file("key").to_str().unwrap(), &file("ours"), &file("opened")));
        assert_eq!(fs::read(file("opened")).unwrap(), plaintext, "{length}");
        fs::write(file("plain"), &plaintext).unwrap();
        done(judge("encrypt", &reader, &file("plain"), &file("theirs")));
        let theirs = fs::read(file("theirs")).unwrap();
        assert_eq!(opened(&theirs, &Opening::Reader(&key)).unwrap(), plaintext, "{length}");
    }
}

/// One of the tools of deploy/test.sh; none where it is not installed and `variable` does not require it.
fn tool(name: &str, variable: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let path = cache.unwrap().join("wardein-tools").join(name);
    if path.exists() {
        return Some(path);
    }
    let is_required = std::env::var_os(variable).is_some_and(|value| value == "required");
    assert!(!is_required, "{} is missing: deploy/test.sh installs it", path.display());
    eprintln!("left out: {} is not there", path.display());
    None
}

const PYRAGE: &str = "
import sys, pyrage
verb, key, source, target = sys.argv[1:]
data = open(source, 'rb').read()
if verb == 'decrypt':
    line = [line for line in open(key) if line.startswith('AGE-')][0].strip()
    out = pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(line)])
else:
    out = pyrage.encrypt(data, [pyrage.x25519.Recipient.from_str(key)])
open(target, 'wb').write(out)
";
