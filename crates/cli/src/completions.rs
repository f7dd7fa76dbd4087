//! `wardein completions`.

use crate::args::Cli;
use crate::{Failure, Output};
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    pub(crate) fn run(self, out: Output) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "wardein", &mut script);
        out.write(&String::from_utf8_lossy(&script))
    }
}
