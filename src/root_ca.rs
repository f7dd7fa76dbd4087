//! `wardein ca export-root` and `import-root`: the root's key out of an authority that is stopped, and back.
//!
//! The file is durable before the key is erased in the store: what a crash leaves is both, and the same command with
//! another `--out` ends it.

use crate::custody::Custodian;
use crate::home::{Home, MARKER, failed};
use serde::Serialize;
use std::path::Path;
use wardein_cli::config::Config;
use wardein_cli::files::Reserved;
use wardein_cli::{
    DropFormerRootArgs, ExportRootArgs, Failure, ImportRootArgs, Output, PassphraseArgs, RotateRootArgs,
    write_root,
};
use wardein_engine::{Ports, RootExport, drop_former_root, import_root, rotate_root};

/// The result, for scripts.
#[derive(Serialize)]
struct Exported<'a> {
    exported: &'a Path,
    crl_until: u64,
}

/// The result, for scripts.
#[derive(Serialize)]
struct Imported<'a> {
    imported: &'a Path,
}

pub(crate) fn export(args: ExportRootArgs, out: Output) -> Result<(), Failure> {
    if args.out.symlink_metadata().is_ok() {
        let words = format!("{} is there already; name another file", args.out.display());
        return Err(Failure::Failed(words));
    }
    let (ports, custodian) = open(&args.dir, &args.passphrase)?;
    let passphrase = args.key.passphrase()?;
    let export = wardein_cli::block_on(async {
        RootExport::begin(&ports, custodian.root_keys(), args.crl_validity).await.map_err(failed)
    })?;
    let crl_until = export.crl_until;
    // It was read again: otherwise nothing is erased.
    write_root(&args.out, &export.key, &passphrase)?;
    wardein_cli::block_on(async { export.finish(&ports).await.map_err(failed) })?;
    let file = args.out.display();
    let until = wardein_cli::time::at(crl_until);
    let words = format!(
        "the root's key is in {file}, under the passphrase, and no longer in the authority.\n\
         \n\
         Keep it, and the passphrase, offline, in two places each. To make a CA: stop the service, wardein ca import-root, start it,\n\
         make the CA, stop it, and export the root again. Backups from before hold the key still.\n\
         \n\
         The root's revocation list is good until {until}: import and export the root before that."
    );
    out.say(&words, &Exported { exported: &args.out, crl_until })
}

pub(crate) fn import(args: ImportRootArgs, out: Output) -> Result<(), Failure> {
    let (ports, custodian) = open(&args.dir, &args.passphrase)?;
    let key = args.root()?;
    wardein_cli::block_on(async { import_root(&ports, custodian.root_keys(), &key).await.map_err(failed) })?;
    out.say("the root's key is in the authority again", &Imported { imported: &args.file })
}

/// The result, for scripts.
#[derive(Serialize)]
struct Rotated<'a> {
    roots: &'a Path,
}

/// The result, for scripts.
#[derive(Serialize)]
struct Dropped {
    dropped: bool,
}

pub(crate) fn rotate(args: RotateRootArgs, out: Output) -> Result<(), Failure> {
    let algorithm = args.algorithm();
    args.confirm.ask("replace the root, and erase the former one's key")?;
    // Made now: what comes of a file that cannot be written is known before the root is another one.
    let out_file = Reserved::new(&args.out)?;
    let (ports, custodian) = open(&args.dir, &args.passphrase)?;
    let rotated = rotate_root(&ports, custodian.root_keys(), algorithm);
    let roots = wardein_cli::block_on(async { rotated.await.map_err(failed) })?;
    out_file.publish(roots.as_bytes()).map_err(|failure| {
        Failure::Failed(format!(
            "the root is another one; both are in the trust bundle, /trust-bundle: {failure}"
        ))
    })?;
    let words = format!(
        "the root is another one; {} has both.\n\
         \n\
         Give that file to all who verify devices or the authority; devices that are enrolled from now on trust both. Then have a CA under the\n\
         new root follow each (wardein ca next), and when nobody goes by the former root alone: wardein ca drop-former-root.",
        args.out.display()
    );
    out.say(&words, &Rotated { roots: &args.out })
}

pub(crate) fn drop_former(args: DropFormerRootArgs, out: Output) -> Result<(), Failure> {
    args.confirm.ask("trust the former root no more")?;
    let (ports, custodian) = open(&args.dir, &args.passphrase)?;
    let dropped = drop_former_root(&ports, custodian.root_keys());
    let dropped = wardein_cli::block_on(async { dropped.await.map_err(failed) })?;
    let words = if dropped { "the former root is trusted no more" } else { "there is no former root" };
    out.say(words, &Dropped { dropped })
}

/// The store, which a service that runs has open, and the root key of custody.
fn open(dir: &Path, passphrase: &PassphraseArgs) -> Result<(Ports, Custodian), Failure> {
    let home = Home::of_config(&dir.join(Config::FILE))?;
    // Opening makes a store where there is none.
    if !home.file(MARKER).exists() {
        let words = format!(
            "{} does not belong to an authority; name the directory that `wardein init` made",
            dir.display()
        );
        return Err(Failure::Failed(words));
    }
    let ports = home.ports(home.open_store()?)?;
    Ok((ports, Custodian::new(home.open_custody(passphrase)?)))
}
