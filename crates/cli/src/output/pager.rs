//! Long lists at a terminal, a screen at a time, as `gh` and `git` show them.

use super::warn;
use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Stdio};
use tokio::signal::unix::{SignalKind, signal};

/// What shows a list that is longer than the screen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pager {
    /// Nothing: the list is printed.
    Off,
    /// `less`, as far as it only shows.
    Less,
    /// What WARDEIN_PAGER or PAGER says, for the shell.
    Chosen(OsString),
}

impl Pager {
    /// That of this process.
    pub(super) fn of_process() -> Self {
        Self::of(|name| env::var_os(name))
    }

    /// WARDEIN_PAGER counts before PAGER; an empty one, or `cat`, turns paging off.
    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // What a pager draws with is not there.
        if variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
            return Self::Off;
        }
        match variable("WARDEIN_PAGER").or_else(|| variable("PAGER")) {
            None => Self::Less,
            Some(chosen) if chosen.is_empty() || chosen == "cat" => Self::Off,
            Some(chosen) => Self::Chosen(chosen),
        }
    }

    fn command(&self) -> Option<Command> {
        match self {
            Self::Off => None,
            Self::Less => {
                let mut less = Command::new("less");
                // -F: ends where all fits; -R: colors; -X: the list stays on the screen. LESSSECURE: somebody whom sudo lets run this
                // command as another user gets neither that user's shell nor files from it (less(1), SECURITY).
                less.arg("-FRX").env("LESSSECURE", "1");
                Some(less)
            }
            Self::Chosen(chosen) => {
                // As POSIX has it for PAGER (man, ENVIRONMENT VARIABLES): a command for the shell.
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(chosen);
                if env::var_os("LESS").is_none() {
                    shell.env("LESS", "FRX");
                }
                Some(shell)
            }
        }
    }

    /// Shows `text`, and returns when the reader has left it; whether it was shown.
    pub(super) fn show(&self, text: &str) -> bool {
        let Some(mut command) = self.command() else { return false };
        outlive_interrupts();
        let Ok(mut pager) = command.stdin(Stdio::piped()).spawn() else { return false };
        if let Some(mut stdin) = pager.stdin.take() {
            // A reader who leaves early has read enough: a broken pipe is not a fault.
            drop(stdin.write_all(text.as_bytes()));
        }
        // POSIX, Shell Command Language, 2.8.2: 126 and 127 where there was nothing to run.
        match pager.wait() {
            Ok(status) if matches!(status.code(), Some(126 | 127)) => {
                warn(
                    "the pager that WARDEIN_PAGER or PAGER names cannot be run; correct it, or set WARDEIN_PAGER=cat",
                );
                false
            }
            Ok(_) | Err(_) => true,
        }
    }
}

/// Ctrl-C in a pager is the pager's: it stops a search. Ended by it, this process would leave the terminal to two readers.
fn outlive_interrupts() {
    // On a thread of its own, since some commands have a runtime on this one, and some have none. The handler stays when the thread
    // ends; without a handler Ctrl-C ends the command, as before.
    let hear = async { signal(SignalKind::interrupt()).map(drop).map_err(crate::Failure::failed) };
    drop(std::thread::spawn(|| crate::block_on(hear)).join());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> Pager {
        Pager::of(|name| {
            set.iter().find_map(|(known, value)| (*known == name).then(|| OsString::from(value)))
        })
    }

    #[test]
    fn the_own_variable_counts_before_that_of_all_programs() {
        let term = ("TERM", "xterm");
        assert_eq!(of(&[term]), Pager::Less);
        assert_eq!(of(&[term, ("PAGER", "more")]), Pager::Chosen("more".into()));
        assert_eq!(
            of(&[term, ("PAGER", "more"), ("WARDEIN_PAGER", "most -s")]),
            Pager::Chosen("most -s".into())
        );
        for off in ["", "cat"] {
            assert_eq!(of(&[term, ("PAGER", "more"), ("WARDEIN_PAGER", off)]), Pager::Off);
        }
        assert_eq!(of(&[("PAGER", "more")]), Pager::Off);
        assert_eq!(of(&[("TERM", "dumb"), ("PAGER", "more")]), Pager::Off);
    }

    #[test]
    fn the_default_pager_starts_no_shell_for_its_reader() {
        let less = Pager::Less.command().unwrap();
        assert_eq!(less.get_program(), "less");
        assert!(less.get_envs().any(|(name, value)| name == "LESSSECURE" && value == Some("1".as_ref())));
    }

    #[test]
    fn a_list_reaches_its_pager_whole_and_one_who_leaves_early_is_no_fault() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("out");
        // More than a pipe holds.
        let text = "pump-001  active\n".repeat(20_000);
        let chosen = format!("cat >{}", out.display());
        assert!(Pager::Chosen(chosen.into()).show(&text));
        assert!(std::fs::read_to_string(&out).unwrap() == text);
        assert!(Pager::Chosen("head -n 1 >/dev/null".into()).show(&text));
        assert!(!Pager::Chosen("/nowhere/pager".into()).show(&text), "then it is printed");
        assert!(!Pager::Off.show(&text));
    }
}
