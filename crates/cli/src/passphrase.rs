//! Where a passphrase comes from: a file, a file descriptor, or a person. Never an argument, which every process can read.

use clap::Args;
use std::path::PathBuf;

/// Where the passphrase comes from; with neither, a person is asked for it.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct PassphraseArgs {
    /// Read the passphrase from this file
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Read the passphrase from this open file descriptor
    #[arg(long, value_name = "N")]
    pub passphrase_fd: Option<u32>,
}
