//! `wardein restore`: makes an authority of a backup, whole or not at all, as [`Founding`] says.

use crate::custody::Custodian;
use crate::founding::{Founding, usage};
use crate::home::{self, Home, failed};
use crate::init::{configuration, write_files};
use crate::tokens;
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use wardein_cli::config::Config;
use wardein_cli::{Failure, Output, PassphraseArgs, RestoreArgs, time};
use wardein_custody::{Environment, Kind, Opened, PassphraseSource, Protection};
use wardein_domain::CaId;
use wardein_engine::{Engine, Restored, Restoring, restore_in_place};

/// The result, for scripts.
#[derive(Serialize)]
struct Made<'a> {
    directory: &'a Path,
    endpoint: &'a str,
    taken_at: u64,
    rows: u64,
    audit_entries: u64,
    administrator_serial: String,
    /// The CAs whose keys are in a token, and in no backup.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cas_in_token: Vec<String>,
}

/// A restore in place, for scripts.
#[derive(Serialize)]
struct Again<'a> {
    directory: &'a Path,
    restored_at: u64,
}

pub(crate) fn run(args: RestoreArgs, out: Output) -> Result<(), Failure> {
    let Some(from) = &args.from else { return in_place(&args, out) };
    let file = File::open(from).map_err(|error| Failure::file("read", from, error))?;
    let told = |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", from.display()));
    let restoring = Restoring::begin(BufReader::new(file)).map_err(|error| told(&error))?;
    let founding = Founding::begin(&args.dir)?;
    let config = configuration(&args.place, args.key_file.as_deref())?;
    let home = Home::new(founding.staging().to_owned(), config);
    let custody = home.custody();
    wardein_custody::put(&custody, restoring.custody()).map_err(failed)?;
    let custodian = Custodian::new(open(&custody, &args)?);
    let taken_at = restoring.taken_ms() / 1000;
    let (restored, elsewhere) = apply(&home, restoring, custodian).map_err(|error| told(&error))?;
    write_files(&home, &restored.founded)?;
    founding.finish()?;

    let Restored { founded, rows, audit_entries } = restored;
    let (directory, config) = (args.dir.display(), Config::FILE);
    let serial = founded.admin.serial;
    let made = Made {
        directory: &args.dir,
        endpoint: &home.config.network.endpoint,
        taken_at,
        rows,
        audit_entries,
        administrator_serial: serial.to_string(),
        cas_in_token: elsewhere.iter().map(ToString::to_string).collect(),
    };
    let keys = in_token(&home, &made.cas_in_token);
    let words = format!(
        "Restored the authority in {directory} from a backup of {taken}: {rows} rows, {audit_entries} audit entries.\n\
         \n\
         It knows nothing of later changes: repeat every revocation and suspension made since then.\n\
         Devices rekey by themselves when they next call; those that rekeyed since get `keys-after-backup`.\n\
         Administrator {name} ({serial}) is new: admin.pem and admin.key.\n\
         {keys}\
         \n\
         Next: review {directory}/{config}, then start it, and make sure that the original authority never runs again:\n\
         \x20 wardein serve --config {directory}/{config}",
        name = founded.admin.name,
        taken = time::at(taken_at),
    );
    out.say(&words, &made)
}

/// Of a store that was put back by other means. The fence comes last: until then nothing else starts from a database that is on no timeline
/// on record, and the same again is fine.
fn in_place(args: &RestoreArgs, out: Output) -> Result<(), Failure> {
    let home = Home::of_config(&args.dir.join(Config::FILE))?;
    if !home.file(home::MARKER).exists() {
        return Err(Failure::Failed(format!("{} does not belong to an authority", args.dir.display())));
    }
    let directory = args.dir.display();
    args.confirm.ask(&format!(
        "take the store of {directory} as one from an earlier moment, so that every device rekeys when it next calls"
    ))?;
    let ports = home.ports(home.store_to_restore()?)?;
    let custodian = Custodian::new(home.open_custody(&args.passphrase)?);
    let restored_at = wardein_cli::block_on(async {
        restore_in_place(&ports, custodian.root_keys()).await.map_err(failed)
    })?;
    home.settle_store()?;
    let words = format!(
        "The authority in {directory} was restored in place, at {restored_at}.\n\
         It knows nothing of what came after the moment to which its store was put back: repeat every revocation and suspension made since then.\n\
         Devices rekey by themselves when they next call. Start it; where it is in a database, its nodes start by themselves.",
        restored_at = time::at(restored_at.get()),
    );
    out.say(&words, &Again { directory: &args.dir, restored_at: restored_at.get() })
}

/// What a backup does not have.
fn in_token(home: &Home, cas: &[String]) -> String {
    if cas.is_empty() {
        return String::new();
    }
    let cas = cas.join(", ");
    match home.config.pkcs11.token.as_str() {
        "" => format!(
            "The keys of CAs {cas} are in a token, and in no backup: name it in [pkcs11] before the start.\n"
        ),
        token => format!(
            "The keys of CAs {cas} are not in the backup, which only refers to them: they are to be in token {token:?}.\n"
        ),
    }
}

fn open(custody: &Path, args: &RestoreArgs) -> Result<Opened, Failure> {
    let kind = wardein_custody::kind(custody).map_err(failed)?;
    if is_by_kms(kind, args.key_file.as_deref(), &args.passphrase) {
        return wardein_custody::open_by_kms(custody, None, &Environment::of_process()).map_err(failed);
    }
    wardein_custody::open(custody, &protection(kind, args.key_file.as_deref(), &args.passphrase)?)
        .map_err(failed)
}

/// Whether the root key of a backup is had by AWS KMS, and not by a recovery passphrase.
pub(crate) fn is_by_kms(kind: Kind, key_file: Option<&Path>, passphrase: &PassphraseArgs) -> bool {
    kind == Kind::AwsKms && key_file.is_none() && home::source(passphrase) == PassphraseSource::Prompt
}

/// What the root key of a backup is under, as the caller gives it.
pub(crate) fn protection(
    kind: Kind,
    key_file: Option<&Path>,
    passphrase: &PassphraseArgs,
) -> Result<Protection, Failure> {
    Ok(match (kind, key_file) {
        (Kind::KeyFile, Some(path)) => Protection::KeyFile(path.to_owned()),
        (Kind::KeyFile, None) => {
            return Err(usage("the root key of this backup is under a key file; name it: --key-file"));
        }
        // From another machine's TPM only the recovery passphrase remains; `wardein custody reseal` puts the root key under this
        // one's.
        (Kind::Passphrase | Kind::Tpm | Kind::AwsKms, None) => {
            Protection::Passphrase(home::source(passphrase).read().map_err(failed)?)
        }
        (Kind::Passphrase | Kind::Tpm, Some(_)) => {
            return Err(usage(
                "--key-file: the root key of this backup is under a passphrase, if only for recovery",
            ));
        }
        (Kind::AwsKms, Some(_)) => {
            return Err(usage("--key-file: the root key of this backup is under a key of AWS KMS"));
        }
    })
}

/// Fills the store and looks whether it opens. When this returns, it is closed and durable.
///
/// Gives the CAs, too, whose keys are in a token.
fn apply(
    home: &Home,
    restoring: Restoring<impl Read>,
    custodian: Custodian,
) -> Result<(Restored, Vec<CaId>), Failure> {
    let ports = home.ports(home.open_store()?)?;
    let progress = wardein_cli::progress("{spinner} {pos} rows, {per_sec}; {msg}", None);
    let tell = |rows, entries| {
        progress.set_position(rows);
        progress.set_message(format!("{entries} audit entries"));
    };
    wardein_cli::block_on(async {
        let applied = restoring.apply(&ports, custodian.root_keys(), tell).await;
        let restored = applied.map_err(|error| tokens::explained(home, error))?;
        progress.finish_and_clear();
        let engine = Engine::open(ports, custodian.root_keys()).await;
        let engine = engine.map_err(|error| tokens::explained(home, error))?;
        Ok((restored, engine.cas_elsewhere()))
    })
}
