//! `wardein operator fetch`: has a key certified that is made here, for a token.

use super::invite;
use super::issue::say_installed;
use crate::bundle::{Anchor, Bundle};
use crate::connection::unreached;
use crate::identity::{self, DESCRIPTION, KEY};
use crate::secret::{KeyPassphraseArgs, NewKeyArgs};
use crate::{Failure, Output, files};
use clap::Args;
use std::path::PathBuf;
use wardein_client::{Connection, Refusal, Settings, unix_now, v1};
use wardein_crypto::P256SigningKey;
use wardein_domain::ErrorCode;
use wardein_pki::{Csr, pem};

/// `wardein operator fetch`.
///
/// A token is good once. Where the answer is lost, the key stays in DIR, and the same command again gets the same certificate.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// Where the authority answers
    #[arg(long, value_name = "https://HOST:PORT")]
    endpoint: String,
    /// The authority: the SHA-256 of its root, or a file of certificates that begins with it
    #[arg(long, value_name = "SHA256|FILE")]
    infrastructure: String,
    /// The file with the token, which its owner alone may read
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The directory to make for the identity; or one with a key, as `wardein operator request` or an unfinished fetch left it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    new_key: NewKeyArgs,
    /// Where the passphrase of a key comes from that is there already
    #[command(flatten)]
    key_passphrase: KeyPassphraseArgs,
}

pub(super) async fn run(args: FetchArgs, out: Output) -> Result<(), Failure> {
    let token = invite::read(files::read_private(&args.token_file)?.expose());
    let token = token.ok_or_else(|| {
        Failure::file("take for a token", &args.token_file, "`wardein operator invite` prints one")
    })?;
    if args.out.join(DESCRIPTION).exists() {
        let words = format!("{} has an identity already; name another directory", args.out.display());
        return Err(Failure::Failed(words));
    }
    let anchor = Anchor::given(&args.infrastructure)?;
    let root = anchor.digest();
    let connection = reach(&args, anchor).await?;
    // What else there is to hear of the authority is heard before the token is used.
    let trust = connection.operator().get_trust_bundle(v1::GetTrustBundleRequest {}).await?;

    let is_new = !args.out.join(KEY).exists();
    let key = key(&args, is_new)?;
    let csr = Csr::create(&key).map_err(Failure::failed)?;
    let request = v1::RedeemInvitationRequest { token: token.expose().to_vec(), csr };
    let answer = match connection.operator().redeem_invitation(request).await {
        Ok(answer) => answer,
        Err(refusal) => {
            if is_new && is_certainly_unused(&refusal) {
                let _ = std::fs::remove_dir_all(&args.out);
            }
            return Err(refusal.into());
        }
    };
    let judged = Bundle::of(answer.certificate_pem, trust, &args.endpoint)?.judge(unix_now())?;
    judged.require_root(root)?;
    judged.require_key(&key)?;
    judged.install(&args.out)?;
    say_installed(&judged, &args.out, out)
}

/// Whether nothing was certified. Where the authority does not say so, as with `deadline-exceeded` or a fault of its own, the token
/// may have been used, and the key is the only way to the certificate.
fn is_certainly_unused(refusal: &Refusal) -> bool {
    refusal.known() == Some(ErrorCode::InvitationInvalid)
}

/// The authority under that root, and no other.
async fn reach(args: &FetchArgs, anchor: Anchor) -> Result<Connection, Failure> {
    let unreached = |error| unreached("of nobody yet", error);
    let mut settings = Settings::new(args.endpoint.clone(), Vec::new());
    let der = match anchor {
        Anchor::Root(der) => der,
        Anchor::Digest(root) => {
            wardein_client::find_root(&settings, root.digest()).await.map_err(unreached)?
        }
    };
    settings.roots = pem::encode_certificates([der.as_slice()]).map_err(Failure::failed)?.into_bytes();
    wardein_client::connect(&settings).await.map_err(unreached)
}

fn key(args: &FetchArgs, is_new: bool) -> Result<P256SigningKey, Failure> {
    if !is_new {
        return identity::read_key(&args.out, &args.key_passphrase);
    }
    let passphrase = args.new_key.passphrase()?;
    files::make_private_directory(&args.out)?;
    let key = identity::make_key(&args.out, passphrase.as_ref())?;
    // Durable before the token is used: with it a lost answer is heard again.
    files::sync_directory(&args.out)?;
    files::sync_directory(wardein_durable::directory_of(&args.out))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_client::Status;

    #[test]
    fn a_key_is_thrown_away_only_if_the_token_was_refused() {
        let refused = |code: &str| {
            let mut status = Status::unavailable("words");
            status.metadata_mut().insert("wardein-code", code.parse().unwrap());
            Refusal::from(status)
        };
        assert!(is_certainly_unused(&refused("invitation-invalid")));
        for code in ErrorCode::ALL.iter().filter(|code| **code != ErrorCode::InvitationInvalid) {
            assert!(!is_certainly_unused(&refused(code.as_str())), "{code:?}");
        }
        assert!(!is_certainly_unused(&refused("of-a-later-release")));
        assert!(!is_certainly_unused(&Refusal::from(Status::unavailable("the connection broke"))));
    }
}
