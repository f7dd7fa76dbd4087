//! `wardein store`: where an authority's records live. It works on the authority's directory, and speaks to no service.

use crate::PassphraseArgs;
use crate::config::StoreKind;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `wardein store`.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Move all records into another store, compare both, and close the former one for good; the same again goes on where it was cut short
    ///
    /// From the store that wardein.toml names into an empty one: the file or directory beside wardein.toml, or the database that `[postgresql]`
    /// in wardein.toml names, in which `wardein db init` has made the tables. Revisions and audit numbers stay. At no moment can both be served.
    Migrate(MigrateStoreArgs),
}

/// `wardein store migrate`.
#[derive(Debug, Args)]
pub struct MigrateStoreArgs {
    /// The authority's directory
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// The store to move into
    #[arg(long, value_enum)]
    pub to: StoreKind,
    /// Count what there is, look whether it could be moved, and move nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where the passphrase comes from, if the root key is under one: it must open what is moved
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
