//! The command `wardein`: the authority, the factory station's side, and administration.
//!
//! What: configuration, composition and shutdown; the command line itself is `wardein-cli`. Why here: this is the one place that
//! knows every part, so that no part need know another.

mod custody;
mod doctor;
mod founding;
mod home;
mod init;
mod logging;
mod restore;
mod serve;

use std::process::ExitCode;

/// A fifth more calls a second than the system's allocator, measured on an echo over the same transport.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    wardein_cli::run(wardein_cli::Inside {
        init: init::run,
        restore: restore::run,
        serve: serve::run,
        enroll: wardein_station::enroll::run,
        relay: wardein_station::relay::run,
        custody: custody::run,
        doctor: doctor::run,
    })
}
