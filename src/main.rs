//! The command `wardein`: the authority, the factory station's side, and administration.
//!
//! What: configuration, composition and shutdown of the authority; the command line itself is `wardein-cli`. Why here: this is the
//! one place that knows every part of an authority, so that no part need know another.

mod custody;
mod database;
mod dev;
mod doctor;
mod founding;
mod home;
mod init;
mod logging;
mod memory;
mod moving;
mod recover;
mod restore;
mod root_ca;
mod serve;
mod supervisor;
mod system;
mod tokens;
mod verify_backup;

use std::process::ExitCode;
use wardein_cli::Inside;

/// Unix second: a clock before this program was written is wrong, whatever it shows.
const WRITTEN: u64 = 1_792_972_800;

/// A fifth more calls a second than the system's allocator, measured on an echo over the same transport.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before there is a key in it.
    memory::guard();
    wardein_cli::run(|command, out| match command {
        Inside::Init(args) => init::run(args, out),
        Inside::Restore(args) => restore::run(args, out),
        Inside::VerifyBackup(args) => verify_backup::run(args, out),
        Inside::Serve(args) => serve::run(args),
        Inside::Dev(args) => dev::run(args, out),
        Inside::Custody(command) => custody::run(command, out),
        Inside::Db(command) => database::run(command, out),
        Inside::Node(command) => database::run_node(command, out),
        Inside::MigrateStore(args) => moving::run(args, out),
        Inside::Recover(args) => recover::run(args, out),
        Inside::ExportRoot(args) => root_ca::export(args, out),
        Inside::ImportRoot(args) => root_ca::import(args, out),
        Inside::RotateRoot(args) => root_ca::rotate(args, out),
        Inside::DropFormerRoot(args) => root_ca::drop_former(args, out),
        Inside::Doctor(args) => doctor::run(args, out),
    })
}
