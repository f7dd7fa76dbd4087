//! The help of every command, committed and proved current: what an administrator reads is reviewed like code.

use clap::Command;

const TRANSCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help.txt");

/// Run with `WARDEIN_BLESS=1` to write it again.
#[test]
fn the_help_of_every_command_is_current() {
    let mut transcript = String::new();
    // Of the width that a wide terminal has, whatever the test runs in.
    let mut root = wardein_cli::command().term_width(110);
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

/// A remedy that names a command which is not there helps nobody.
#[test]
fn the_commands_that_remedies_name_are_there() {
    let document = include_str!("../../../../deploy/TROUBLESHOOTING.md");
    let mut root = wardein_cli::command();
    root.build();
    let mut found = 0;
    for line in document.split('`').filter(|quoted| quoted.starts_with("wardein ")) {
        let mut command = &root;
        for word in line.split(' ').skip(1) {
            let option = word.strip_prefix("--");
            let is_there = match option {
                Some(option) => command.get_arguments().any(|known| known.get_long() == Some(option)),
                None => command.find_subcommand(word).is_some_and(|verb| {
                    command = verb;
                    true
                }),
            };
            assert!(is_there, "`{line}`: there is no {word}");
        }
        found += 1;
    }
    assert!(found > 10, "remedies name commands");
}
