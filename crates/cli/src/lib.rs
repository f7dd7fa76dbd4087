//! The command line of Wardein.
//!
//! What: the definition of every command, what it prints, and its exit code; administration speaks gRPC like any other client.
//! Why a library: the binary adds only what needs the inside of an authority or of a device ([`Inside`]), so that each can be
//! read alone. What it does not do: no store, no custody, no keys of the authority.

mod args;
mod attestation;
mod audit;
mod backup;
mod cert;
mod completions;
mod confirm;
mod connection;
mod custody;
mod device;
mod failure;
mod grant;
mod key;
mod operator;
mod output;
mod pages;
mod passphrase;
mod pcr_policy;
mod profile;
mod tenant;
mod time;
mod trust;

pub mod config;
pub mod files;
pub mod identity;

pub use args::{DoctorArgs, InitArgs, PlaceArgs, ServeArgs};
pub use backup::RestoreArgs;
pub use confirm::Confirm;
pub use connection::{ConnectArgs, Session};
pub use custody::{CustodyChangeArgs, CustodyCommand, CustodyResealArgs, CustodyStatusArgs, ProtectionKind};
pub use device::{BadLine, Batch, EnrollArgs, Line, RelayArgs};
pub use failure::Failure;
pub use output::{Output, Record};
pub use passphrase::PassphraseArgs;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use device::DeviceCommand;
use std::process::ExitCode;

/// What takes the inside of an authority or of a device, which this crate does not know.
#[derive(Debug, Clone, Copy)]
pub struct Inside {
    /// Founds an authority.
    pub init: fn(InitArgs, Output) -> Result<(), Failure>,
    /// Makes one of a backup.
    pub restore: fn(RestoreArgs, Output) -> Result<(), Failure>,
    /// Runs one.
    pub serve: fn(ServeArgs) -> Result<(), Failure>,
    /// Plays a batch of devices at their factory.
    pub enroll: fn(EnrollArgs, Output) -> Result<(), Failure>,
    /// Carries what real devices say to the authority.
    pub relay: fn(RelayArgs, Output) -> Result<(), Failure>,
    /// Tells and changes what an authority's root key is under.
    pub custody: fn(CustodyCommand, Output) -> Result<(), Failure>,
    /// Looks into an authority's directory.
    pub doctor: fn(DoctorArgs, Output) -> Result<(), Failure>,
}

/// Does what the arguments of the process ask for.
pub fn run(inside: Inside) -> ExitCode {
    let cli = Cli::parse();
    let out = Output::new(cli.json);
    match dispatch(cli.command, inside, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(out.is_json()),
    }
}

/// The whole command line, for what documents it.
pub fn command() -> clap::Command {
    Cli::command()
}

fn dispatch(command: Command, inside: Inside, out: Output) -> Result<(), Failure> {
    match command {
        Command::Init(args) => (inside.init)(args, out),
        Command::Backup(args) => block_on(args.run(out)),
        Command::Restore(args) => (inside.restore)(args, out),
        Command::Serve(args) => (inside.serve)(args),
        Command::Device(DeviceCommand::Enroll(args)) => (inside.enroll)(args, out),
        Command::Device(DeviceCommand::Relay(args)) => (inside.relay)(args, out),
        Command::Custody(command) => (inside.custody)(command, out),
        Command::Key(command) => block_on(command.run(out)),
        Command::Doctor(args) => (inside.doctor)(args, out),
        Command::Completions(args) => args.run(out),
        Command::Tenant(command) => block_on(command.run(out)),
        Command::Operator(command) => block_on(command.run(out)),
        Command::Profile(command) => block_on(command.run(out)),
        Command::Device(command) => block_on(command.run(out)),
        Command::Grant(command) => block_on(command.run(out)),
        Command::Cert(command) => block_on(command.run(out)),
        Command::Trust(command) => block_on(command.run(out)),
        Command::Attestation(command) => block_on(command.run(out)),
        Command::EndorsementKey(command) => block_on(command.run(out)),
        Command::PcrPolicy(command) => block_on(command.run(out)),
        Command::Audit(command) => block_on(command.run(out)),
    }
}

/// Runs one command to its end, on this thread.
pub fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(command)
}
