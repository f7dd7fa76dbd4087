//! `wardein custody`: what the root key is under. It works on the authority's directory, and speaks to no service.

use crate::args::DEFAULT_PCRS;
use crate::{Confirm, PassphraseArgs};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `wardein custody`.
#[derive(Debug, Subcommand)]
pub enum CustodyCommand {
    /// Tell what the root key is under
    Status(CustodyStatusArgs),
    /// Put the root key under another passphrase, a key file, a TPM, a key of AWS KMS, or back; what lies below it stays as it is
    ///
    /// It takes effect with the next start. A service that runs goes on, but can change the root key only after a restart. The old
    /// passphrase or key file still opens backups that were taken before.
    Change(CustodyChangeArgs),
    /// Reseal the root key to the TPM, in the state that the machine is in now; after an update of its firmware
    ///
    /// It takes the recovery passphrase, which stays as it is: anyone who can have a machine measured as they like must not be able to have the key
    /// sealed to it.
    Reseal(CustodyResealArgs),
}

/// `wardein custody reseal`.
#[derive(Debug, Args)]
pub struct CustodyResealArgs {
    /// The authority's directory
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// The TPM gives the key while these registers are as they are now; those of before where none are named
    #[arg(long, value_name = "N,N")]
    pub pcrs: Option<String>,
    /// Where the recovery passphrase comes from
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `wardein custody status`.
#[derive(Debug, Args)]
pub struct CustodyStatusArgs {
    /// The authority's directory
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
}

/// `wardein custody change`.
#[derive(Debug, Args)]
pub struct CustodyChangeArgs {
    /// The authority's directory
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// What it is to be under
    #[arg(long, value_enum)]
    pub to: ProtectionKind,
    /// Where the passphrase of now comes from, if it is under one, or the recovery passphrase, if its TPM or KMS is not to be asked
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// The TPM gives the key while these registers are as they are now
    #[arg(long, value_name = "N,N", default_value = DEFAULT_PCRS)]
    pub pcrs: String,
    /// Read the new passphrase, or the recovery passphrase beside a TPM or AWS KMS, from this file
    #[arg(long, value_name = "FILE", group = "new")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Read the new passphrase from this open file descriptor
    #[arg(long, value_name = "N", group = "new")]
    pub new_passphrase_fd: Option<u32>,
    /// Whether to go ahead
    #[command(flatten)]
    pub confirm: Confirm,
}

/// What the root key can be under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProtectionKind {
    /// A passphrase, which is asked for where neither file nor descriptor is given
    Passphrase,
    /// The key file that `custody.key_file` in wardein.toml names; it is made where there is none
    KeyFile,
    /// The TPM that `custody.tpm` in wardein.toml names, with a passphrase for when it does not give the key
    Tpm,
    /// The key of AWS KMS that `custody.aws_kms_key` in wardein.toml names; with a passphrase for when KMS does not give it, if one
    /// is read from a file or descriptor
    AwsKms,
}
