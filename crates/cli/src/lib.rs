//! The command line of Wardein.
//!
//! What: the definition of every command, what it prints, and its exit code; administration speaks gRPC like any other client.
//! Why a library: the binary does only what needs the inside of an authority ([`Inside`]), so that each can be read alone. What it
//! does not do: no store, no custody, no keys of the authority; what a factory's station does is `wardein-station`.

mod age_plugin;
mod approval;
mod args;
mod attestation;
mod audit;
mod backup;
mod bundle;
mod ca;
mod cert;
mod clock;
mod completions;
mod confirm;
mod connection;
mod context;
mod custody;
mod db;
mod dev;
mod device;
mod environment;
mod failure;
mod file;
mod grant;
mod key;
mod operator;
mod output;
mod pages;
mod passphrase;
mod pcr_policy;
mod platform_cert;
mod platform_pin;
mod profile;
mod progress;
mod reader;
mod root_key;
mod secret;
mod service;
mod store;
mod tenant;
mod trust;
mod update;
mod webhook;

pub mod config;
pub mod files;
pub mod identity;
pub mod time;

pub use age_plugin::age_plugin;
pub use args::{CaName, DoctorArgs, InitArgs, NewDatabaseArgs, PlaceArgs, ServeArgs, TokenArgs};
pub use backup::{RestoreArgs, VerifyBackupArgs};
pub use confirm::Confirm;
pub use connection::{ConnectArgs, Session};
pub use custody::{CustodyChangeArgs, CustodyCommand, CustodyResealArgs, CustodyStatusArgs, ProtectionKind};
pub use db::{ConfirmFailoverArgs, DatabaseArgs, DbCommand, DbInitArgs, NodeCommand, NodeRemoveArgs};
pub use dev::{DevArgs, TrialFiles};
pub use failure::Failure;
pub use operator::RecoverArgs;
pub use output::{Column, Output, Record, Tone};
pub use passphrase::PassphraseArgs;
pub use progress::progress;
pub use root_key::{DropFormerRootArgs, ExportRootArgs, ImportRootArgs, RotateRootArgs, write_root};
pub use secret::{KeyPassphraseArgs, NewPassphraseArgs, Passphrase};
pub use store::MigrateStoreArgs;

use args::{Cli, Command};
use backup::{BackupArgs, BackupCommand};
use clap::{CommandFactory, Parser};
use std::process::ExitCode;

/// What takes the inside of an authority, which this crate does not know: its store, its custody, its service.
#[derive(Debug)]
pub enum Inside {
    /// Found one.
    Init(InitArgs),
    /// Make one of a backup.
    Restore(RestoreArgs),
    /// Read a backup to its end.
    VerifyBackup(VerifyBackupArgs),
    /// Run one.
    Serve(ServeArgs),
    /// Found one for trials, and run it.
    Dev(DevArgs),
    /// Show or change what its root key is under.
    Custody(CustodyCommand),
    /// Make or look at its database.
    Db(DbCommand),
    /// `wardein node`.
    Node(NodeCommand),
    /// Move its records into another store.
    MigrateStore(MigrateStoreArgs),
    /// Make an administrator for one that has none.
    Recover(RecoverArgs),
    /// Take the root's key out of one.
    ///
    /// The service must be stopped. The file is durable before the key is erased in the authority, which goes on without it: it certifies
    /// devices, operators and its server. It cannot make or renew CAs until the key is imported again. The root's revocation list is signed
    /// for the time without it.
    ExportRoot(ExportRootArgs),
    /// Put it back.
    ///
    /// The service must be stopped.
    ImportRoot(ImportRootArgs),
    /// Replace its root.
    ///
    /// The service must be stopped. The former root stays trusted, and its key is erased, but in an HSM. The infrastructure CA is certified again by
    /// the new root; issuing CAs go on under the former one until others follow them.
    RotateRoot(RotateRootArgs),
    /// Trust the root before that no more.
    ///
    /// The service must be stopped. A verifier that trusts the former root alone verifies neither devices nor the authority from then on.
    DropFormerRoot(DropFormerRootArgs),
    /// Look into its directory.
    Doctor(DoctorArgs),
}

/// Does what the arguments of the process ask for; what takes the inside of an authority is done by `inside`.
pub fn run(inside: impl FnOnce(Inside, Output) -> Result<(), Failure>) -> ExitCode {
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

fn dispatch(
    command: Command,
    inside: impl FnOnce(Inside, Output) -> Result<(), Failure>,
    out: Output,
) -> Result<(), Failure> {
    match command {
        Command::Init(args) => inside(Inside::Init(args), out),
        Command::Restore(args) => inside(Inside::Restore(args), out),
        Command::Serve(args) => inside(Inside::Serve(args), out),
        Command::Dev(args) => inside(Inside::Dev(args), out),
        Command::Custody(command) => inside(Inside::Custody(command), out),
        Command::Db(command) => inside(Inside::Db(command), out),
        Command::Node(command) => inside(Inside::Node(command), out),
        Command::Store(store::StoreCommand::Migrate(args)) => inside(Inside::MigrateStore(args), out),
        Command::Doctor(args) => inside(Inside::Doctor(args), out),
        Command::Backup(BackupArgs { command: Some(BackupCommand::Verify(args)), .. }) => {
            inside(Inside::VerifyBackup(args), out)
        }
        Command::Backup(args) => block_on(args.run(out)),
        Command::Key(command) => block_on(command.run(out)),
        Command::Completions(args) => args.run(out),
        Command::Context(command) => command.run(out),
        Command::Tenant(command) => block_on(command.run(out)),
        Command::Operator(operator::OperatorCommand::Recover(args)) => inside(Inside::Recover(args), out),
        Command::Operator(command) => block_on(command.run(out)),
        Command::Profile(command) => block_on(command.run(out)),
        Command::Device(command) => block_on(command.run(out)),
        Command::Grant(command) => block_on(command.run(out)),
        Command::Update(command) => block_on(command.run(out)),
        Command::Approval(command) => block_on(command.run(out)),
        Command::Service(command) => block_on(command.run(out)),
        Command::Reader(command) => block_on(command.run(out)),
        Command::Webhook(command) => block_on(command.run(out)),
        Command::Ca(ca::CaCommand::ExportRoot(args)) => inside(Inside::ExportRoot(args), out),
        Command::Ca(ca::CaCommand::ImportRoot(args)) => inside(Inside::ImportRoot(args), out),
        Command::Ca(ca::CaCommand::RotateRoot(args)) => inside(Inside::RotateRoot(args), out),
        Command::Ca(ca::CaCommand::DropFormerRoot(args)) => inside(Inside::DropFormerRoot(args), out),
        Command::Ca(command) => block_on(command.run(out)),
        Command::Cert(command) => block_on(command.run(out)),
        Command::PlatformCert(command) => block_on(command.run(out)),
        Command::PlatformPin(command) => block_on(command.run(out)),
        Command::Trust(command) => block_on(command.run(out)),
        Command::File(command) => block_on(command.run(out)),
        Command::Attestation(command) => block_on(command.run(out)),
        Command::EndorsementKey(command) => block_on(command.run(out)),
        Command::PcrPolicy(command) => block_on(command.run(out)),
        Command::Audit(command) => block_on(command.run(out)),
        Command::Clock(command) => block_on(command.run(out)),
    }
}

/// Runs one command to its end, on this thread.
pub fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(command)
}
