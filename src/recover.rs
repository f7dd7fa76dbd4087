//! `wardein operator recover`: makes an administrator while the service is stopped.
//!
//! Its files are durable before it is on record, which is the last step: what a crash leaves is an identity that nobody knows, and
//! never an administrator on record whose key is nowhere.

use crate::custody::Custodian;
use crate::home::{Home, MARKER, failed};
use crate::tokens;
use serde::Serialize;
use std::path::Path;
use wardein_cli::config::Config;
use wardein_cli::identity::{self, Contents, Description};
use wardein_cli::{Failure, Output, RecoverArgs, files};
use wardein_crypto::P256VerifyingKey;
use wardein_engine::Recovery;
use wardein_pki::pem;
use wardein_port::CommitError;

/// The result, for scripts.
#[derive(Serialize)]
struct Made<'a> {
    directory: &'a Path,
    role: &'a str,
    name: &'a str,
    serial: &'a str,
    not_after: u64,
}

pub(crate) fn run(args: RecoverArgs, out: Output) -> Result<(), Failure> {
    let home = Home::of_config(&args.dir.join(Config::FILE))?;
    // Opening makes a store where there is none.
    if !home.file(MARKER).exists() {
        let words = format!(
            "{} does not belong to an authority; name the directory that `wardein init` made",
            args.dir.display()
        );
        return Err(Failure::Failed(words));
    }
    if args.out.symlink_metadata().is_ok() {
        let words = format!(
            "{} is there already; name another directory, or remove it if an earlier `recover` was cut short",
            args.out.display()
        );
        return Err(Failure::Failed(words));
    }
    // Before a person is asked for a passphrase: a service that runs has the store open.
    let ports = home.ports(home.open_store()?)?;
    let custodian = Custodian::new(home.open_custody(&args.passphrase)?);
    let recovery = wardein_cli::block_on(async {
        let begun = Recovery::begin(&ports, custodian.root_keys(), args.validity).await;
        begun.map_err(|error| tokens::explained(&home, error))
    })?;
    let (admin, not_after) = (&recovery.files.admin, recovery.files.admin_not_after);
    let description = Description {
        role: admin.role.to_string(),
        tenant: None,
        name: admin.name.to_string(),
        serial: admin.serial.to_string(),
        not_after,
        endpoint: home.config.network.endpoint.clone(),
    };
    files::make_private_directory(&args.out)?;
    if let Err(failure) = write(&args.out, &recovery, &description) {
        // What is in it was made just now, and is on no record.
        let _ = std::fs::remove_dir_all(&args.out);
        return Err(failure);
    }
    let finished = wardein_cli::block_on(async { Ok(recovery.finish(&ports).await) })?;
    finished.map_err(|error| {
        // Of an unknown outcome the identity may be the only trace.
        if !matches!(error, CommitError::Unknown(_)) {
            let _ = std::fs::remove_dir_all(&args.out);
        }
        failed(error)
    })?;

    let directory = args.out.display();
    let made = Made {
        directory: &args.out,
        role: &description.role,
        name: &description.name,
        serial: &description.serial,
        not_after,
    };
    let words = format!(
        "{role} {name} is certified until {until}. Its key and certificate are in {directory}; use it with --identity.\n\
         \n\
         Next: start the service, issue personal identities, and revoke those that are not to be trusted any more:\n\
         \x20 wardein serve --config {config}\n\
         \x20 wardein operator list --identity {directory}",
        role = description.role,
        name = description.name,
        until = wardein_cli::time::at(not_after),
        config = home.file(Config::FILE).display(),
    );
    out.say(&words, &made)
}

fn write(directory: &Path, recovery: &Recovery, description: &Description) -> Result<(), Failure> {
    let made = &recovery.files;
    identity::write_key(directory, made.admin_key.expose())?;
    let contents = Contents {
        description,
        certificate: &made.admin_certificate_pem,
        infrastructure: &made.infrastructure_pem,
        trust: &made.bundle_pem,
        identity_key: &pem::encode_public_key(&P256VerifyingKey(made.identity_key).into()),
    };
    identity::write_contents(directory, &contents)
}
