//! `wardein ca export-root` and `import-root`: what they take, and the file of the root's key, which is always under a passphrase. The
//! binary does the rest: it takes the inside of an authority.

use crate::ca::Algorithm;
use crate::secret::{self, KeyPassphraseArgs, NewPassphraseArgs, Passphrase};
use crate::{Confirm, Failure, PassphraseArgs, files, time};
use clap::Args;
use std::path::{Path, PathBuf};
use wardein_crypto::{KeyAlgorithm, SecretBytes};

/// `wardein ca export-root`.
#[derive(Debug, Args)]
pub struct ExportRootArgs {
    /// The authority's directory
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// The file to make: PKCS#8 in PEM, under a passphrase of its own (scrypt and AES-256)
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How long the root's revocation list is good, which is signed for the time without the key
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = time::seconds)]
    pub crl_validity: u64,
    /// The passphrase of that file, which is asked for where neither file nor descriptor is given
    #[command(flatten)]
    pub key: NewPassphraseArgs,
    /// What the authority's root key is under, if it is a passphrase
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `wardein ca import-root`.
#[derive(Debug, Args)]
pub struct ImportRootArgs {
    /// The file that `ca export-root` made
    pub file: PathBuf,
    /// The authority's directory
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// The passphrase of that file, which is asked for where neither file nor descriptor is given
    #[command(flatten)]
    pub key: KeyPassphraseArgs,
    /// What the authority's root key is under, if it is a passphrase
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `wardein ca rotate-root`.
#[derive(Debug, Args)]
pub struct RotateRootArgs {
    /// The authority's directory
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// The algorithm of the new root's key
    #[arg(long, value_enum, default_value_t = Algorithm::P384)]
    algorithm: Algorithm,
    /// The file to make: the certificates of the new root and of the former one, PEM
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Whether it is to be done
    #[command(flatten)]
    pub confirm: Confirm,
    /// What the authority's root key is under, if it is a passphrase
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

impl RotateRootArgs {
    /// The algorithm of the new root's key.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm.into()
    }
}

/// `wardein ca drop-former-root`.
#[derive(Debug, Args)]
pub struct DropFormerRootArgs {
    /// The authority's directory
    #[arg(long, env = "WARDEIN_DIR", hide_env_values = true, value_name = "DIR")]
    pub dir: PathBuf,
    /// Whether it is to be done
    #[command(flatten)]
    pub confirm: Confirm,
    /// What the authority's root key is under, if it is a passphrase
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

impl ImportRootArgs {
    /// The key in the file, PKCS#8 DER.
    pub fn root(&self) -> Result<SecretBytes, Failure> {
        secret::encrypted(&self.file, &self.key)
    }
}

/// Makes the file of a root's key, durably, and reads it again.
pub fn write_root(path: &Path, key: &SecretBytes, passphrase: &Passphrase) -> Result<(), Failure> {
    let text = secret::encoded(key.expose(), Some(passphrase))?;
    files::write_new(path, text.expose(), files::PRIVATE)?;
    let written = secret::encrypted_under(path, passphrase)?;
    let is_same = written.expose() == key.expose();
    is_same.then_some(()).ok_or_else(|| Failure::file("read", path, "it does not hold what was written"))
}
