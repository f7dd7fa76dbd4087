//! The help of every command, committed and proved current: what an administrator reads is reviewed like code.
#![allow(clippy::unwrap_used, reason = "a test states its expectations with unwrap")]

use clap::Command;

const TRANSCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help.txt");

/// Run with `WARDEIN_BLESS=1` to write it anew.
#[test]
fn the_help_of_every_command_is_current() {
    let mut transcript = String::new();
    let mut root = wardein_cli::command();
    root.build();
    write_help(&root, "wardein", &mut transcript);
    if std::env::var_os("WARDEIN_BLESS").is_some() {
        std::fs::write(TRANSCRIPT, &transcript).unwrap();
    }
    assert_eq!(std::fs::read_to_string(TRANSCRIPT).unwrap(), transcript);
}

fn write_help(command: &Command, path: &str, out: &mut String) {
    let help = command.clone().render_long_help().to_string();
    let lines: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    out.push_str(&format!("$ {path} --help\n{lines}\n"));
    let verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help");
    verbs.for_each(|verb| write_help(verb, &format!("{path} {}", verb.get_name()), out));
}
