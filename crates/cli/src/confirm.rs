//! What cannot be undone is asked for twice.

use crate::Failure;
use clap::Args;
use std::io::{IsTerminal, Write, stderr, stdin};

/// Whether to go ahead without asking.
#[derive(Debug, Clone, Copy, Args)]
pub struct Confirm {
    /// Do it without asking. Without a terminal and without this, nothing is done
    #[arg(long)]
    pub yes: bool,
}

impl Confirm {
    /// Goes on only after `--yes`, or after a person said yes to "`what`?".
    pub fn ask(self, what: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !stdin().is_terminal() {
            return Err(Failure::Usage(format!("would {what}; nothing was done. Add --yes to do it")));
        }
        eprint!("{what}? [y/N] ");
        let mut answer = String::new();
        stderr().flush().and_then(|()| stdin().read_line(&mut answer)).map_err(Failure::failed)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::failed("nothing was done")),
        }
    }
}
