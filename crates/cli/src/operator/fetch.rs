//! `wardein operator fetch`: has a key certified that is made here, for a token.

use super::invite;
use super::issue::say_installed;
use super::key::{self, NewKey};
use crate::bundle::{Anchor, Bundle, Judged, RootDigest};
use crate::connection::unreached;
use crate::identity;
use crate::secret::{KeyPassphraseArgs, NewKeyArgs};
use crate::{Failure, Output, files};
use clap::Args;
use std::path::PathBuf;
use wardein_client::{Connection, Settings, unix_now, v1};
use wardein_pki::{Csr, pem};

/// `wardein operator fetch`.
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
    let is_there = key::is_there(&args.out)?;
    let anchor = Anchor::given(&args.infrastructure)?;
    let root = anchor.digest();
    let connection = reach(&args, anchor).await?;
    // What else there is to hear of the authority is heard before the token is used.
    let trust = connection.operator().get_trust_bundle(v1::GetTrustBundleRequest::default()).await?;

    let key = if is_there {
        NewKey::there(&args.out, identity::read_key(&args.out, &args.key_passphrase)?)
    } else {
        NewKey::make(&args.out, args.new_key.passphrase()?.as_ref())?
    };
    let csr = Csr::create(&key.key).map_err(Failure::failed)?;
    let request = v1::RedeemInvitationRequest { token: token.expose().to_vec(), csr };
    let answer = connection.operator().redeem_invitation(request).await;
    let answer = answer.map_err(|refusal| key.refused(refusal))?;
    let judged = completed(&key, Bundle::of(answer.certificate_pem, trust, &args.endpoint), root);
    let judged = judged.map_err(|failure| key.kept(failure))?;
    say_installed(&judged, &args.out, out)
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

fn completed(key: &NewKey<'_>, bundle: Result<Bundle, Failure>, root: RootDigest) -> Result<Judged, Failure> {
    let judged = bundle?.judge(unix_now())?;
    judged.require_root(root)?;
    judged.require_key(&key.key)?;
    judged.install(key.directory())?;
    Ok(judged)
}
