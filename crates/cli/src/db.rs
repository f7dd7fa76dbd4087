//! `wardein db`: the PostgreSQL database of an authority.

use crate::Confirm;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `wardein db`.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Make the tables in an empty database, and say who may use them; the same again is fine
    Init(DbInitArgs),
    /// Tell how far a database is, on which timeline, and which nodes use it
    Status(DatabaseArgs),
    /// Put the timeline that a database is on on record, after a standby was promoted while no node ran: nothing starts before. Only where the
    /// standby had all that was acknowledged; a database that was put back to an earlier moment takes `wardein restore --in-place`
    ConfirmFailover(ConfirmFailoverArgs),
}

/// `wardein node`.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List the processes that serve from a database: since when each was not seen, how far it is behind, how its clock differs
    List(DatabaseArgs),
    /// Remove a node that is gone for good, or to stop it: its process ends as soon as it looks
    Remove(NodeRemoveArgs),
}

/// `wardein node remove`.
#[derive(Debug, Args)]
pub struct NodeRemoveArgs {
    /// The id of the node, as `wardein node list` shows it
    #[arg(value_name = "ID")]
    pub id: String,
    /// The database
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// `wardein db init`.
#[derive(Debug, Args)]
pub struct DbInitArgs {
    /// The database, as a role that may create a schema in it
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Let this role use the tables, as the authority is to: it can alter none of them, and change no audit entry
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
}

/// `wardein db confirm-failover`.
#[derive(Debug, Args)]
pub struct ConfirmFailoverArgs {
    /// The database
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Whether to go ahead
    #[command(flatten)]
    pub confirm: Confirm,
}

/// Which database.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// Where it is, such as postgresql://owner@db.example/wardein, without a password
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// A file with the password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// PEM of the CAs that certify its server; none for a Unix socket, or for sslmode=disable on this machine
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}
