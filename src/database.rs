//! The PostgreSQL database of an authority: how it is reached, and `wardein db`.

use crate::home::{Home, failed};
use serde::Serialize;
use std::path::Path;
use wardein_cli::files::{read_bounded, read_private};
use wardein_cli::{DatabaseArgs, DbCommand, DbInitArgs, Failure, Output};
use wardein_store::postgres::{self, Address};

/// What a database is like, for scripts.
#[derive(Serialize)]
struct Shown {
    server: String,
    revision: u64,
    audit_entries: u64,
    holder: Option<String>,
}

pub(crate) fn run(command: DbCommand, out: Output) -> Result<(), Failure> {
    match command {
        DbCommand::Init(DbInitArgs { database, role }) => {
            let address = of_args(&database)?;
            postgres::create(&address, role.as_deref()).map_err(failed)?;
            let words = match &role {
                Some(role) => format!("The tables are there, and {role} may use them."),
                None => "The tables are there.".to_owned(),
            };
            status(&address, &format!("{words}\n"), out)
        }
        DbCommand::Status(database) => status(&of_args(&database)?, "", out),
    }
}

fn status(address: &Address, before: &str, out: Output) -> Result<(), Failure> {
    let found = postgres::status(address).map_err(failed)?;
    let (revision, audit_entries) = (found.head.revision, found.head.last_audit);
    let holder = found.holder.as_deref().map_or("nobody".to_owned(), |name| format!("{name}, now"));
    let words = format!(
        "{before}Server:        PostgreSQL {}\nRevision:      {revision}\nAudit entries: {audit_entries}\nWritten to by: {holder}",
        found.server
    );
    out.say(&words, &Shown { server: found.server, revision, audit_entries, holder: found.holder })
}

fn of_args(args: &DatabaseArgs) -> Result<Address, Failure> {
    address(&args.url, args.password_file.as_deref(), args.ca_file.as_deref())
}

/// The database that an authority's configuration names. Relative paths start at the authority's directory.
pub(crate) fn configured(home: &Home) -> Result<Address, Failure> {
    let section = &home.config.postgresql;
    if section.url.is_empty() {
        let words =
            "first set postgresql.url in wardein.toml, such as \"postgresql://wardein@db.example/wardein\"";
        return Err(Failure::Usage(words.to_owned()));
    }
    let file = |path: &Path| (!path.as_os_str().is_empty()).then(|| home.relative(path));
    let (password, ca) = (file(&section.password_file), file(&section.ca_file));
    address(&section.url, password.as_deref(), ca.as_deref())
}

fn address(url: &str, password: Option<&Path>, ca: Option<&Path>) -> Result<Address, Failure> {
    let password = password.map(read_private).transpose()?;
    let password = password.as_ref().map(|password| {
        // As a file has one that was written with an editor.
        let line = password.expose();
        line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line))
    });
    let ca = ca.map(|path| read_bounded(path, MAX_CA)).transpose()?;
    Address::parse(url, password, ca.as_deref()).map_err(failed)
}

/// Bytes of a file of CAs: those of a cloud have some 200 KB.
const MAX_CA: u64 = 1 << 20;
