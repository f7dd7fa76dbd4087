//! The table, as python-tuf judges it: the reference implementation. It runs where deploy/test.sh has installed it, and must run where
//! `WARDEIN_TUF=required`.

use crate::cases::lay_out;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn python_tuf_takes_what_is_good_and_nothing_else() {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let python = cache.unwrap().join("wardein-tools/tuf-7.0.1/bin/python");
    if !python.exists() {
        let is_required = std::env::var_os("WARDEIN_TUF").is_some_and(|value| value == "required");
        assert!(!is_required, "{} is missing: deploy/test.sh installs it", python.display());
        eprintln!("left out: {} is not there", python.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let cases = lay_out(dir.path());
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tuf/judge.py");
    let said = Command::new(python).arg(judge).arg(dir.path()).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    for laid in &cases {
        let verdict = said[laid.case.name].as_str().unwrap();
        assert_eq!(verdict == "taken", laid.case.is_taken(), "{}: {verdict}", laid.case.name);
    }
    assert_eq!(said.as_object().unwrap().len(), cases.len());
}
