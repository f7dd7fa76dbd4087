//! `wardein-device logs test`: what is shown of a file, and whether the filter is approved.

use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use tempfile::TempDir;

const CONFIG: &str = r#"[audience.maker]
to = "https://logs.maker.example"
[spool]
directory = "/var/lib/wardein-device/logs"
[[source]]
name = "app"
file = "/var/log/app.log"
parse = "key-value"
[[source.for]]
audience = "maker"
keep = ["level", "text"]
only = { level = "ERROR" }
"#;
/// By `ssh-keygen -Y sign -n wardein-logs` over CONFIG.
const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----\n\
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgCV0du73bgroDpK7sAiVjTEtkaD\n\
XaG+GVl0uToe6MmHEAAAAMd2FyZGVpbi1sb2dzAAAAAAAAAAZzaGE1MTIAAABTAAAAC3Nz\n\
aC1lZDI1NTE5AAAAQFp0PqwvMbPCUqmtNeyuz4fYW0Uj8mL43nYHmUggi8g5iE3yKcOhCH\n\
md9jbHpwppniNA1Y3BQ3ApnyW1sy7pvwI=\n\
-----END SSH SIGNATURE-----\n\
";
const APPROVER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAldHbu924K6A6Su7AIlY0xLZGg12hvhlZdLk6HujJhx anna@hospital";
const LOG: &str = "level=ERROR text=\"occlusion \u{1b}[31m\" patient=4711\nlevel=INFO text=started\nnothing here\n\
                   level=ERROR text=\"patient: Erika\"\n";

/// A state directory with a configuration, and the log.
fn device() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    fs::write(directory.path().join("logs.toml"), CONFIG).unwrap();
    fs::write(directory.path().join("app.log"), LOG).unwrap();
    directory
}

fn approve(directory: &TempDir) {
    fs::write(directory.path().join("logs.toml.sig"), SIGNATURE).unwrap();
    fs::write(directory.path().join("logs-approver.pub"), APPROVER).unwrap();
}

fn logs(directory: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardein-device"));
    command.arg("--dir").arg(directory.path()).arg("logs").args(arguments).current_dir(directory.path());
    command.output().unwrap()
}

fn shown(directory: &TempDir, arguments: &[&str]) -> String {
    let output = logs(directory, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_trial_says_who_gets_what_and_why_not() {
    let directory = device();
    let text = shown(&directory, &["test", "app.log"]);
    let record = r#"maker gets {"source":"app","fields":{"level":"ERROR","text":"occlusion \u001b[31m"}}"#;
    assert!(text.contains(record), "{text}");
    assert!(text.contains("maker gets nothing: level does not match `only`"), "{text}");
    assert!(text.contains("maker gets nothing: it has no key=value"), "{text}");
    assert!(text.contains("WARNING: text looks like a label of patient data"), "{text}");
    assert!(text.contains("maker gets 2, and not 2") && text.contains("NOT APPROVED"), "{text}");
    // Nothing in a log moves the cursor of the terminal that it is shown on.
    assert!(!text.contains('\u{1b}'));
    assert!(!text.lines().any(|line| line.contains("maker gets {") && line.contains("4711")));
}

#[test]
fn a_trial_is_json_line_by_line() {
    let directory = device();
    approve(&directory);
    let text = shown(&directory, &["test", "app.log", "--json", "--source", "app"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["verdicts"][0]["record"]["fields"]["level"], "ERROR");
    assert_eq!(lines[1]["verdicts"][0]["withheld"], "level does not match `only`");
    assert_eq!((&lines[4]["approved"], &lines[4]["counts"]["read"]), (&Value::from(true), &Value::from(4)));
}

#[test]
fn only_the_file_that_was_signed_is_approved() {
    let directory = device();
    approve(&directory);
    assert!(shown(&directory, &["test", "app.log"]).contains(", approved"));
    // A field more than the hospital has signed.
    fs::write(directory.path().join("logs.toml"), CONFIG.replace("\"text\"]", "\"text\", \"patient\"]"))
        .unwrap();
    assert!(shown(&directory, &["test", "app.log"]).contains("NOT APPROVED"));
    let refused = logs(&directory, &["run", "--once"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("have it approved again"));
}

#[test]
fn a_wrong_configuration_is_named_with_its_line() {
    let directory = device();
    fs::write(directory.path().join("logs.toml"), CONFIG.replace("key-value", "key-values")).unwrap();
    let refused = logs(&directory, &["test", "app.log"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr)
            .contains("logs.toml: line 8: source.parse: takes none, json"),
        "{refused:?}"
    );
    let elsewhere = logs(&directory, &["test", "app.log", "--config", "none.toml"]);
    assert_eq!(elsewhere.status.code(), Some(1));
    let unknown = logs(&directory, &["test", "app.log", "--source", "a/b"]);
    assert_eq!(unknown.status.code(), Some(2));
}
