//! `wardein operator install`: puts what was signed beside the key that it was signed for.

use super::issue::say_installed;
use crate::bundle::{Anchor, Bundle};
use crate::{Failure, KeyPassphraseArgs, Output, identity};
use clap::Args;
use std::path::PathBuf;
use wardein_client::unix_now;

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The directory of the key, as `wardein operator request` made it; or any with a P-256 key in PEM as `operator.key`, mode 0600
    directory: PathBuf,
    /// What `wardein operator sign` made
    bundle: PathBuf,
    /// The authority that it must be of: the SHA-256 of its root, or a file of certificates that begins with it. Without it, compare
    /// what is printed with what the administrator was shown
    #[arg(long, value_name = "SHA256|FILE")]
    infrastructure: Option<String>,
    #[command(flatten)]
    key_passphrase: KeyPassphraseArgs,
}

pub(super) fn run(args: InstallArgs, out: Output) -> Result<(), Failure> {
    let InstallArgs { directory, bundle, infrastructure, key_passphrase } = args;
    let anchor = infrastructure.as_deref().map(Anchor::given).transpose()?;
    if directory.join(identity::DESCRIPTION).exists() {
        let words = format!("{} has an identity already; name another directory", directory.display());
        return Err(Failure::Failed(words));
    }
    let judged = Bundle::read(&bundle)?.judge(unix_now())?;
    if let Some(anchor) = anchor {
        judged.require_root(anchor.digest())?;
    }
    judged.require_key(&identity::read_key(&directory, &key_passphrase)?)?;
    judged.install(&directory)?;
    say_installed(&judged, &directory, out)
}
