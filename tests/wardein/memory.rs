//! What a process with keys in its memory does about that, by itself.

use crate::common::{Served, read};
use std::path::Path;
use std::process::Command;

#[test]
fn it_leaves_no_core_dump_and_is_locked_where_that_has_no_limit() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let served = runtime.block_on(Served::found());
    let limits = read(Path::new(&format!("/proc/{}/limits", served.id())));
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"], "{core}");

    let doctor = |limit: &str| {
        let mut command = Command::new("prlimit");
        command.arg(format!("--memlock={limit}:{limit}")).arg(env!("CARGO_BIN_EXE_wardein"));
        let output = command.args(["--json", "doctor", "--dir"]).arg(&served.home).output().ok()?;
        let findings: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let memory = findings["findings"].as_array()?.iter().find(|finding| finding["check"] == "memory")?;
        Some(memory["found"].as_str()?.to_owned())
    };
    let limited = doctor("65536").unwrap();
    assert!(limited.starts_with("no core dumps; not locked, as RLIMIT_MEMLOCK is 64 KiB"), "{limited}");
    match doctor("unlimited") {
        Some(locked) => assert_eq!(locked, "no core dumps; locked"),
        None => eprintln!("SKIPPED: the limit may not be raised here"),
    }
}
