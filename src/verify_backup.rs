//! `wardein backup verify`: reads a backup to its end, as a restore does, and writes nothing.

use crate::home::failed;
use crate::restore;
use serde::Serialize;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use wardein_cli::{Column, Failure, Output, Record, VerifyBackupArgs, time};
use wardein_custody::Environment;
use wardein_engine::{Restoring, Verified};
use wardein_port::RootKey;

/// A verified backup, for scripts.
#[derive(Serialize)]
struct Shown {
    file: PathBuf,
    trust_domain: String,
    taken_at: u64,
    rows: u64,
    audit_entries: u64,
    last_audit_entry_at: u64,
}

impl Record for Shown {
    const COLUMNS: &'static [Column<Self>] = &[
        ("file", |shown| shown.file.display().to_string()),
        ("trust domain", |shown| shown.trust_domain.clone()),
        ("taken", |shown| time::at(shown.taken_at)),
        ("rows", |shown| shown.rows.to_string()),
        ("audit entries", |shown| shown.audit_entries.to_string()),
        ("last audit entry", |shown| time::at(shown.last_audit_entry_at)),
    ];
}

pub(crate) fn run(args: VerifyBackupArgs, out: Output) -> Result<(), Failure> {
    let VerifyBackupArgs { file: from, passphrase, key_file } = args;
    let file = File::open(&from).map_err(|error| Failure::file("read", &from, error))?;
    let told = |error: wardein_engine::Error| Failure::Failed(format!("{}: {error}", from.display()));
    let restoring = Restoring::begin(BufReader::new(file)).map_err(told)?;
    let copied = restoring.custody();
    let kind = wardein_custody::copied_kind(&from, copied).map_err(failed)?;
    let keys = if restore::is_by_kms(kind, key_file.as_deref(), &passphrase) {
        wardein_custody::copied_keys_by_kms(&from, copied, &Environment::of_process())
    } else {
        let protection = restore::protection(kind, key_file.as_deref(), &passphrase)?;
        wardein_custody::copied_keys(&from, copied, &protection)
    };
    let keys = keys.map_err(failed)?;
    let keys = keys.into_iter().map(|(version, secret)| RootKey { version, secret });
    let progress = wardein_cli::progress("{spinner} {pos} rows, {per_sec}; {msg}", None);
    let verified = restoring.verify(keys, |rows, entries| {
        progress.set_position(rows);
        progress.set_message(format!("{entries} audit entries"));
    });
    progress.finish_and_clear();
    let Verified { trust_domain, taken_ms, latest, rows, audit_entries } = verified.map_err(told)?;
    out.one(&Shown {
        file: from,
        trust_domain: trust_domain.to_string(),
        taken_at: taken_ms / 1000,
        rows,
        audit_entries,
        last_audit_entry_at: latest,
    })
}
