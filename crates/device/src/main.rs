//! The binary `wardein-device`: arguments, the log, the runtime, the exit code.

mod args;
mod commands;
#[cfg(feature = "files")]
mod files;
#[cfg(feature = "logs")]
mod logs;
mod progress;
mod prover;
mod releases;
mod services;
mod updates;

use clap::Parser;
use std::process::ExitCode;
use tracing::Level;
use wardein_device::Error;

fn main() -> ExitCode {
    // clap ends the process with 2 on a wrong option, and with 0 after --help.
    let args = args::Args::parse();
    let level = if args.verbose { Level::DEBUG } else { Level::INFO };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).with_ansi(false).init();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wardein-device: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(args: args::Args) -> Result<(), Error> {
    // One thread: a device does one thing at a time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| Error::Fault("starting the runtime"))?;
    runtime.block_on(commands::run(args))
}
