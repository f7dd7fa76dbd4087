//! `wardein operator recover`: works on the authority's directory, and speaks to no service.

use crate::{PassphraseArgs, time};
use clap::Args;
use std::path::PathBuf;

/// `wardein operator recover`.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// The authority's directory
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// The directory to make for the identity; it must not exist
    #[arg(long, value_name = "IDENTITY")]
    pub out: PathBuf,
    /// For how long it is valid, such as 30d; at most 366d
    #[arg(long, value_name = "TIME", value_parser = time::seconds, default_value = "366d")]
    pub validity: u64,
    /// Where the passphrase comes from, if the root key is under one. Of a root key under a TPM or AWS KMS it is the recovery
    /// passphrase, and they are then not asked
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
